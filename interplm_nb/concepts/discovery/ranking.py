"""Quality of a ranking: precision at k and average precision, with resampled homology clusters."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from interplm_nb.concepts.intervals import draws_of_clusters, middle


class Ranked(NamedTuple):
    """The items that a method ranks, best first; items without a score are left out.

    `hits` bool [n]: whether each is right. `clusters` int64 [n], from 0. `right` int64
    [n_clusters]: all right items, ranked or not.
    """

    hits: np.ndarray
    clusters: np.ndarray
    right: np.ndarray


def quality(ranked: Ranked, ks: Sequence[int], weights: np.ndarray) -> np.ndarray:
    """float64 [n_resamples, len(ks) + 1]: precision at each k, then average precision.

    `weights` [n_resamples, n_clusters]: how often each cluster counts. Precision at k: the share
    of the first k that is right; missing items count as wrong. Average precision: the sum of the
    precision at each right item's rank, divided by the number of right items, ranked or not.

    Examples
    --------
    >>> ranked = Ranked(np.array([True, False]), np.array([0, 1]), np.array([1, 1]))
    >>> quality(ranked, (1, 2), np.ones((1, 2))).tolist()
    [[1.0, 0.5, 0.5]]
    """
    return np.array([_quality(ranked, ks, w) for w in np.asarray(weights, float)]).reshape(
        -1, len(ks) + 1
    )


def resamples(n_clusters: int, n: int, seed: int) -> np.ndarray:
    """int64 [n + 1, n_clusters]: all ones, then `n` bootstrap draws of the clusters."""
    return np.concatenate(
        [np.ones((1, n_clusters), np.int64), draws_of_clusters(n_clusters, n, seed)]
    )


def spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The estimate and the ends of its 95 % interval, each [m].

    From values [n + 1, m] over `resamples`: the first row, and percentiles of the others.
    """
    low, high = middle(values[1:])
    return values[0], low, high


def _quality(ranked: Ranked, ks: Sequence[int], weights: np.ndarray) -> list[float]:
    copies = weights[ranked.clusters]
    places = np.cumsum(copies)
    right = copies * ranked.hits
    found = []
    for k in ks:
        # Copies of a cluster drawn several times are adjacent; the last may reach beyond k.
        taken = np.clip(k - (places - copies), 0, copies)
        found.append(float((taken * ranked.hits).sum() / k))
    precision = np.divide(np.cumsum(right), places, out=np.zeros(len(places)), where=places > 0)
    return [*found, float((precision * right).sum() / max(float(weights @ ranked.right), 1))]
