"""What every model checks of the layers and edits that `forward` is asked for."""

from collections.abc import Collection, Sequence

from torch import Tensor

from interplm_nb.plm.protocol import PLM, Edit
from interplm_nb.plm.record import check_layer


def deepest_layer(
    plm: PLM, layers: Sequence[int], edited: Collection[int], logits: bool = False
) -> int:
    """How deep `forward` must run.

    Raises ValueError where nothing was asked for, for a layer that is not there, for logits that
    the model lacks, and for an edit that nothing that was asked for depends on.
    """
    if logits and not plm.has_logits:
        raise ValueError(f"{plm.name} has no head, so it gives no logits; load it with its head")
    deepest = plm.n_layers if logits else max(layers, default=-1)
    if deepest < 0 and not layers:
        raise ValueError(
            f"no layer was asked for; {plm.name} has layers 0 (embedding) to {plm.n_layers}"
        )
    for layer in [*layers, *edited]:
        check_layer(plm, layer)
    for layer in edited:
        if layer > deepest:
            raise ValueError(
                f"an edit at layer {layer} changes nothing: the run stops after layer "
                f"{max(deepest, 0)}; ask for a later layer or for logits"
            )
    return deepest


def edited(edit: Edit, x: Tensor, layer: int) -> Tensor:
    """What `edit` makes of a layer's output, in the output's dtype; another shape is refused."""
    new = edit(x)
    if new.shape != x.shape:
        raise ValueError(
            f"the edit at layer {layer} returned shape {tuple(new.shape)}, wanted {tuple(x.shape)}"
        )
    return new.to(x.dtype)
