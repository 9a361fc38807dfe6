"""Coordinates on the residue axis, and what is left out."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from interplm_nb.proteins import Proteins
from interplm_nb.readers import demo
from interplm_nb.readers.report import InputError
from interplm_nb.readers.residue_coordinates import ResidueCoordinates
from interplm_nb.readers.structure_entries import read_entry
from interplm_nb.readers.structure_list import structures_in
from interplm_nb.readers.structures import Structure
from tests.readers.made_structures import SEQUENCE, mmcif, pdb_lines, residues

MODEL = "TITLE     ALPHAFOLD MONOMER V2.0 PREDICTION FOR SOMETHING (P1)"


def written(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join([*lines, "END", ""]))
    return path


def load(path: Path, sequence: str = SEQUENCE) -> Structure:
    return Structure.by_alignment(path, "P1", sequence)


def test_each_residue_stands_where_the_file_says(tmp_path: Path) -> None:
    seen = residues(SEQUENCE)[2:10]
    path = written(tmp_path / "P1.pdb", pdb_lines(seen))
    proteins = Proteins.from_sequences({"P0": "MKV", "P1": SEQUENCE})
    found = ResidueCoordinates.of(proteins, {"P1": partial(load, path), "P9": partial(load, path)})
    assert found.accessions == ["P1"] and found.complete == []
    assert found.read.select("n_residues", "n_placed", "predicted").rows() == [(33, 8, False)]
    placed = found.placed("P1")
    assert placed.index.tolist() == list(range(2, 10))
    np.testing.assert_allclose(placed.alpha[:, 0], 3.8 * np.arange(8), atol=1e-3)
    np.testing.assert_array_equal(placed.beta, placed.alpha)  # backbones alone
    assert np.isnan(found.alpha[:5]).all() and np.isnan(found.plddt).all()


def test_the_beta_carbon_and_the_first_of_two(tmp_path: Path) -> None:
    structure = demo.structure("P00044")
    proteins = Proteins.from_sequences({"P00044": "".join(["G"] * 200)})
    found = ResidueCoordinates.of(proteins, {})
    assert repr(found) == "ResidueCoordinates(0 of 1 proteins, 0 of their 0 residues)"
    atoms = structure.atoms
    from interplm_nb.readers.read import read

    proteins = read(demo.table_path()).proteins.select(["P00044"])
    placed = ResidueCoordinates.of(proteins, {"P00044": lambda: structure}).placed("P00044")
    for i in (0, 20, 60):
        here = structure.atom_positions == placed.index[i] + 1
        beta = atoms.coord[here & (atoms.atom_name == "CB")]
        alpha = atoms.coord[here & (atoms.atom_name == "CA")]
        np.testing.assert_allclose(placed.alpha[i], alpha[0])
        np.testing.assert_allclose(placed.beta[i], (beta if len(beta) else alpha)[0])


def test_confidence_is_read_of_models_alone(tmp_path: Path) -> None:
    chain = pdb_lines(residues(SEQUENCE), more="  1.00{{b:6.2f}}           {element}")
    scores = [95.5 if i < 40 else 45.25 for i in range(len(chain))]
    lines = [line.format(b=b) for line, b in zip(chain, scores, strict=True)]
    model = written(tmp_path / "model.pdb", [MODEL, *lines])
    np.testing.assert_allclose(read_entry(model).atoms.plddt[[0, -1]], [95.5, 45.25])
    assert np.isnan(read_entry(written(tmp_path / "x.pdb", lines)).atoms.plddt).all()

    shares = [line.format(b=b / 100) for line, b in zip(chain, scores, strict=True)]
    folded = written(tmp_path / "e.pdb", ["TITLE     ESMFOLD V1 PREDICTION FOR INPUT", *shares])
    np.testing.assert_allclose(read_entry(folded).atoms.plddt[0], 96, atol=1)

    proteins = Proteins.from_sequences({"P1": SEQUENCE})
    found = ResidueCoordinates.of(proteins, {"P1": partial(load, model)})
    assert found.complete == ["P1"] and found.read["predicted"].to_list() == [True]
    sure = found.confident(70)
    assert sure.complete == [] and sure.read["n_placed"].to_list() == [10]
    assert sure.confident(0).read["n_placed"].to_list() == [10]


def test_confidence_of_mmcif(tmp_path: Path) -> None:
    metric = "loop_\n_ma_qa_metric.id\n_ma_qa_metric.name\n1 pLDDT\n#\n"
    text = mmcif(residues(SEQUENCE))
    for name, more, expected in (("m", metric, 20.0), ("x", "", np.nan)):
        path = tmp_path / f"{name}.cif"
        path.write_text(text + more)
        np.testing.assert_array_equal(read_entry(path).atoms.plddt, np.float32(expected))


def test_what_cannot_be_used_says_why(tmp_path: Path) -> None:
    other = written(tmp_path / "other.pdb", pdb_lines(residues("GGGGGGGGGGGGWWWWWWWWWWWW")))
    right = written(tmp_path / "right.pdb", pdb_lines(residues(SEQUENCE)))
    proteins = Proteins.from_sequences({"P1": SEQUENCE, "P2": SEQUENCE[::-1]})
    found = ResidueCoordinates.of(
        proteins, {"P1": partial(load, other), "P2": partial(load, right)}
    )
    assert found.accessions == []
    first, second = found.read["why_not"]
    assert "no chain is P1" in first and "is of another sequence than this protein's 33" in second


def test_structures_from_a_folder_and_from_a_table(tmp_path: Path) -> None:
    proteins = Proteins.from_sequences({"P1": SEQUENCE, "P2": SEQUENCE})
    folder = tmp_path / "own"
    (folder / "deep").mkdir(parents=True)
    lines = pdb_lines(residues(SEQUENCE), "A")
    lines += pdb_lines(residues(SEQUENCE[:20]), "B")
    written(folder / "P1.pdb", lines)
    written(folder / "deep" / "entry.pdb", lines)
    assert {a: s().chain for a, s in structures_in(folder, proteins).items()} == {"P1": "A"}
    table = folder / "map.tsv"
    table.write_text(
        "file\tchain\taccession\ndeep/entry.pdb\tB\tP2\ndeep/entry.pdb\tA\tP2\nP1.pdb\t\tP1\n"
        "gone.pdb\tA\tP7\n"
    )
    found = {a: s() for a, s in structures_in(table, proteins).items()}
    assert {a: (s.chain, len(s.positions)) for a, s in found.items()} == {
        "P2": ("B", 20),
        "P1": ("A", 33),
    }


def test_a_table_that_does_not_fit(tmp_path: Path) -> None:
    proteins = Proteins.from_sequences({"P1": SEQUENCE})
    table = tmp_path / "map.tsv"
    table.write_text("accession\tpath\nP1\tx.pdb\n")
    with pytest.raises(InputError, match="'file' is not among"):
        structures_in(table, proteins)
    table.write_text("accession\tfile\nP1\t../x.pdb\n")
    with pytest.raises(InputError, match=r"line 2 names '\.\./x\.pdb', which is outside"):
        structures_in(table, proteins)
    with pytest.raises(InputError):
        structures_in(tmp_path / "gone", proteins)
