"""Sums of cross entropies over each protein, and what is read from them: means, the loss recovered
and its interval.

The loss recovered is a ratio of sums over proteins, so its interval is that of the ratio: whole
proteins are drawn with replacement, their sums are added, and the ratio is taken once.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from interplm_nb.sae.evaluation.measures import LEAST_COST

LEVEL = 0.95
_RESAMPLES = 2_000
_SEED = 0


@dataclass(frozen=True)
class FidelitySums:
    """One value per protein: its residues that count, and sums over them in nats."""

    accessions: tuple[str, ...]
    n_residues: tuple[int, ...]
    ce_original: tuple[float, ...]
    ce_sae: tuple[float, ...]
    ce_zero: tuple[float, ...]
    kl: tuple[float, ...]

    def means(self, per_protein: bool) -> tuple[float, float, float, float]:
        """CE original, CE sae, CE zero and KL in nats per residue: over all residues, or
        `per_protein` over the residues of each protein and then over proteins.

        Examples
        --------
        >>> sums = FidelitySums(("P1", "P2"), (1, 3), (1, 9), (2, 9), (4, 9), (0, 0))
        >>> sums.means(per_protein=False)[:3], sums.means(per_protein=True)[:3]
        ((2.5, 2.75, 3.25), (2.0, 2.5, 3.5))
        """
        a, b, c, d = _means(self._rows(per_protein).sum(0)).tolist()
        return a, b, c, d

    def interval(self, per_protein: bool, clip: bool) -> tuple[float | None, float | None]:
        """The 95 % interval of the loss recovered, over proteins: percentiles of those of 2,000
        resamples in which it is defined.

        (None, None) if absent: of fewer than two proteins, and where zeros cost under
        `LEAST_COST` in more than 2.5 % of the resamples, since the ratio then has no lower end.
        """
        rows = self._rows(per_protein)
        n = len(rows)
        if n < 2:
            return None, None
        drawn = np.random.default_rng(_SEED).multinomial(n, np.full(n, 1 / n), _RESAMPLES)
        original, with_sae, zero, _ = _means(drawn @ rows).T
        defined = zero - original >= LEAST_COST
        tail = (1 - LEVEL) / 2
        if (~defined).mean() > tail:
            return None, None
        ratios = 1 - (with_sae - original)[defined] / (zero - original)[defined]
        low, high = np.quantile(np.clip(ratios, 0, 1) if clip else ratios, [tail, 1 - tail])
        return float(low), float(high)

    @cached_property
    def _table(self) -> np.ndarray:
        """float64 [n, 5] of proteins with residues that count: the four sums, and how many."""
        columns = (self.ce_original, self.ce_sae, self.ce_zero, self.kl, self.n_residues)
        table = np.array(columns, dtype=np.float64).T.reshape(-1, 5)
        return table[table[:, 4] > 0]

    def _rows(self, per_protein: bool) -> np.ndarray:
        """The table as it is added up: as sums, or with each protein as one residue."""
        return self._table / self._table[:, 4:] if per_protein else self._table


def loss_recovered(ce_original: float, ce_sae: float, ce_zero: float, clip: bool) -> float | None:
    """1 - (ce_sae - ce_original) / (ce_zero - ce_original); None where zeros cost under
    `LEAST_COST` nats per residue.

    Examples
    --------
    >>> loss_recovered(2.0, 2.25, 3.0, clip=False)
    0.75
    >>> loss_recovered(2.0, 2.25, 2.001, clip=False) is None
    True
    """
    if ce_zero - ce_original < LEAST_COST:
        return None
    recovered = 1 - (ce_sae - ce_original) / (ce_zero - ce_original)
    return float(np.clip(recovered, 0, 1)) if clip else recovered


def _means(sums: np.ndarray) -> np.ndarray:
    """[..., 4] of [..., 5]."""
    return sums[..., :4] / sums[..., 4:]
