"""Map the residues of a chain to positions of a protein's sequence.

By letters first; where they leave a choice, by what the file says: its construct (SEQRES, mmCIF's
entity_poly_seq), which residues are bonded, cross-references (SIFTS, DBREF, struct_ref_seq) and
residue numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import biotite.structure as struc
import numpy as np

from interplm_nb.readers.amino_acids import letters_of, of_amino_acids
from interplm_nb.readers.residue_alignment import Chain, align_chain, elsewhere

BONDED = 2.5
"""Angstrom between C and the next N up to which they are bonded; a peptide bond has 1.33."""
CARBONS_BONDED = 4.5
"""As `BONDED`, between alpha carbons, where a file has no C or N; a peptide bond keeps 3.8."""
CARBONS_APART = 3.8
"""Angstrom by which one residue, at most, moves the alpha carbons apart."""
SLACK = 4.0
"""Angstrom beyond that until numbers are not believed: models are not exact."""


@dataclass(frozen=True)
class Mapped:
    """Residues of one chain and their positions."""

    positions: dict[str, int]
    """Residue number in the file -> position, of aligned residues of the same amino acid."""
    n_aligned: int
    ambiguous: Callable[[], tuple[str, ...]]
    """Mapped residues that could be elsewhere as well; computed when asked."""


def map_residues(
    atoms: Any, sequence: str, accession: str, construct: Sequence[str] = ()
) -> Mapped:
    """Map the amino acids of one chain to positions of a protein's sequence.

    A residue that represents several letters, as a chromophore does, is mapped to the first. Amino
    acids that are bonded to none, such as a ligand, are not mapped; nor are those that the file's
    cross-reference to `accession` leaves out, such as a tag.

    Parameters
    ----------
    atoms
        AtomArray of one chain of an `Entry`.
    sequence, accession
        Of the protein.
    construct
        Residue names of the whole construct, as in `Entry.constructs`.
    """
    residues = _residues(atoms)
    if not residues:
        return Mapped({}, 0, lambda: ())
    stated, given = _stated(residues, sequence, accession)
    letters = [r.letters for r in residues]
    links = _links(residues)
    slots = _in_construct(residues, links, construct)
    if slots is None:
        chain, slots = _chain(letters, *links, stated)
    else:
        whole = "".join(map(letters_of, construct))
        chain = _whole_chain(whole, slots, stated)
    found = align_chain(chain, sequence)[slots]
    if given:
        found[stated == 0] = 0
    kept = [
        i
        for i, position in enumerate(found.tolist())
        if position and letters[i][0] == sequence[position - 1]
    ]

    def ambiguous() -> tuple[str, ...]:
        """Names of mapped residues that another alignment, as good, puts elsewhere."""
        moves = elsewhere(chain, sequence)[slots]
        return tuple(residues[i].name for i in kept if moves[i])

    positions = {residues[i].name: int(found[i]) for i in kept}
    return Mapped(positions, int(np.count_nonzero(found)), ambiguous)


def residue_numbers(atoms: Any) -> list[str]:
    """Residue number with insertion code of each atom: "52A"."""
    return [
        f"{number}{code}"
        for number, code in zip(atoms.res_id.tolist(), atoms.ins_code.tolist(), strict=True)
    ]


@dataclass(frozen=True)
class _Residue:
    name: str
    """Number with insertion code."""
    number: int
    letters: str
    hetero: bool
    place: int
    stated: int
    stated_of: str
    points: dict[str, np.ndarray]
    """Coordinates of N, CA and C, as far as they are there."""


def _residues(atoms: Any) -> list[_Residue]:
    """The chain's amino acids, in order; of two with one number (alternatives) the first."""
    acids = atoms[of_amino_acids(atoms)]
    found: dict[str, _Residue] = {}
    names = residue_numbers(acids)
    for start in struc.get_residue_starts(acids).tolist():
        found.setdefault(
            names[start],
            _Residue(
                names[start],
                int(acids.res_id[start]),
                letters_of(str(acids.res_name[start])),
                bool(acids.hetero[start]),
                int(acids.place[start]),
                int(acids.stated[start]),
                str(acids.stated_of[start]),
                {},
            ),
        )
    for i in np.flatnonzero(np.isin(acids.atom_name, ("N", "CA", "C"))).tolist():
        found[names[i]].points.setdefault(str(acids.atom_name[i]), acids.coord[i])
    residues = list(found.values())
    if not residues:
        return []
    linked = [_bonded(a, b) for a, b in pairwise(residues)]
    return [
        residue
        for residue, before, after in zip(residues, [False, *linked], [*linked, False], strict=True)
        if residue.place or not residue.hetero or before or after
    ]


def _stated(residues: list[_Residue], sequence: str, accession: str) -> tuple[np.ndarray, bool]:
    """Position that the file suggests for each residue, 0: none; and whether it names the protein.

    By its cross-reference to this protein if there is one, else to any, else the residue's number.
    """
    own = np.array([r.stated if r.stated_of == accession else 0 for r in residues])
    given = bool(own.any())
    stated = own if given else np.array([r.stated for r in residues])
    pairs = zip(residues, stated.tolist(), strict=True)
    same = [sequence[p - 1 : p] == r.letters[:1] for r, p in pairs if p]
    if same and np.mean(same) > 0.5:
        return stated, given
    # none, or one to an older sequence: without the first Met, say
    numbers = [r.number if r.name == str(r.number) else 0 for r in residues]
    return np.maximum(np.array(numbers, dtype=np.int64), 0), False


def _distance(a: _Residue, b: _Residue, atom: str, other: str) -> float:
    if atom not in a.points or other not in b.points:
        return np.nan
    return float(np.linalg.norm(a.points[atom] - b.points[other]))


def _bonded(a: _Residue, b: _Residue) -> bool:
    bond = _distance(a, b, "C", "N")
    return bool(bond <= BONDED if bond == bond else _distance(a, b, "CA", "CA") <= CARBONS_BONDED)


def _links(residues: list[_Residue]) -> tuple[np.ndarray, np.ndarray]:
    """`Chain.bonded` and `Chain.steps` between residues."""
    pairs = list(pairwise(residues))
    bonded = np.array([_bonded(a, b) for a, b in pairs], dtype=bool)
    return bonded, np.array([_step(a, b) for a, b in pairs], dtype=np.int64)


def _step(a: _Residue, b: _Residue) -> int:
    """Difference of their positions by place in the construct, or by number; 0: unknown."""
    step = b.place - a.place if a.place and b.place else b.number - a.number
    if step < 0 or (step == 0 and a.name == b.name):
        return 0
    step = max(step - len(a.letters) + 1, 1)  # 52 and 52A are neighbours
    too_far = _distance(a, b, "CA", "CA") > CARBONS_APART * step + SLACK
    return 0 if too_far else step


def _chain(
    letters: list[str], bonded: np.ndarray, steps: np.ndarray, stated: np.ndarray
) -> tuple[Chain, np.ndarray]:
    """Residues as a `Chain`, and the place of each one's first letter in it."""
    slots = np.cumsum([0, *map(len, letters[:-1])])
    chain = _whole_chain("".join(letters), slots, stated)
    between = slots[1:] - 1
    chain.bonded[between], chain.steps[between] = bonded, steps
    return chain, slots


def _whole_chain(letters: str, slots: np.ndarray, stated: np.ndarray) -> Chain:
    """A chain without a break, of which the residues at `slots` have a stated position."""
    at = np.zeros(len(letters), dtype=np.int64)
    at[slots] = stated
    n = len(letters) - 1
    return Chain(letters, np.ones(n, dtype=bool), np.ones(n, dtype=np.int64), at)


def _in_construct(
    residues: list[_Residue], links: tuple[np.ndarray, np.ndarray], construct: Sequence[str]
) -> np.ndarray | None:
    """The place of each residue's first letter in the construct's letters, from 0.

    None where the file names no construct, or one that is not this chain's: the residues differ, or
    may be at several places of it.
    """
    if not construct:
        return None
    each = [letters_of(name) for name in construct]
    starts = np.cumsum([0, *map(len, each)])
    letters = [r.letters for r in residues]
    if all(r.place for r in residues):
        places = np.array([r.place for r in residues]) - 1
        if places.max() < len(each) and [each[i] for i in places.tolist()] == letters:
            return starts[places]
        return None
    chain, slots = _chain(letters, *links, np.zeros(len(residues), dtype=np.int64))
    whole = "".join(each)
    found = align_chain(chain, whole)
    same = found.all() and "".join(whole[at - 1] for at in found.tolist()) == chain.letters
    return found[slots] - 1 if same and not elsewhere(chain, whole).any() else None
