"""Linear probes against scikit-learn, and their thresholds and figures against the slow, obvious
reading.
"""

import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csc_array
from sklearn.linear_model import LogisticRegression

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.best_pairs import PAIRS, BestPairs
from interplm_nb.concepts.controls import linear_probe
from interplm_nb.concepts.controls.dense import DenseBlock
from interplm_nb.concepts.controls.linear_probe import ProbeFit, linear_probes, probe_pairs
from interplm_nb.concepts.controls.projection import Projected, Projection
from interplm_nb.concepts.count import count
from interplm_nb.concepts.intervals import by_cluster
from interplm_nb.concepts.scored_concepts import ScoredConcepts, scored_concepts
from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins

D_IN = 6
PROTEINS = Proteins.from_sequences({f"P{i:02d}": "MKTAYISWLK" * (3 + i % 3) for i in range(60)})
TRAIN, VALIDATION, TEST = (PROTEINS.accessions[i::3] for i in range(3))
DIRECTION = np.array([1.0, -2, 0, 0.5, 0, 1])
LEVELS = {
    "planted": "residue",
    "segments": "instance",
    "noise": "residue",
    "only_test": "residue",
    "amino_acid_K": "residue",
}


def embedded(path: Path, values: np.ndarray, layer: int = 1) -> Embeddings:
    arrays = {a: values[PROTEINS.rows(a)] for a in PROTEINS.accessions}
    return Embeddings.from_arrays(path, PROTEINS, arrays, "a PLM", layer)


def annotated(values: np.ndarray, seed: int = 1) -> Annotations:
    """planted: residues far along a direction; segments: runs of three residues around some of
    those; noise: any residues.
    """
    rng = np.random.default_rng(seed)
    far = np.asarray(values - [0, 0, 0, 0, 0, 50]) @ DIRECTION > 3
    segments = []
    for accession in PROTEINS.accessions:
        rows = PROTEINS.rows(accession)
        length = rows.stop - rows.start
        planted = np.flatnonzero(far[rows]) + 1
        segments += [(accession, "planted", p, p) for p in planted]
        segments += [
            (accession, "segments", max(1, p - 1), min(length, p + 1)) for p in planted[::2]
        ]
        segments += [
            (accession, "noise", p, p) for p in np.flatnonzero(rng.random(length) < 0.1) + 1
        ]
        segments += [(accession, "amino_acid_K", p, p) for p in range(2, length, 10)]
        segments += [(accession, "only_test", 3, 3)] if accession not in TRAIN else []
    table = pl.DataFrame(
        segments, schema=["accession", "concept", "start", "end"], orient="row"
    ).with_row_index("instance", 1)
    return Annotations(
        table.with_columns(category=pl.lit("x"), level=pl.col("concept").replace_strict(LEVELS)),
        PROTEINS,
    )


def scored(annotations: Annotations, min_instances: int = 10) -> ScoredConcepts:
    """Every protein is its own cluster."""
    names = ("train", "validation", "test")
    split = dict(zip(PROTEINS.accessions, itertools.cycle(names), strict=False))
    splits = pl.DataFrame({"accession": list(split), "split": list(split.values())})
    return scored_concepts(annotations, splits.with_row_index("cluster"), min_instances)


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(PROTEINS.n_residues, D_IN)) * [1, 1, 3, 1, 0.1, 1] + [0, 0, 0, 0, 0, 50]
    ).astype(np.float32)


@pytest.fixture(scope="module")
def embeddings(values: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Embeddings:
    return embedded(tmp_path_factory.mktemp("run") / "layer_01", values)


@pytest.fixture(scope="module")
def annotations(values: np.ndarray) -> Annotations:
    return annotated(values)


@pytest.fixture(scope="module")
def probes(embeddings: Embeddings, annotations: Annotations) -> Projection:
    return linear_probes(embeddings, annotations, TRAIN)


@pytest.fixture(scope="module")
def selected(probes: Projection, embeddings: Embeddings, annotations: Annotations) -> BestPairs:
    return probe_pairs(probes, embeddings, annotations, VALIDATION, TEST, scored(annotations))


@pytest.mark.parametrize("l2", [1.0, 30.0])
def test_probes_are_scikit_learns_where_every_residue_is_sampled(
    embeddings: Embeddings, annotations: Annotations, monkeypatch: pytest.MonkeyPatch, l2: float
) -> None:
    monkeypatch.setattr(linear_probe, "_BLOCK", 100)
    probes = linear_probes(
        embeddings, annotations, TRAIN, fit=ProbeFit(l2=l2, max_iter=200, tolerance=1e-9)
    )
    assert probes.names == ("amino_acid_K", "noise", "planted", "segments")
    rows = PROTEINS.rows_of(TRAIN)
    x = embeddings[rows].astype(np.float64)
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    for c, concept in enumerate(probes.names):
        reference = LogisticRegression(C=1 / l2, tol=1e-10, max_iter=1000).fit(
            (x - mean) / deviation, annotations.mask(concept)[rows]
        )
        assert_allclose(probes.W[:, c] * deviation, reference.coef_[0], atol=3e-3)
        logits = Projected(embeddings, probes.W, probes.b)[rows][:, c]
        assert_allclose(logits, reference.decision_function((x - mean) / deviation), atol=1e-2)


def test_weights_are_scikit_learns_sample_weights() -> None:
    rng = np.random.default_rng(5)
    x, weights = rng.normal(size=(400, 4)), rng.integers(1, 20, 400).astype(np.float32)
    y = x @ rng.normal(size=(4, 3)) + rng.logistic(size=(400, 3)) > [0, 1, 3]
    ones = np.concatenate([x, np.ones((400, 1))], axis=1).astype(np.float32)
    w = linear_probe._fitted(
        ones,
        csc_array(y.astype(np.int8)),
        weights,
        y.mean(axis=0),
        ProbeFit(max_iter=200, tolerance=1e-9),
    )
    for c in range(3):
        reference = LogisticRegression(tol=1e-10, max_iter=1000).fit(
            x, y[:, c], sample_weight=weights
        )
        assert_allclose(w[c], [*reference.coef_[0], reference.intercept_[0]], atol=3e-3)


def test_residues_weigh_as_those_they_stand_for() -> None:
    n, rows = 100_000, np.arange(50_000)
    carried = np.zeros((n, 2), np.int8)
    carried[:20_000, 0] = 1
    carried[30_000:30_040, 1] = 1
    sample, weights = linear_probe._sampled(
        csc_array(np.where(np.arange(n)[:, None] < 50_000, carried, 0)), rows, 1000, 5000, 0
    )
    rare = (sample >= 30_000) & (sample < 30_040)
    assert rare.sum() == 40
    assert_array_equal(weights[rare], 1)
    assert_allclose(weights[~rare], 10)
    assert_allclose(weights.sum(), 50_000, rtol=0.03)
    assert_allclose(weights[sample < 20_000].sum(), 20_000, rtol=0.05)
    assert sample.max() < 50_000


def test_what_a_gigabyte_does_not_hold_is_sampled_and_said(
    embeddings: Embeddings, annotations: Annotations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear_probe, "_ROOM", 4 * (D_IN + 1) * 250)
    lowered = linear_probes(
        embeddings, annotations, TRAIN, ["planted"], ProbeFit(positives=60, seed=3)
    )
    asked = linear_probes(
        embeddings, annotations, TRAIN, ["planted"], ProbeFit(positives=60, background=250, seed=3)
    )
    assert lowered.settings == asked.settings and lowered.settings["background"] == 250
    assert_array_equal(lowered.W, asked.W)


def test_a_rough_beginning_ends_at_the_same_probes(
    embeddings: Embeddings, annotations: Annotations, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit() -> Projection:
        return linear_probes(
            embeddings, annotations, TRAIN, fit=ProbeFit(max_iter=200, tolerance=1e-9)
        )

    exact = fit()
    monkeypatch.setattr(linear_probe, "_CURVED", 100)
    scale = np.abs(exact.W).max()
    assert_allclose(fit().W / scale, exact.W / scale, atol=1e-3)


def test_the_first_hessian_is_that_of_the_weighted_residues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(40_000, 3)).astype(np.float32)
    weights = rng.integers(1, 5, len(x)).astype(np.float32)
    exact = (x.T.astype(np.float64) * weights) @ x
    assert_allclose(linear_probe._products(x, weights), exact, rtol=1e-4, atol=1)
    monkeypatch.setattr(linear_probe, "_CURVED", 10_000)
    assert_allclose(linear_probe._products(x, weights), exact, atol=0.05 * exact.max())


def test_a_sample_finds_the_same_direction(
    embeddings: Embeddings, annotations: Annotations, probes: Projection
) -> None:
    few = linear_probes(
        embeddings, annotations, TRAIN, ["planted"], ProbeFit(positives=60, background=250, seed=3)
    )
    assert few.settings["n_sampled"] < 450 < few.settings["n_residues"]
    a, b = few.W[:, 0], probes.W[:, probes.names.index("planted")]
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.95


def test_a_planted_direction_is_found_on_test_and_noise_is_not(selected: BestPairs) -> None:
    f1 = dict(selected.pairs.select("concept", "f1").iter_rows())
    assert f1["planted"] > 0.9
    assert (
        f1["noise"] < 0.25
    )  # one residue in ten carries it: 2 * 0.1 / 1.1 = 0.18 for a probe that is always on
    assert selected.candidates["concept"].to_list() == ["planted", "segments"]
    assert selected.pairs.schema == pl.Schema(PAIRS)


def test_train_alone_is_fitted_on(
    values: np.ndarray, annotations: Annotations, probes: Projection, tmp_path: Path
) -> None:
    changed = values.copy()
    changed[PROTEINS.rows_of([*VALIDATION, *TEST])] = 0
    of_train = Annotations(annotations.table.filter(pl.col("accession").is_in(TRAIN)), PROTEINS)
    other = linear_probes(embedded(tmp_path / "x", changed), of_train, TRAIN)
    assert_array_equal(other.W, probes.W)
    assert_array_equal(other.maximum, probes.maximum)


def test_test_labels_change_figures_and_no_choice(
    probes: Projection, embeddings: Embeddings, annotations: Annotations, selected: BestPairs
) -> None:
    table = annotations.table
    on_test = pl.col("accession").is_in(TEST) & (pl.col("concept") == "planted")
    moved = table.with_columns(
        start=pl.when(on_test).then(1).otherwise("start"),
        end=pl.when(on_test).then(1).otherwise("end"),
    )
    again = probe_pairs(
        probes,
        embeddings,
        Annotations(moved, PROTEINS),
        VALIDATION,
        TEST,
        scored(Annotations(moved, PROTEINS)),
    )
    chosen = [
        "concept",
        "feature",
        "threshold",
        "test_threshold",
        "validation_f1_per_domain",
        "validation_f1",
    ]
    assert again.pairs.select(chosen).equals(selected.pairs.select(chosen))
    assert again.pairs.filter(concept="planted")["f1"][0] < 0.3


def slow(
    annotations: Annotations,
    concept: str,
    values: np.ndarray,
    accessions: list[str],
    threshold: float,
) -> dict[str, float]:
    """The measures of one feature at one threshold, by their definitions."""
    chosen = np.zeros(PROTEINS.n_residues, bool)
    chosen[PROTEINS.rows_of(accessions)] = True
    on = (values > np.float32(threshold)) & chosen
    carried = annotations.mask(concept) & chosen
    hits = []
    for accession, start, end in (
        annotations.only([concept]).table.select("accession", "start", "end").iter_rows()
    ):
        if accession in accessions:
            first = PROTEINS.rows(accession).start
            hits.append(on[first + start - 1 : first + end].any())
    tp = (on & carried).sum()
    precision, recall = tp / max(on.sum(), 1), tp / carried.sum()
    per_domain = recall if LEVELS[concept] == "residue" else np.mean(hits)

    def f1(r: float) -> float:
        return 2 * precision * r / (precision + r) if precision + r else 0.0

    return {
        "precision": precision,
        "recall": recall,
        "recall_per_domain": per_domain,
        "f1": f1(recall),
        "f1_per_domain": f1(per_domain),
    }


@pytest.mark.parametrize("concept", ["planted", "segments", "noise"])
def test_thresholds_and_figures_are_those_of_the_slow_reading(
    probes: Projection, embeddings: Embeddings, annotations: Annotations, concept: str
) -> None:
    """With a level for every residue that carries the concept, the threshold is the best of all
    there are.
    """
    source = probes.on(embeddings, PROTEINS)
    values = np.concatenate([b.values for b in source.blocks()])[:, probes.names.index(concept)]
    exact = (
        probe_pairs(
            probes, embeddings, annotations, VALIDATION, TEST, scored(annotations), n_levels=3000
        )
        .pairs.filter(concept=concept)
        .row(0, named=True)
    )
    for name, value in slow(annotations, concept, values, TEST, exact["threshold"]).items():
        assert exact[name] == pytest.approx(value)
    of_validation = values[PROTEINS.rows_of(VALIDATION)]
    every = [
        slow(annotations, concept, values, VALIDATION, np.nextafter(v, np.float32(-1)))
        for v in np.unique(of_validation)[::3]
    ]
    chosen = slow(annotations, concept, values, VALIDATION, exact["threshold"])
    assert exact["validation_f1_per_domain"] == pytest.approx(chosen["f1_per_domain"])
    assert chosen["f1_per_domain"] >= max(m["f1_per_domain"] for m in every) - 1e-12
    assert exact["test_threshold"] == exact["threshold"] >= 0


def test_few_levels_come_near_the_best(
    probes: Projection, embeddings: Embeddings, annotations: Annotations, selected: BestPairs
) -> None:
    exact = probe_pairs(
        probes, embeddings, annotations, VALIDATION, TEST, scored(annotations), n_levels=3000
    )
    few, all_levels = (s.pairs["validation_f1_per_domain"].to_numpy() for s in (selected, exact))
    assert (few <= all_levels + 1e-12).all()
    assert_allclose(few, all_levels, atol=0.03)


def test_the_scorer_and_the_intervals_count_the_same(
    probes: Projection, embeddings: Embeddings, annotations: Annotations, selected: BestPairs
) -> None:
    source = probes.on(embeddings, PROTEINS)
    clusters = pl.DataFrame({"accession": TEST, "cluster": np.arange(len(TEST)) // 2})
    counts = by_cluster(source, annotations, selected.pairs, clusters)
    assert counts.mean_f1_per_domain(np.ones((1, len(counts.clusters))))[0] == pytest.approx(
        selected.mean_f1_per_domain
    )
    pair = selected.pairs.filter(concept="segments").row(0, named=True)
    scores = count(source, annotations, TEST, [pair["threshold"]])
    place = scores.concepts["concept"].to_list().index("segments")
    assert scores.measures(place).f1_per_domain[pair["feature"], 0] == pytest.approx(
        pair["f1_per_domain"]
    )


HAND = Proteins.from_sequences({"V": "M" * 40, "T": "M" * 40})
GOOD = [0.9, 0.9, 0.01, 0.5, *[0.5] * 3, *[0.2] * 10, *[0.0] * 23]
"""Instance A is residues 1 to 3, B is residue 4; the others carry nothing."""
CROWDED = [0.9, 0.9, 0.0, 0.5, *[0.9] * 8, *[0.01] * 28]


def by_hand(
    path: Path, on_validation: list[float], on_test: list[float], n_levels: int = 50
) -> BestPairs:
    """One embedding dimension, whose value is the probe's."""
    arrays = {
        "V": np.array(on_validation, np.float32)[:, None],
        "T": np.array(on_test, np.float32)[:, None],
    }
    embeddings = Embeddings.from_arrays(path, HAND, arrays, "a PLM", 1)
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    probe = Projection("linear_probe", "a PLM", "unknown", 1, one[:, None], zero, zero, one, ("c",))
    rows = [("V", 1, 3, 1), ("V", 4, 4, 2), ("T", 1, 3, 3), ("T", 4, 4, 4)]
    table = pl.DataFrame(rows, schema=["accession", "start", "end", "instance"], orient="row")
    annotations = Annotations(
        table.with_columns(concept=pl.lit("c"), category=pl.lit("x"), level=pl.lit("instance")),
        HAND,
    )
    splits = pl.DataFrame(
        {"accession": ["V", "T"], "split": ["validation", "test"], "cluster": [0, 1]}
    )
    return probe_pairs(
        probe,
        embeddings,
        annotations,
        ["V"],
        ["T"],
        scored_concepts(annotations, splits, min_instances=2, min_clusters=1),
        n_levels=n_levels,
    )


def test_of_equal_thresholds_the_one_with_the_higher_residue_f1(tmp_path: Path) -> None:
    """Above 0.9: precision 1, half of the instances. Above 0.5: precision 1/2, all instances.
    Residue F1 4/6 against 6/10.
    """
    pair = by_hand(tmp_path / "x", GOOD, GOOD).pairs.row(0, named=True)
    assert pair["threshold"] == np.nextafter(np.float32(0.9), np.float32(0))
    figures = {
        name: pair[name]
        for name in (
            "precision",
            "recall",
            "recall_per_domain",
            "f1",
            "f1_per_domain",
            "validation_f1",
        )
    }
    expected = {
        "precision": 1,
        "recall": 0.5,
        "recall_per_domain": 0.5,
        "f1": 2 / 3,
        "f1_per_domain": 2 / 3,
        "validation_f1": 2 / 3,
    }
    assert figures == pytest.approx(expected)


def test_found_is_what_is_above_one_half_on_both_splits(tmp_path: Path) -> None:
    assert by_hand(tmp_path / "a", GOOD, GOOD).candidates["concept"].to_list() == ["c"]
    on_test_alone, on_validation_alone = (
        by_hand(tmp_path / "b", CROWDED, GOOD),
        by_hand(tmp_path / "c", GOOD, CROWDED),
    )
    assert (
        on_test_alone.pairs["f1_per_domain"][0]
        > 0.5
        > on_test_alone.pairs["validation_f1_per_domain"][0]
    )
    assert (
        on_validation_alone.pairs["f1_per_domain"][0]
        < 0.5
        < on_validation_alone.pairs["validation_f1_per_domain"][0]
    )
    assert on_test_alone.candidates.height == on_validation_alone.candidates.height == 0


def test_levels_are_quantiles_of_residues_and_of_instances() -> None:
    below = -np.float32(np.inf)
    concepts = pl.DataFrame({"concept": ["a", "b"]})
    carried = [np.array([0.8, 0.2, 0.4], np.float32), np.array([0.5, -0.5], np.float32)]
    levels = linear_probe._Own(
        concepts, carried, [np.array([0.8, 0.6], np.float32), np.empty(0, np.float32)]
    ).levels(4)
    assert_array_equal(levels[0], np.nextafter(np.array([0.2, 0.6, 0.8, 0.8], np.float32), below))
    assert_array_equal(levels[1], [0, 0, 0, np.nextafter(np.float32(0.5), below)])


def test_active_is_strictly_above_a_threshold() -> None:
    class Source:
        unit, n_features, proteins = "max", 2, Proteins.from_sequences({"V": "M" * 5})

        def blocks(self, accessions: object = None) -> list[DenseBlock]:
            values = np.array([0.0, 0.25, 0.25, 0.5, 1.0], np.float32)
            return [DenseBlock(0, np.stack([values * 0, values], axis=1))]

    levels = np.array([[0.0, 0.25, 0.25, 0.5], [0, 0, 0, 0]], np.float32)
    features = np.array([1, 0])
    assert_array_equal(
        linear_probe._active(Source(), ["V"], features, levels), [[4, 2, 2, 1], [0, 0, 0, 0]]
    )
    concepts = pl.DataFrame(
        {"concept": ["a", "b"], "level": "instance", "n_residues": [2, 1], "n_instances": [2, 1]}
    )
    own = linear_probe._Own(
        concepts,
        [np.array([0.25, 0.5], np.float32), np.zeros(1, np.float32)],
        [np.array([0.25, 0.5], np.float32)] * 2,
    )
    found = own.measures(levels, Source(), ["V"], features)
    assert_array_equal(found.recall[0], [1, 0.5, 0.5, 0])
    assert_array_equal(found.recall_per_domain[0], [1, 0.5, 0.5, 0])
    assert_array_equal(found.recall[1], 0)


def test_a_concept_without_a_probe_counts_zero(
    probes: Projection, embeddings: Embeddings, annotations: Annotations, selected: BestPairs
) -> None:
    assert selected.pairs["concept"].to_list() == ["noise", "only_test", "planted", "segments"]
    lacking = selected.pairs.filter(concept="only_test").row(0, named=True)
    assert (
        lacking["feature"],
        lacking["threshold"],
        lacking["f1_per_domain"],
        lacking["n_instances"],
    ) == (None, None, 0, len(TEST))
    none = probe_pairs(
        linear_probes(embeddings, annotations, TRAIN, ["amino_acid_K"]),
        embeddings,
        annotations,
        VALIDATION,
        TEST,
        scored(annotations),
    )
    assert none.mean_f1_per_domain == 0
    assert none.pairs["feature"].null_count() == none.pairs.height == 4
    nothing = probe_pairs(
        probes, embeddings, annotations, VALIDATION, TEST, scored(annotations, 10**6)
    )
    assert nothing.pairs.height == nothing.mean_f1_per_domain == 0


def test_what_does_not_fit_is_refused(
    probes: Projection,
    embeddings: Embeddings,
    annotations: Annotations,
    values: np.ndarray,
    tmp_path: Path,
) -> None:
    with pytest.raises(
        ValueError, match="none of the 1 concepts occurs on the 20 proteins to fit probes on"
    ):
        linear_probes(embeddings, annotations, TRAIN, ["only_test"])
    with pytest.raises(ValueError, match="embeds other proteins"):
        linear_probes(embeddings, annotations.of(PROTEINS.select(TRAIN)), TRAIN)
    with pytest.raises(
        ValueError,
        match=r"\(linear_probe\) was fitted on a PLM .*, layer 1; "
        r"the embeddings are of a PLM .*, layer 2",
    ):
        probe_pairs(
            probes,
            embedded(tmp_path / "x", values, layer=2),
            annotations,
            VALIDATION,
            TEST,
            scored(annotations),
        )
