"""Counts by cluster against counts of each cluster alone, and intervals against resampled
proteins.
"""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.stats import beta, binomtest

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.best_pairs import strict
from interplm_nb.concepts.count import count
from interplm_nb.concepts.intervals import (
    INTERVALS,
    ClusterCounts,
    by_cluster,
    difference,
    interval,
    pair_intervals,
    recall_upper_bound,
)
from interplm_nb.concepts.scored_concepts import SCORED, ScoredConcepts
from interplm_nb.proteins import Proteins
from tests.concepts.test_count import Block, DenseValues, GivenBlocks

RNG = np.random.default_rng(5)
PROTEINS = Proteins.from_sequences(
    {f"P{i}": "M" * int(n) for i, n in enumerate(RNG.integers(3, 9, 12))}
)
CLUSTERS = pl.DataFrame({"accession": PROTEINS.accessions[2:], "cluster": RNG.integers(0, 5, 10)})
PAIRS = pl.DataFrame(
    {
        "concept": ["Kinase", "Active site", "Kinase", "Helix", "Kinase"],
        "feature": [3, 0, 0, None, 3],
        "threshold": [0.15, 0.0, 0.5, None, 0.0],
    }
)
LEVELS = {"Active site": "residue", "Helix": "instance", "Kinase": "instance"}


def annotated(seed: int) -> Annotations:
    rng = np.random.default_rng(seed)
    rows = []
    for concept, level in LEVELS.items():
        for instance in range(12):
            accession = str(rng.choice(PROTEINS.accessions))
            start, end = sorted(rng.integers(1, len(PROTEINS.sequence(accession)) + 1, 2).tolist())
            rows.append((accession, concept, "x", level, start, end, instance))
    schema = ["accession", "concept", "category", "level", "start", "end", "instance"]
    return Annotations(pl.DataFrame(rows, schema=schema, orient="row"), PROTEINS)


def activations(seed: int) -> FeatureActivations:
    values = np.random.default_rng(seed).choice(
        [0, 0, 0.15, 0.3, 0.5, 0.9], (PROTEINS.n_residues, 4)
    )
    return FeatureActivations.from_dense(values.astype(np.float32), PROTEINS, "max")


@given(st.integers(0, 10_000))
def test_counts_by_cluster_equal_the_counts_of_each_cluster(seed: int) -> None:
    source, annotations = activations(seed), annotated(seed)
    counts = by_cluster(source, annotations, PAIRS, CLUSTERS)
    assert counts.concepts == ("Active site", "Helix", "Kinase", "Kinase", "Kinase")
    assert counts.features == (0, None, 3, 0, 3)
    concepts = [0, 1, 2, 2, 2]
    for k, cluster in enumerate(counts.clusters):
        alone = count(
            source, annotations, CLUSTERS.filter(pl.col("cluster") == cluster)["accession"]
        )
        assert (
            counts.n_residues[:, k].tolist()
            == alone.concepts["n_residues"].gather(concepts).to_list()
        )
        assert (
            counts.n_instances[1:, k].tolist()
            == alone.concepts["n_instances"].gather(concepts).to_list()[1:]
        )
        for p, c, feature, t in ((0, 0, 0, 0), (2, 2, 3, 1), (3, 2, 0, 2), (4, 2, 3, 0)):
            assert counts.tp[p, k] == alone.tp[c, feature, t]
            assert counts.active[p, k] == alone.active[feature, t]
            assert counts.instance_hits[p, k] == alone.instance_hits[c, feature, t]
        assert (counts.tp[1, k], counts.active[1, k], counts.instance_hits[1, k]) == (0, 0, 0)


def test_a_dense_source_is_counted_as_a_sparse_one() -> None:
    sparse = activations(1)
    dense = DenseValues(next(sparse.blocks()).values.toarray(), PROTEINS)
    counts, same = (by_cluster(source, annotated(1), PAIRS, CLUSTERS) for source in (sparse, dense))
    for name in ("tp", "active", "instance_hits", "n_residues", "n_instances"):
        assert_array_equal(getattr(counts, name), getattr(same, name))


def selected_counts(seed: int) -> tuple[ClusterCounts, float]:
    source, annotations = activations(seed), annotated(1)
    scores = count(source, annotations, CLUSTERS["accession"])
    rows = [(name, "x", level, 2, 2, 2, name) for name, level in LEVELS.items()]
    scored = ScoredConcepts(pl.DataFrame(rows, SCORED, orient="row"), 2, 2)
    selected = strict(scores, scores, scored)
    return by_cluster(source, annotations, selected.pairs, CLUSTERS), selected.mean_f1_per_domain


def test_the_estimate_is_the_mean_of_the_selection_and_lies_in_its_interval() -> None:
    counts, mean = selected_counts(1)
    found = interval(counts, 500)
    assert found.estimate == pytest.approx(mean)
    assert found.low < found.estimate < found.high
    assert (found.n_resamples, found.n_clusters) == (500, CLUSTERS["cluster"].n_unique())
    assert found == interval(counts, 500)
    assert found != interval(counts, 500, seed=1)
    assert str(found) == f"{found.estimate:.3f} [{found.low:.3f}, {found.high:.3f}]"


def test_a_resample_is_a_data_set_with_clusters_repeated() -> None:
    counts, _ = selected_counts(2)
    weights = np.array([2, 0, 1, 1])
    parts = [
        np.repeat(a, weights, axis=1)
        for a in (
            counts.tp,
            counts.active,
            counts.instance_hits,
            counts.n_residues,
            counts.n_instances,
        )
    ]
    repeated = ClusterCounts(
        counts.concepts, counts.features, tuple(range(4)), counts.residue_level, *parts
    )
    assert_array_equal(
        counts.mean_f1_per_domain(weights[None]), repeated.mean_f1_per_domain(np.ones((1, 4)))
    )


def test_a_concept_without_instances_in_a_resample_is_left_out_of_its_mean() -> None:
    one, none = np.array([[1, 0], [1, 1]]), np.zeros((2, 2), int)
    counts = ClusterCounts(
        ("a", "b"), (0, 0), (0, 1), np.array([False, False]), one, one, one, one, one
    )
    missed = ClusterCounts(
        ("a", "b"), (0, 0), (0, 1), np.array([False, False]), none, one, none, one, one
    )
    assert counts.mean_f1_per_domain(np.array([[0, 2], [1, 1]])).tolist() == [1, 1]
    assert missed.mean_f1_per_domain(np.array([[0, 2], [1, 1]])).tolist() == [0, 0]


def test_a_pair_has_the_figures_of_its_resamples() -> None:
    counts, _ = selected_counts(4)
    # The first pair's concept on one cluster alone: a third of the resamples lack it.
    alone = np.arange(len(counts.clusters)) == 0
    for held in (counts.tp, counts.instance_hits, counts.n_residues, counts.n_instances):
        held[0, ~alone] = 0
    found = pair_intervals(counts, 300, seed=2)
    assert found["n_resamples"].to_list()[0] < 300
    n = len(counts.clusters)
    weights = np.random.default_rng(2).multinomial(n, np.full(n, 1 / n), size=300)
    for p, row in enumerate(found.iter_rows(named=True)):
        drawn = [one_pair(counts, p, w) for w in weights]
        held = [f1 for f1 in drawn if f1 is not None]
        assert row["f1_per_domain"] == pytest.approx(one_pair(counts, p, np.ones(n, int)))
        assert (row["f1_per_domain_low"], row["f1_per_domain_high"]) == pytest.approx(
            tuple(np.quantile(held, [0.025, 0.975]))
        )
        assert row["n_resamples"] == len(held)
        assert row["precision_low"] <= row["precision"] <= row["precision_high"]
    assert found.select("concept", "feature").rows() == list(
        zip(counts.concepts, counts.features, strict=True)
    )


def one_pair(counts: ClusterCounts, p: int, weights: np.ndarray) -> float | None:
    """f1_per_domain of a pair with clusters repeated by weight; None without the concept."""
    tp, active, hits, n_residues, n_instances = (
        int((a[p] * weights).sum())
        for a in (
            counts.tp,
            counts.active,
            counts.instance_hits,
            counts.n_residues,
            counts.n_instances,
        )
    )
    found, all_of = (tp, n_residues) if counts.residue_level[p] else (hits, n_instances)
    if all_of == 0:
        return None
    precision, recall = tp / max(active, 1), found / all_of
    return 2 * precision * recall / (precision + recall) if precision * recall else 0.0


def test_a_pair_whose_concept_no_resample_holds_has_no_bounds() -> None:
    none = np.zeros((1, 2), int)
    counts = ClusterCounts(("a",), (7,), (0, 1), np.array([False]), none, none, none, none, none)
    assert pair_intervals(counts, 10).row(0, named=True) == dict.fromkeys(INTERVALS) | {
        "concept": "a",
        "feature": 7,
        "n_resamples": 0,
        "f1_per_domain": 0,
        "precision": 0,
        "recall_per_domain": 0,
    }


@given(st.integers(1, 5000))
def test_the_bound_of_nothing_found_is_clopper_and_pearsons(n: int) -> None:
    exact = binomtest(0, n).proportion_ci(0.95, method="exact")
    bound = recall_upper_bound(np.array([n])).item()
    assert bound == pytest.approx(exact.high, rel=1e-9)
    # statsmodels' proportion_confint(0, n, method="beta"), written out
    assert bound == pytest.approx(float(beta.ppf(1 - 0.05 / 2, 0 + 1, n - 0)), rel=1e-9)


def test_a_pair_without_a_true_positive_has_a_bound_of_recall_instead_of_an_interval() -> None:
    none, one = np.zeros((4, 2), int), np.ones((4, 2), int)
    hit = none + np.array([[0], [0], [0], [1]])
    counts = ClusterCounts(
        ("a", "b", "c", "d"),
        (0, 1, None, 3),
        (0, 1),
        np.array([False, True, False, False]),
        hit,
        one,
        hit,
        8 * one,
        np.array([[3, 4], [0, 0], [3, 4], [3, 4]]),
    )
    found = pair_intervals(counts, 20)
    # 7 instances; 16 residues of a residue-level concept; a concept without a feature; a hit.
    bounds = recall_upper_bound(np.array([7, 16]))
    assert found["recall_upper_bound"].to_list() == pytest.approx([*bounds, None, None])
    ends = found.select(pl.col("^.*(_low|_high)$"))
    assert all(v is None for row in ends.rows()[:3] for v in row)
    assert all(
        v == (1 if "precision" in name else v) is not None
        for name, v in ends.row(3, named=True).items()
    )


def test_a_source_does_not_differ_from_itself_and_differences_are_paired() -> None:
    (first, mean_first), (second, mean_second) = selected_counts(1), selected_counts(3)
    nothing = difference(first, first, 200)
    assert (nothing.estimate, nothing.low, nothing.high) == (0, 0, 0)
    both = difference(first, second, 500)
    assert both.estimate == pytest.approx(mean_first - mean_second)
    back = difference(second, first, 500)
    assert (both.low, both.high) == (pytest.approx(-back.high), pytest.approx(-back.low))


def test_sources_on_other_concepts_or_clusters_are_not_compared() -> None:
    counts, _ = selected_counts(1)
    fewer = by_cluster(
        activations(1),
        annotated(1),
        pl.DataFrame({"concept": ["Helix"], "feature": [1], "threshold": [0.0]}),
        CLUSTERS,
    )
    with pytest.raises(
        ValueError, match="compared on the same concepts and clusters, not 3 and 1 concepts"
    ):
        difference(counts, fewer)


def test_what_cannot_be_counted_is_refused() -> None:
    pairs = pl.DataFrame({"concept": ["Turn"], "feature": [1], "threshold": [0.0]})
    with pytest.raises(ValueError, match=r"the annotations lack \['Turn'\]"):
        by_cluster(activations(1), annotated(1), pairs, CLUSTERS)
    with pytest.raises(ValueError, match="an interval needs clusters and concepts"):
        interval(by_cluster(activations(1), annotated(1), pairs.clear(), CLUSTERS))


def test_values_that_are_not_of_the_proteins_asked_for_are_refused() -> None:
    source = GivenBlocks([Block(0, np.ones((PROTEINS.n_residues, 4), np.float32))], PROTEINS, 4)
    with pytest.raises(
        ValueError,
        match="does not hold whole proteins of the requested ones, each once and in order",
    ):
        by_cluster(source, annotated(0), PAIRS, CLUSTERS)
