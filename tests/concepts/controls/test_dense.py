"""Neurons scaled to [0, 1] against the formula, and counted as a sparse source is."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.controls import dense
from interplm_nb.concepts.controls.dense import DenseSource, fit_range
from interplm_nb.concepts.count import count
from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins

PROTEINS = Proteins.from_sequences({"B": "MKTAYI", "A": "GG", "D": "W", "C": "SWKL"})
TRAIN = ["B", "C"]


@pytest.fixture
def embeddings(tmp_path: Path) -> Embeddings:
    rng = np.random.default_rng(0)
    arrays = {
        a: rng.normal(size=(len(PROTEINS.sequence(a)), 3)).astype(np.float32)
        for a in PROTEINS.accessions
    }
    for array in arrays.values():
        array[:, 1] = 7
    return Embeddings.from_arrays(tmp_path / "layer_01", PROTEINS, arrays, "a PLM", 1)


def fitted(embeddings: Embeddings) -> DenseSource:
    return DenseSource(
        embeddings, PROTEINS, *fit_range(embeddings, PROTEINS.rows_of(TRAIN), block=4)
    )


def test_the_range_is_that_of_the_rows_given(embeddings: Embeddings) -> None:
    minimum, maximum = fit_range(embeddings, PROTEINS.rows_of(TRAIN), block=4)
    values = embeddings[PROTEINS.rows_of(TRAIN)]
    assert_array_equal(minimum, values.min(axis=0))
    assert_array_equal(maximum, values.max(axis=0))
    assert minimum.dtype == maximum.dtype == np.float32
    with pytest.raises(ValueError, match="needs at least one residue; got 0"):
        fit_range(embeddings, np.empty(0, np.int64))


@pytest.mark.parametrize("entries", [1, 20, 10**6])
@pytest.mark.parametrize("chosen", [None, ["C", "A", "B"], []])
def test_blocks_are_whole_proteins_scaled(
    embeddings: Embeddings, monkeypatch: pytest.MonkeyPatch, entries: int, chosen: list[str] | None
) -> None:
    monkeypatch.setattr(dense, "_ENTRIES", entries)
    source = fitted(embeddings)
    rows = np.arange(13) if chosen is None else PROTEINS.rows_of(chosen)
    blocks = list(source.blocks(chosen))
    assert [
        r for b in blocks for r in range(b.first_row, b.first_row + len(b.values))
    ] == rows.tolist()
    assert all(
        b.first_row in PROTEINS.offsets and b.first_row + len(b.values) in PROTEINS.offsets
        for b in blocks
    )
    values = embeddings[rows]
    low, high = source.minimum, source.maximum
    for block in blocks:
        place = np.searchsorted(rows, block.first_row)
        expected = (values[place : place + len(block.values)] - low) / np.where(
            high > low, high - low, 1
        )
        expected[:, 1] = 0
        assert_array_equal(block.values, expected)


def test_the_fitted_range_is_zero_to_one_exactly(embeddings: Embeddings) -> None:
    source = fitted(embeddings)
    values = np.concatenate([b.values for b in source.blocks(TRAIN)])
    assert values.min(axis=0).tolist() == [0, 0, 0]
    assert values.max(axis=0).tolist() == [1, 0, 1]


def test_neurons_are_counted_as_the_same_values_in_a_sparse_source(embeddings: Embeddings) -> None:
    source = fitted(embeddings)
    rows = [("B", "Helix", 2, 4, 1), ("C", "Helix", 1, 1, 2), ("A", "Helix", 1, 2, 3)]
    table = pl.DataFrame(
        rows, schema=["accession", "concept", "start", "end", "instance"], orient="row"
    )
    annotations = Annotations(
        table.with_columns(category=pl.lit("x"), level=pl.lit("instance")), PROTEINS
    )
    # Below the range nothing is above a threshold of 0: the same as clipped to 0.
    values = np.concatenate([b.values for b in source.blocks()]).clip(0, 1)
    neurons, same = (
        count(source, annotations),
        count(FeatureActivations.from_dense(values, PROTEINS, "max"), annotations),
    )
    for a, b in (
        (neurons.tp, same.tp),
        (neurons.instance_hits, same.instance_hits),
        (neurons.active, same.active),
    ):
        assert_array_equal(a, b)
    assert neurons.tp.any()


def test_what_does_not_fit_is_refused(embeddings: Embeddings) -> None:
    zeros, ones = np.zeros(3), np.ones(3)
    with pytest.raises(
        ValueError,
        match=r"minimum must be one finite value per feature, shape \(3,\), not shape \(2,\)",
    ):
        DenseSource(embeddings, PROTEINS, zeros[:2], ones)
    with pytest.raises(ValueError, match="maximum must be one finite value"):
        DenseSource(embeddings, PROTEINS, zeros, ones * np.nan)
    with pytest.raises(ValueError, match="feature 0 has a maximum below its minimum"):
        DenseSource(embeddings, PROTEINS, ones, zeros)
    with pytest.raises(ValueError, match="embeds other proteins"):
        DenseSource(embeddings, PROTEINS.select(["A"]), zeros, ones)
