"""Structures whose residues are mapped to UniProt positions, and their colouring by a feature.

Residue numbers in a structure file are not UniProt positions: constructs start elsewhere, numbers
run on from chain to chain, ligands reuse them. Positions come from a map or an alignment; a residue
without one is unmapped, and is coloured as such, never as 0.
"""

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import biotite
import biotite.sequence as seq
import biotite.sequence.align as align
import biotite.structure as struc
import numpy as np
from biotite.structure.info import one_letter_code
from biotite.structure.io import pdb, pdbx

from interplm_nb.readers.opening import open_text
from interplm_nb.readers.report import InputError

UNMAPPED = -1.0
"""B-factor of atoms without a UniProt position; activations are never negative."""
PERCENT = 100.0
"""B-factors have two decimals: activations in unit `max` are written as percent."""
LARGEST = 999.99
"""Largest value of a B-factor column."""
UNKNOWN_LIGAND = "UNL"
"""The PDB's name of an unknown ligand: for names longer than the three columns of a PDB file."""


@dataclass(frozen=True, eq=False)
class Structure:
    """One chain of a structure file, as one protein.

    Examples
    --------
    >>> from interplm_nb.readers import demo
    >>> structure = demo.structure("P00044")
    >>> structure.chain, len(structure.positions), structure.unmapped
    ('B', 108, [])
    """

    name: str
    accession: str
    chain: str
    atoms: struc.AtomArray
    """First model of the chain, without water."""
    positions: Mapping[str, int]
    """Residue number in the file (with insertion code: "52A") -> UniProt position, from 1.

    Only amino acids are mapped.
    """
    others: struc.AtomArray | None = None
    """Atoms of the file's other chains, if there are any."""

    @classmethod
    def from_map(cls, path: Path, accession: str, chain: str, positions: Mapping[str, int]) -> Self:
        """Read one chain of a PDB or mmCIF file (plain or .gz).

        `positions` maps residue numbers to UniProt positions.
        """
        entry = read_atoms(path)
        atoms = _chain(entry, chain, path)
        known = set(_numbers(atoms[struc.filter_amino_acids(atoms)]))
        strangers = sorted(set(positions) - known)
        if strangers:
            raise InputError(
                f"{path}: the residue map of {accession} names {len(strangers)} residues that "
                f"chain {chain!r} lacks, such as {strangers[0]}"
            )
        return cls(path.name, accession, chain, atoms, dict(positions), _others(entry, chain))

    @classmethod
    def by_alignment(
        cls,
        path: Path,
        accession: str,
        sequence: str,
        chain: str | None = None,
        min_identity: float = 0.9,
    ) -> Self:
        """Read a structure file and align its chains, or the named one, to a sequence.

        The chain with most identical residues is used. Aligned residues of the same amino acid are
        mapped, substituted ones are not. `min_identity` is identical over aligned residues.
        """
        atoms = read_atoms(path)
        names = [chain] if chain is not None else list(dict.fromkeys(_chain_ids(atoms)))
        found = {name: _align(_chain(atoms, name, path), sequence) for name in names}
        best = max(found, key=lambda name: len(found[name][0]))
        positions, n_aligned = found[best]
        if not positions or len(positions) < min_identity * n_aligned:
            raise InputError(
                f"{path}: no chain is {accession}: the nearest, chain {best!r}, has "
                f"{len(positions)} identical of {n_aligned} aligned residues; wanted "
                f"{min_identity:.0%}. Give the structure of this protein, or lower min_identity"
            )
        return cls(
            path.name, accession, best, _chain(atoms, best, path), positions, _others(atoms, best)
        )

    @cached_property
    def atom_positions(self) -> np.ndarray:
        """int64 [n_atoms]: UniProt position of each atom's residue; 0 if unmapped."""
        of_residue = np.array(
            [self.positions.get(number, 0) for number in _numbers(self.atoms)], dtype=np.int64
        )
        # A ligand may have the number of a residue.
        return np.where(struc.filter_amino_acids(self.atoms), of_residue, 0)

    @property
    def unmapped(self) -> list[str]:
        """Residue numbers of amino acids without a UniProt position, in file order."""
        amino_acids = struc.filter_amino_acids(self.atoms)
        return list(dict.fromkeys(_numbers(self.atoms[amino_acids & (self.atom_positions == 0)])))

    def is_of(self, sequence: str) -> bool:
        """Whether each mapped residue is the amino acid of `sequence` at its position."""
        atoms: Any = self.atoms
        carbons = (atoms.atom_name == "CA") & (self.atom_positions > 0)
        mapped = zip(
            self.atom_positions[carbons].tolist(), atoms.res_name[carbons].tolist(), strict=True
        )
        return all(
            position <= len(sequence) and one_letter_code(name) == sequence[position - 1]
            for position, name in mapped
        )

    def __repr__(self) -> str:
        return (
            f"Structure({self.name} chain {self.chain} as {self.accession}: {len(self.positions)} "
            f"residues mapped, {len(self.unmapped)} not)"
        )


def bfactor_pdb(structure: Structure, values: np.ndarray) -> str:
    """Write the structure as PDB text with values instead of B-factors.

    For nglview: `color_scheme="bfactor"`, `color_domain=[0, 100]`, and a plain colour for the
    selection `unmapped_selection(structure)`.

    Parameters
    ----------
    structure
        The structure.
    values
        float [protein length], one per UniProt position, such as activations in unit `max`.

    Returns
    -------
    str
        PDB text; B-factors are values x 100, and -1 for residues without a UniProt position.
    """
    values = np.asarray(values, dtype=np.float64)
    last = max(structure.positions.values(), default=0)
    if values.ndim != 1 or len(values) < last:
        raise ValueError(
            f"{structure}: wanted one value per position of {structure.accession} (position {last} "
            f"is mapped), got shape {values.shape}"
        )
    if not np.isfinite(values).all() or (values < 0).any():
        raise ValueError(
            f"{structure}: values must be finite and not negative; give activations in unit 'max'"
        )
    atoms: Any = structure.atoms.copy()
    by_position = np.concatenate([[UNMAPPED], np.minimum(values * PERCENT, LARGEST)])
    atoms.set_annotation("b_factor", by_position[structure.atom_positions])
    # mmCIF's names of chains and ligands may be longer than the columns of a PDB file.
    atoms.chain_id[np.char.str_len(atoms.chain_id) > 1] = "A"
    atoms.res_name[np.char.str_len(atoms.res_name) > 3] = UNKNOWN_LIGAND
    file = pdb.PDBFile()
    file.set_structure(atoms)
    return "\n".join([*file.lines, "END", ""])


def unmapped_selection(structure: Structure) -> str:
    """NGL's selection of amino acids without a UniProt position; "none" if all have one."""
    # NGL writes an insertion code after a caret: 52^A.
    numbers = [f"{n[:-1]}^{n[-1]}" if n[-1].isalpha() else n for n in structure.unmapped]
    return " or ".join(numbers) or "none"


def read_atoms(path: Path) -> struc.AtomArray:
    """The first model of a PDB or mmCIF file (.pdb, .ent, .cif, .mmcif, plain or .gz).

    Without water; of alternative locations the first.
    """
    kind = Path(path.stem if path.suffix == ".gz" else path.name).suffix
    if kind not in (".pdb", ".ent", ".cif", ".mmcif"):
        raise InputError(
            f"{path}: the name ends in {kind!r}; a structure file ends in .pdb, .ent, .cif or "
            ".mmcif, plain or .gz"
        )
    with open_text(path) as stream:
        text = io.StringIO(stream.read())
    try:
        with warnings.catch_warnings():
            # Old files have no element column; atom names tell it well enough for drawing.
            warnings.filterwarnings("ignore", "[0-9]+ elements were guessed")
            # Any: biotite's return type depends on the value of `model`.
            atoms: Any = (
                pdb.PDBFile.read(text).get_structure(model=1)
                if kind in (".pdb", ".ent")
                else pdbx.get_structure(pdbx.CIFFile.read(text), model=1)
            )
    except (
        ValueError,
        KeyError,
        IndexError,
        biotite.InvalidFileError,
        struc.BadStructureError,
    ) as error:
        raise InputError(
            f"{path}: cannot be read as a structure: {error}; download it again, or give it the "
            "suffix of its format"
        ) from error
    _mend_elements(atoms)
    return atoms[~struc.filter_solvent(atoms)]


_OF_AMINO_ACIDS = ("H", "D", "C", "N", "O", "S", "SE")


def _mend_elements(atoms: Any) -> None:
    """Take elements from atom names if the column holds something else, as in old files.

    PDB text places an atom's name by its element.
    """
    strange = ~np.char.isalpha(atoms.element)
    strange |= struc.filter_canonical_amino_acids(atoms) & ~np.isin(atoms.element, _OF_AMINO_ACIDS)
    if strange.any():
        atoms.element[strange] = struc.infer_elements(atoms.atom_name[strange])


def _chain(atoms: struc.AtomArray, chain: str, path: Path) -> Any:
    chosen = atoms[atoms.chain_id == chain.strip()]
    if chosen.array_length() == 0:
        raise InputError(
            f"{path}: no chain {chain!r}; its chains are {sorted(set(_chain_ids(atoms)))}"
        )
    return chosen


def _others(atoms: struc.AtomArray, chain: str) -> Any:
    others = atoms[atoms.chain_id != chain.strip()]
    return others if others.array_length() else None


def _chain_ids(atoms: Any) -> list[str]:
    return atoms.chain_id.tolist()


def _numbers(atoms: Any) -> list[str]:
    """Residue number with insertion code of each atom."""
    return [
        f"{number}{code}"
        for number, code in zip(atoms.res_id.tolist(), atoms.ins_code.tolist(), strict=True)
    ]


def _align(atoms: Any, sequence: str) -> tuple[dict[str, int], int]:
    """Residue number -> position for aligned identical residues, and the number aligned."""
    carbons = atoms[(atoms.atom_name == "CA") & struc.filter_amino_acids(atoms)]
    letters = "".join(one_letter_code(name) or "X" for name in carbons.res_name.tolist())
    if not letters:
        return {}, 0
    both = [seq.ProteinSequence(_standard(s)) for s in (letters, sequence)]
    matrix = align.SubstitutionMatrix.std_protein_matrix()
    # Compiled: type checkers do not see it.
    optimal = align.align_optimal  # pyright: ignore[reportAttributeAccessIssue]
    trace = optimal(*both, matrix, gap_penalty=(-10, -1), terminal_penalty=False, max_number=1)[
        0
    ].trace
    pairs = trace[(trace >= 0).all(axis=1)]
    numbers = _numbers(carbons)
    return {numbers[i]: int(j) + 1 for i, j in pairs if letters[i] == sequence[j]}, len(pairs)


def _standard(letters: str) -> str:
    """Selenocysteine and pyrrolysine, which the substitution matrix lacks, as Cys and Lys."""
    return letters.replace("U", "C").replace("O", "K")
