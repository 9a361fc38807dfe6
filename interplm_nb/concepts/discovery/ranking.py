"""How good a ranking is, and how sure that is: precision at k and average precision, over resampled homology clusters."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from interplm_nb.concepts.intervals import draws_of_clusters, middle


class Ranked(NamedTuple):
    """What a method puts in order, best first; what it has no score for is not in it.

    hits: bool [n], what is right. clusters: int64 [n], from 0. right: int64 [n_clusters], all that could be found, ranked or not.
    """

    hits: np.ndarray
    clusters: np.ndarray
    right: np.ndarray


def quality(ranked: Ranked, ks: Sequence[int], weights: np.ndarray) -> np.ndarray:
    """float64 [n_resamples, len(ks) + 1]: precision at each k, then average precision, each cluster counted as often as `weights` says.

    precision at k: share of the first k that is right; where fewer are ranked, what is lacking counts as wrong. average precision: the sum over what
    is right of the precision at its place, over all that is right; what is not ranked adds nothing. weights: [n_resamples, n_clusters].
    """
    return np.array([_quality(ranked, ks, w) for w in np.asarray(weights, float)]).reshape(
        -1, len(ks) + 1
    )


def resamples(n_clusters: int, n: int, seed: int) -> np.ndarray:
    """int64 [n + 1, n_clusters]: once each, then `n` draws of as many clusters with replacement."""
    return np.concatenate(
        [np.ones((1, n_clusters), np.int64), draws_of_clusters(n_clusters, n, seed)]
    )


def spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of [n + 1, m] values over `resamples`: the first, and the lower and upper end of the middle 95 % of the others, each [m]."""
    low, high = middle(values[1:])
    return values[0], low, high


def _quality(ranked: Ranked, ks: Sequence[int], weights: np.ndarray) -> list[float]:
    copies = weights[ranked.clusters]
    places = np.cumsum(copies)
    right = copies * ranked.hits
    found = []
    for k in ks:
        # A cluster drawn several times has its copies side by side; the last of them may reach beyond k.
        taken = np.clip(k - (places - copies), 0, copies)
        found.append(float((taken * ranked.hits).sum() / k))
    precision = np.divide(np.cumsum(right), places, out=np.zeros(len(places)), where=places > 0)
    return [*found, float((precision * right).sum() / max(float(weights @ ranked.right), 1))]
