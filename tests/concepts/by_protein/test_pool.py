"""Pooled features against numpy on each protein's slice of the whole array."""

import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from interplm_nb.activations import ActivationBlock, FeatureActivations
from interplm_nb.activations_writer import ActivationsWriter
from interplm_nb.concepts.by_protein.pool import PooledFeatures, pool
from interplm_nb.concepts.controls.dense import DenseSource
from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins

PROTEINS = Proteins.from_sequences({f"P{i}": "A" * n for i, n in enumerate([3, 1, 5, 2, 4])})
VALUES = np.random.default_rng(1).choice([0.0, 0.0, 0.3, 0.9], (15, 4)).astype(np.float32)
VALUES[:, 3] = 0
SOURCE = FeatureActivations.from_dense(VALUES, PROTEINS)


def array(values: Any) -> np.ndarray:
    return values if isinstance(values, np.ndarray) else values.toarray()


def slowly(values: np.ndarray, how: str, above: float) -> np.ndarray:
    """One protein at a time, as the documentation defines it."""
    if how == "max":
        return values.max(axis=0)
    return (values > above if how == "share" else values.astype(float)).mean(axis=0)


@st.composite
def stores(draw: st.DrawFn) -> tuple[Proteins, np.ndarray]:
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))
    proteins = Proteins.from_sequences({f"P{i}": "M" * n for i, n in enumerate(lengths)})
    width = draw(st.integers(1, 5))
    cells = st.sampled_from([0.0, 0.0, 0.0, 0.25, 1.0, 3.5])
    flat = draw(st.lists(cells, min_size=sum(lengths) * width, max_size=sum(lengths) * width))
    return proteins, np.array(flat, np.float32).reshape(-1, width)


@given(stores(), st.sampled_from(["max", "mean", "share"]), st.sampled_from([0.0, 0.5]), st.data())
def test_it_is_the_slow_definition(
    store: tuple[Proteins, np.ndarray], how: Any, above: float, data: st.DataObject
) -> None:
    proteins, values = store
    names = data.draw(st.lists(st.sampled_from(proteins.accessions), unique=True))
    found = pool(FeatureActivations.from_dense(values, proteins), how, names, above)
    assert found.accessions == [a for a in proteins.accessions if a in names]
    wanted = [slowly(values[proteins.rows(a)], how, above) for a in found.accessions]
    assert found.values.dtype == np.float32 and found.values.shape == (len(names), values.shape[1])
    assert_allclose(array(found.values), np.reshape(wanted, found.values.shape), rtol=1e-6)
    assert (found.values.data > 0).all()


@pytest.mark.parametrize("how", ["max", "mean", "share"])
def test_dense_sources_are_pooled_too(how: Any, tmp_path: Path) -> None:
    by_protein = {a: VALUES[PROTEINS.rows(a)] - 0.5 for a in PROTEINS.accessions}
    embeddings = Embeddings.from_arrays(tmp_path / "e", PROTEINS, by_protein, "toy", 1)
    found = pool(DenseSource(embeddings, PROTEINS, np.zeros(4), np.ones(4)), how)
    wanted = [slowly(by_protein[a], how, 0) for a in PROTEINS.accessions]
    assert isinstance(found.values, np.ndarray)
    assert_allclose(found.values, wanted, rtol=1e-6, atol=1e-7)


def test_a_store_is_read_in_blocks_and_names_its_sae(tmp_path: Path) -> None:
    about = {"plm": "toy", "plm_revision": "r1", "layer": 2, "sae": "sha256:ab"}
    with ActivationsWriter(tmp_path / "s", PROTEINS, 4, about) as writer:
        for block in SOURCE.blocks():
            writer.write(block.first_row, block.values)
        writer.finish()
    store = FeatureActivations.open(tmp_path / "s", PROTEINS)
    raw, scaled = pool(store), pool(store.relative_to(np.full(4, 2.0)))
    assert raw.about == {**about, "scale": None} and raw.unit == "raw" and scaled.unit == "max"
    assert scaled.about["scale"] and scaled.about["sae"] == "sha256:ab"
    assert_allclose(array(scaled.values), array(raw.values) / 2)


def test_no_more_than_a_block_of_residues_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that gives small blocks is read one after another."""
    monkeypatch.setattr("interplm_nb.concepts.source._ENTRIES", 6)
    alive: list[int] = []

    class Counted(FeatureActivations):
        def blocks(
            self, accessions: Collection[str] | None = None, residues: int = 5
        ) -> Iterator[ActivationBlock]:
            for block in super().blocks(accessions, residues):
                alive.append(block.values.shape[0])
                yield block

    counted = Counted(SOURCE._entries, PROTEINS, "raw", {})
    assert_array_equal(array(pool(counted).values), array(pool(SOURCE).values))
    assert len(alive) > 2 and max(alive) <= 5


def test_what_cannot_be_pooled_is_refused() -> None:
    with pytest.raises(ValueError, match="how must be max, mean, share, not 'sum'"):
        pool(SOURCE, "sum")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="above 0 or more, not above -1"):
        pool(SOURCE, "share", above=-1)
    with pytest.raises(KeyError, match="no protein 'X'"):
        pool(SOURCE, accessions=["X"])


def test_selected_proteins_keep_the_order_of_the_axis() -> None:
    part = pool(SOURCE).select(["P3", "P0"])
    assert part.accessions == ["P0", "P3"]
    assert_array_equal(array(part.values), array(pool(SOURCE).values)[[0, 3]])
    with pytest.raises(ValueError, match=r"1 of 2 proteins, such as 'X', are not among Pooled"):
        part.select(["P0", "X"])


def test_the_frame_has_a_column_per_feature() -> None:
    frame = pool(SOURCE).to_frame([2, 0])
    assert frame.columns == ["accession", "2", "0"]
    assert_array_equal(frame["0"].to_numpy(), array(pool(SOURCE).values)[:, 0])
    assert pool(SOURCE).to_frame().columns == ["accession", "0", "1", "2", "3"]
    with pytest.raises(ValueError, match="no feature 9 among these 4 features"):
        pool(SOURCE).to_frame([9])


def test_anndata_is_asked_for_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anndata", None)
    with pytest.raises(ModuleNotFoundError, match=r"takes the package anndata, .*pip install"):
        pool(SOURCE).to_anndata()


@pytest.mark.filterwarnings("default")  # anndata uses what pandas 3 deprecates
def test_anndata_has_proteins_by_features(tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata")
    found: PooledFeatures = pool(SOURCE, "mean")
    pool(SOURCE, "mean").to_anndata().write_h5ad(tmp_path / "p.h5ad")
    data = anndata.read_h5ad(tmp_path / "p.h5ad")
    assert data.obs_names.tolist() == PROTEINS.accessions
    assert data.var_names.tolist() == ["0", "1", "2", "3"]
    assert_array_equal(data.X.toarray(), array(found.values))
    assert data.uns["interplm_nb"]["how"] == "mean"
