"""Links of features to concepts: the choice against plain loops, the calibration against the
residues themselves.
"""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.calibration import Calibration
from interplm_nb.concepts.count import count
from interplm_nb.concepts.links import CLUSTERS_PER_STEP, PER_STEP, ConceptLinks, linked
from interplm_nb.proteins import Proteins

PROTEINS = Proteins.from_sequences({"A": "MKTAYIAKQR", "B": "GGSWK", "C": "MKVLWAAL"})
LEVELS = {"Helix": "instance", "Active site": "residue"}


def annotated(rows: list[tuple[str, str, int, int]]) -> Annotations:
    columns = {
        name: [row[i] for row in rows]
        for i, name in enumerate(("accession", "concept", "start", "end"))
    }
    table = pl.DataFrame(columns).with_columns(
        category=pl.lit("x"),
        level=pl.col("concept").replace_strict(LEVELS, return_dtype=pl.String),
        instance=pl.int_range(pl.len()),
    )
    return Annotations(table, PROTEINS)


CLUSTERS = pl.DataFrame({"accession": ["A", "B", "C"], "cluster": [0, 1, 2]})
ANNOTATIONS = annotated(
    [
        ("A", "Helix", 2, 5),
        ("A", "Active site", 7, 7),
        ("B", "Helix", 1, 3),
        ("C", "Helix", 4, 8),
        ("C", "Active site", 1, 1),
    ]
)
VALUES = st.lists(
    st.sampled_from([0.0, 0.1, 0.3, 0.55, 0.7, 1.0]), min_size=23 * 4, max_size=23 * 4
)


def activations(values: list[float]) -> FeatureActivations:
    return FeatureActivations.from_dense(
        np.array(values, np.float32).reshape(23, 4), PROTEINS, "max"
    )


@given(VALUES, st.sampled_from([0.0, 0.3, 0.6]))
def test_each_feature_at_its_own_best_threshold(values: list[float], min_f1: float):
    source = activations(values)
    validation, test = count(source, ANNOTATIONS, ["A", "B"]), count(source, ANNOTATIONS, ["C"])
    found = linked(validation, test, ["Helix", "Active site"], min_f1)
    wanted = []
    for c, concept in enumerate(validation.concepts["concept"]):
        m, on_test = validation.measures(c), test.measures(c)
        for f in range(4):
            best = max(range(5), key=lambda t: (m.f1_per_domain[f, t], m.f1[f, t], -t))
            if m.f1_per_domain[f, best] >= max(min_f1, 1e-9):
                wanted.append(
                    (
                        concept,
                        f,
                        validation.thresholds[best],
                        m.f1_per_domain[f, best],
                        on_test.f1_per_domain[f, best],
                        m.f1[f, best],
                    )
                )
    wanted = [
        row[:-1] for row in sorted(wanted, key=lambda row: (row[0], -row[3], -row[5], row[1]))
    ]
    assert (
        found.select(
            "concept", "feature", "threshold", "validation_f1_per_domain", "f1_per_domain"
        ).rows()
        == wanted
    )


def test_a_concept_that_test_lacks_has_figures_of_0():
    source = activations([1.0] * 92)
    validation, test = (
        count(source, ANNOTATIONS, ["A"]),
        count(source, ANNOTATIONS.only(["Helix"]), ["C"]),
    )
    row = linked(validation, test, ["Active site"], 0.1).row(0, named=True)
    assert (row["n_instances"], row["precision"], row["f1_per_domain"]) == (0, 0, 0) and row[
        "validation_f1_per_domain"
    ] > 0


@given(VALUES)
def test_confidence_is_fitted_on_the_residues_where_the_feature_is_active(values: list[float]):
    source = activations(values)
    scores = count(source, ANNOTATIONS, ["A", "B"])
    links = ConceptLinks.fit(
        linked(scores, scores, ["Helix"], 0.0), source, ANNOTATIONS, CLUSTERS[[0, 2]]
    )
    mask = ANNOTATIONS.mask("Helix")
    for feature in links.table["feature"]:
        rows, strengths = source.feature(feature)
        seen = (rows < 10) | (rows >= 15)  # proteins A and C
        if not seen.any():
            assert (links.confidence("Helix", feature, np.array([0.5])) == 0).all()
            continue
        fitted = Calibration.fit(
            strengths[seen], mask[rows[seen]], rows[seen] < 10, PER_STEP, CLUSTERS_PER_STEP
        )
        np.testing.assert_allclose(
            links.confidence("Helix", feature, np.array([0.05, 0.5, 1.0])),
            fitted(np.array([0.05, 0.5, 1.0])),
        )
        assert links.confidence("Helix", feature, np.zeros(1)) == 0


def test_what_is_saved_is_read_again(tmp_path: Path):
    source = activations([0.0, 0.3, 0.7, 1.0] * 23)
    scores = count(source, ANNOTATIONS)
    links = ConceptLinks.fit(
        linked(scores, scores, ["Helix", "Active site"], 0.0), source, ANNOTATIONS, CLUSTERS[:1]
    )
    links.save(tmp_path, {"plm": "toy"})
    again = ConceptLinks.load(tmp_path)
    assert again.table.equals(links.table) and again.knots.equals(links.knots)


def test_raw_activations_are_refused():
    source = FeatureActivations.from_dense(np.ones((23, 4), np.float32), PROTEINS, "raw")
    with pytest.raises(ValueError, match="unit 'raw'"):
        ConceptLinks.fit(
            pl.DataFrame(schema={"concept": pl.String, "feature": pl.UInt32}),
            source,
            ANNOTATIONS,
            CLUSTERS[:1],
        )
