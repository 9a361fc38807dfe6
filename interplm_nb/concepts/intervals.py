"""Confidence intervals of test figures: bootstrap over the homology clusters of the test split.

Proteins of a cluster are relatives and not independent, so clusters are resampled, not proteins.
Pairs stay as chosen on validation.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.labels import Labels
from interplm_nb.concepts.measures import Measures, measures
from interplm_nb.concepts.pairs import ChosenPairs
from interplm_nb.concepts.source import Matrix, Source, joined

LEVEL = 0.95

COVERS = "95 % over test clusters, not seeds"
"""What the interval of a mean covers, wherever it is shown: other proteins, not other trainings."""

INTERVALS: dict[str, Any] = (
    {
        "concept": pl.String,
        "feature": pl.UInt32,
        "n_resamples": pl.Int64,
    }
    | {
        f"{name}{end}": pl.Float64
        for name in ("f1_per_domain", "precision", "recall_per_domain")
        for end in ("", "_low", "_high")
    }
    | {"recall_upper_bound": pl.Float64}
)
"""Columns of `pair_intervals`; low and high are percentiles of the n_resamples that hold the
concept."""


@dataclass(frozen=True)
class Interval:
    """A figure on all clusters, with its 95 % percentile interval over resamples."""

    estimate: float
    low: float
    high: float
    n_resamples: int
    n_clusters: int

    def __str__(self) -> str:
        return f"{self.estimate:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class ClusterCounts:
    """Counts of chosen pairs by cluster: int64 [n_pairs, n_clusters] each.

    `residue_level` bool [n_pairs]. Pairs are sorted by concept; a concept may have several.
    """

    concepts: tuple[str, ...]
    features: tuple[int | None, ...]
    clusters: tuple[int, ...]
    residue_level: np.ndarray
    tp: np.ndarray
    active: np.ndarray
    instance_hits: np.ndarray
    n_residues: np.ndarray
    n_instances: np.ndarray
    """Instances of instance-level concepts; 0 for residue-level ones, whose recall needs none."""

    def resampled(self, weights: np.ndarray) -> tuple[Measures, np.ndarray]:
        """Measures of each pair, float64 [n_pairs, n], with clusters weighted by `weights`.

        `weights` [n, n_clusters]: how often each cluster counts. Also returns bool [n_pairs, n]:
        whether the resample holds the concept. If not, the pair has no figure (0 here).
        """
        drawn, residue_level = weights.T.astype(float), self.residue_level[:, None]
        tp, active, hits, n_residues, n_instances = (
            counts @ drawn
            for counts in (
                self.tp,
                self.active,
                self.instance_hits,
                self.n_residues,
                self.n_instances,
            )
        )
        return measures(tp, active, hits, n_residues, n_instances, residue_level), np.where(
            residue_level, n_residues, n_instances
        ) > 0

    def mean_f1_per_domain(self, weights: np.ndarray) -> np.ndarray:
        """float64 [n]: the mean over pairs, with clusters weighted by `weights` [n, n_clusters].

        A concept without an instance in a resample has no F1 there and is left out of that mean; a
        concept that is there and not found counts 0.
        """
        found, there = self.resampled(weights)
        return (found.f1_per_domain * there).sum(axis=0) / np.maximum(there.sum(axis=0), 1)


def by_cluster(
    source: Source, annotations: Annotations, pairs: pl.DataFrame, clusters: pl.DataFrame
) -> ClusterCounts:
    """Count chosen pairs by cluster, in one more pass over the proteins of `clusters`.

    Overlapping instances are kept, as in `strict`.

    Parameters
    ----------
    source : Source
        Values in unit "max".
    annotations : Annotations
        The labels, on the source's proteins.
    pairs : pl.DataFrame
        concept, feature (null: counts nothing), threshold; from `BestPairs.pairs` or `linked`.
    clusters : pl.DataFrame
        accession, cluster, of the test split (`splits.filter(split="test")`).

    Returns
    -------
    ClusterCounts
    """
    pairs, accessions = pairs.sort("concept", maintain_order=True), clusters["accession"].to_list()
    chosen = ChosenPairs.of(source, annotations, pairs, accessions)
    names, code = np.unique(clusters["cluster"].to_numpy(), return_inverse=True)
    cluster_of_row = np.full(source.proteins.n_residues, -1, np.int64)
    for accession, k in zip(accessions, code, strict=True):
        cluster_of_row[source.proteins.rows(accession)] = k
    counts = np.zeros((3, len(chosen), len(names)), np.int64)
    for rows, values in joined(source, accessions):
        counts += _counted(chosen, values, rows, cluster_of_row[rows], counts.shape[1:])
    sizes = (size[chosen.concept] for size in _sizes(chosen.labels, cluster_of_row, len(names)))
    return ClusterCounts(
        tuple(pairs["concept"]),
        tuple(pairs["feature"]),
        tuple(names.tolist()),
        chosen.residue_level,
        *counts,
        *sizes,
    )


def interval(counts: ClusterCounts, n_resamples: int = 1000, seed: int = 0) -> Interval:
    """The mean best F1 (f1_per_domain) of a source, with its 95 % interval.

    Parameters
    ----------
    counts : ClusterCounts
        Of the best pair of each concept, from `by_cluster`.
    n_resamples, seed : int
        Number of bootstrap resamples, and their seed.

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        Without clusters or concepts.

    Examples
    --------
    >>> one = np.array([[1, 1, 1]])  # one pair, three clusters of one residue each
    >>> counts = ClusterCounts(
    ...     ("Helix",), (0,), (7, 8, 9), np.array([True]), one, one, 0 * one, one, 0 * one
    ... )
    >>> print(interval(counts, n_resamples=10))
    1.000 [1.000, 1.000]
    """
    whole, resampled = _means(counts, n_resamples, seed)
    return _interval(whole, resampled, len(counts.clusters))


def pair_intervals(counts: ClusterCounts, n_resamples: int = 1000, seed: int = 0) -> pl.DataFrame:
    """Each pair's f1_per_domain, precision and recall_per_domain with their 95 % intervals.

    Columns of `INTERVALS`, one row per pair, in the order of `counts`, on the resamples of
    `interval`. Bounds are percentiles over the resamples that hold the concept, null if none does.

    Resamples of nothing are nothing: a pair without a true positive would have the interval 0 to 0,
    as if it were certain. Its bounds are null, and recall_upper_bound (null for other pairs, and
    where a concept has no feature) says how high its recall may be.
    """
    whole = counts.resampled(np.ones((1, len(counts.clusters))))[0]
    found, there = counts.resampled(_weights(counts, n_resamples, seed))
    columns: dict[str, Any] = {
        "concept": counts.concepts,
        "feature": counts.features,
        "n_resamples": there.sum(axis=1),
    }
    for name in ("f1_per_domain", "precision", "recall_per_domain"):
        values = getattr(found, name)
        bounds = [
            middle(v[h]) if h.any() else (None, None) for v, h in zip(values, there, strict=True)
        ]
        low, high = zip(*bounds, strict=True)
        columns |= {name: getattr(whole, name)[:, 0], f"{name}_low": low, f"{name}_high": high}
    nothing = pl.col("f1_per_domain") == 0
    ends = [name for name in INTERVALS if name.endswith(("_low", "_high"))]
    bounded = pl.Series("recall_upper_bound", recall_upper_bound(_trials(counts)))
    return (
        pl.DataFrame(columns, schema={n: k for n, k in INTERVALS.items() if n in columns})
        .with_columns(bounded)
        .with_columns(
            *(pl.when(~nothing).then(name).alias(name) for name in ends),
            pl.when(nothing & pl.col("feature").is_not_null() & bounded.is_not_nan())
            .then("recall_upper_bound")
            .alias("recall_upper_bound"),
        )
    )


def recall_upper_bound(n: np.ndarray) -> np.ndarray:
    """float64: the highest recall that none of `n` is compatible with, at 95 %.

    The upper end of the exact two-sided interval (Clopper & Pearson 1934) for 0 of n. It takes
    instances (residues, for residue-level concepts) for independent; relatives are not, so the true
    bound is higher. NaN for 0 of 0.

    Examples
    --------
    >>> recall_upper_bound(np.array([10, 100])).round(3).tolist()
    [0.308, 0.036]
    """
    trials = np.asarray(n, float)
    return 1 - ((1 - LEVEL) / 2) ** (1 / np.where(trials > 0, trials, np.nan))


def difference(
    first: ClusterCounts, second: ClusterCounts, n_resamples: int = 1000, seed: int = 0
) -> Interval:
    """How much higher the first source's mean is, with its 95 % interval.

    Both means are taken on the same resamples; an interval above 0 is a difference that holds.
    ValueError for sources scored on other concepts or clusters.
    """
    a, b = (list(dict.fromkeys(counts.concepts)) for counts in (first, second))
    if (a, first.clusters) != (b, second.clusters):
        raise ValueError(
            "sources must be compared on the same concepts and clusters, not "
            f"{len(a)} and {len(b)} concepts, {len(first.clusters)} and "
            f"{len(second.clusters)} clusters; choose both with the same splits and min_instances"
        )
    (mean, drawn), (other, drawn_other) = (
        _means(counts, n_resamples, seed) for counts in (first, second)
    )
    return _interval(mean - other, drawn - drawn_other, len(first.clusters))


def draws_of_clusters(n_clusters: int, n: int, seed: int) -> np.ndarray:
    """int64 [n, n_clusters]: how often each cluster is drawn, in `n_clusters` draws with
    replacement.
    """
    return np.random.default_rng(seed).multinomial(
        n_clusters, np.full(n_clusters, 1 / n_clusters), size=n
    )


def middle(values: np.ndarray) -> np.ndarray:
    """float64 [2, ...]: the ends of the 95 % percentile interval over the first axis."""
    return np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)


def _trials(counts: ClusterCounts) -> np.ndarray:
    """int64 [n_pairs]: of how many recall is a share."""
    return np.where(counts.residue_level[:, None], counts.n_residues, counts.n_instances).sum(
        axis=1
    )


def _counted(
    chosen: ChosenPairs,
    values: Matrix,
    rows: np.ndarray,
    cluster: np.ndarray,
    shape: tuple[int, ...],
) -> np.ndarray:
    """int64 [3, n_pairs, n_clusters]: tp, active, instance_hits of one block."""
    carried, members, concept_of = chosen.labels.on(rows)
    on = chosen.active(values)
    right = csr_array(on.multiply(csr_array(carried.T)[:, chosen.concept]))
    # A residue of a pair's concept may also belong to instances of other concepts.
    touched = csr_array(members @ right)
    instance, pair = _entries(touched)
    own = concept_of[instance] == chosen.concept[pair]
    home = np.zeros(len(concept_of), np.int64)
    home_of, member = _entries(members)
    home[home_of] = cluster[member]
    places = [(p, cluster[r]) for r, p in (_entries(right), _entries(on))] + [
        (pair[own], home[instance[own]])
    ]
    return np.stack([_tally(p, k, shape) for p, k in places])


def _sizes(
    labels: Labels, cluster_of_row: np.ndarray, n_clusters: int
) -> tuple[np.ndarray, np.ndarray]:
    """int64 [n_concepts, n_clusters] each: residues, and instances of instance-level concepts."""
    row, concept = _entries(labels.carried)
    home = np.zeros(len(labels.concept_of), np.int64)
    member, instance = _entries(labels.members)
    home[instance] = cluster_of_row[member]
    with_members = np.unique(instance)
    shape = (labels.n_concepts, n_clusters)
    return _tally(concept, cluster_of_row[row], shape), _tally(
        labels.concept_of[with_members], home[with_members], shape
    )


def _entries(matrix: csr_array) -> tuple[np.ndarray, np.ndarray]:
    return np.repeat(np.arange(len(matrix.indptr) - 1), np.diff(matrix.indptr)), matrix.indices


def _tally(pair: np.ndarray, cluster: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.bincount(pair * shape[1] + cluster, minlength=shape[0] * shape[1]).reshape(shape)


def _weights(counts: ClusterCounts, n_resamples: int, seed: int) -> np.ndarray:
    """int64 [n_resamples, n_clusters]: how often each cluster is drawn, with replacement."""
    n = len(counts.clusters)
    if n == 0 or not counts.concepts:
        raise ValueError(
            f"an interval needs clusters and concepts, not {n} and {len(counts.concepts)}"
        )
    return draws_of_clusters(n, n_resamples, seed)


def _means(counts: ClusterCounts, n_resamples: int, seed: int) -> tuple[float, np.ndarray]:
    weights = _weights(counts, n_resamples, seed)
    return float(
        counts.mean_f1_per_domain(np.ones((1, weights.shape[1])))[0]
    ), counts.mean_f1_per_domain(weights)


def _interval(whole: float, resampled: Iterable[float] | np.ndarray, n_clusters: int) -> Interval:
    values = np.asarray(resampled)
    low, high = middle(values)
    return Interval(whole, float(low), float(high), len(values), n_clusters)
