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
    residues: Tensor,
    moments: Moments,
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, float32 [B, T, n_classes]: of the PLM as it is, with the SAE's reconstruction at
    `layer`, and with zeros there.

    `residues`, bool [B, T], are the positions of residues in `tokens`. `moments` gets the model's
    own representations of them.
    """

    if plm.objective == "next residue":
        return _at_once(sae, plm, layer, measure, tokens, residues, moments)

    def reconstructed(h: Tensor) -> Tensor:
        f, x_hat = sae(h.float())
        moments.add(h[residues].float(), f[residues], x_hat[residues])
        return x_hat.to(h.dtype)

    def logits(new: Replacement) -> Tensor:
        everywhere = measure == "published"
        put = new if everywhere else lambda h: torch.where(residues[..., None], new(h), h)
        return _float(plm.forward(tokens, edit={layer: put}, logits=True).logits)

    own = _float(plm.forward(tokens, logits=True).logits)
    return own, logits(reconstructed), logits(torch.zeros_like)


def _at_once(
    sae: SAE,
    plm: PLM,
    layer: int,
    measure: Measure,
    tokens: Tensor,
    residues: Tensor,
    moments: Moments,
) -> tuple[Tensor, Tensor, Tensor]:
    """The three runs as one batch of three times the sequences: a step of a recurrent model reads
    all of its weights, for few sequences as for many."""
    n = len(tokens)

    def put(h: Tensor, at: Tensor) -> Tensor:
        own, moved, zeroed = h.split(n)
        x_hat = sae(moved.float()).x_hat.to(h.dtype)
        return torch.cat(
            [own, torch.where(at[..., None], x_hat, moved), zeroed.masked_fill(at[..., None], 0)]
        )

    # Looked up as a plain list: asking the tensor at each step would wait for the device.
    some = residues.any(0).tolist()

    def put_at(h: Tensor, position: int) -> Tensor:
        return put(h, residues[:, position]) if some[position] else h

    edits: dict[str, dict[int, Any]] = {"edit": {layer: lambda h: put(h, residues)}}
    if measure == "next residue, recurrence":
        edits = {"step_edits": {layer: put_at}}
    found = plm.forward(tokens.repeat(3, 1), [layer], logits=True, **edits)
    # From the unchanged model: in the recurrence the SAE sees states that its own errors moved.
    h = found.representations[layer][:n][residues].float()
    moments.add(h, *sae(h))
    own, moved, zeroed = _float(found.logits).split(n)
    return own, moved, zeroed


def _float(logits: Tensor | None) -> Tensor:
    assert logits is not None
    return logits.float()
