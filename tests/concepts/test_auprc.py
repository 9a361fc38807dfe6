"""Average precision against scikit-learn's, and against its value where it is known."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts import auprc
from interplm_nb.concepts.auprc import average_precision
from interplm_nb.proteins import Proteins
from tests.concepts.test_count import DenseValues

PROTEINS = Proteins.from_sequences({f"P{i}": "M" * n for i, n in enumerate((5, 9, 1, 7, 12, 3))})
SCHEMA = ["accession", "concept", "category", "level", "start", "end", "instance"]
SEGMENTS = [
    ("P0", "Helix", "x", "instance", 2, 4, 0),
    ("P1", "Helix", "x", "instance", 1, 6, 1),
    ("P1", "Helix", "x", "instance", 4, 9, 2),
    ("P4", "Active site", "x", "residue", 3, 3, 0),
    ("P4", "Active site", "x", "residue", 11, 11, 1),
    ("P5", "Turn", "x", "instance", 1, 2, 0),
]
ANNOTATIONS = Annotations(pl.DataFrame(SEGMENTS, schema=SCHEMA, orient="row"), PROTEINS)
PAIRS = pl.DataFrame(
    {
        "concept": ["Helix", "Active site", "Helix", "Helix", "Active site"],
        "feature": [3, 0, 1, None, 3],
        "threshold": [0.5, 0, 0, None, 0.8],
    }
)
CHOSEN = ["P4", "P0", "P1", "P3"]
LEVELS = [0, 0, 0, 0.15, 0.3, 0.5, 0.9, 1.2]


def values(seed: int, levels: list[float]) -> np.ndarray:
    return np.random.default_rng(seed).choice(levels, (PROTEINS.n_residues, 4)).astype(np.float32)


def by_sklearn(scores: np.ndarray, pairs: pl.DataFrame = PAIRS) -> list[float]:
    rows = PROTEINS.rows_of(CHOSEN)
    score = {None: np.zeros(len(rows))} | {f: scores[rows, f] for f in range(4)}
    return [
        average_precision_score(ANNOTATIONS.mask(concept)[rows], score[feature])
        for concept, feature, _ in pairs.iter_rows()
    ]


@given(
    st.integers(0, 10_000), st.sampled_from([LEVELS, [0.0], [0.2, 0.3, 0.4], [0, 0, 0, 0, 0, 0.7]])
)
def test_sparse_values_give_what_scikit_learn_gives(seed: int, levels: list[float]) -> None:
    scores = values(seed, levels)
    found = average_precision(
        FeatureActivations.from_dense(scores, PROTEINS, "max"), ANNOTATIONS, PAIRS, CHOSEN
    )
    assert found["auprc"].to_list() == pytest.approx(by_sklearn(scores))
    assert found.select("concept", "feature").rows() == PAIRS.select("concept", "feature").rows()


@given(st.integers(0, 10_000))
def test_dense_values_below_zero_rank_below_silence(seed: int) -> None:
    scores = values(seed, [-0.5, -0.1, 0, 0, 0.3, 1.4])
    found = average_precision(DenseValues(scores, PROTEINS), ANNOTATIONS, PAIRS, CHOSEN)
    assert found["auprc"].to_list() == pytest.approx(by_sklearn(scores))


def test_columns_of_a_dense_source_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(1).normal(size=(PROTEINS.n_residues, 4)).astype(np.float32)
    monkeypatch.setattr(auprc, "_DENSE_FEATURES", 2)
    found = average_precision(DenseValues(scores, PROTEINS), ANNOTATIONS, PAIRS, CHOSEN)
    assert found["auprc"].to_list() == pytest.approx(by_sklearn(scores))


def test_prevalence_is_the_share_of_residues_and_what_a_pair_without_a_feature_has() -> None:
    found = average_precision(
        FeatureActivations.from_dense(values(0, LEVELS), PROTEINS, "max"),
        ANNOTATIONS,
        PAIRS,
        CHOSEN,
    )
    # P0, P1, P3, P4: 33 residues, 3 + 9 of them in helices, 2 active sites.
    assert found["prevalence"].to_list() == pytest.approx(
        [12 / 33, 2 / 33, 12 / 33, 12 / 33, 2 / 33]
    )
    assert found["auprc"][3] == pytest.approx(12 / 33)


def test_a_concept_that_these_proteins_lack_has_zero() -> None:
    pairs = pl.DataFrame({"concept": ["Turn"], "feature": [0], "threshold": [0.0]})
    found = average_precision(
        FeatureActivations.from_dense(values(0, LEVELS), PROTEINS, "max"),
        ANNOTATIONS,
        pairs,
        CHOSEN,
    )
    assert found.row(0) == ("Turn", 0, 0.0, 0.0)


def test_no_pairs_give_an_empty_table_and_a_wrong_source_is_refused() -> None:
    source = FeatureActivations.from_dense(values(0, LEVELS), PROTEINS, "max")
    assert average_precision(source, ANNOTATIONS, PAIRS.clear(), CHOSEN).columns == list(
        auprc.AUPRC
    )
    with pytest.raises(ValueError, match="the pairs name feature 4, but the source has 0 to 3"):
        average_precision(source, ANNOTATIONS, PAIRS.with_columns(feature=pl.lit(4)), CHOSEN)
    with pytest.raises(ValueError, match="these activations have unit 'raw'"):
        average_precision(
            FeatureActivations.from_dense(values(0, LEVELS), PROTEINS), ANNOTATIONS, PAIRS, CHOSEN
        )
