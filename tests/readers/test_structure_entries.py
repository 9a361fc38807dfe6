"""Structure files as databases and other programs write them, and files of other kinds."""

import gzip
import io
import re
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import zstandard
from biotite.structure.io import pdbx

from interplm_nb.readers import opening
from interplm_nb.readers.report import InputError
from interplm_nb.readers.structure_entries import read_entry
from interplm_nb.readers.structures import Structure, bfactor_pdb
from tests.readers.made_structures import SEQUENCE, mmcif, pdb_lines, residues

CHAIN = residues(SEQUENCE)
OWN_NUMBERS = {str(i): i for i in range(1, 34)}


def written(path: Path, text: str | list[str]) -> Path:
    path.write_text(text if isinstance(text, str) else "\n".join([*text, "TER", "END", ""]))
    return path


def positions(path: Path, sequence: str = SEQUENCE) -> dict[str, int]:
    return dict(Structure.by_alignment(path, "P1", sequence).positions)


@pytest.mark.parametrize(
    "more",
    [
        "",
        "  1.00",
        "  1.00 20.00",
        " ***** *****",
        "  0.5  -nan      SEGM",
        "100.00120.00           {element}  ",
        "  1.00 20.00      A1   XX1+",
    ],
)
def test_nothing_is_needed_after_the_coordinates(tmp_path: Path, more: str) -> None:
    path = written(tmp_path / "x.pdb", pdb_lines(CHAIN, more=more))
    assert positions(path) == OWN_NUMBERS
    assert set(read_entry(path).atoms.element.tolist()) == {"N", "C", "O"}


def test_a_chain_without_a_name(tmp_path: Path) -> None:
    path = written(tmp_path / "x.pdb", pdb_lines(CHAIN, name=""))
    found = Structure.by_alignment(path, "P1", SEQUENCE)
    assert (found.chain, found.positions) == ("", OWN_NUMBERS)
    assert repr(found).startswith("Structure(x.pdb chain without a name as P1: 33 residues mapped")
    for name in ("", " "):
        assert Structure.by_alignment(path, "P1", SEQUENCE, name).positions == OWN_NUMBERS
    assert {line[21] for line in bfactor_pdb(found, np.ones(33)).splitlines()[:-1]} == {"A"}


@pytest.mark.parametrize(("name", "wanted"), [("' '", ""), ("'A '", "A")])
def test_a_chain_whose_name_is_blank_or_ends_in_a_blank(tmp_path: Path, name, wanted) -> None:
    """In mmCIF, where names stand in quotation marks."""
    text = mmcif(CHAIN, more=dict.fromkeys(("label_asym_id", "auth_asym_id"), [name] * 33))
    structure = Structure.by_alignment(written(tmp_path / "x.cif", text), "P1", SEQUENCE)
    assert structure.chain == wanted and structure.positions == OWN_NUMBERS
    pdb = bfactor_pdb(structure, np.ones(33))
    assert all(len(line) == 80 for line in pdb.split("\n") if line.startswith("ATOM"))


def test_molecules_of_one_chain_are_told_apart_where_numbers_begin_again(tmp_path: Path) -> None:
    other = "GWGSTPNDQE"
    lines = [*pdb_lines(residues(other), ""), *pdb_lines(CHAIN, ""), *pdb_lines(CHAIN, "")]
    path = written(tmp_path / "x.pdb", lines)
    found = Structure.by_alignment(path, "P1", SEQUENCE)
    assert (found.chain, found.positions) == ("-2", OWN_NUMBERS)
    assert found.others is not None
    assert set(found.others.chain_id.tolist()) == {"", "-3"}


@pytest.mark.parametrize("first", [9_991, 99_960, -5])
def test_numbers_of_any_length(tmp_path: Path, first: int) -> None:
    chain = residues(SEQUENCE, first)
    expected = {str(first + i): i + 1 for i in range(33)}
    assert positions(written(tmp_path / "x.cif", mmcif(chain))) == expected
    assert positions(written(tmp_path / "x.pdb", _wide_lines(chain))) == expected


def _wide_lines(chain: list[tuple[str, str]]) -> list[str]:
    """Numbers of five digits run into the insertion code's column, as VMD writes them."""
    lines = pdb_lines([(name, "1") for name, _ in chain])
    numbers = [number for _, number in chain for _ in range(4)]
    return [
        f"{line[:22]}{n if len(n) == 5 else f'{n:>4} '}{line[27:]}"
        for line, n in zip(lines, numbers, strict=True)
    ]


def test_numbers_beyond_four_columns_are_written_as_programs_read_them(tmp_path: Path) -> None:
    path = written(tmp_path / "x.cif", mmcif(residues(SEQUENCE, 9_991)))
    text = bfactor_pdb(Structure.by_alignment(path, "P1", SEQUENCE), np.ones(33))
    assert positions(written(tmp_path / "again.pdb", text)) == {
        str(9_991 + i): i + 1 for i in range(33)
    }
    assert {len(line) for line in text.splitlines() if line.startswith("ATOM")} == {80}


@pytest.mark.parametrize(
    "leave_out",
    [
        ["group_PDB"],
        ["pdbx_PDB_ins_code"],
        ["occupancy", "B_iso_or_equiv"],
        ["pdbx_PDB_model_num"],
        ["type_symbol"],
        ["label_alt_id", "label_entity_id"],
        ["label_seq_id"],
        ["auth_seq_id", "auth_asym_id"],
        ["id"],
    ],
)
def test_columns_of_mmcif_that_need_not_be_there(tmp_path: Path, leave_out: list[str]) -> None:
    path = written(tmp_path / "x.cif", mmcif(CHAIN, leave_out))
    assert positions(path) == OWN_NUMBERS
    atoms = read_entry(path).atoms
    assert set(atoms.element.tolist()) == {"N", "C", "O"}
    assert not atoms.hetero.any()


def test_the_block_with_atoms_is_read(tmp_path: Path) -> None:
    other = "data_comp_LIG\nloop_\n_chem_comp.id\nLIG\n#\n"
    for text in (mmcif(CHAIN) + other, other + mmcif(CHAIN)):
        assert positions(written(tmp_path / "x.cif", text)) == OWN_NUMBERS
    with pytest.raises(InputError, match=r"x\.cif: .* none of its 1 data blocks has atoms"):
        read_entry(written(tmp_path / "x.cif", other))


@pytest.mark.parametrize(
    ("name", "letter"),
    [
        *((name, "H") for name in ("HSD", "HSE", "HSP", "HID", "HIE", "HIP")),
        *((name, "C") for name in ("CYX", "CYM", "CYN")),
        *(("GLH", "E"), ("ASH", "D"), ("LYN", "K"), ("ARN", "R"), ("TYM", "Y"), ("MSE", "M")),
    ],
)
def test_names_of_simulation_programs(tmp_path: Path, name: str, letter: str) -> None:
    sequence = f"MKTAYIAKQR{letter}ISFVKSWFS"
    chain = residues(sequence)
    chain[10] = (name, "11")
    path = written(tmp_path / "x.pdb", pdb_lines(chain, hetero=["MSE"]))
    assert positions(path, sequence) == {str(i): i for i in range(1, 21)}
    assert positions(written(tmp_path / "x.cif", mmcif(chain)), sequence)["11"] == 11


def test_a_residue_of_that_name_in_the_pdb_stays_what_it_is(tmp_path: Path) -> None:
    """HSE is homoserine there: it has atoms that histidine lacks."""
    chain = residues("MKTAYIAKQRSISFVKSWFS")
    chain[10] = ("HSE", "11")
    lines = pdb_lines(chain)
    lines.insert(44, lines[43].replace(" O   HSE", " O3  HSE"))
    path = written(tmp_path / "x.pdb", lines)
    assert positions(path, "MKTAYIAKQRSISFVKSWFS")["11"] == 11
    assert "HSE" in read_entry(path).atoms.res_name.tolist()


def test_names_and_formats(tmp_path: Path) -> None:
    block = pdbx.CIFFile.read(io.StringIO(mmcif(CHAIN)))["x"]
    category = pdbx.BinaryCIFCategory(
        {name: column.as_array(str) for name, column in block["atom_site"].items()}
    )
    file = pdbx.BinaryCIFFile({"x": pdbx.BinaryCIFBlock({"atom_site": category})})
    packed = io.BytesIO()
    file.write(packed)
    text = "\n".join(pdb_lines(CHAIN)).encode()
    for name, data in {
        "a.PDB": text,
        "b.Ent.GZ": gzip.compress(text),
        "c.pdb.zst": zstandard.compress(text),
        "d.CIF": mmcif(CHAIN).encode(),
        "e.bcif": packed.getvalue(),
        "f.bcif.gz": gzip.compress(packed.getvalue()),
    }.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert positions(path) == OWN_NUMBERS


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_remarks_and_line_ends_of_any_system(tmp_path: Path, end: str) -> None:
    for name, text in {
        "x.pdb": "\n".join(["REMARK   3 8 \u00c5", *pdb_lines(CHAIN)]),
        "x.cif": f"# 8 \u00c5\n{mmcif(CHAIN)}",
    }.items():
        path = tmp_path / name
        path.write_bytes(text.replace("\n", end).encode("latin-1"))
        assert positions(path) == OWN_NUMBERS


def test_atoms_without_coordinates_are_left_out(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^(ATOM 1 .*?) -1\.200 0\.0 0\.0", r"\1 ? ? ?", mmcif(CHAIN))
    atoms = read_entry(written(tmp_path / "x.cif", text)).atoms
    assert atoms.array_length() == 4 * 33 - 1
    assert np.isfinite(atoms.coord).all()


CUT = mmcif(CHAIN)
BAD = {
    "end.pdb": ("\n".join(pdb_lines(CHAIN))[:-30], r"line 132 ends before its coordinates do"),
    "letters.pdb": (pdb_lines(CHAIN)[0].replace("-1.200", "here  "), "could not convert"),
    "stars.pdb": (pdb_lines(CHAIN)[0].replace("  1    ", "****   "), "cannot be read"),
    "half.cif": (CUT[: len(CUT) * 2 // 3 - 17], "cannot be read as a structure"),
    "early.cif": (CUT[:60], "cannot be read as a structure"),
    "empty.cif": ("", "none of its 0 data blocks has atoms"),
    "empty.pdb": ("", "cannot be read as a structure"),
    "loop.cif": ("data_x\nloop_\n_atom_site.id\n_atom_site\n1 2 3\n", "cannot be read"),
    "nonsense.bcif": ("not msgpack", "cannot be read as a structure"),
    "map.bcif": ("\x07", "cannot be read as a structure"),
    "water.pdb": (pdb_lines([("HOH", "1")])[3], "it has no atoms but water"),
    "long.cif": (CUT.replace("20.0 12 A", f"20.0 {'9' * 30} A"), "cannot be read"),
    "far.cif": (CUT.replace(" 0.0 0.0 ", " 0.0 123456.0 "), "beyond 9,999 angstrom"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    text, why = BAD[name]
    with pytest.raises(InputError, match=rf"{re.escape(name)}: .*{why}"):
        Structure.by_alignment(written(tmp_path / name, text + ""), "P1", SEQUENCE)


@pytest.mark.parametrize("end", range(40, len(CUT) // 3, 97))
def test_mmcif_cut_anywhere_is_read_or_refused(tmp_path: Path, end: int) -> None:
    path = written(tmp_path / "x.cif", CUT[:end])
    try:
        read_entry(path)
    except InputError as error:
        assert str(path) in str(error)


def test_neighbours_of_one_number_are_refused(tmp_path: Path) -> None:
    """They would all be coloured as the first of them."""
    chain = [(name, "0") for name, _ in CHAIN]
    with pytest.raises(InputError, match="of chain A at different places have one num"):
        read_entry(written(tmp_path / "x.pdb", pdb_lines(chain)))


@pytest.mark.parametrize("value", ["X" * 3_000, "\n;text\n;\n"])
def test_a_long_value_of_an_atom_is_refused_before_it_takes_the_memory(
    tmp_path: Path, value: str
) -> None:
    path = written(tmp_path / "x.cif", CUT.replace(" MET ", f" {value} ", 1))
    with pytest.raises(
        InputError, match=r"x\.cif: .* line 21, of an atom, holds|line 22, of an at"
    ):
        read_entry(path)


def _rows(category: dict) -> None:
    category["rowCount"] = 10**10


def _runs(category: dict) -> None:
    category["columns"][0]["data"]["encoding"][0]["dataEncoding"][0]["srcSize"] = 2 * 10**9


def _long(category: dict) -> None:
    texts = category["columns"][0]["data"]["encoding"][0]
    texts["stringData"] = "x" * 3_000_000
    texts["offsets"] = b"".join(n.to_bytes(4, "little") for n in (0, 3_000_000))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_rows, "_atom_site declares 10000000000 rows, where at most 16,777,216 are read"),
        (_runs, "_atom_site.group_PDB declares 2000000000 rows"),
        (_long, "_atom_site.group_PDB declares 134 texts of up to 3,000,000 letters"),
    ],
)
def test_a_binary_file_that_declares_too_much_is_refused(tmp_path, change, match) -> None:
    content = bcif_content()
    change(content["dataBlocks"][0]["categories"][0])
    (tmp_path / "x.bcif").write_bytes(msgpack.packb(content))
    with pytest.raises(InputError, match=rf"x\.bcif: cannot be read as a structure: {match}"):
        read_entry(tmp_path / "x.bcif")


def bcif_content() -> dict:
    """CHAIN as BinaryCIF, packed as databases pack it, before msgpack."""
    block = pdbx.CIFFile.read(io.StringIO(mmcif(CHAIN)))["x"]
    columns = {name: column.as_array(str) for name, column in block["atom_site"].items()}
    category = pdbx.BinaryCIFBlock({"atom_site": pdbx.BinaryCIFCategory(columns)})
    compressed: Any = pdbx.compress(pdbx.BinaryCIFFile({"x": category}))
    stream = io.BytesIO()
    compressed.write(stream)
    return msgpack.unpackb(stream.getvalue())


@pytest.mark.parametrize("name", ["x.pdb", "x.cif", "x.bcif"])
def test_a_text_of_too_many_letters_is_refused(tmp_path, monkeypatch, name) -> None:
    monkeypatch.setattr(opening, "LARGEST_TEXT", 1 << 20)
    (tmp_path / name).write_bytes(gzip.compress(b"ATOM\n" * (1 << 20)))
    with pytest.raises(InputError, match=rf"{name}: over .* \(decompressed\)"):
        read_entry(tmp_path / name)


def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch) -> None:
    def denied(*_) -> None:
        raise PermissionError(13, "Permission denied")

    path = written(tmp_path / "x.pdb", pdb_lines(CHAIN))
    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(InputError, match=r"x\.pdb: cannot be read: Permission denied; check the f"):
        read_entry(path)
