"""Activations as AnnData: equal to the activations, read back by its own package where it is."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy import sparse

from interplm_nb.activations import FeatureActivations
from interplm_nb.features import h5ad
from interplm_nb.features.h5ad import write_h5ad
from interplm_nb.proteins import Proteins, Residue

LENGTHS = [3, 40, 1, 17, 9]
PROTEINS = Proteins.from_sequences({f"P{i}": "A" * n for i, n in enumerate(LENGTHS)})
VALUES = sparse.random_array((70, 6), density=0.3, rng=np.random.default_rng(0), format="csr")
ABOUT = {"plm": "mine", "layer": 3, "sae": "sha256:1", "other": [1]}


@pytest.fixture
def activations() -> FeatureActivations:
    """70 residues, 6 features."""
    return FeatureActivations.from_csr(VALUES.astype(np.float32), PROTEINS, about=ABOUT)


@pytest.mark.parametrize("entries", [1, 20, 2**22])
@pytest.mark.parametrize("chosen", [None, ["P3", "P1"]])
def test_the_file_holds_the_activations(
    activations: FeatureActivations,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    entries: int,
    chosen: list[str] | None,
) -> None:
    monkeypatch.setattr(h5ad, "_ENTRIES", entries)
    write_h5ad(activations, tmp_path / "mine.h5ad", chosen)
    wanted = [("P0", 3), ("P1", 40), ("P2", 1), ("P3", 17), ("P4", 9)]
    residues = [(a, p + 1) for a, n in wanted if not chosen or a in chosen for p in range(n)]
    rows = [PROTEINS.row(Residue(accession, position)) for accession, position in residues]
    with h5py.File(tmp_path / "mine.h5ad") as file:
        x = file["X"]
        found = sparse.csr_array((x["data"][:], x["indices"][:], x["indptr"][:]), x.attrs["shape"])
        np.testing.assert_array_equal(found.toarray(), VALUES.toarray().astype(np.float32)[rows])
        names = [f"{accession}:{position}" for accession, position in residues]
        assert file["obs/residue"].asstr()[:].tolist() == names
        assert file["var/feature"].asstr()[:].tolist() == list("012345")


@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option")
def test_anndata_reads_it(activations: FeatureActivations, tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata", reason="the extra anndata is not installed")
    path = tmp_path / "mine.h5ad"
    write_h5ad(activations.relative_to(activations.largest()), path, ["P1", "P4"])
    for backed in (None, "r"):
        found = anndata.read_h5ad(path, backed=backed)
        assert found.shape == (49, 6)
        assert found.obs_names[40] == "P4:1" and found.var_names.tolist() == list("012345")
        assert found.obs["accession"].tolist() == ["P1"] * 40 + ["P4"] * 9
        assert found.obs["position"].tolist() == [*range(1, 41), *range(1, 10)]
        assert dict(found.uns["interplm_nb"]) == {
            "unit": "max", "plm": "mine", "layer": 3, "sae": "sha256:1",
        }  # fmt: skip
        assert found.X[:].max() == 1


def test_a_protein_that_is_not_there_leaves_no_file(
    activations: FeatureActivations, tmp_path: Path
) -> None:
    with pytest.raises(KeyError, match="Q9"):
        write_h5ad(activations, tmp_path / "mine.h5ad", ["Q9"])
    assert list(tmp_path.iterdir()) == []
