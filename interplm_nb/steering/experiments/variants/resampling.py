"""Figures of a scan under resamples of variants, or of positions."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

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


def partial_correlation(
    x: np.ndarray, y: np.ndarray, given: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """float64 [n_draws]: rank correlation of x and y after a linear fit of both on other ranks.

    Parameters
    ----------
    x, y
        [n]; given [n, k], whose constant columns are left out. Ranks are those of all examples.
    weights
        int [n_draws, n] repeat the examples.

    Returns
    -------
    np.ndarray
        0 where x or y follows from `given`.
    """
    columns = np.column_stack([x, y, given[:, np.ptp(given, axis=0) > 0]])
    ranks = rankdata(columns, axis=0) - (len(x) + 1) / 2
    found = np.zeros(len(weights))
    for i, w in enumerate(weights):
        centred = ranks - w @ ranks / w.sum()
        covariance = (centred * w[:, None]).T @ centred
        own, other = covariance[:2, :2], covariance[:2, 2:]
        left = own - other @ np.linalg.pinv(covariance[2:, 2:], hermitian=True) @ other.T
        scale = np.sqrt(max(left[0, 0], 0.0) * max(left[1, 1], 0.0))
        if min(left[0, 0] / max(own[0, 0], 1e-9), left[1, 1] / max(own[1, 1], 1e-9)) > 1e-9:
            found[i] = left[0, 1] / scale
    return found
