"""How well an SAE reconstructs embeddings, and how sparsely, from sums over residues."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from interplm_nb.sae.model import SAE


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


@torch.inference_mode()
def quality(sae: SAE, batches: Iterable[Tensor | np.ndarray]) -> Quality:
    """Reconstruction and sparsity on batches of embeddings, float32 [n, d_in].

    Sums are kept in float64. ValueError for fewer than 2 residues.
    """
    moments = Moments(sae.d_in, sae.device)
    for batch in batches:
        x = torch.tensor(batch) if isinstance(batch, np.ndarray) else batch
        for part in x.to(sae.device).split(max(1, 2**23 // sae.d_sae)):
            moments.add(part, *sae(part))
    return moments.quality()


class Moments:
    """Sums over residues for variance explained, FVU and L0."""

    def __init__(self, d_in: int, device: torch.device) -> None:
        # MPS has no float64; sums of some 100,000 residues are then good to about 4 digits.
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self._n = 0
        self._x, self._x2, self._e, self._e2 = (
            torch.zeros(d_in, dtype=dtype, device=device) for _ in range(4)
        )
        self._active = torch.zeros((), dtype=torch.int64, device=device)

    def add(self, x: Tensor, f: Tensor, x_hat: Tensor) -> None:
        """Embeddings [n, d_in], their activations [n, d_sae] and reconstructions [n, d_in]."""
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
