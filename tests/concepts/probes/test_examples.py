"""Examples of residues and proteins against slices of the whole array."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from interplm_nb.activations import FeatureActivations
from interplm_nb.concepts.by_protein.pool import pool
from interplm_nb.concepts.controls.dense import DenseSource
from interplm_nb.concepts.probes.examples import SPLITS, Examples
from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins

PROTEINS = Proteins.from_sequences(
    {f"P{i}": "A" * n for i, n in enumerate([3, 1, 5, 2, 4, 6, 2, 3])}
)
SPLIT = pl.DataFrame(
    {
        "accession": PROTEINS.accessions,
        "cluster": [0, 0, 1, 2, 3, 4, 5, 6],
        "split": ["test"] * 2 + ["train"] * 3 + ["validation", "train", "test"],
    }
)
VALUES = (
    np.random.default_rng(1)
    .choice([0.0, 0.0, 0.3, 0.9], (PROTEINS.n_residues, 4))
    .astype(np.float32)
)
VALUES[:, 3] = 0.5
SOURCE = FeatureActivations.from_dense(VALUES, PROTEINS, "max")


def array(values: Any) -> np.ndarray:
    return values if isinstance(values, np.ndarray) else values.toarray()


@pytest.fixture
def neurons(tmp_path: Path) -> DenseSource:
    by_protein = {a: VALUES[PROTEINS.rows(a)] - 0.5 for a in PROTEINS.accessions}
    return DenseSource(
        Embeddings.from_arrays(tmp_path / "e", PROTEINS, by_protein, "toy", 1),
        PROTEINS,
        np.zeros(4),
        np.ones(4),
    )


def test_residues_are_those_of_each_split(neurons: DenseSource) -> None:
    for source, values in ((SOURCE, VALUES), (neurons, VALUES - np.float32(0.5))):
        examples = Examples.residues(source, SPLIT)
        for split in SPLITS:
            rows = PROTEINS.rows_of(SPLIT.filter(pl.col("split") == split)["accession"])
            assert_array_equal(examples.places[split], rows)
            assert_array_equal(array(examples.values[split]), values[rows])
        assert examples.kind == "residues"
        assert examples.n_features == 4
        assert_array_equal(
            array(examples.only(np.array([2, 0])).values["test"]),
            values[examples.places["test"]][:, [2, 0]],
        )


@given(st.integers(1, 20), st.integers(0, 5))
def test_fewer_residues_are_whole_proteins_and_the_same_for_every_source(
    most: int, seed: int
) -> None:
    examples = Examples.residues(SOURCE, SPLIT, most, seed)
    other = Examples.residues(
        FeatureActivations.from_dense(VALUES[:, :2], PROTEINS, "max"), SPLIT, most, seed
    )
    for split in SPLITS:
        rows = examples.places[split]
        assert_array_equal(rows, other.places[split])
        proteins = {PROTEINS.residue(row).accession for row in rows.tolist()}
        assert_array_equal(rows, PROTEINS.rows_of(proteins))
        assert proteins <= set(SPLIT.filter(pl.col("split") == split)["accession"])
        assert len(rows) <= most or len(proteins) == 1


def test_another_seed_draws_others() -> None:
    drawn = {tuple(Examples.residues(SOURCE, SPLIT, 5, seed).places["train"]) for seed in range(8)}
    assert len(drawn) > 1


def test_proteins_are_the_rows_of_pooled_features() -> None:
    pooled = pool(SOURCE, "mean")
    examples = Examples.proteins(pooled, SPLIT)
    assert examples.kind == "proteins by mean"
    assert examples.places["test"].tolist() == [0, 1, 7]
    assert_array_equal(array(examples.values["test"]), array(pooled.values)[[0, 1, 7]])


def test_moments_are_numpys(neurons: DenseSource) -> None:
    for source in (SOURCE, neurons):
        examples = Examples.residues(source, SPLIT)
        mean, deviation = examples.moments()
        train = array(examples.values["train"]).astype(float)
        assert_allclose(mean, train.mean(axis=0), rtol=1e-6)
        assert_allclose(deviation[:3], train.std(axis=0)[:3], rtol=1e-6)
        assert deviation[3] == 0


def test_labels_by_split() -> None:
    examples = Examples.residues(SOURCE, SPLIT)
    carried = np.random.default_rng(0).random(PROTEINS.n_residues) < 0.5
    for split, labels in examples.labels(carried).items():
        assert_array_equal(labels, carried[examples.places[split]])


def test_a_label_that_all_or_none_carry_is_refused() -> None:
    examples = Examples.residues(SOURCE, SPLIT)
    with pytest.raises(ValueError, match="0 of 13 residues of train carry the label"):
        examples.labels(np.zeros(PROTEINS.n_residues, bool))
    carried = np.ones(PROTEINS.n_residues, bool)
    carried[examples.places["train"][0]] = False
    with pytest.raises(ValueError, match="6 of 6 residues of validation carry the label"):
        examples.labels(carried)
    carried[examples.places["validation"][0]] = False
    with pytest.raises(ValueError, match="7 of 7 residues of test carry the label"):
        examples.labels(carried)


def test_splits_that_do_not_fit_are_refused() -> None:
    with pytest.raises(
        ValueError,
        match=r"splits need the columns accession, cluster and split; \['cluster'\] not among",
    ):
        Examples.residues(SOURCE, SPLIT.drop("cluster"))
    with pytest.raises(ValueError, match="1 proteins of the splits, such as 'P2', are not among"):
        Examples.residues(
            FeatureActivations.from_dense(VALUES[:4], PROTEINS.select(["P0", "P1"]), "max"),
            SPLIT[:3],
        )
    with pytest.raises(ValueError, match=r"cluster 0 is in test and train \(1 such clusters\)"):
        Examples.residues(SOURCE, SPLIT.with_columns(cluster=pl.Series([0, 1, 0, 2, 3, 4, 5, 6])))
    with pytest.raises(ValueError, match="no protein in validation"):
        Examples.residues(SOURCE, SPLIT.filter(pl.col("split") != "validation"))
