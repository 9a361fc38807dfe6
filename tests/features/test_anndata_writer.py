"""Activations as AnnData: equal to the activations, read back by its own package where it is."""

import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr
from scipy import sparse

from interplm_nb.activations import FeatureActivations
from interplm_nb.features import anndata_writer
from interplm_nb.features.anndata_writer import write_anndata
from interplm_nb.proteins import Proteins, Residue

LENGTHS = [3, 40, 1, 17, 9]
PROTEINS = Proteins.from_sequences({f"P{i}": "A" * n for i, n in enumerate(LENGTHS)})
VALUES = sparse.random_array((70, 6), density=0.3, rng=np.random.default_rng(0), format="csr")
ABOUT = {"plm": "mine", "layer": 3, "sae": "sha256:1", "other": [1]}


@pytest.fixture
def activations() -> FeatureActivations:
    """70 residues, 6 features."""
    return FeatureActivations.from_csr(VALUES.astype(np.float32), PROTEINS, about=ABOUT)


def texts(array: Any) -> list[str]:
    return (array.asstr()[:] if isinstance(array, h5py.Dataset) else array[:]).tolist()


@pytest.mark.parametrize("entries", [1, 20, 2**22])
@pytest.mark.parametrize("chosen", [None, ["P3", "P1"]])
@pytest.mark.parametrize("name", ["mine.h5ad", "mine.zarr"])
def test_the_file_holds_the_activations(
    activations: FeatureActivations,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    entries: int,
    chosen: list[str] | None,
    name: str,
) -> None:
    monkeypatch.setattr(anndata_writer, "_ENTRIES", entries)
    path = tmp_path / name
    write_anndata(activations, path, chosen)
    wanted = [("P0", 3), ("P1", 40), ("P2", 1), ("P3", 17), ("P4", 9)]
    residues = [(a, p + 1) for a, n in wanted if not chosen or a in chosen for p in range(n)]
    rows = [PROTEINS.row(Residue(accession, position)) for accession, position in residues]
    root: Any = zarr.open_group(path, mode="r") if path.is_dir() else h5py.File(path)
    x = root["X"]
    parts = (x["data"][:], x["indices"][:], x["indptr"][:])
    found = sparse.csr_array(parts, tuple(x.attrs["shape"]))
    np.testing.assert_array_equal(found.toarray(), VALUES.toarray().astype(np.float32)[rows])
    names = [f"{accession}:{position}" for accession, position in residues]
    assert texts(root["obs/residue"]) == names
    assert texts(root["var/feature"]) == list("012345")
    if isinstance(root, h5py.File):
        root.close()


@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option")
@pytest.mark.parametrize("name", ["mine.h5ad", "mine.zarr"])
@pytest.mark.parametrize("how", ["whole", "in parts"])
def test_anndata_reads_it(
    activations: FeatureActivations, tmp_path: Path, name: str, how: str
) -> None:
    anndata = pytest.importorskip("anndata", reason="the extra anndata is not installed")
    path = tmp_path / name
    write_anndata(activations.relative_to(activations.largest()), path, ["P1", "P4"])
    if how == "whole":
        found = (anndata.read_h5ad if path.is_file() else anndata.read_zarr)(path)
    else:
        pytest.importorskip("xarray", reason="read_lazy needs xarray")
        found = anndata.experimental.read_lazy(path).to_memory()
    assert found.shape == (49, 6)
    assert found.obs_names[40] == "P4:1" and found.var_names.tolist() == list("012345")
    assert found.obs["accession"].tolist() == ["P1"] * 40 + ["P4"] * 9
    assert found.obs["position"].tolist() == [*range(1, 41), *range(1, 10)]
    about = {name: getattr(value, "item", lambda value=value: value)()
             for name, value in found.uns["interplm_nb"].items()}  # fmt: skip
    assert about == {"unit": "max", "plm": "mine", "layer": 3, "sae": "sha256:1"}
    assert found.X[:].max() == 1


@pytest.mark.parametrize("name", ["mine.h5ad", "mine.zarr"])
def test_a_protein_that_is_not_there_leaves_no_file(
    activations: FeatureActivations, tmp_path: Path, name: str
) -> None:
    with pytest.raises(KeyError, match="Q9"):
        write_anndata(activations, tmp_path / name, ["Q9"])
    assert list(tmp_path.iterdir()) == []


def test_another_ending_is_refused(activations: FeatureActivations, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ends in .h5ad or .zarr, not .*mine.csv"):
        write_anndata(activations, tmp_path / "mine.csv")


def test_without_zarr_the_error_says_how_to_get_it(
    activations: FeatureActivations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'interplm-nb\[anndata\]'"):
        write_anndata(activations, tmp_path / "mine.zarr")
    assert list(tmp_path.iterdir()) == []
