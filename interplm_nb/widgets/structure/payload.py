"""What a browser gets of one structure: PDB text of what is drawn, with UniProt positions.

The position is in the B-factor column, so it travels with its atom: NGL gives it back as
`atom.bfactor` when it colours and when an atom is picked, and no table of residues has to agree
with the order in which NGL counts them.
"""

from typing import Any

import biotite.structure as struc
import numpy as np

from interplm_nb.readers.amino_acids import of_amino_acids
from interplm_nb.readers.residue_mapping import residue_numbers
from interplm_nb.readers.structures import FIRST_NUMBER, LAST_NUMBER, UNKNOWN_LIGAND, Structure
from interplm_nb.widgets.packing import KEPT, pack

UNMAPPED = 0
"""Instead of a position: an amino acid of the chain that has none. Its activation is unknown."""
LIGAND = -1
"""Instead of a position: an atom of the chain that is not an amino acid."""
OTHER_CHAIN = -2
"""Instead of a position: an atom of another chain of the entry."""
MOST_OTHERS = 20_000
"""Atoms of other chains that are sent."""
_BACKBONE = ("N", "CA", "C", "O")
_LETTERS = list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")


def payload(structure: Structure) -> bytes:
    """One structure for the browser, as `packing.pack` writes it, gzipped.

    Array `pdb` (uint8) is PDB text in ASCII: the chain with its ligands, without hydrogens, and for
    context other chains of the entry: whole ones, nearest first, up to 20,000 atoms, their amino
    acids as backbone. B-factor column: UniProt position from 1; 0 an amino acid without one; -1 a
    ligand of the chain; -2 another chain. Coordinates have two decimals, in angstrom; serial
    numbers are blank. Two superposed proteins are two payloads.

    Record: name, accession, chain (as in the entry), n_mapped, n_ambiguous, n_unmapped (residues),
    numbers (of the chain's amino acids, in order, if one does not fit its four columns, else null),
    chains ({letter in the text: the entry's name}, this chain first), left_out (names of chains
    beyond the limit).
    """
    atoms: Any = structure.atoms
    amino_acids = of_amino_acids(atoms)
    marks = np.where(amino_acids, structure.atom_positions, LIGAND)
    others, left_out = _others(structure)
    letters = _letters([structure.chain, *(name for name, _ in others)])
    heavy = _heavy(atoms)
    text = _lines(atoms[heavy], marks[heavy], letters[structure.chain])
    for name, chain in others:
        text += _lines(chain, np.full(chain.array_length(), OTHER_CHAIN), letters[name])
    own = atoms[heavy & amino_acids]
    wide = not _fits(own.res_id).all()
    record = {
        "name": structure.name,
        "accession": structure.accession,
        "chain": structure.chain_name,
        "n_mapped": len(structure.positions),
        "n_ambiguous": len(structure.ambiguous),
        "n_unmapped": len(structure.unmapped),
        "numbers": residue_numbers(own[struc.get_residue_starts(own)]) if wide else None,
        "chains": {letters[structure.chain]: structure.chain_name}
        | {letters[name]: name or "without a name" for name, _ in others},
        "left_out": left_out,
    }
    return pack(
        record,
        {"pdb": np.frombuffer("\n".join([*text, "END", ""]).encode("ascii", "replace"), np.uint8)},
        level=KEPT,
    )


def _heavy(atoms: Any) -> np.ndarray:
    return ~np.isin(atoms.element, ("H", "D"))


def _others(structure: Structure) -> tuple[list[tuple[str, Any]], list[str]]:
    """Name and drawn atoms of the other chains, nearest first; and the names beyond the limit."""
    if structure.others is None:
        return [], []
    from scipy.spatial import KDTree  # slow to import, and many entries have one chain

    drawn: Any = structure.others
    backbone = ~of_amino_acids(drawn) | np.isin(drawn.atom_name, _BACKBONE)
    drawn = drawn[_heavy(drawn) & backbone]
    distances = KDTree(structure.atoms.coord).query(drawn.coord)[0]
    chains = {name: drawn.chain_id == name for name in dict.fromkeys(drawn.chain_id.tolist())}
    nearest = sorted(chains, key=lambda name: distances[chains[name]].min())
    fits = np.cumsum([chains[name].sum() for name in nearest]) <= MOST_OTHERS
    n = min(int(fits.sum()), len(_LETTERS) - 1)
    return [(name, drawn[chains[name]]) for name in nearest[:n]], nearest[n:]


def _letters(names: list[str]) -> dict[str, str]:
    """A letter for each chain: its own name, or a free letter where PDB cannot hold that."""
    taken = {name for name in names if name in _LETTERS}
    free = iter([letter for letter in _LETTERS if letter not in taken])
    return {name: name if name in taken else next(free) for name in names}


def _fits(numbers: np.ndarray) -> np.ndarray:
    return (numbers >= FIRST_NUMBER) & (numbers <= LAST_NUMBER)


def _lines(atoms: Any, marks: np.ndarray, letter: str) -> list[str]:
    columns = (
        atoms.hetero,
        atoms.atom_name,
        atoms.element,
        atoms.res_name,
        # neighbours still differ; the record has the numbers
        np.where(_fits(atoms.res_id), atoms.res_id, atoms.res_id % (LAST_NUMBER + 1)),
        atoms.ins_code,
        atoms.coord,
        marks,
    )
    lines = []
    for hetero, name, element, residue, number, insertion, (x, y, z), mark in zip(
        *(c.tolist() for c in columns), strict=True
    ):
        # a one-letter element is in the second of the name's four columns
        name = f" {name}" if len(element) == 1 and len(name) < 4 else name
        residue = residue if len(residue) <= 3 else UNKNOWN_LIGAND
        lines.append(
            f"{'HETATM' if hetero else 'ATOM':<11} {name[:4]:<4} {residue:>3} "
            f"{letter}{number:>4}{insertion[:1]:1}   "
            f"{x:8.2f}{y:8.2f}{z:8.2f}  1.00{mark:6d}          {element[:2]:>2}"
        )
    return [*lines, "TER"]
