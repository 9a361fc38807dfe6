"""Families of features: the nearest others of each, and the same feature in another SAE."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from interplm_nb.features.atlas import unit_vectors

NEIGHBOURS = {
    "feature": pl.UInt32,
    "kind": pl.String,
    "rank": pl.UInt32,
    "neighbour": pl.UInt32,
    "similarity": pl.Float32,
}
"""Columns of `neighbours`."""

MATCHES = {
    "feature": pl.UInt32,
    "match": pl.UInt32,
    "similarity": pl.Float32,
    "ambiguity": pl.Float32,
    "by_chance": pl.Float64,
}
"""Columns of `matches`."""

BY_CHANCE = 0.05
"""A feature is found again if at most this share of a null's matches is as similar."""


def cosine(vectors: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
    """float32 [n, m]: cosines of all pairs of vectors [n, d] and [m, d]; 0 for one of zeros.

    >>> cosine(np.array([[1.0, 0.0], [0.0, 2.0]])).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    units = unit_vectors(vectors).astype(np.float32)
    against = units if others is None else unit_vectors(others).astype(np.float32)
    return units @ against.T


def neighbours(
    similarities: Mapping[str, np.ndarray], alive: np.ndarray, k: int = 10
) -> pl.DataFrame:
    """The k most similar other features of each feature, by each kind of similarity.

    Parameters
    ----------
    similarities : mapping of str to np.ndarray
        [n_features, n_features] by name, such as "decoder": `cosine` of decoder vectors,
        "activation": `activation_correlation`, "concept": `cosine` of the features' F1 on each
        concept.
    alive : np.ndarray
        bool [n_features]: features that fire; others have no neighbours and are nobody's.
    k : int
        1 or more.

    Returns
    -------
    pl.DataFrame
        Columns of `NEIGHBOURS`, by kind, feature and rank (from 1). A similarity of 0 or less is
        no neighbour. Of equals the lower number comes first.

    Raises
    ------
    ValueError
        For a similarity that is not a square of `alive`, or k below 1.

    Examples
    --------
    >>> similar = np.array([[1, 0.2, 0.9], [0.2, 1, -0.1], [0.9, -0.1, 1]])
    >>> neighbours({"decoder": similar}, np.ones(3, bool), 1)["neighbour"].to_list()
    [2, 0, 0]
    """
    if k < 1:
        raise ValueError(f"k must be 1 or more, not {k}")
    living = np.flatnonzero(alive)
    parts = [pl.DataFrame(schema=NEIGHBOURS)]
    for kind, similar in similarities.items():
        if similar.shape != (len(alive), len(alive)):
            raise ValueError(
                f"similarity {kind!r} must have shape {(len(alive), len(alive))}, one row and "
                f"column per feature, not {similar.shape}"
            )
        for feature in living.tolist():
            row = similar[feature, living].astype(np.float32)
            row[np.searchsorted(living, feature)] = -np.inf
            # Ties at the k-th place need all of them, so the k-th value is found first.
            least = np.partition(row, max(0, len(row) - k))[max(0, len(row) - k)]
            near = np.flatnonzero((row >= least) & (row > 0))
            near = near[np.lexsort((near, -row[near]))][:k]
            found = {
                "feature": np.full(len(near), feature, np.uint32),
                "kind": [kind] * len(near),
                "rank": np.arange(1, len(near) + 1, dtype=np.uint32),
                "neighbour": living[near].astype(np.uint32),
                "similarity": row[near],
            }
            parts.append(pl.DataFrame(found, schema=NEIGHBOURS))
    return pl.concat(parts)


def random_dictionary(decoder: np.ndarray, seed: int = 0) -> np.ndarray:
    """float32 [n, d]: random vectors with the mean and covariance of these.

    A null for `matches` by decoder cosine. Directions of an SAE share some axes; vectors drawn
    uniformly would be too easy.
    """
    mean = decoder.mean(axis=0, dtype=np.float64)
    root = np.linalg.qr(decoder - mean, mode="r") / np.sqrt(max(1, len(decoder)))
    draws = np.random.default_rng(seed).standard_normal((len(decoder), len(root)))
    return (draws @ root + mean).astype(np.float32)


def matches(
    similarity: np.ndarray,
    null: np.ndarray,
    features: np.ndarray | None = None,
    others: np.ndarray | None = None,
) -> pl.DataFrame:
    """Which feature of one SAE is which of another: the assignment of highest total similarity.

    No feature is matched twice; with n and m features there are min(n, m) matches. Of a match
    with similarity s,

        ambiguity = max(0, r) / s, at most 1; 1 where s is 0 or less

    with r the highest similarity of either of the two to any other feature of the other side: 0
    where nothing else is alike, 1 where something else is as alike. by_chance is (1 + c) /
    (1 + number of the null's matches), with c of them at least as similar as s.

    Parameters
    ----------
    similarity : np.ndarray
        [n, m]: `cosine` of decoder vectors in one layer, or `activation_correlation` on the same
        proteins.
    null : np.ndarray
        [n, m']: the same similarity to something that knows nothing: a `random_dictionary`, or
        activations shifted along the axis.
    features, others : np.ndarray, optional
        Numbers of the features of the rows and of the columns, where some are left out.

    Returns
    -------
    pl.DataFrame
        Columns of `MATCHES`, by feature.

    Raises
    ------
    ValueError
        For a similarity that is not finite.

    Examples
    --------
    >>> similar = np.array([[0.9, 0.8], [0.85, 0.1]])
    >>> matches(similar, np.zeros((2, 2))).select("feature", "match").rows()
    [(0, 1), (1, 0)]
    """
    rows, columns = _assigned(similarity)
    own = similarity[rows, columns].astype(np.float64)
    rivals = np.maximum(
        _next_best(similarity, rows, columns), _next_best(similarity.T, columns, rows)
    )
    ratio = np.divide(np.maximum(rivals, 0), own, out=np.ones(len(own)), where=own > 0)
    by_chance = np.sort(null[_assigned(null)].astype(np.float64))
    above = len(by_chance) - np.searchsorted(by_chance, own, side="left")
    table = {
        "feature": rows if features is None else features[rows],
        "match": columns if others is None else others[columns],
        "similarity": own,
        "ambiguity": np.minimum(1, ratio),
        "by_chance": (1 + above) / (1 + len(by_chance)),
    }
    columns = {name: pl.Series(table[name]).cast(kind) for name, kind in MATCHES.items()}
    return pl.DataFrame(columns).sort("feature")


def _assigned(similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.optimize import linear_sum_assignment

    if not np.isfinite(similarity).all():
        raise ValueError("similarities must be finite; NaN or infinity is among them")
    return linear_sum_assignment(similarity, maximize=True)


def _next_best(similarity: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Each row's highest similarity to any column but its own; 0 where there is no other."""
    if similarity.shape[1] < 2:
        return np.zeros(len(rows))
    best = np.empty(len(rows))
    for first in range(0, len(rows), 1024):
        part = slice(first, first + 1024)
        block = similarity[rows[part]]
        block[np.arange(len(block)), columns[part]] = -np.inf
        best[part] = block.max(axis=1)
    return best
