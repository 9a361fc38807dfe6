"""The PDB text that a browser gets.

Every heavy atom once, in place, with its UniProt position; how NGL reads it is tested in
tests/browser.
"""

import gzip
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import biotite.structure as struc
import numpy as np
import pytest

from interplm_nb.readers import demo
from interplm_nb.readers.structures import Structure
from interplm_nb.widgets.packing import unpack
from interplm_nb.widgets.structure import payload as structure_payload
from interplm_nb.widgets.structure.payload import LIGAND, OTHER_CHAIN, UNMAPPED, payload
from tests.readers.made_structures import SEQUENCE, mmcif, pdb_lines, residues

PEROXIDASE = demo.structure("P00431")
"""Has a haem and two unmapped residues."""


class Atom(NamedTuple):
    record: str
    name: str
    element: str
    residue: str
    chain: str
    number: str
    xyz: tuple[float, ...]
    mark: int


def sent(structure: Structure) -> tuple[dict, list[Atom]]:
    """Record and atoms, by the columns of the format."""
    record, arrays = unpack(payload(structure))
    assert list(arrays) == ["pdb"]
    lines = arrays["pdb"].tobytes().decode("ascii").splitlines()
    assert lines[-1] == "END"
    assert {len(line) for line in lines if line.startswith(("ATOM", "HETATM"))} == {78}
    atoms = [
        Atom(
            line[:6].strip(),
            line[12:16].strip(),
            line[76:78].strip(),
            line[17:20].strip(),
            line[21],
            line[22:27].strip(),
            tuple(float(line[i : i + 8]) for i in (30, 38, 46)),
            int(line[60:66]),
        )
        for line in lines
        if line.startswith(("ATOM", "HETATM"))
    ]
    return record, atoms


def chain_of(n: int, name: str, shift: float = 0.0) -> struc.AtomArray:
    """Alanines of five atoms each and a hydrogen, then one ligand."""
    atoms = [
        struc.Atom(
            [i * 3.8, j, shift],
            chain_id=name,
            res_id=i + 1,
            ins_code="",
            res_name="ALA",
            hetero=False,
            atom_name=atom,
            element=atom[0],
        )
        for i in range(n)
        for j, atom in enumerate(("N", "CA", "C", "O", "CB", "H"))
    ]
    iron = struc.Atom(
        [0, 0, shift],
        chain_id=name,
        res_id=500,
        ins_code="B",
        res_name="A1LU6",
        hetero=True,
        atom_name="FE",
        element="FE",
    )
    return struc.array([*atoms, iron])


def complex_of(*others: struc.AtomArray, chain: str = "A") -> Structure:
    together = others[0] if len(others) == 1 else struc.concatenate(others) if others else None
    return Structure("x.cif", "P1", chain, chain_of(4, chain), {"1": 2, "2": 3, "3": 4}, together)


@pytest.mark.parametrize("accession", ["P00431", "P94388", "P18429"])
def test_every_atom_of_the_chain_is_there_with_its_position(accession: str) -> None:
    structure = demo.structure(accession)
    atoms = structure.atoms
    record, found = sent(structure)
    amino_acids = struc.filter_amino_acids(atoms)
    assert len(found) == atoms.array_length()
    for i, atom in enumerate(found):
        number = f"{atoms.res_id[i]}{atoms.ins_code[i]}"
        position = structure.positions.get(number, UNMAPPED) if amino_acids[i] else LIGAND
        assert atom[:6] == (
            "HETATM" if atoms.hetero[i] else "ATOM",
            atoms.atom_name[i],
            atoms.element[i],
            atoms.res_name[i],
            structure.chain,
            number,
        )
        assert atom.mark == position
        np.testing.assert_allclose(atom.xyz, atoms.coord[i], atol=0.0051)
    assert record == {
        "name": f"{accession}.pdb.gz",
        "accession": accession,
        "chain": structure.chain,
        "n_mapped": len(structure.positions),
        "n_ambiguous": 0,
        "n_unmapped": len(structure.unmapped),
        "numbers": None,
        "chains": {structure.chain: structure.chain},
        "left_out": [],
    }


def test_a_ligand_with_a_residues_number_has_no_position() -> None:
    marks = {atom.mark for atom in sent(PEROXIDASE)[1] if atom.residue == "HEM"}
    assert marks == {LIGAND}
    assert (
        {atom.number for atom in sent(PEROXIDASE)[1] if atom.mark == UNMAPPED}
        == set(PEROXIDASE.unmapped)
        != set()
    )


def test_a_protein_of_300_residues_is_under_60_kb() -> None:
    sizes = {len(s.positions): len(payload(s)) for s in map(demo.structure, demo.structures())}
    assert {n for n, size in sizes.items() if size > 60_000 * n / 300} <= {
        n for n in sizes if n < 60
    }
    assert max(size for n, size in sizes.items() if n <= 330) < 60_000


def test_it_is_packed_once_and_always_the_same() -> None:
    packed = payload(PEROXIDASE)
    assert packed == payload(PEROXIDASE)
    assert gzip.decompress(packed)[:2] != b"\x1f\x8b"


def test_hydrogens_are_left_out_and_long_names_fit() -> None:
    record, atoms = sent(complex_of(chain="AAA"))
    assert {atom.element for atom in atoms} == {"N", "C", "O", "FE"}
    assert [(a.residue, a.number, a.chain, a.mark) for a in atoms if a.record == "HETATM"] == [
        ("UNL", "500B", "A", LIGAND)
    ]
    assert record["chains"] == {"A": "AAA"}
    assert [a.mark for a in atoms if a.name == "CB"] == [2, 3, 4, UNMAPPED]


def test_other_chains_are_backbone_and_marked() -> None:
    record, atoms = sent(complex_of(chain_of(2, "B", 5), chain_of(3, "Long", 9)))
    assert record["chains"] == {"A": "A", "B": "B", "C": "Long"}
    for letter, n in (("B", 2), ("C", 3)):
        own = [a for a in atoms if a.chain == letter]
        assert [a.name for a in own] == ["N", "CA", "C", "O"] * n + ["FE"]
        assert {a.mark for a in own} == {OTHER_CHAIN}
    assert {a.mark for a in atoms if a.chain == "A"} == {2, 3, 4, UNMAPPED, LIGAND}


def test_chains_beyond_the_limit_are_named_nearest_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(structure_payload, "MOST_OTHERS", 20)
    record, atoms = sent(
        complex_of(chain_of(2, "F", 90), chain_of(2, "N", 5), chain_of(2, "M", 20))
    )
    assert record["chains"] == {"A": "A", "N": "N", "M": "M"}
    assert record["left_out"] == ["F"]
    assert "F" not in {a.chain for a in atoms}


def test_there_are_letters_for_61_other_chains() -> None:
    names = [f"c{i}" for i in range(70)]
    record, atoms = sent(complex_of(*[chain_of(1, name, 2.0 * i) for i, name in enumerate(names)]))
    assert list(record["chains"].values()) == ["A", *names[:61]]
    assert record["left_out"] == names[61:]
    assert len({a.chain for a in atoms}) == 62


def test_a_position_of_many_digits_fits_its_column() -> None:
    structure = replace(complex_of(), positions={"1": 34350})
    assert [a.mark for a in sent(structure)[1] if a.name == "CA"] == [34350, 0, 0, 0]


def test_a_chain_without_a_name_gets_a_letter(tmp_path: Path) -> None:
    path = tmp_path / "x.pdb"
    path.write_text("\n".join(pdb_lines(residues(SEQUENCE), name="")))
    record, atoms = sent(Structure.by_alignment(path, "P1", SEQUENCE))
    assert record["chain"] == "without a name"
    assert record["chains"] == {"A": "without a name"}
    assert record["numbers"] is None
    assert [(a.chain, a.number, a.mark) for a in atoms if a.name == "CA"] == [
        ("A", str(i), i) for i in range(1, 34)
    ]


@pytest.mark.parametrize("name", ["AB", "AB01", "12"])
def test_names_of_several_letters_in_a_row_of_the_alphabet_are_too_long(name: str) -> None:
    record, atoms = sent(complex_of(chain_of(2, "A", 5), chain=name))
    assert record["chains"] == {"B": name, "A": "A"}
    assert {a.chain for a in atoms if a.mark != OTHER_CHAIN} == {"B"}


@pytest.mark.parametrize("first", [9_991, 123_456, -1_020])
def test_numbers_that_do_not_fit_their_columns_are_in_the_record(
    tmp_path: Path, first: int
) -> None:
    path = tmp_path / "x.cif"
    path.write_text(mmcif(residues(SEQUENCE, first)))
    structure = Structure.by_alignment(path, "P1", SEQUENCE)
    record, atoms = sent(structure)
    assert record["numbers"] == list(structure.positions)
    carbons = [a for a in atoms if a.name == "CA"]
    assert [a.mark for a in carbons] == list(range(1, 34))
    assert len({a.number for a in carbons}) == 33
    np.testing.assert_allclose(
        [a.xyz for a in atoms], np.asarray(structure.atoms.coord), atol=0.0051
    )


def test_residues_that_fit_elsewhere_as_well_are_counted() -> None:
    assert sent(replace(complex_of(), ambiguous=("1", "2")))[0]["n_ambiguous"] == 2


def test_names_that_are_no_ascii_break_no_column() -> None:
    atoms = chain_of(2, "A")
    atoms.atom_name[-1] = "F\u00e9-long"
    found = sent(Structure("x.cif", "P1", "A", atoms, {"1": 2}))[1]
    assert found[-1].name == "F?-l"
