"""Each residue at its position, where letters alone leave a choice; and what stays open is said."""

from pathlib import Path

import pytest

from interplm_nb.readers.report import InputError
from interplm_nb.readers.structures import Structure
from tests.readers.made_structures import SEQUENCE, THREE, mmcif, pdb_lines, residues

REPEAT = "GNTALHLAARNG" * 4
GAP = "MKTAYIAKQRSGTGTPTGSLEERLGLIEVQKK"
"""Residues 12 to 19 will be missing; 19 is Ser as 11 is."""
GAP_SEEN = [*range(11), *range(19, 32)]


def mapped(path: Path, text: str | list[str], sequence: str, accession: str = "P1") -> Structure:
    path.write_text(text if isinstance(text, str) else "\n".join([*text, "TER", "END", ""]))
    return Structure.by_alignment(path, accession, sequence)


def own(structure: Structure, shift: int = 0) -> bool:
    """Every mapped residue's position is its number, plus a shift."""
    return all(position == int(n) + shift for n, position in structure.positions.items())


@pytest.mark.parametrize("first", [1, 41])
@pytest.mark.parametrize("at", [GAP_SEEN, range(24)], ids=["a break", "bonded"])
def test_a_residue_at_the_edge_of_a_gap(tmp_path: Path, first: int, at) -> None:
    """Coordinates, or numbers alone where a program closed the gap, tell its side."""
    chain = [residues(GAP, first)[i] for i in GAP_SEEN]
    found = mapped(tmp_path / "x.pdb", pdb_lines(chain, at=at), GAP)
    assert len(found.positions) == 24
    assert own(found, 1 - first)
    assert found.ambiguous == ()


def test_numbers_that_ran_on_over_a_gap_are_not_believed(tmp_path: Path) -> None:
    chain = residues("".join(GAP[i] for i in GAP_SEEN))
    found = mapped(tmp_path / "x.pdb", pdb_lines(chain, at=GAP_SEEN), GAP)
    assert list(found.positions.values()) == [*range(1, 12), *range(20, 33)]


@pytest.mark.parametrize("copy", range(4))
def test_a_copy_of_a_repeat_by_its_numbers(tmp_path: Path, copy: int) -> None:
    chain = residues(REPEAT)[12 * copy : 12 * copy + 12]
    found = mapped(tmp_path / "x.pdb", pdb_lines(chain), REPEAT)
    assert len(found.positions) == 12
    assert own(found)
    assert found.ambiguous == ()


def test_a_copy_of_a_repeat_without_numbers_is_said_to_be_ambiguous(tmp_path: Path) -> None:
    found = mapped(tmp_path / "x.pdb", pdb_lines(residues(REPEAT[:12], 901)), REPEAT)
    assert list(found.positions.values()) == list(range(1, 13))
    assert found.ambiguous == tuple(str(n) for n in range(901, 913))
    assert "12 residues mapped, 12 of them ambiguous, 0 not" in repr(found)


DOUBLE = "MKTAYIAKQRHISFVKSCFSDGLEERLGLIEVQ"


@pytest.mark.parametrize("tag", ["", "HH", "GSGSGSHHHHHH"])
def test_a_residue_that_stands_for_two_letters(tmp_path: Path, tag: str) -> None:
    chain = residues(DOUBLE + tag)
    chain[20:22] = [("SUI", "21")]
    found = mapped(tmp_path / "x.pdb", pdb_lines(chain, hetero=["SUI"]), DOUBLE)
    assert own(found)
    assert len(found.positions) == 32
    assert len(found.unmapped) == len(tag)
    assert found.is_of(DOUBLE)


def test_a_chromophore_of_three_letters(tmp_path: Path) -> None:
    sequence = "MSKGEELFTGVTTFSYGVQCFSRYPD"
    chain = residues(sequence)
    chain[14:17] = [("GYS", "16")]
    found = mapped(tmp_path / "x.pdb", pdb_lines(chain, hetero=["GYS"]), sequence)
    assert found.positions == {number: 15 if number == "16" else int(number) for _, number in chain}


def test_an_amino_acid_that_is_a_ligand_has_no_position(tmp_path: Path) -> None:
    lines = [
        *pdb_lines(residues(SEQUENCE[:20])),
        *pdb_lines([("GLN", "901")], at=[40], hetero=["GLN"]),
    ]
    found = mapped(tmp_path / "x.pdb", lines, SEQUENCE)
    assert own(found)
    assert found.unmapped == ["901"]


def test_a_chain_of_ligands_alone(tmp_path: Path) -> None:
    lines = [*pdb_lines([("HEM", "1")], "B", hetero=["HEM"]), *pdb_lines(residues(SEQUENCE))]
    lines += pdb_lines([("GLN", "1")], "C", hetero=["GLN"])
    found = mapped(tmp_path / "x.pdb", lines, SEQUENCE)
    assert (found.chain, len(found.positions)) == ("A", 33)
    for chain in "BC":
        with pytest.raises(InputError, match=r"has 0 identical of 0 aligned residues"):
            Structure.by_alignment(tmp_path / "x.pdb", "P1", SEQUENCE, chain)


def test_two_residues_at_one_number(tmp_path: Path) -> None:
    """Two amino acids in one place, as alternatives: the second is no further residue."""
    lines = pdb_lines(residues(SEQUENCE))
    other = [f"{line[:16]}B{line[17:]}" for line in pdb_lines([("GLY", "12")], at=[11])]
    lines[44:48] = [f"{line[:16]}A{line[17:]}" for line in lines[44:48]] + other
    found = mapped(tmp_path / "x.pdb", lines, SEQUENCE)
    assert own(found)
    assert len(found.positions) == 33


def test_insertion_codes_are_neighbours(tmp_path: Path) -> None:
    numbers = [*range(1, 12), "11A", "11B", *range(12, 32)]
    chain = [(THREE[a], str(n)) for a, n in zip(SEQUENCE, numbers, strict=True)]
    found = mapped(tmp_path / "x.pdb", pdb_lines(chain), SEQUENCE)
    assert list(found.positions.values()) == list(range(1, 34))


SEQRES = "SEQRES{:>4} A{:>5}  {}"


def seqres(letters: str) -> list[str]:
    return [
        SEQRES.format(i + 1, len(letters), " ".join(THREE[a] for a in letters[at : at + 13]))
        for i, at in enumerate(range(0, len(letters), 13))
    ]


LOOP = "MKTAYIAKQRWLNTALHLAARNPGNTALHLAARNGDEVQCY"
"""Its two repeats stand at 13 to 21 and 25 to 33."""


def test_the_construct_places_what_numbers_do_not(tmp_path: Path) -> None:
    """The second repeat alone is seen, with its own numbers; the whole construct is named."""
    chain = residues(LOOP[24:33], 501)
    without = mapped(tmp_path / "x.pdb", pdb_lines(chain), LOOP)
    assert len(without.ambiguous) == 9
    found = mapped(tmp_path / "y.pdb", [*seqres(LOOP[22:]), *pdb_lines(chain)], LOOP)
    assert list(found.positions.values()) == list(range(25, 34))
    assert found.ambiguous == ()


def test_a_construct_of_another_chain_is_not_believed(tmp_path: Path) -> None:
    lines = [*seqres("WWWWWWWWWWWWWWWWWWWW"), *pdb_lines(residues(SEQUENCE))]
    assert own(mapped(tmp_path / "x.pdb", lines, SEQUENCE))


def test_the_construct_of_an_mmcif_file(tmp_path: Path) -> None:
    names = "\n".join(f"1 {i} {THREE[a]}" for i, a in enumerate(LOOP[22:], 1))
    columns = [f"_entity_poly_seq.{name}" for name in ("entity_id", "num", "mon_id")]
    construct = "\n".join(["loop_", *columns, names, "#", ""])
    chain, places = residues(LOOP[24:33], 501), range(3, 12)
    found = mapped(tmp_path / "x.cif", mmcif(chain, places=places) + construct, LOOP)
    assert list(found.positions.values()) == list(range(25, 34))
    assert found.ambiguous == ()


def test_places_in_the_construct_are_steps(tmp_path: Path) -> None:
    """label_seq_id, where the author's numbers run on and no construct is named."""
    chain = residues("".join(GAP[i] for i in GAP_SEEN))
    places = [i + 5 for i in GAP_SEEN]
    found = mapped(tmp_path / "x.cif", mmcif(chain, places=places), GAP)
    assert list(found.positions.values()) == [*range(1, 12), *range(20, 33)]


DBREF = [
    "DBREF  1ABC A  901   912  UNP    P1       ONE_MOUSE       25     36",
]
LONG_DBREF = [
    "DBREF1 1ABC A  901   912  UNP                  A0A0_MOUSE",
    "DBREF2 1ABC A     P1                          25          36",
]


@pytest.mark.parametrize("lines", [DBREF, LONG_DBREF], ids=["DBREF", "DBREF1"])
def test_cross_references_of_a_pdb_file(tmp_path: Path, lines: list[str]) -> None:
    chain = pdb_lines(residues(REPEAT[:12], 901))
    for accession in ("P1", "mine"):
        found = mapped(tmp_path / "x.pdb", [*lines, *chain], REPEAT, accession)
        assert own(found, 24 - 900)
        assert found.ambiguous == ()


def test_a_tag_that_the_cross_reference_leaves_out(tmp_path: Path) -> None:
    """Its letters happen to be those of the protein before the part that was cloned."""
    reference = "DBREF  1ABC A    5    20  UNP    P1       ONE_MOUSE        5     20"
    chain = residues("GTAY" + SEQUENCE[4:20])
    chain[1:4] = [("LYS", "2"), ("THR", "3"), ("ALA", "4")]
    lines = pdb_lines(chain)
    assert len(mapped(tmp_path / "x.pdb", lines, SEQUENCE).positions) == 19
    found = mapped(tmp_path / "y.pdb", [reference, *lines], SEQUENCE)
    assert own(found)
    assert found.unmapped == ["1", "2", "3", "4"]


REFERENCE = """loop_
_struct_ref.id
_struct_ref.pdbx_db_accession
7 P1
#
loop_
_struct_ref_seq.ref_id
_struct_ref_seq.pdbx_strand_id
_struct_ref_seq.seq_align_beg
_struct_ref_seq.seq_align_end
_struct_ref_seq.db_align_beg
_struct_ref_seq.db_align_end
7 A 3 14 25 36
#
"""


def test_cross_references_of_an_mmcif_file(tmp_path: Path) -> None:
    text = mmcif(residues(REPEAT[:12], 901), places=range(3, 15))
    assert own(mapped(tmp_path / "x.cif", text + REFERENCE, REPEAT), 24 - 900)
    sifts = {
        "pdbx_sifts_xref_db_acc": ["P1"] * 12,
        "pdbx_sifts_xref_db_num": [str(n) for n in range(13, 25)],
    }
    text = mmcif(residues(REPEAT[:12], 901), places=range(3, 15), more=sifts)
    assert own(mapped(tmp_path / "y.cif", text + REFERENCE, REPEAT), 12 - 900), "SIFTS comes first"


def test_a_cross_reference_to_another_sequence_is_not_believed(tmp_path: Path) -> None:
    """As to one without the first Met: neither its positions count nor what it leaves out."""
    reference = "DBREF  1ABC A    2    33  UNP    P1       ONE_MOUSE        1     32"
    found = mapped(tmp_path / "x.pdb", [reference, *pdb_lines(residues(SEQUENCE))], SEQUENCE)
    assert own(found)
    assert len(found.positions) == 33
