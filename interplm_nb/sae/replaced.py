"""A PLM's predictions with the representation at a layer replaced, as a measure of fidelity asks."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from interplm_nb.plm.protocol import PLM, StepEdit
from interplm_nb.sae.measures import Measure
from interplm_nb.sae.model import SAE
from interplm_nb.sae.quality import Moments

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

    def reconstructed(h: Tensor) -> Tensor:
        f, x_hat = sae(h.float())
        moments.add(h[residues].float(), f[residues], x_hat[residues])
        return x_hat.to(h.dtype)

    def again(h: Tensor) -> Tensor:
        return sae(h.float()).x_hat.to(h.dtype)

    def logits(new: Replacement) -> Tensor:
        return _logits(plm, tokens, **_replacing(measure, layer, residues, new))

    if measure != "next residue, recurrence":
        return _logits(plm, tokens), logits(reconstructed), logits(torch.zeros_like)
    # Inside the recurrence the SAE sees states that its own errors have moved, so quality is taken
    # from the model's own.
    own = plm.forward(tokens, [layer], logits=True)
    h = own.representations[layer][residues].float()
    moments.add(h, *sae(h))
    return _float(own.logits), logits(again), logits(torch.zeros_like)


def _replacing(
    measure: Measure, layer: int, residues: Tensor, new: Replacement
) -> dict[str, dict[int, Any]]:
    """Arguments of `PLM.forward` that put `new` at a layer."""
    if measure == "published":
        return {"edit": {layer: new}}
    if measure == "next residue, recurrence":
        return {"step_edits": {layer: _by_step(residues, new)}}
    return {"edit": {layer: lambda h: torch.where(residues[..., None], new(h), h)}}


def _by_step(residues: Tensor, new: Replacement) -> StepEdit:
    # Looked up as plain lists: asking the tensor at each step would wait for the device.
    every, some = residues.all(0).tolist(), residues.any(0).tolist()

    def edit(h: Tensor, position: int) -> Tensor:
        if not some[position]:
            return h
        return new(h) if every[position] else torch.where(residues[:, position, None], new(h), h)

    return edit


def _logits(plm: PLM, tokens: Tensor, **edits: Any) -> Tensor:
    return _float(plm.forward(tokens, logits=True, **edits).logits)


def _float(logits: Tensor | None) -> Tensor:
    assert logits is not None
    return logits.float()
