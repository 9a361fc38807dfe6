"""How sure a mean best F1 is: bootstrap over the homology clusters of the test split.

Proteins of a cluster are relatives and rise and fall together, so clusters are drawn, not proteins. Pairs stay as chosen on validation.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.labels import Labels
from interplm_nb.concepts.measures import measures
from interplm_nb.concepts.source import Matrix, Source, check_source, joined

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A figure on all clusters, and the middle 95 % of its values over resamples (percentiles)."""

    estimate: float
    low: float
    high: float
    n_resamples: int
    n_clusters: int

    def __str__(self) -> str:
        return f"{self.estimate:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class ClusterCounts:
    """Counts of chosen pairs by cluster: int64 [n_pairs, n_clusters] each; residue_level bool [n_pairs]; one pair per concept."""

    concepts: tuple[str, ...]
    clusters: tuple[int, ...]
    residue_level: np.ndarray
    tp: np.ndarray
    active: np.ndarray
    instance_hits: np.ndarray
    n_residues: np.ndarray
    n_instances: np.ndarray
    """Of instance-level concepts; 0 for residue-level ones, whose recall does not need it."""

    def mean_f1_per_domain(self, weights: np.ndarray) -> np.ndarray:
        """float64 [n]: the mean over concepts, with each cluster counted as often as `weights` [n, n_clusters] says.

        A concept that a resample holds no instance of has no F1 there and is left out of that mean; one that is there and not found is 0.
        """
        drawn = weights.T.astype(float)
        n_residues, n_instances, residue_level = self.n_residues @ drawn, self.n_instances @ drawn, self.residue_level[:, None]
        f1 = measures(self.tp @ drawn, self.active @ drawn, self.instance_hits @ drawn, n_residues, n_instances, residue_level).f1_per_domain
        there = np.where(residue_level, n_residues, n_instances) > 0
        return (f1 * there).sum(axis=0) / np.maximum(there.sum(axis=0), 1)


def by_cluster(source: Source, annotations: Annotations, pairs: pl.DataFrame, clusters: pl.DataFrame) -> ClusterCounts:
    """Count chosen pairs by cluster, in one more pass over the proteins of `clusters`.

    pairs: concept, feature (null: none, counts nothing), threshold, one row per concept (`Selected.pairs`); clusters: accession, cluster, of
    the test split (`splits.filter(split="test")`). Overlapping instances are kept, as in `strict`.
    """
    check_source(source, annotations)
    chosen = _Chosen(pairs.sort("concept"))
    labels = Labels.of(annotations.only(chosen.concepts), clusters["accession"].to_list(), "keep")
    if labels.concepts["concept"].to_list() != chosen.concepts:
        lacking = sorted(set(chosen.concepts) - set(labels.concepts["concept"]))
        raise ValueError(f"the annotations lack {lacking[:3]}; count the concepts that were selected, one row each")
    names, code = np.unique(clusters["cluster"].to_numpy(), return_inverse=True)
    cluster_of_row = np.full(source.proteins.n_residues, -1, np.int64)
    for accession, k in zip(clusters["accession"], code, strict=True):
        cluster_of_row[source.proteins.rows(accession)] = k
    sums = np.zeros((5, len(chosen.concepts), len(names)), np.int64)
    for rows, values in joined(source.blocks(clusters["accession"].to_list())):
        sums += _counted(chosen.active(values), labels, rows, cluster_of_row[rows], sums.shape[1:])
    level = (labels.concepts["level"] == "residue").to_numpy()
    return ClusterCounts(tuple(chosen.concepts), tuple(names.tolist()), level, *sums)


def interval(counts: ClusterCounts, n_resamples: int = 1000, seed: int = 0) -> Interval:
    """The mean best F1 (f1_per_domain) of a source, with its 95 % interval."""
    whole, resampled = _means(counts, n_resamples, seed)
    return _interval(whole, resampled, len(counts.clusters))


def difference(first: ClusterCounts, second: ClusterCounts, n_resamples: int = 1000, seed: int = 0) -> Interval:
    """How much higher the first source's mean is, with its 95 % interval on the same resamples: an interval above 0 is a difference that holds."""
    if (first.concepts, first.clusters) != (second.concepts, second.clusters):
        raise ValueError(
            f"sources are compared on the same concepts and clusters, not {len(first.concepts)} and {len(second.concepts)} concepts, "
            f"{len(first.clusters)} and {len(second.clusters)} clusters; select both with the same splits and min_instances"
        )
    (a, drawn_a), (b, drawn_b) = _means(first, n_resamples, seed), _means(second, n_resamples, seed)
    return _interval(a - b, drawn_a - drawn_b, len(first.clusters))


class _Chosen:
    """Pairs as columns of a block."""

    def __init__(self, pairs: pl.DataFrame) -> None:
        self.concepts = pairs["concept"].to_list()
        self.there = pairs["feature"].is_not_null().to_numpy()
        self.features = pairs["feature"].fill_null(0).to_numpy().astype(np.int64)
        self.thresholds = pairs["threshold"].fill_null(0.0).to_numpy().astype(np.float32)

    def active(self, values: Matrix) -> np.ndarray:
        """bool [n, n_pairs]: where each pair's feature is above its threshold."""
        columns = values[:, self.features]
        dense = columns if isinstance(columns, np.ndarray) else columns.toarray()
        return (dense > self.thresholds) & self.there


def _counted(on: np.ndarray, labels: Labels, rows: np.ndarray, cluster: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """int64 [5, n_pairs, n_clusters]: tp, active, instance_hits, n_residues, n_instances of one block."""
    carried, members, concept_of = labels.on(rows)
    concept, residue = _entries(carried)
    instance, member = _entries(members)
    hit = np.zeros(len(concept_of), bool)
    hit[instance[on[member, concept_of[instance]]]] = True
    home = np.zeros(len(concept_of), np.int64)
    home[instance] = cluster[member]
    active, pair = np.nonzero(on)
    tp = on[residue, concept]
    places = [
        (concept[tp], cluster[residue[tp]]),
        (pair, cluster[active]),
        (concept_of[hit], home[hit]),
        (concept, cluster[residue]),
        (concept_of, home),
    ]
    return np.stack([_tally(p, k, shape) for p, k in places])


def _entries(matrix: csr_array) -> tuple[np.ndarray, np.ndarray]:
    return np.repeat(np.arange(len(matrix.indptr) - 1), np.diff(matrix.indptr)), matrix.indices


def _tally(pair: np.ndarray, cluster: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.bincount(pair * shape[1] + cluster, minlength=shape[0] * shape[1]).reshape(shape)


def _means(counts: ClusterCounts, n_resamples: int, seed: int) -> tuple[float, np.ndarray]:
    n = len(counts.clusters)
    if n == 0 or not counts.concepts:
        raise ValueError(f"an interval needs clusters and concepts; there are {n} and {len(counts.concepts)}")
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_resamples)
    return float(counts.mean_f1_per_domain(np.ones((1, n)))[0]), counts.mean_f1_per_domain(weights)


def _interval(whole: float, resampled: Iterable[float] | np.ndarray, n_clusters: int) -> Interval:
    values = np.asarray(resampled)
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(whole, float(low), float(high), len(values), n_clusters)
