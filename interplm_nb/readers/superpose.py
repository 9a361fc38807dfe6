"""Superpose structures, to compare where a feature fires in two proteins or two structures."""

from dataclasses import dataclass, replace
from typing import Any

import biotite.structure as struc
import numpy as np

from interplm_nb.readers.amino_acids import of_amino_acids
from interplm_nb.readers.report import InputError
from interplm_nb.readers.structures import Structure

LEAST_RESIDUES = 10
"""Fewest aligned residues of a superposition."""
LEAST_TM_SCORE = 0.4
"""Below it two proteins do not share a fold.

Unrelated proteins reach 0.2 to 0.3, one fold starts near 0.5 (Xu and Zhang 2010).
"""
_MAX_ITERATIONS = 30
"""For some pairs biotite's refinement alternates between two alignments without end."""


@dataclass(frozen=True, eq=False)
class Superposition:
    """`mobile` moved onto `fixed`, and how well they match."""

    fixed: Structure
    mobile: Structure
    """A copy with all atoms moved, including other chains."""
    n_aligned: int
    """Number of superposed pairs of residues."""
    rmsd: float
    """Root mean square distance of their alpha carbons, in angstrom."""
    tm_score: float
    """0 to 1, normalised by the shorter protein (Zhang and Skolnick 2004).

    Unlike the RMSD it does not grow with length.
    """

    def __repr__(self) -> str:
        return (
            f"Superposition({self.mobile.accession} on {self.fixed.accession}: {self.n_aligned} "
            f"residues, RMSD {self.rmsd:.2f} Å, TM-score {self.tm_score:.2f})"
        )


def superpose(fixed: Structure, mobile: Structure) -> Superposition:
    """Move one structure onto another by alpha carbons (Kabsch 1976).

    Two structures of one protein are superposed by their shared UniProt positions. Two proteins are
    aligned by structure (biotite's `superimpose_structural_homologs`, after TM-align), not by
    sequence: a feature of a fold recurs in relatives whose sequences no longer align, and the
    TM-score, unlike an RMSD, tells relatives from unrelated proteins.

    Raises
    ------
    InputError
        If fewer than 10 residues correspond, or two proteins share no fold (TM-score below 0.4).

    Examples
    --------
    >>> from interplm_nb.readers import demo
    >>> same = superpose(demo.structure("P00044"), demo.structure("P00044"))
    >>> round(same.rmsd, 3), round(same.tm_score, 3)
    (0.0, 1.0)
    """
    both = f"{mobile.accession} ({mobile.name}) and {fixed.accession} ({fixed.name})"
    same = fixed.accession == mobile.accession
    a, b = _peptide(fixed), _peptide(mobile)
    i, j, transformation = _by_position(fixed, mobile, both) if same else _by_fold(a, b, both)
    moved = transformation.apply(b)
    tm_score = float(struc.tm_score(a, moved, i, j, reference_length="shorter"))
    if not same and tm_score < LEAST_TM_SCORE:
        raise InputError(
            f"{both} have no fold in common: TM-score {tm_score:.2f} over {len(i)} residues, "
            f"wanted {LEAST_TM_SCORE} or more; choose related proteins"
        )
    others = None if mobile.others is None else transformation.apply(mobile.others)
    there = replace(mobile, atoms=transformation.apply(mobile.atoms), others=others)
    return Superposition(fixed, there, len(i), float(struc.rmsd(a[i], moved[j])), tm_score)


def _by_position(
    fixed: Structure, mobile: Structure, both: str
) -> tuple[np.ndarray, np.ndarray, Any]:
    """Indices of the alpha carbons of shared positions, and the motion that superposes them."""
    carbons = [_peptide(structure).atom_name == "CA" for structure in (fixed, mobile)]
    places = [
        _peptide_positions(structure) * here
        for structure, here in zip((fixed, mobile), carbons, strict=True)
    ]
    shared, i, j = np.intersect1d(*places, return_indices=True)
    i, j = i[shared > 0], j[shared > 0]
    _enough(len(i), both)
    return i, j, struc.superimpose(_peptide(fixed)[i], _peptide(mobile)[j])[1]


def _by_fold(fixed: Any, mobile: Any, both: str) -> tuple[np.ndarray, np.ndarray, Any]:
    """As `_by_position`, from an alignment by structure."""
    try:
        _, transformation, i, j = struc.superimpose_structural_homologs(
            fixed, mobile, max_iterations=_MAX_ITERATIONS
        )
    except ValueError as error:  # "No anchors found"
        raise InputError(
            f"{both} have no fold in common ({error}); choose related proteins"
        ) from error
    _enough(len(i), both)
    return i, j, transformation


def _peptide(structure: Structure) -> Any:
    return structure.atoms[of_amino_acids(structure.atoms)]


def _peptide_positions(structure: Structure) -> np.ndarray:
    return structure.atom_positions[of_amino_acids(structure.atoms)]


def _enough(n: int, both: str) -> None:
    if n < LEAST_RESIDUES:
        raise InputError(
            f"{both}: {n} residues correspond, wanted {LEAST_RESIDUES} or more; choose structures "
            "that share more"
        )
