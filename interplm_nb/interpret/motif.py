"""A feature's motif as a score: how well any place of a sequence fits the residues at maxima."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interplm_nb.features.logos import AMINO_ACIDS, PositionWeights, position_weights, windows
from interplm_nb.proteins import Proteins

FLANK = 5
"""Residues on each side of the maximum."""
DRAWS = 19
"""Sets of random windows that a motif's information is compared to; above all of them, p is 0.05
or less."""

_CODE = np.full(256, 20, np.int64)
_CODE[np.frombuffer(AMINO_ACIDS.encode(), np.uint8)] = np.arange(20)


@dataclass(frozen=True, eq=False)
class Motif:
    """The residues around maxima, as log-odds against the background (`log_odds`).

    `by_chance` is the largest information of `DRAWS` sets of windows at random places of the same
    proteins.
    """

    weights: PositionWeights
    log_odds: np.ndarray
    n_sites: int
    by_chance: float

    @property
    def information(self) -> float:
        """Bits, summed over the columns, as in `_information`."""
        return _information(self.weights, self.n_sites)

    @property
    def significant(self) -> bool:
        """Whether it holds more information than each of the random sets."""
        return self.information > self.by_chance

    @property
    def consensus(self) -> str:
        """The letter of each column that half of the sites have, else "x"; ends without one are
        left out."""
        counts = self.weights.counts
        letters = [
            AMINO_ACIDS[column.argmax()] if 2 * column.max() >= self.n_sites else "x"
            for column in counts
        ]
        return "-".join("".join(letters).strip("x"))

    def along(self, sequence: str) -> np.ndarray:
        """float64 [length]: the log-odds of the window around each residue, in bits."""
        padded = coded("-" * FLANK + sequence + "-" * FLANK)
        shown = np.lib.stride_tricks.sliding_window_view(padded, 2 * FLANK + 1)
        return self.log_odds[np.arange(2 * FLANK + 1), shown].sum(axis=1)


def find_motif(
    proteins: Proteins,
    sites: Sequence[tuple[str, int]],
    background: np.ndarray,
    random: np.random.Generator,
) -> Motif:
    """The motif of these sites (accession and position from 1), which must be one or more.

    `background` float64 [20], above 0, adds up to 1.
    """
    weights = position_weights(windows(proteins, sites, FLANK), background)
    lengths = proteins.lengths[[proteins.index(a) for a, _ in sites]]
    by_chance = 0.0
    for _ in range(DRAWS):
        places = (random.random(len(sites)) * lengths).astype(np.int64) + 1
        drawn = [(a, int(p)) for (a, _), p in zip(sites, places, strict=True)]
        rows = windows(proteins, drawn, FLANK)
        by_chance = max(by_chance, _information(position_weights(rows, background), len(sites)))
    return Motif(weights, log_odds(weights, len(sites)), len(sites), by_chance)


def log_odds(weights: PositionWeights, n_sites: int) -> np.ndarray:
    """float64 [L, 21], bits: log2 of each letter's frequency over the background.

    With a pseudocount of sqrt(n_sites), spread by the background. The last letter has 0: anything
    that is no standard amino acid, or lies beyond the ends of a protein.
    """
    added = np.sqrt(n_sites)
    counts = weights.counts + added * weights.background
    odds = np.log2(counts / (weights.n[:, None] + added) / weights.background)
    return np.concatenate([odds, np.zeros((len(odds), 1))], axis=1)


def coded(letters: str) -> np.ndarray:
    """int64 [n]: each letter as a column of `log_odds`."""
    return _CODE[np.frombuffer(letters.encode(), np.uint8)]


def _information(weights: PositionWeights, n_sites: int) -> float:
    """Bits over all columns; one that lies beyond the end of some proteins counts for the share of
    sites that have it."""
    return float((weights.information * weights.n).sum() / n_sites)
