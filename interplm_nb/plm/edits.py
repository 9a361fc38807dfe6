"""Checks of the layers and edits of `forward`, for every model."""

from collections.abc import Collection, Sequence

from torch import Tensor

from interplm_nb.plm.protocol import PLM, Edit
from interplm_nb.plm.record import check_layer


def deepest_layer(
    plm: PLM,
    layers: Sequence[int],
    edited: Collection[int],
    logits: bool = False,
    given: tuple[int, Tensor] | None = None,
) -> int:
    """The deepest layer that `forward` must run.

    Raises ValueError if nothing is requested, for a layer or logits that the model lacks, for an
    edit that no requested output depends on, and for what lies below a layer that is given.
    """
    if logits and not plm.has_logits:
        raise ValueError(f"{plm.name} has no head, so it has no logits; load it with its head")
    deepest = plm.n_layers if logits else max(layers, default=-1)
    if deepest < 0 and not layers:
        raise ValueError(
            f"no layer requested; {plm.name} has layers 0 (embedding) to {plm.n_layers}"
        )
    for layer in [*layers, *edited]:
        check_layer(plm, layer)
    for layer in edited:
        if layer > deepest:
            raise ValueError(
                f"an edit at layer {layer} has no effect: the run stops after layer "
                f"{max(deepest, 0)}; request a later layer or logits"
            )
    if given is not None:
        _check_given(plm, given, [*layers, *edited])
    return deepest


def _check_given(plm: PLM, given: tuple[int, Tensor], used: Collection[int]) -> None:
    layer, h = given
    check_layer(plm, layer)
    if h.ndim != 3 or h.shape[-1] != plm.widths[layer]:
        raise ValueError(
            f"the output of layer {layer} of {plm.name} is [B, T, {plm.widths[layer]}]; got shape "
            f"{tuple(h.shape)}"
        )
    below = sorted(n for n in used if n <= layer)
    if below:
        raise ValueError(
            f"layer {layer} is given, so the run starts above it; layer {below[0]} cannot be read "
            "or edited in it"
        )


def edited(edit: Edit, x: Tensor, layer: int) -> Tensor:
    """`edit` of a layer's output, in the output's dtype; ValueError for another shape."""
    new = edit(x)
    if new.shape != x.shape:
        raise ValueError(
            f"the edit at layer {layer} returned shape {tuple(new.shape)}, wanted {tuple(x.shape)}"
        )
    return new.to(x.dtype)
