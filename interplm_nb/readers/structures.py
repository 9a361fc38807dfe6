"""Structures whose residues are mapped to UniProt positions, and their colouring by a feature.

Residue numbers in a structure file are not UniProt positions: constructs start elsewhere, numbers
run on from chain to chain, ligands reuse them. Positions come from a map or an alignment; a residue
without one is unmapped, and is coloured as such, never as 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import biotite.structure as struc
import numpy as np
from biotite.structure.io import pdb
from biotite.structure.io.pdb.hybrid36 import max_hybrid36_number

from interplm_nb.readers.amino_acids import letters_of, of_amino_acids
from interplm_nb.readers.report import InputError
from interplm_nb.readers.residue_mapping import map_residues, residue_numbers
from interplm_nb.readers.structure_entries import read_entry

UNMAPPED = -1.0
"""B-factor of atoms without a UniProt position; activations are never negative."""
PERCENT = 100.0
"""B-factors have two decimals: activations in unit `max` are written as percent."""
LARGEST = 999.99
"""Largest value of a B-factor column."""
FIRST_NUMBER, LAST_NUMBER = -999, 9999
"""Smallest and largest residue number of a PDB file."""
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
    ambiguous: tuple[str, ...] = ()
    """Residues, by number in the file, whose position is one of several that fit as well."""

    @classmethod
    def from_map(cls, path: Path, accession: str, chain: str, positions: Mapping[str, int]) -> Self:
        """Read one chain of a structure file (`read_entry`).

        `positions` maps residue numbers to UniProt positions.
        """
        entry = read_entry(path).atoms
        atoms = _chain(entry, chain, path)
        known = set(residue_numbers(atoms[of_amino_acids(atoms)]))
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
        mapped, substituted ones are not (`map_residues`). `min_identity` is identical over aligned
        residues.
        """
        entry = read_entry(path)
        atoms = entry.atoms
        names = [chain] if chain is not None else list(dict.fromkeys(_chain_ids(atoms)))
        best = names[0]
        if len(names) > 1:
            found = [map_residues(_chain(atoms, n, path), sequence, accession) for n in names]
            best = names[int(np.argmax([len(mapped.positions) for mapped in found]))]
        construct = entry.constructs.get(best, ())
        mapped = map_residues(_chain(atoms, best, path), sequence, accession, construct)
        if not mapped.positions or len(mapped.positions) < min_identity * mapped.n_aligned:
            raise InputError(
                f"{path}: no chain is {accession}: the nearest, chain {best!r}, has "
                f"{len(mapped.positions)} identical of {mapped.n_aligned} aligned residues; wanted "
                f"{min_identity:.0%}. Give the structure of this protein, or lower min_identity"
            )
        return cls(
            path.name,
            accession,
            best.strip(),
            _chain(atoms, best, path),
            mapped.positions,
            _others(atoms, best),
            mapped.ambiguous(),
        )

    @cached_property
    def atom_positions(self) -> np.ndarray:
        """int64 [n_atoms]: UniProt position of each atom's residue; 0 if unmapped."""
        of_residue = np.array(
            [self.positions.get(number, 0) for number in residue_numbers(self.atoms)],
            dtype=np.int64,
        )
        # A ligand may have the number of a residue.
        return np.where(of_amino_acids(self.atoms), of_residue, 0)

    @property
    def unmapped(self) -> list[str]:
        """Residue numbers of amino acids without a UniProt position, in file order."""
        amino_acids = of_amino_acids(self.atoms)
        return list(
            dict.fromkeys(residue_numbers(self.atoms[amino_acids & (self.atom_positions == 0)]))
        )

    def is_of(self, sequence: str) -> bool:
        """Whether each mapped residue is the amino acid of `sequence` at its position."""
        atoms: Any = self.atoms
        carbons = (atoms.atom_name == "CA") & (self.atom_positions > 0)
        mapped = zip(
            self.atom_positions[carbons].tolist(), atoms.res_name[carbons].tolist(), strict=True
        )
        return all(sequence.startswith(letters_of(name), position - 1) for position, name in mapped)

    @property
    def chain_name(self) -> str:
        """The chain, for a sentence: a file may give it no name."""
        return self.chain or "without a name"

    def __repr__(self) -> str:
        uncertain = f", {len(self.ambiguous)} of them ambiguous" if self.ambiguous else ""
        return (
            f"Structure({self.name} chain {self.chain_name} as {self.accession}: "
            f"{len(self.positions)} residues mapped{uncertain}, {len(self.unmapped)} not)"
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
    atoms.chain_id[np.char.str_len(atoms.chain_id) != 1] = "A"
    atoms.res_name[np.char.str_len(atoms.res_name) > 3] = UNKNOWN_LIGAND
    file = pdb.PDBFile()
    # Numbers beyond the four columns: as hybrid-36, which programs that draw molecules read.
    try:
        last = max_hybrid36_number(4)
        if atoms.res_id.min() < FIRST_NUMBER or atoms.res_id.max() > last:
            raise struc.BadStructureError(f"residue numbers beyond {FIRST_NUMBER} to {last:,}")
        file.set_structure(atoms, hybrid36=int(atoms.res_id.max()) > LAST_NUMBER)
    except struc.BadStructureError as error:
        raise InputError(
            f"{structure}: does not fit the columns of a PDB file: {error}; rename or renumber it "
            "in your own file"
        ) from error
    return "\n".join([*file.lines, "END", ""])


def unmapped_selection(structure: Structure) -> str:
    """NGL's selection of amino acids without a UniProt position; "none" if all have one."""
    # NGL writes an insertion code after a caret: 52^A.
    numbers = [f"{n[:-1]}^{n[-1]}" if n[-1].isalpha() else n for n in structure.unmapped]
    return " or ".join(numbers) or "none"


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
