"""Residues are found by map or alignment, never by number; B-factors carry activations."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from interplm_nb.readers import demo
from interplm_nb.readers.report import InputError
from interplm_nb.readers.structure_entries import read_entry
from interplm_nb.readers.structures import (
    UNMAPPED,
    Structure,
    bfactor_pdb,
    unmapped_selection,
)

THREE = {
    "A": "ALA",
    "G": "GLY",
    "K": "LYS",
    "W": "TRP",
    "M": "MET",
    "C": "CYS",
    "L": "LEU",
    "Y": "TYR",
    "D": "ASP",
    "E": "GLU",
    "F": "PHE",
    "H": "HIS",
}


def atom(
    serial: int,
    name: str,
    residue: str,
    chain: str,
    number: str,
    element: str = "C",
    record: str = "ATOM",
) -> str:
    # A number with an insertion code, such as 52A, spills into the column for the code.
    number = f"{number:>5}" if number[-1].isalpha() else f"{number:>4} "
    return (
        f"{record:<6}{serial:>5} {name:^4} {residue:>3} {chain}{number}   "
        f"{serial:8.3f}{0:8.3f}{0:8.3f}{1:6.2f}{50:6.2f}          {element:>2}"
    )


def write_chain(
    path: Path, letters: str, numbers: list[str], chain: str = "A", more: tuple[str, ...] = ()
) -> Path:
    lines = [
        atom(i + 1, "CA", THREE[letter], chain, number)
        for i, (letter, number) in enumerate(zip(letters, numbers, strict=True))
    ]
    path.write_text("\n".join([*lines, *more, "END", ""]))
    return path


def bfactors(text: str) -> dict[tuple[str, str], float]:
    """(residue name, number) to B-factor, read from the columns of the format."""
    return {
        (line[17:20].strip(), line[22:27].strip()): float(line[60:66])
        for line in text.splitlines()
        if line.startswith(("ATOM", "HETATM"))
    }


@pytest.fixture
def structure(tmp_path: Path) -> Structure:
    heme = atom(9, "FE", "HEM", "A", "7", "FE", "HETATM")
    path = write_chain(tmp_path / "x.pdb", "AGK", ["7", "8", "8A"], more=(heme,))
    return Structure.from_map(path, "P1", "A", {"7": 2, "8A": 4})


def test_activations_follow_the_map_not_the_numbers(structure: Structure) -> None:
    found = bfactors(bfactor_pdb(structure, np.array([0.9, 0.25, 0.9, 1.0])))
    assert found[("ALA", "7")] == 25
    assert found[("LYS", "8A")] == 100


def test_unmapped_residues_and_ligands_are_flagged(structure: Structure) -> None:
    found = bfactors(bfactor_pdb(structure, np.ones(4)))
    assert found[("GLY", "8")] == UNMAPPED
    assert found[("HEM", "7")] == UNMAPPED, (
        "a ligand that carries a residue's number is not that residue"
    )
    assert structure.unmapped == ["8"]
    assert unmapped_selection(structure) == "8"


def test_insertion_codes_are_selected_as_ngl_writes_them(tmp_path: Path) -> None:
    path = write_chain(tmp_path / "x.pdb", "AGK", ["52", "52A", "53"])
    assert unmapped_selection(Structure.from_map(path, "P1", "A", {"52": 1})) == "52^A or 53"
    assert (
        unmapped_selection(Structure.from_map(path, "P1", "A", {"52": 1, "52A": 2, "53": 3}))
        == "none"
    )


def test_a_segment_number_is_no_element() -> None:
    """P00431's file has segment numbers instead of elements.

    A name at the wrong column would turn every C alpha into calcium.
    """
    structure = demo.structure("P00431")
    lines = [
        line
        for line in bfactor_pdb(structure, np.zeros(361)).splitlines()
        if line.startswith("ATOM")
    ]
    assert {line[12:16] for line in lines if line[12:16].strip() == "CA"} == {" CA "}
    assert {line[76:78] for line in lines} == {" C", " N", " O", " S"}


def test_values_beyond_the_column_are_cut(structure: Structure) -> None:
    assert bfactors(bfactor_pdb(structure, np.full(4, 20.0)))[("ALA", "7")] == 999.99


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones(3), "position 4 is mapped"),
        (np.array([0, 0, 0, np.nan]), "finite"),
        (np.array([0, 0, 0, -1.0]), "not negative"),
        (np.ones((4, 1)), "shape"),
    ],
)
def test_values_that_do_not_fit_are_refused(
    structure: Structure, values: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        bfactor_pdb(structure, values)


def test_alignment_finds_the_chain_and_its_place(tmp_path: Path) -> None:
    lines = [
        atom(20 + i, "CA", THREE[letter], "B", str(100 + i))
        for i, letter in enumerate("WCYDEFHKLM")
    ]
    path = write_chain(
        tmp_path / "x.pdb", "GGGGGGGGGG", [str(i) for i in range(10)], more=tuple(lines)
    )
    found = Structure.by_alignment(path, "P1", "MKAAA" + "WCYDEFHKLM" + "GA")
    assert found.chain == "B"
    assert found.positions == {str(100 + i): 6 + i for i in range(10)}


def test_alignment_leaves_a_substituted_residue_unmapped(tmp_path: Path) -> None:
    path = write_chain(tmp_path / "x.pdb", "WCYDEAHKLMWCYD", [str(i) for i in range(1, 15)])
    found = Structure.by_alignment(path, "P1", "WCYDEFHKLMWCYD")
    assert found.unmapped == ["6"]
    assert found.positions["7"] == 7


def test_other_chains_of_the_file_are_kept_apart(tmp_path: Path) -> None:
    lines = [
        atom(20 + i, "CA", THREE[letter], "B", str(i)) for i, letter in enumerate("WCYDEFHKLM")
    ]
    path = write_chain(tmp_path / "x.pdb", "GGGG", ["1", "2", "3", "4"], more=tuple(lines))
    for found in (
        Structure.by_alignment(path, "P1", "WCYDEFHKLM"),
        Structure.from_map(path, "P1", "B", {}),
    ):
        assert found.others is not None
        assert found.others.res_name.tolist() == ["GLY"] * 4
        assert set(found.atoms.chain_id.tolist()) == {"B"}
    alone = write_chain(tmp_path / "y.pdb", "AG", ["1", "2"])
    assert Structure.from_map(alone, "P1", "A", {}).others is None


def test_names_that_are_longer_than_pdbs_columns_are_shortened(structure: Structure) -> None:
    atoms = structure.atoms.copy()
    atoms.set_annotation("chain_id", np.full(4, "AAA"))
    atoms.set_annotation("res_name", np.array(["ALA", "GLY", "LYS", "A1LU6"]))
    found = bfactors(bfactor_pdb(replace(structure, atoms=atoms), np.array([0.9, 0.25, 0.9, 1.0])))
    assert found == {
        ("ALA", "7"): 25,
        ("GLY", "8"): UNMAPPED,
        ("LYS", "8A"): 100,
        ("UNL", "7"): UNMAPPED,
    }
    assert atoms.chain_id.tolist() == ["AAA"] * 4


@pytest.mark.parametrize("shift", [-5_000, 5_000_000])
def test_what_does_not_fit_a_pdb_file_is_said(structure: Structure, shift: int) -> None:
    atoms = structure.atoms.copy()
    atoms.set_annotation("res_id", atoms.res_id + shift)
    with pytest.raises(InputError, match=r"x\.pdb chain A .* does not fit the columns of a PDB"):
        bfactor_pdb(replace(structure, atoms=atoms), np.ones(4))


def test_another_protein_is_refused_with_its_likeness(tmp_path: Path) -> None:
    path = write_chain(tmp_path / "x.pdb", "AGKWMCLYDEFH", [str(i) for i in range(12)])
    with pytest.raises(InputError, match=r"no chain is P9.*identical of.*wanted 90%"):
        Structure.by_alignment(path, "P9", "GGLLKKDDFFAACCHH")


def test_a_map_of_another_chain_is_refused(tmp_path: Path) -> None:
    path = write_chain(tmp_path / "x.pdb", "AG", ["1", "2"])
    with pytest.raises(InputError, match="names 1 residues that chain 'A' lacks, such as 9"):
        Structure.from_map(path, "P1", "A", {"1": 1, "9": 2})
    with pytest.raises(InputError, match=r"no chain 'Q'; its chains are \['A'\]"):
        Structure.from_map(path, "P1", "Q", {})


def test_gzip_and_plain_are_the_same(tmp_path: Path) -> None:
    plain = write_chain(tmp_path / "x.pdb", "AGK", ["1", "2", "3"])
    packed = tmp_path / "x.pdb.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_entry(plain).atoms == read_entry(packed).atoms


def test_files_that_are_no_structures(tmp_path: Path) -> None:
    for name, text in (("x.pdb", "not a structure"), ("x.cif", "neither")):
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(InputError, match="cannot be read as a structure"):
            read_entry(path)
    with pytest.raises(InputError, match=r"ends in '.xyz'"):
        read_entry(tmp_path / "x.xyz")
    with pytest.raises(InputError, match="no such file"):
        read_entry(tmp_path / "missing.pdb")
