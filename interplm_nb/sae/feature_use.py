"""How much of a dictionary of features is used: the only place that says what silent, rare,
effective and moved mean. Imports no torch.

*Silent*: active on no residue of `train`. *Rare*: active on some, but on a share of them (its
density) below `RARE`. *Effective*: how many features would be used, were all used equally: exp of
the entropy of the features' shares of all activation. *Moved*: the share of decoder atoms whose
cosine with their first value, before training, is below `MOVED`.

Weights change while they train, so a count made in training is of its last residues (`WINDOW`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from interplm_nb.activations import FeatureActivations
from interplm_nb.activations_writer import shape_of

RARE = 1e-4
"""Share of residues below which a feature that is active on some is rare."""

MOVED = 0.8
"""Cosine of a decoder atom with its first value below which it has moved."""

WINDOW = 100_000
"""Residues that training looks back on. On this many, a feature that is not rare is active ten
times or more on average."""


@dataclass(frozen=True)
class FeatureUse:
    """How a dictionary is used on residues of `train`."""

    n_residues: int
    silent: int
    """Features that are active on none of the residues."""
    rare: int
    """Features that are active, on a share of the residues below `RARE`."""
    effective: float
    """exp of the entropy of the features' shares of all activation, 1 to n_features; 0 where
    nothing is active."""


@dataclass(frozen=True, eq=False)
class FeatureSums:
    """Sums over residues, from which the use of each feature follows.

    Examples
    --------
    Four features on 20,000 residues: one is silent, one is rare, two share the activation evenly.

    >>> n_active, total = np.array([0, 1, 500, 500]), np.array([0.0, 0.0, 9.0, 9.0])
    >>> FeatureSums(20_000, n_active, total, np.float32([0, 0, 1, 1])).use()
    FeatureUse(n_residues=20000, silent=1, rare=1, effective=2.0)
    """

    n_residues: int
    n_active: np.ndarray
    """int64 [n_features]: residues on which each feature is active."""
    total: np.ndarray
    """float64 [n_features]: the sum of its activations."""
    maximum: np.ndarray
    """float32 [n_features]: the largest; 0 where it is silent."""

    @classmethod
    def of(cls, activations: FeatureActivations, accessions: Iterable[str]) -> Self:
        """Of these proteins, each residue read once."""
        n, n_residues = activations.n_features, 0
        n_active, total, maximum = np.zeros(n, np.int64), np.zeros(n), np.zeros(n, np.float32)
        for _, block in activations.blocks(accessions):
            n_residues += shape_of(block)[0]
            n_active += np.bincount(block.indices, minlength=n)
            total += np.bincount(block.indices, block.data, minlength=n)
            np.maximum.at(maximum, block.indices, block.data)
        return cls(n_residues, n_active, total, maximum)

    @property
    def density(self) -> np.ndarray:
        """float64 [n_features]: share of the residues on which each feature is active."""
        return self.n_active / max(self.n_residues, 1)

    def use(self) -> FeatureUse:
        """How the dictionary is used on these residues."""
        shares = self.total[self.total > 0] / self.total.sum()
        return FeatureUse(
            self.n_residues,
            int((self.n_active == 0).sum()),
            int(((self.n_active > 0) & (self.density < RARE)).sum()),
            float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0,
        )
