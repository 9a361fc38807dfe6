"""How well an SAE reconstructs embeddings, and how sparsely, from sums over residues."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from interplm_nb.joined_layers import JoinedLayers
from interplm_nb.sae.model import SAE

Batch = Tensor | np.ndarray


@dataclass(frozen=True)
class Quality:
    """How well an SAE reconstructs embeddings, and how sparsely."""

    n_residues: int
    variance_explained: float
    """1 - sum_d Var(x - x_hat)_d / sum_d Var(x)_d, as InterPLM has it: a constant error does not
    count."""
    fvu: float
    """sum ||x - x_hat||^2 / sum ||x - mean(x)||^2: a constant error counts."""
    l0: float
    """Mean active features per residue."""


def quality(sae: SAE, batches: Iterable[Batch], targets: Iterable[Batch] | None = None) -> Quality:
    """Reconstruction and sparsity on batches of embeddings, float32 [n, d_in].

    `targets`, [n, d_out] each, are what a transcoder is to write there. Sums are kept in float64.
    ValueError for fewer than 2 residues.
    """
    return measured(sae, batches, targets).quality()


@torch.inference_mode()
def measured(
    sae: SAE, batches: Iterable[Batch], targets: Iterable[Batch] | None = None
) -> "Moments":
    """The sums behind `quality`, which takes the same."""
    moments = Moments(sae.d_out, sae.device)
    rows = max(1, 2**23 // sae.d_sae)
    pairs = ((x, x) for x in batches) if targets is None else zip(batches, targets, strict=True)
    for pair in pairs:
        x, target = (
            (torch.tensor(values) if isinstance(values, np.ndarray) else values).to(sae.device)
            for values in pair
        )
        for part, written in zip(x.split(rows), target.split(rows), strict=True):
            moments.add(written, *sae(part))
    return moments


class Moments:
    """Sums over residues for variance explained, FVU and L0."""

    def __init__(self, d_out: int, device: torch.device) -> None:
        # MPS has no float64; sums of some 100,000 residues are then good to about 4 digits.
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self._n = 0
        self._x, self._x2, self._e, self._e2 = (
            torch.zeros(d_out, dtype=dtype, device=device) for _ in range(4)
        )
        self._active = torch.zeros((), dtype=torch.int64, device=device)

    def add(self, x: Tensor, f: Tensor, x_hat: Tensor) -> None:
        """What is reconstructed [n, d_out], activations [n, d_sae], reconstructions [n, d_out]."""
        self._n += len(x)
        self._active += (f > 0).sum()
        x, e = x.to(self._x.dtype), (x - x_hat).to(self._x.dtype)
        for total, values in (
            (self._x, x),
            (self._x2, x.square()),
            (self._e, e),
            (self._e2, e.square()),
        ):
            total += values.sum(0)

    def fvu_by_layer(self, joined: JoinedLayers) -> dict[int, float]:
        """FVU of each layer that a crosscoder reconstructs."""
        spread = joined.parts(self._x2 - self._x.square() / self._n)
        error = joined.parts(self._e2)
        return {layer: float(error[layer].sum() / spread[layer].sum()) for layer in joined.layers}

    def quality(self) -> Quality:
        """The figures of all residues so far; ValueError for fewer than 2."""
        if self._n < 2:
            raise ValueError(f"quality takes at least 2 residues, not {self._n}")
        spread = (self._x2 - self._x.square() / self._n).sum()
        error_spread = (self._e2 - self._e.square() / self._n).sum()
        return Quality(
            self._n,
            float(1 - error_spread / spread),
            float(self._e2.sum() / spread),
            int(self._active) / self._n,
        )
