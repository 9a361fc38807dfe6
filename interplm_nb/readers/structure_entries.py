"""Read a structure file: its atoms, and what it says about the residues' places in a protein.

PDB, mmCIF and BinaryCIF, as databases and as other programs write them.
"""

import io
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import biotite
import biotite.structure as struc
import numpy as np
from biotite.structure.info import amino_acid_names, nucleotide_names
from biotite.structure.io import pdb, pdbx
from biotite.structure.io.pdb.hybrid36 import encode_hybrid36

from interplm_nb.readers.amino_acids import of_amino_acids
from interplm_nb.readers.binary_cif import read_binary_cif
from interplm_nb.readers.opening import read_whole
from interplm_nb.readers.report import InputError
from interplm_nb.readers.structure_names import BINARY_SUFFIXES, COMPRESSED, PDB_SUFFIXES, SUFFIXES

FARTHEST = 9_999
"""Largest coordinate, in angstrom."""

ALTERNATIVES = 2.5
"""Angstrom up to which two amino acids of one number are alternatives; neighbours are 3.3 apart."""
LONGEST_ROW = 2_048
"""Characters of a line of mmCIF's atoms, as the format has it."""

_STANDARD = {
    "ARG": ("ARN", "CB CG CD NE CZ NH1 NH2"),
    "ASP": ("ASH", "CB CG OD1 OD2"),
    "CYS": ("CYX CYM CYN CYZ", "CB SG"),
    "GLU": ("GLH", "CB CG CD OE1 OE2"),
    "HIS": ("HSD HSE HSP HID HIE HIP HISD HISE HISP HISH", "CB CG ND1 CD2 CE1 NE2"),
    "LYS": ("LYN LSN", "CB CG CD CE NZ"),
    "TYR": ("TYM", "CB CG CD1 CD2 CE1 CE2 CZ OH"),
}
"""Names that simulation programs (Amber, CHARMM, GROMACS) give to protonation states and bridges,
and the atoms of the side chain."""
_BY_OTHER_NAME = {
    other: name for name, (others, _) in _STANDARD.items() for other in others.split()
}
_BACKBONE = ("N", "CA", "C", "O", "OXT", "OT1", "OT2", "O1", "O2", "OC1", "OC2")
"""With the oxygens at the end of a chain, as the PDB and these programs call them."""
_IS_SCORE = re.compile(r"[0-9]{1,3}(?:\.[0-9]+)?")
"""A pLDDT as files write it."""
_UNREADABLE = (
    ValueError,
    LookupError,
    MemoryError,
    TypeError,
    AttributeError,
    OverflowError,
    biotite.InvalidFileError,
    biotite.file.DeserializationError,
    struc.BadStructureError,
)
"""What biotite raises for files that it cannot read."""


@dataclass(frozen=True, eq=False)
class Entry:
    """The first model of a structure file, and what the file says about its residues."""

    path: Path
    atoms: Any
    """AtomArray without water; of alternative locations the first.

    Further annotations, int: `place` in the construct (mmCIF's label_seq_id), `stated` position in
    the protein `stated_of` (its accession), by SIFTS or a cross-reference; 0 and "": none. And
    `plddt`, float32: a model's confidence in the residue, 0 to 100; NaN where the file is not a
    model with such a score.
    """
    constructs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By chain: residue names of the whole construct, also of residues that are not seen."""


def read_entry(path: Path) -> Entry:
    """Read a PDB, mmCIF or BinaryCIF file, plain or compressed.

    Its suffix tells the format: .pdb, .ent, .cif, .mmcif, .bcif; then .gz or .zst, or nothing.
    Where residue numbers of one chain begin again, another chain begins: "A-2" after "A". Raises
    `InputError` for a file that cannot be read.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = next((suffix for suffix in reversed(suffixes) if suffix not in COMPRESSED), "")
    if kind not in SUFFIXES:
        raise InputError(
            f"{path}: the name ends in {kind!r}; a structure file ends in {', '.join(SUFFIXES)}, "
            "plain or .gz or .zst"
        )
    try:
        with warnings.catch_warnings():
            # Files have no element column, or author's names only; both are made good here.
            warnings.filterwarnings("ignore", "[0-9]+ elements were guessed")
            warnings.filterwarnings("ignore", "Could not infer element")
            warnings.filterwarnings("ignore", "Attribute '.*' not found within 'atom_site'")
            warnings.filterwarnings("ignore", "File contains invalid 'CRYST1' record")
            entry = _read_pdb(path) if kind in PDB_SUFFIXES else _read_cif(path, kind)
    except InputError:
        raise
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror or error}; check the file, its permissions "
            "and its disk"
        ) from error
    except _UNREADABLE as error:
        raise InputError(
            f"{path}: cannot be read as a structure: {error or type(error).__name__}; download it "
            "again, or give it the suffix of its format"
        ) from error
    if entry.atoms.array_length() == 0:
        raise InputError(f"{path}: cannot be read as a structure: it has no atoms but water")
    if np.abs(entry.atoms.coord).max() > FARTHEST:
        raise InputError(
            f"{path}: atoms are beyond {FARTHEST:,} angstrom, more than a PDB file can hold; "
            "move the structure to the origin, or cut the part you need"
        )
    return entry


def _text(path: Path) -> str:
    """With line ends of any system; what is not UTF-8, as in remarks of old files, is replaced."""
    text = read_whole(path).decode("utf-8-sig", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_pdb(path: Path) -> Entry:
    lines = _text(path).split("\n")
    predicted = _is_predicted(lines)
    text = "\n".join(_columns(lines, path, predicted))
    # Any: biotite's return type depends on the value of `model`.
    atoms: Any = pdb.PDBFile.read(io.StringIO(text)).get_structure(
        model=1, extra_fields=["b_factor"] if predicted else []
    )
    _score(atoms, predicted)
    n = atoms.array_length()
    atoms.set_annotation("place", np.zeros(n, dtype=np.int64))
    atoms.set_annotation("stated", np.zeros(n, dtype=np.int64))
    atoms.set_annotation("stated_of", np.full(n, "", dtype="U40"))
    for chain, first, last, accession, position in _references(lines):
        here = (atoms.chain_id == chain) & (atoms.res_id >= first) & (atoms.res_id <= last)
        atoms.stated[here] = atoms.res_id[here] - first + position
        atoms.stated_of[here] = accession
    constructs: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("SEQRES"):
            constructs.setdefault(line[11:12].strip(), []).extend(line[19:70].split())
    return Entry(
        path, _mended(atoms), {chain: _standard_names(c) for chain, c in constructs.items()}
    )


def _is_predicted(lines: list[str]) -> bool:
    """Whether a PDB file's title says that AlphaFold or ESMFold predicted it."""
    title = " ".join(line[10:80].strip() for line in lines if line.startswith("TITLE ")).upper()
    return "PREDICTION" in title and ("ALPHAFOLD" in title or "ESMFOLD" in title)


def _score(atoms: Any, predicted: bool) -> None:
    """`plddt` from the B-factors of a prediction that has any; ESMFold writes shares of 1."""
    plddt = np.full(atoms.array_length(), np.nan, np.float32)
    if predicted and (highest := atoms.b_factor.max(initial=0)) > 0:
        plddt = (atoms.b_factor * (100 if highest <= 1 else 1)).astype(np.float32)
    atoms.set_annotation("plddt", plddt)
    if predicted:
        atoms.del_annotation("b_factor")


def _columns(lines: list[str], path: Path, predicted: bool) -> Iterator[str]:
    """The lines as the format has them: what follows the coordinates is not needed, except the
    B-factors of a prediction.

    Other programs leave occupancy and B-factor out or write there what they like, and let numbers
    of five digits run into the column of the insertion code.
    """
    for i, line in enumerate(lines, 1):
        if not line.startswith(("ATOM  ", "HETATM")):
            yield line
            continue
        if len(line.rstrip()) < 54:
            raise InputError(
                f"{path}: line {i} ends before its coordinates do ({line.rstrip()[-24:]!r}); the "
                "file is truncated or no PDB file: download or copy it again"
            )
        if line[26].isdigit() and line[22:27].strip().isdigit():
            line = f"{line[:22]}{encode_hybrid36(int(line[22:27]), 4)} {line[27:]}"
        score = line[60:66] if predicted and _IS_SCORE.fullmatch(line[60:66].strip()) else "0.00"
        yield f"{line[:54]}  1.00{score:>6}{line[66:80]:<14}"


def _references(lines: list[str]) -> Iterator[tuple[str, int, int, str, int]]:
    """Chain, first and last residue number, accession and position of the first, by DBREF."""
    chain, first, last = "", "", ""
    for line in lines:
        kind, accession, position = line[:6], "", ""
        if kind in ("DBREF ", "DBREF1"):
            chain, first, last = line[12:13].strip(), line[14:18], line[20:24]
        if kind == "DBREF ":
            accession, position, end = line[33:41], line[55:60], line[62:67]
        elif kind == "DBREF2":
            accession, position, end = line[18:40], line[45:55], line[57:67]
        else:
            continue
        try:
            numbers = int(first), int(last), int(position), int(end)
        except ValueError:
            continue
        if numbers[1] - numbers[0] == numbers[3] - numbers[2]:
            yield chain, numbers[0], numbers[1], accession.strip(), numbers[2]


def _refuse_long_rows(lines: list[str], path: Path) -> None:
    """`InputError` for a long value of an atom: memory is atoms times the longest value."""
    atoms = False
    for i, line in enumerate(lines, 1):
        if line.startswith("_atom_site."):
            atoms = True
        elif line.startswith(("#", "_", "loop_", "data_")):
            atoms = False
        if atoms and (len(line) > LONGEST_ROW or line.startswith(";")):
            raise InputError(
                f"{path}: cannot be read as a structure: line {i}, of an atom, holds a text "
                f"({line[:40]!r}); the file is damaged: download it again"
            )


_OPTIONAL = ("label_seq_id", "label_entity_id", "pdbx_sifts_xref_db_acc", "pdbx_sifts_xref_db_num")


def _read_cif(path: Path, kind: str) -> Entry:
    if kind in BINARY_SUFFIXES:
        file: Any = read_binary_cif(path)
    else:
        text = _text(path)
        _refuse_long_rows(text.split("\n"), path)
        file = pdbx.CIFFile.read(io.StringIO(text))
    block = next((block for block in file.values() if "atom_site" in block), None)
    if block is None:
        raise InputError(
            f"{path}: cannot be read as a structure: none of its {len(file)} data blocks has atoms "
            "(atom_site); the file is truncated or of something else: download it again"
        )
    sites = block["atom_site"]
    _complete(sites)
    predicted = "B_iso_or_equiv" in sites and any(
        "pLDDT" in name for (name,) in _rows(block, "ma_qa_metric", "name")
    )
    if predicted:
        scores = sites["B_iso_or_equiv"].as_array(str).tolist()
        sites["B_iso_or_equiv"] = np.array(
            [float(score) if _IS_SCORE.fullmatch(score) else 0.0 for score in scores]
        )
    extra = ["b_factor", *_OPTIONAL] if predicted else [*_OPTIONAL]
    atoms: Any = pdbx.get_structure(block, model=1, extra_fields=extra)
    _score(atoms, predicted)
    atoms.chain_id = np.char.strip(atoms.chain_id)  # blank, or "A ", in quotation marks
    atoms.ins_code[np.isin(atoms.ins_code, ("?", "."))] = ""
    atoms.set_annotation("place", _whole(atoms.label_seq_id))
    atoms.set_annotation("stated", _whole(atoms.pdbx_sifts_xref_db_num))
    atoms.set_annotation("stated_of", atoms.pdbx_sifts_xref_db_acc.astype("U40"))
    entities = {
        chain: entity
        for chain, entity, place in zip(
            atoms.chain_id.tolist(),
            atoms.label_entity_id.tolist(),
            atoms.place.tolist(),
            strict=True,
        )
        if place
    }
    if not atoms.stated.any():
        atoms.stated_of[:] = ""
        _refer(atoms, block)
    for name in _OPTIONAL:
        atoms.del_annotation(name)
    names = _entity_names(block)
    constructs = {
        chain: _standard_names(names[entity])
        for chain, entity in entities.items()
        if entity in names
    }
    return Entry(path, _mended(atoms), constructs)


def _complete(sites: Any) -> None:
    """Columns and values that other programs leave out."""
    n = sites.row_count
    for name in ("pdbx_PDB_ins_code", *_OPTIONAL):
        if name not in sites:
            sites[name] = np.full(n, "")
    if "pdbx_PDB_model_num" not in sites:
        sites["pdbx_PDB_model_num"] = np.ones(n, dtype=np.int32)
    names = sites["label_comp_id" if "label_comp_id" in sites else "auth_comp_id"].as_array(str)
    if "group_PDB" not in sites:
        polymer = np.isin(names, [*amino_acid_names(), *nucleotide_names(), *_BY_OTHER_NAME])
        sites["group_PDB"] = np.where(polymer, "ATOM", "HETATM")
    if "type_symbol" not in sites:
        sites["type_symbol"] = np.full(n, "?")  # `_mended` takes it from the atom's name
    for name in ("Cartn_x", "Cartn_y", "Cartn_z"):
        sites[name] = sites[name].as_array(np.float64, np.nan)  # else biotite takes none for 0


def _whole(texts: np.ndarray) -> np.ndarray:
    """int64: a column of numbers as text; 0 if absent."""
    return np.array([int(t) if t.isdecimal() else 0 for t in texts.tolist()], dtype=np.int64)


def _rows(block: Any, category: str, *columns: str) -> Iterator[Any]:
    """Rows of a category as text; none if it or one of the columns is not there."""
    found = block.get(category, {})
    if all(column in found for column in columns):
        yield from zip(*(found[c].as_array(str).tolist() for c in columns), strict=True)


def _entity_names(block: Any) -> dict[str, tuple[str, ...]]:
    """Residue names of each entity's construct, by number; of alternatives the first."""
    names: dict[str, dict[int, str]] = {}
    for entity, number, name in _rows(block, "entity_poly_seq", "entity_id", "num", "mon_id"):
        names.setdefault(entity, {}).setdefault(int(number), name)
    return {entity: tuple(n[k] for k in sorted(n)) for entity, n in names.items()}


def _refer(atoms: Any, block: Any) -> None:
    """Positions by the entry's cross-references (struct_ref_seq), which count in the construct."""
    accessions = dict(_rows(block, "struct_ref", "id", "pdbx_db_accession"))
    for chain, ref, *numbers in _rows(
        block,
        "struct_ref_seq",
        "pdbx_strand_id",
        "ref_id",
        "seq_align_beg",
        "seq_align_end",
        "db_align_beg",
        "db_align_end",
    ):
        if not all(number.isdecimal() for number in numbers):
            continue
        first, last, position, end = map(int, numbers)
        if last - first == end - position:
            here = (
                (atoms.chain_id == chain.strip()) & (atoms.place >= first) & (atoms.place <= last)
            )
            atoms.stated[here] = atoms.place[here] - first + position
            atoms.stated_of[here] = accessions.get(ref, "")


_OF_AMINO_ACIDS = ("H", "D", "C", "N", "O", "S", "SE")


def _mended(atoms: Any) -> Any:
    """Elements, residue names and chains as the rest of the code takes them; without water."""
    atoms = atoms[np.isfinite(atoms.coord).all(axis=1)]
    # Elements from atom names where the column holds something else, as in old files: PDB text
    # places an atom's name by its element.
    strange = ~np.char.isalpha(atoms.element)
    strange |= struc.filter_canonical_amino_acids(atoms) & ~np.isin(atoms.element, _OF_AMINO_ACIDS)
    if strange.any():
        atoms.element[strange] = struc.infer_elements(atoms.atom_name[strange])
    _rename(atoms)
    _part(atoms)
    return atoms[~struc.filter_solvent(atoms)]


def _standard_names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(_BY_OTHER_NAME.get(name, name) for name in names)


def _rename(atoms: Any) -> None:
    """Standard names instead of simulation programs'.

    A residue whose atoms are not those of the standard one keeps its name: HSE is homoserine in the
    PDB, and ASH a ligand.
    """
    for start, end in _spans(atoms, np.isin(atoms.res_name, list(_BY_OTHER_NAME))):
        name = _BY_OTHER_NAME[str(atoms.res_name[start])]
        heavy = atoms.atom_name[start:end][~np.isin(atoms.element[start:end], ("H", "D"))]
        if set(heavy.tolist()) <= {*_BACKBONE, *_STANDARD[name][1].split()}:
            atoms.res_name[start:end] = name
            atoms.hetero[start:end] = False


def _spans(atoms: Any, wanted: np.ndarray) -> Iterator[tuple[int, int]]:
    """First atom and the one after the last of each residue that starts with a wanted atom."""
    if wanted.any():
        starts = struc.get_residue_starts(atoms, add_exclusive_stop=True)
        yield from ((a, b) for a, b in pairwise(starts) if wanted[a])


def _refuse_shared_numbers(atoms: Any, polymer: np.ndarray, starts: np.ndarray) -> None:
    """ValueError where a number does not distinguish neighbours: all would be coloured as one."""
    carbons = np.flatnonzero(polymer & (atoms.atom_name == "CA"))
    residues = np.searchsorted(starts, carbons, "right")
    steps = np.diff(atoms.coord[carbons].astype(np.float64), axis=0)
    apart = np.linalg.norm(steps, axis=1) > ALTERNATIVES
    shared = np.flatnonzero(apart & (np.diff(residues) == 0))
    if len(shared):
        first = carbons[shared[0]]
        raise ValueError(
            f"residues of chain {atoms.chain_id[first]!s} at different places have one "
            f"number, {atoms.res_id[first]}: renumber them"
        )


def _part(atoms: Any) -> None:
    """Tell molecules of one chain apart: a chain without a name may hold all of a simulation's."""
    seen: dict[str, set[tuple[int, str]]] = {}
    parts: dict[str, int] = {}
    names = atoms.chain_id.astype("U20")
    polymer = of_amino_acids(atoms) & ~atoms.hetero
    starts = struc.get_residue_starts(atoms, add_exclusive_stop=True)
    before: tuple[str, tuple[int, str]] | None = None
    _refuse_shared_numbers(atoms, polymer, starts)
    for start, end in pairwise(starts):
        chain = str(atoms.chain_id[start])
        number = int(atoms.res_id[start]), str(atoms.ins_code[start])
        if polymer[start]:
            known = seen.setdefault(chain, set())
            if number in known and before != (chain, number):
                parts[chain] = parts.get(chain, 1) + 1
                known.clear()
            known.add(number)
            before = chain, number
        if chain in parts:
            names[start:end] = f"{chain}-{parts[chain]}"
    atoms.chain_id = names
