"""Figures of a scan under resamples of variants, or of positions."""

from collections.abc import Sequence

import numpy as np

from interplm_nb.concepts.intervals import draws_of_clusters
from interplm_nb.readers.variants import Variant


def draws_of_positions(variants: Sequence[Variant], n_draws: int, seed: int) -> np.ndarray:
    """int64 [n_draws, n_variants]: how often each variant's first position is drawn.

    Variants of one position share how well it bears a change, so they come or go together.
    """
    _, position = np.unique([variant[0].position for variant in variants], return_inverse=True)
    return draws_of_clusters(int(position.max()) + 1, n_draws, seed)[:, position]


def auroc(values: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 [n_draws]: chance that a positive has the higher value, ties half; 0.5 without one.

    positive bool [n]; weights int [n_draws, n] repeat the examples.
    """
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(values[order]) != 0))
    up, down = (
        np.add.reduceat(weights[:, order] * kept[order], starts, axis=1)
        for kept in (positive, ~positive)
    )
    below = np.cumsum(down, axis=1) - down
    wins = (up * (below + down / 2)).sum(axis=1)
    pairs = up.sum(axis=1) * down.sum(axis=1)
    return np.divide(wins, pairs, out=np.full(len(wins), 0.5), where=pairs > 0)
