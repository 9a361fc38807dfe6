"""How far a map of features can be trusted: what it keeps, and whether its clusters recur."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl

from interplm_nb.features.atlas import N_NEIGHBORS, clusters, layout, nearest, unit_vectors

SEEDS = 5
"""Maps that are compared: the one that is shown and four others."""
RECURRING = 0.5
"""Mean adjusted Rand index above which clusters count as recurring."""
LARGEST = 0.9
"""Share of the features above which a cluster is the map and separates nothing, however well it
recurs."""
NEIGHBOURS = 10
"""Number of nearest features, by cosine and on the map, that are compared."""

_AGAIN = "run stage activations again (--force activations)"


@dataclass(frozen=True)
class AtlasQuality:
    """What `atlas_quality` measures; None: not measured, or there is nothing to measure."""

    recurrence: float | None = None
    """Mean adjusted Rand index of the clusters of two seeds, over all pairs of `SEEDS` seeds."""
    kept: float | None = None
    """Share of the `NEIGHBOURS` nearest features by cosine that are among as many nearest on the
    map."""
    kept_by_chance: float | None = None
    """The same share for random places."""

    def why_no_clusters(self, table: pl.DataFrame) -> str:
        """Why the clusters of an `atlas` should not be shown; empty: they recur."""
        if not (table["cluster"] >= 0).any():
            return "no features lie close enough together to be a cluster"
        largest = np.bincount(table["cluster"].filter(table["cluster"] >= 0)).max() / table.height
        if largest > LARGEST:
            return f"one cluster holds {_percent(largest)} of the features"
        if self.recurrence is None:
            return f"it was not measured whether clusters recur: {_AGAIN}"
        if self.recurrence <= RECURRING:
            return (
                "clusters do not recur over five seeds: "
                f"mean adjusted Rand index {self.recurrence:.2f}"
            )
        return ""

    @property
    def words(self) -> str:
        """What the map keeps, compared with chance."""
        if self.kept is None or self.kept_by_chance is None:
            return f"how many neighbours it keeps was not measured: {_AGAIN}"
        return (
            f"keeps {_percent(self.kept)} of a feature's {NEIGHBOURS} nearest by cosine "
            f"(random places: {_percent(self.kept_by_chance)})"
        )


def atlas_quality(table: pl.DataFrame, decoder: np.ndarray, seed: int = 0) -> AtlasQuality:
    """Measure a map: how many true neighbours it keeps, and whether its clusters recur.

    Neighbours: of each feature's `NEIGHBOURS` nearest by the cosine of decoder vectors, the share
    that is among its `NEIGHBOURS` nearest on the map, averaged over features. Random places keep
    `NEIGHBOURS` / (n - 1). This is the overlap of neighbourhoods; trustworthiness (Venna and Kaski
    2001) weighs intruders by rank, and is 0.81 on the map of the demo SAE, where this is 0.27.

    Clusters: UMAP starts at random. The map is laid out again with the next four seeds, and the
    adjusted Rand index (Hubert and Arabie 1985) compares the clusters of each pair of seeds on all
    features of the map. It is 1 for equal clusters and 0 for what chance gives. A feature without a
    cluster counts as its own cluster: two features that are both left out are not together.
    Of 1,021 features, it is 0.02 for random directions, about 0.4 for the demo SAE and 0.99 for 85
    planted groups; for the demo SAE it would be 0.16 if all features without a cluster counted as
    one cluster, and 0.53 if they were left out. All seeds share one decoder: this says nothing
    about another training.

    Parameters
    ----------
    table : pl.DataFrame
        What `atlas` returned.
    decoder : np.ndarray
        [n_features, d_in], the decoder vectors that it was made of.
    seed : int
        The seed that it was made with.

    Returns
    -------
    AtlasQuality
        Fewer than two features have no neighbours: `kept` is None.

    Examples
    --------
    >>> from interplm_nb.features.atlas import atlas
    >>> decoder = np.random.default_rng(0).normal(size=(12, 3))
    >>> found = atlas_quality(atlas(decoder, np.ones(12, bool)), decoder)
    >>> found.kept_by_chance == 10 / 11, found.kept > 0.8
    (True, True)
    """
    directions = unit_vectors(decoder[table["feature"].to_numpy()])
    near = nearest(directions, N_NEIGHBORS - 1)
    places = table.select("x", "y").to_numpy().astype(np.float64)
    found = [table["cluster"].to_numpy()]
    found += [clusters(layout(directions, near, seed + i)) for i in range(1, SEEDS)]
    recurrence = float(np.mean([agreement(a, b) for a, b in combinations(found, 2)]))
    if len(table) < 2:
        return AtlasQuality(recurrence)
    k = min(NEIGHBOURS, len(table) - 1)
    return AtlasQuality(recurrence, _kept(near.index[:, :k], places), k / (len(table) - 1))


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    """The adjusted Rand index of two clusterings (int [n]); -1, no cluster, is a separate one."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(_alone(a), _alone(b)))


def _percent(share: float) -> str:
    return f"{100 * share:.2g}\u00a0%" if share < 1 else "100\u00a0%"


def _alone(labels: np.ndarray) -> np.ndarray:
    """Labels in which each -1 has its own number."""
    return np.where(labels < 0, labels.max(initial=0) + 1 + np.arange(len(labels)), labels)


def _kept(true: np.ndarray, places: np.ndarray) -> float:
    """`true` int [n, k]: the nearest others of each point; `places` float64 [n, 2]."""
    from sklearn.neighbors import NearestNeighbors

    k = true.shape[1]
    shown = NearestNeighbors(n_neighbors=k).fit(places).kneighbors(return_distance=False)
    return float((true[:, :, None] == shown[:, None, :]).any(axis=2).mean())
