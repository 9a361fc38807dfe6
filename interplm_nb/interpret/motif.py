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
    """The residues around maxima, as log-odds against the background.

    `log_odds` float64 [2 FLANK + 1, 21], bits, with a pseudocount of sqrt(n) spread by the
    background; the last letter, for anything that is no standard amino acid or beyond the ends of
    a protein, has 0. `by_chance` is the largest information of `DRAWS` sets of windows at random
    places of the same proteins.
    """

    weights: PositionWeights
    log_odds: np.ndarray
    n_sites: int
    by_chance: float

    @property
    def information(self) -> float:
        """Bits, summed over the columns."""
        return float(self.weights.information.sum())

    @property
    def significant(self) -> bool:
        """Whether it holds more information than each of the random sets."""
        return self.information > self.by_chance

    @property
    def consensus(self) -> str:
        """The letter of each column with half of the sites or more, else "x"; ends without one are
        left out."""
        frequencies = self.weights.frequencies
        letters = np.where(
            frequencies.max(axis=1) >= 0.5,
            np.array(list(AMINO_ACIDS))[frequencies.argmax(axis=1)],
            "x",
        )
        return "-".join("".join(letters).strip("x"))

    def along(self, sequence: str) -> np.ndarray:
        """float64 [length]: the log-odds of the window around each residue, in bits."""
        coded = np.full(len(sequence) + 2 * FLANK, 20)
        coded[FLANK : FLANK + len(sequence)] = _CODE[np.frombuffer(sequence.encode(), np.uint8)]
        shown = np.lib.stride_tricks.sliding_window_view(coded, 2 * FLANK + 1)
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
        by_chance = max(by_chance, float(position_weights(rows, background).information.sum()))
    added = np.sqrt(len(sites))
    counts = weights.counts + added * background
    log_odds = np.log2(counts / (weights.n[:, None] + added) / background)
    padded = np.concatenate([log_odds, np.zeros((2 * FLANK + 1, 1))], axis=1)
    return Motif(weights, padded, len(sites), by_chance)
