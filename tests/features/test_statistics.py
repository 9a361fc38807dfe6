"""Statistics of features, against the definition written as a loop over proteins."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.plain_statistics import plain_statistics
from interplm_nb.activations import ActivationsWriter, FeatureActivations
from interplm_nb.features.statistics import STATISTICS, feature_statistics
from interplm_nb.proteins import Proteins

N_FEATURES = 4


@st.composite
def activations(draw: st.DrawFn) -> tuple[Proteins, np.ndarray]:
    letters = st.text("ACGX", min_size=1, max_size=14)
    sequences = draw(st.lists(letters, min_size=1, max_size=5))
    proteins = Proteins.from_sequences({f"P{i}": s for i, s in enumerate(sequences)})
    seed = draw(st.integers(0, 10_000))
    values = np.random.default_rng(seed).choice(
        [0.0, 0.05, 0.2, 0.5, 1.0, 1.3], (proteins.n_residues, N_FEATURES), p=[0.5, *[0.1] * 5]
    )
    return proteins, values.astype(np.float32)


def expect(row: dict[str, Any], expected: dict[str, Any]) -> None:
    zero = {name: "" if kind == "String" else 0 for name, kind in STATISTICS.items()}
    for name in STATISTICS.keys() - {"feature", "density_class"}:
        wanted = expected.get(name, "" if name == "top_amino_acid" else zero[name])
        if isinstance(wanted, str):
            assert row[name] == wanted, name
        else:
            assert row[name] == pytest.approx(wanted, rel=1e-6, abs=1e-9), name


@given(activations(), st.sampled_from([0.0, 0.05, 0.4]), st.booleans(), st.integers(1, 30))
def test_every_column_equals_its_definition(
    drawn: tuple[Proteins, np.ndarray], threshold: float, some: bool, entries: int
) -> None:
    proteins, dense = drawn
    chosen = proteins.accessions[::2] if some else None
    store = FeatureActivations.from_dense(dense, proteins, "max")
    by_feature = store.by_feature
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            store, "by_feature", lambda chosen, features: by_feature(chosen, entries, features)
        )
        table = feature_statistics(store, threshold, chosen)
    assert dict(table.schema) == STATISTICS
    assert table["feature"].to_list() == list(range(N_FEATURES))
    for f, row in enumerate(table.iter_rows(named=True)):
        expect(
            row, plain_statistics(dense[:, f], proteins, threshold, chosen or proteins.accessions)
        )


def test_a_letter_a_place_and_a_protein_show_in_their_columns() -> None:
    proteins = Proteins.from_sequences({f"P{i}": "MKVLAAGHEQ" * 10 for i in range(8)})
    values = np.zeros((800, 4))
    values[::100, 0] = 1  # the first residue of each
    values[proteins.letters == ord("K"), 1] = 1
    values[:100, 2] = 1  # all of one protein
    table = feature_statistics(FeatureActivations.from_dense(values, proteins))
    first, lysine, one, silent = table.to_dicts()
    assert (first["share_near_ends"], first["near_ends_by_chance"]) == (1, pytest.approx(0.1))
    assert first["position_bias"] > 0.99 > 3 * first["position_bias_by_chance"]
    assert (first["top_amino_acid"], first["amino_acid_entropy"]) == ("M", 0)
    assert lysine["amino_acid_information"] == pytest.approx(np.log2(10))
    assert (lysine["top_amino_acid"], lysine["protein_entropy"]) == ("K", pytest.approx(3))
    assert (lysine["n_runs"], lysine["mean_run"], lysine["share_when_present"]) == (
        80,
        1,
        pytest.approx(0.1),
    )
    assert (one["protein_entropy"], one["protein_frequency"], one["longest_run"]) == (0, 0.125, 100)
    assert one["amino_acid_information"] == pytest.approx(0)
    assert silent["density_class"] == "silent" and not silent["n_active"]


@pytest.mark.parametrize(
    ("n_active", "name"),
    [
        (0, "silent"),
        (1, "rare"),
        (2, "sparse"),
        (199, "sparse"),
        (200, "frequent"),
        (2000, "dense"),
    ],
)
def test_density_has_classes_with_stated_bounds(n_active: int, name: str) -> None:
    proteins = Proteins.from_sequences({"P": "A" * 20_000})
    values = np.zeros((20_000, 1))
    values[:n_active] = 1
    row = feature_statistics(FeatureActivations.from_dense(values, proteins)).row(0, named=True)
    assert row["density_class"] == name


@pytest.mark.parametrize("threshold", [-0.1, np.nan])
def test_a_negative_threshold_is_refused(threshold: float) -> None:
    proteins = Proteins.from_sequences({"P": "A"})
    store = FeatureActivations.from_dense(np.zeros((1, 1)), proteins)
    with pytest.raises(ValueError, match="a threshold of activations must be 0 or more, not"):
        feature_statistics(store, threshold)


@given(activations(), st.integers(1, 40), st.booleans(), st.booleans())
def test_blocks_by_feature_are_the_activations(
    drawn: tuple[Proteins, np.ndarray], entries: int, relative: bool, some: bool
) -> None:
    proteins, dense = drawn
    store = FeatureActivations.from_dense(dense, proteins)
    if relative:
        maxima = dense.max(axis=0) * np.array([1, 0, 2, 1], np.float32)
        store, dense = (
            store.relative_to(maxima),
            np.divide(dense, maxima, out=np.zeros_like(dense), where=maxima > 0),
        )
    chosen = proteins.accessions[::2] if some else None
    expected = np.zeros_like(dense)
    rows = proteins.rows_of(chosen or proteins.accessions)
    expected[rows] = dense[rows]
    blocks = list(store.by_feature(chosen, entries))
    firsts = [block.first_feature for block in blocks]
    widths = [block.values.shape[1] for block in blocks]
    assert firsts == np.cumsum([0, *widths])[:-1].tolist() and sum(widths) == N_FEATURES
    np.testing.assert_array_equal(np.hstack([b.values.toarray() for b in blocks]), expected)
    assert all(b.values.data.all() for b in blocks)


def test_a_stored_run_has_the_blocks_of_memory(tmp_path: Any) -> None:
    proteins = Proteins.from_sequences({f"P{i}": "A" * 50 for i in range(4)})
    dense = np.random.default_rng(0).random((200, 9)).astype(np.float32).round(0)
    dense[:, 4] = 0
    memory = FeatureActivations.from_dense(dense, proteins)
    with ActivationsWriter(tmp_path / "store", proteins, 9, {}) as writer:
        for block in memory.blocks():
            writer.write(block.first_row, block.values)
        writer.finish()
    stored = FeatureActivations.open(tmp_path / "store", proteins)
    for kept, read in zip(memory.by_feature(None, 150), stored.by_feature(None, 150), strict=True):
        assert kept.first_feature == read.first_feature
        np.testing.assert_array_equal(kept.values.toarray(), read.values.toarray())
    assert feature_statistics(stored).equals(feature_statistics(memory))
