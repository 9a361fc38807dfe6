"""A PLM's predictions with a layer's representation replaced, as a measure of fidelity asks."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from interplm_nb.plm.protocol import PLM
from interplm_nb.sae.evaluation.measures import Measure
from interplm_nb.sae.evaluation.quality import Moments
from interplm_nb.sae.model import SAE

Replacement = Callable[[Tensor], Tensor]
"""From representations [..., width] to others of the same shape."""


def three_logits(
    sae: SAE,
    plm: PLM,
    layer: int,
    measure: Measure,
    tokens: Tensor,
    replaced: Tensor,
    residues: Tensor,
    moments: Moments,
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, float32 [B, T, n_classes]: of the PLM as it is, with the SAE's reconstruction at
    `layer`, and with zeros there.

    `replaced`, bool [B, T], are the positions in `tokens` at which the representation is replaced;
    `residues` those of residues. `moments` gets the model's own representations of the residues
    that are replaced.
    """

    if plm.objective == "next residue":
        return _at_once(sae, plm, layer, measure, tokens, replaced, moments)
    measured = replaced & residues

    def reconstructed(h: Tensor) -> Tensor:
        """The reconstruction of h [B, T, width]; gives `moments` what was measured."""
        f, x_hat = sae(h.float())
        moments.add(h[measured].float(), f[measured], x_hat[measured])
        return x_hat.to(h.dtype)

    def logits(new: Replacement) -> Tensor:
        """float32 [B, T, n_classes]: with `new` of the representation where it is replaced."""

        def put(h: Tensor) -> Tensor:
            """h [B, T, width], with `new(h)` where it is replaced."""
            return torch.where(replaced[..., None], new(h), h)

        return _float(plm.forward(tokens, edit={layer: put}, logits=True).logits)

    own = _float(plm.forward(tokens, logits=True).logits)
    return own, logits(reconstructed), logits(torch.zeros_like)


def _at_once(
    sae: SAE,
    plm: PLM,
    layer: int,
    measure: Measure,
    tokens: Tensor,
    replaced: Tensor,
    moments: Moments,
) -> tuple[Tensor, Tensor, Tensor]:
    """The three runs as one batch of three times the sequences: a step of a recurrent model reads
    all of its weights, for few sequences as for many."""
    n = len(tokens)

    def put(h: Tensor, at: Tensor) -> Tensor:
        """h [3n, ..., width]: as it is, then reconstructed and then zeroed at `at` [n, ...]."""
        own, moved, zeroed = h.split(n)
        x_hat = sae(moved.float()).x_hat.to(h.dtype)
        return torch.cat(
            [own, torch.where(at[..., None], x_hat, moved), zeroed.masked_fill(at[..., None], 0)]
        )

    # Looked up as a plain list: asking the tensor at each step would wait for the device.
    some = replaced.any(0).tolist()

    def put_at(h: Tensor, position: int) -> Tensor:
        """`put` at one position, h [3n, width]."""
        return put(h, replaced[:, position]) if some[position] else h

    edits: dict[str, Any] = {"edit": {layer: lambda h: put(h, replaced)}}
    if measure == "next residue, recurrence":
        edits = {"step_edits": {layer: put_at}}
    found = plm.forward(tokens.repeat(3, 1), [layer], logits=True, **edits)
    # From the unchanged model: in the recurrence the SAE sees states that its own errors moved.
    h = found.representations[layer][:n][replaced].float()
    moments.add(h, *sae(h))
    own, moved, zeroed = _float(found.logits).split(n)
    return own, moved, zeroed


def _float(logits: Tensor | None) -> Tensor:
    assert logits is not None
    return logits.float()
