"""Names for the clusters of the map of features: the concepts that their members match more often
than other features do."""

from typing import Any

import numpy as np
import polars as pl

SIGNIFICANT = 0.05
"""Largest q value of a concept that names a cluster."""
MIN_MEMBERS = 2
"""Members that must match a concept before it names their cluster."""
LEAST_LIFT = 2
"""How many times as often as features of the map at large members must match it: of a cluster that
holds most of the map, a small excess would be significant."""
DRAWS = 100
"""Shuffles of the features over the places of the map behind `named_by_chance`."""
BY_CHANCE = (
    f"no concept is matched by {MIN_MEMBERS} members or more, {LEAST_LIFT} times as often as on "
    "the whole map, beyond chance"
)
"""Why a cluster has no name whose members match concepts."""

CLUSTERS: dict[str, Any] = {
    "cluster": pl.Int32,
    "n_features": pl.Int64,
    "name": pl.String,
    "why_no_name": pl.String,
    "named_by_chance": pl.Float64,
    "concept": pl.String,
    "category": pl.String,
    "n_matching": pl.Int64,
    "n_matching_all": pl.Int64,
    "expected": pl.Float64,
    "p": pl.Float64,
    "q": pl.Float64,
    "beyond_chance": pl.Boolean,
}
"""Columns of `named_clusters`."""


def named_clusters(
    atlas: pl.DataFrame, matched: pl.DataFrame, why_not: str = "", seed: int = 0
) -> pl.DataFrame:
    """Which concepts the features of each cluster match, and the cluster's name.

    Of M features on the map, K match a concept; of the n features of a cluster, k do. If members
    were drawn at random from the map, k would be hypergeometric with mean n K / M:

        p = P(X >= k),  X ~ Hypergeometric(M, K, n)

    q is Benjamini and Hochberg's over every cluster with every concept that a feature on the map
    matches. The name is the concept of lowest p among those with q at most `SIGNIFICANT`, k at
    least `MIN_MEMBERS` and at least `LEAST_LIFT` times its mean; of equals the one that more
    members match, then the first by name.

    Parameters
    ----------
    atlas : pl.DataFrame
        feature and cluster (-1: none) of the features that fire: `features.atlas`.
    matched : pl.DataFrame
        concept, category, feature: the pairs of a concept and a feature that matches it.
    why_not : str
        Why no cluster may have a name, such as `AtlasQuality.why_no_clusters`; empty: they may.
    seed : int
        Of the shuffles.

    Returns
    -------
    pl.DataFrame
        Columns of `CLUSTERS`: for each cluster a row per concept that a member matches, the one
        that names it first, then by p; a cluster without one has a row of its own, without a
        concept. n_matching is k, n_matching_all K, expected n K / M; beyond_chance: whether the
        concept could name the cluster. name and why_no_name (one of the two is empty) are the
        cluster's. named_by_chance: the share of `DRAWS` shuffles of the features over the map in
        which a concept could name the cluster.

    Examples
    --------
    >>> atlas = pl.DataFrame({"feature": range(40), "cluster": [0] * 5 + [1] * 5 + [-1] * 30})
    >>> pairs = {"concept": "Zinc finger", "category": "Zinc finger", "feature": [0, 1, 2, 3, 9]}
    >>> found = named_clusters(atlas, pl.DataFrame(pairs))
    >>> found.select("cluster", "name", "n_matching", "expected").rows()
    [(0, 'Zinc finger', 4, 0.625), (1, '', 1, 0.625)]
    """
    cluster = atlas["cluster"].to_numpy()
    sizes = np.bincount(cluster[cluster >= 0])
    concepts, carries = _carried(atlas["feature"].to_numpy(), matched)
    n_all = carries.sum(axis=0)
    tails = _Tails(sizes, n_all, len(cluster))
    counts = _counts(cluster, carries, len(sizes))
    p = tails.at(counts)
    q = _adjusted(p)
    # rounded up, in integers
    lifted = -(-LEAST_LIFT * np.outer(sizes, n_all) // max(1, len(cluster)))
    least = np.maximum(MIN_MEMBERS, lifted)
    names = _names(counts, q, least)
    own, concept = np.nonzero(counts)
    pairs = {
        "cluster": own,
        "n_matching": counts[own, concept],
        "n_matching_all": n_all[concept],
        "p": p[own, concept],
        "q": q[own, concept],
        "beyond_chance": names[own, concept],
    }
    found = pl.concat([pl.DataFrame(pairs), concepts[concept]], how="horizontal")
    by_chance = _named_by_chance(cluster, carries, tails, least, seed)
    every = {"cluster": np.arange(len(sizes)), "n_features": sizes, "named_by_chance": by_chance}
    order = ["cluster", "beyond_chance", "p", "n_matching", "concept"]
    table = pl.DataFrame(every).join(found, on="cluster", how="left")
    table = table.with_columns(
        pl.col("n_matching", "n_matching_all").fill_null(0),
        pl.col("beyond_chance").fill_null(value=False),
    )
    table = table.sort(order, descending=[False, True, False, True, False])
    named = pl.col("beyond_chance").first().over("cluster")
    alone = pl.col("concept").first().over("cluster")
    table = table.with_columns(
        name=pl.when(named & pl.lit(not why_not)).then(alone).otherwise(pl.lit("")),
        why_no_name=pl.when(pl.lit(bool(why_not)))
        .then(pl.lit(why_not))
        .when(named)
        .then(pl.lit(""))
        .when(alone.is_null())
        .then(pl.lit("no member matches a concept"))
        .otherwise(pl.lit(BY_CHANCE)),
        expected=pl.col("n_features") * pl.col("n_matching_all") / max(1, len(cluster)),
    )
    return table.select(pl.col(name).cast(kind) for name, kind in CLUSTERS.items())


def _carried(features: np.ndarray, matched: pl.DataFrame) -> tuple[pl.DataFrame, np.ndarray]:
    """The concepts that features of the map match (concept, category), and bool [M, C]: which."""
    here = matched.filter(pl.col("feature").is_in(features.tolist()))
    concepts = here.select("concept", "category").unique("concept").sort("concept")
    row = {feature: i for i, feature in enumerate(features.tolist())}
    column = {concept: c for c, concept in enumerate(concepts["concept"])}
    carries = np.zeros((len(features), len(column)), bool)
    for concept, feature in here.select("concept", "feature").iter_rows():
        carries[row[feature], column[concept]] = True
    return concepts, carries


def _counts(cluster: np.ndarray, carries: np.ndarray, n: int) -> np.ndarray:
    """int64 [n, C]: members of each cluster that match each concept."""
    member, concept = carries[cluster >= 0].nonzero()
    place = cluster[cluster >= 0][member] * carries.shape[1] + concept
    shape = n, carries.shape[1]
    return np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape)


class _Tails:
    """P(X >= k) of every pair of a size of cluster and a number of features of a concept."""

    def __init__(self, sizes: np.ndarray, carrying: np.ndarray, n_features: int) -> None:
        from scipy.stats import hypergeom

        own, self._size = np.unique(sizes, return_inverse=True)
        all_, self._carrying = np.unique(carrying, return_inverse=True)
        k = np.arange(1 + (own.max() if len(own) else 0))
        ways = hypergeom.pmf(k, n_features, all_[None, :, None], own[:, None, None])
        self._p = ways[..., ::-1].cumsum(axis=-1)[..., ::-1]  # the smallest first

    def at(self, counts: np.ndarray) -> np.ndarray:
        """float64 [clusters, concepts]: p of these counts."""
        return np.minimum(1, self._p[self._size[:, None], self._carrying[None, :], counts])


def _adjusted(p: np.ndarray) -> np.ndarray:
    from scipy.stats import false_discovery_control

    return false_discovery_control(p.ravel()).reshape(p.shape) if p.size else p


def _names(counts: np.ndarray, q: np.ndarray, least: np.ndarray) -> np.ndarray:
    """bool [clusters, concepts]: which concepts could name which clusters."""
    return (q <= SIGNIFICANT) & (counts >= least)


def _named_by_chance(
    cluster: np.ndarray, carries: np.ndarray, tails: _Tails, least: np.ndarray, seed: int
) -> np.ndarray:
    """float64 [clusters]: share of shuffles of the features in which a concept names each."""
    rng, n = np.random.default_rng(seed), int(cluster.max(initial=-1)) + 1
    named = np.zeros(n)
    for _ in range(DRAWS):
        counts = _counts(cluster, carries[rng.permutation(len(carries))], n)
        named += _names(counts, _adjusted(tails.at(counts)), least).any(axis=1)
    return named / DRAWS
