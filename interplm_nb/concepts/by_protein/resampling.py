"""Figures of a score under weights of clusters (intervals) and exchanged labels (chance)."""

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import rankdata


def f1(called: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 [n_draws]: F1 of a decision; 0 where nothing is called and nothing is positive.

    called bool [n]; positive bool and weights int [n_draws or 1, n], as below.
    """
    hits = positive * weights
    tp = hits @ called.astype(np.int64)
    total = weights @ called.astype(np.int64) + hits.sum(axis=1)
    return np.divide(2 * tp, total, out=np.zeros(len(hits)), where=total > 0)


def auprc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 [n_draws]: average precision of scores [n]; 0 without a positive."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)
    tp, called = (
        np.cumsum(counts[:, order], axis=1)[:, last] for counts in (positive * weights, weights)
    )
    precision = np.divide(tp, called, out=np.zeros(tp.shape), where=called > 0)
    return (np.diff(tp, axis=1, prepend=0) * precision).sum(axis=1) / np.maximum(tp[:, -1], 1)


def spearman(scores: np.ndarray, numbers: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 [n_draws]: rank correlation of scores [n] and numbers; 0 where one is constant.

    numbers float64 and weights int [n_draws or 1, n]; not both have draws. Weights repeat the
    examples.
    """
    if len(weights) == 1:
        return correlation(
            _ranks(scores, weights), rankdata(numbers, axis=1), np.ones(weights.shape)
        )
    return correlation(_ranks(scores, weights), _ranks(numbers[0], weights), weights)


def correlation(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 [n_draws]: weighted Pearson correlation; 0 where one is constant."""
    total = weights.sum(axis=1, keepdims=True)
    a, b = (x - (x * weights).sum(axis=1, keepdims=True) / total for x in (a, b))
    both, first, second = ((x * weights).sum(axis=1) for x in (a * b, a**2, b**2))
    scale = np.sqrt(first * second)
    return np.divide(both, scale, out=np.zeros(len(both)), where=scale > 1e-9)


def exchanges(clusters: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
    """int64 [n_draws, n]: the example whose label each example gets.

    Examples are laid out cluster by cluster in random order, once for the labels and once for
    those who get them: each label is given once, and relatives give to neighbours, so that labels
    stay as bunched as they are.
    """
    _, cluster = np.unique(clusters, return_inverse=True)
    random = np.random.default_rng(seed)
    n, n_clusters = len(clusters), int(cluster.max(initial=-1)) + 1

    def laid_out() -> np.ndarray:
        """int64 [n]: the examples, cluster by cluster, in random order."""
        return np.lexsort((random.permutation(n), random.permutation(n_clusters)[cluster]))

    places = np.empty((n_draws, n), np.int64)
    for draw in places:
        draw[laid_out()] = laid_out()
    return places


def _ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 [n_draws, n]: mean ranks where each example counts `weights` times."""
    _, group = np.unique(values, return_inverse=True)
    members = csr_array((np.ones(len(group)), (group, np.arange(len(group)))))
    sizes = np.asarray(members @ weights.T).T
    return (np.cumsum(sizes, axis=1) - (sizes - 1) / 2)[:, group]
