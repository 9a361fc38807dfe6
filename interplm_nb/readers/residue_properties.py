"""What a structure says of its residues: surface, secondary structure, contacts, interface."""

from typing import Any

import biotite.structure as struc
import numpy as np
import polars as pl
from biotite.structure.info import vdw_radius_protor, vdw_radius_single

from interplm_nb.readers.residue_mapping import residue_numbers
from interplm_nb.readers.structures import Structure

PROPERTIES: dict[str, Any] = {
    "position": pl.Int32,
    "rsa": pl.Float32,
    "sse": pl.String,
    "contact_number": pl.Int32,
    "farthest_contact": pl.Int32,
    "interface": pl.Float32,
    "plddt": pl.Float32,
}
"""Columns of `residue_properties`, a row per residue with an alpha carbon.

`rsa`: relative accessibility of the chain alone, solvent accessible surface over `LARGEST_SURFACE`;
null where atoms of the residue are missing. `sse`: "a" helix, "b" strand, "c" neither.
`contact_number`: beta carbons of other residues within `CROWD`. `farthest_contact`: the largest
|i - j| among beta carbons within `CONTACT`; 0 without one. `interface`: angstrom to the nearest
heavy atom of another protein chain of the file; null without one. `plddt`: of models.
"""

CONTACT = 8.0
"""Angstrom between beta carbons in contact, as in CASP."""
CROWD = 10.0
"""Angstrom within which beta carbons are counted."""

LARGEST_SURFACE = {
    "ALA": 129.0,
    "ARG": 274.0,
    "ASN": 195.0,
    "ASP": 193.0,
    "CYS": 167.0,
    "GLN": 225.0,
    "GLU": 223.0,
    "GLY": 104.0,
    "HIS": 224.0,
    "ILE": 197.0,
    "LEU": 201.0,
    "LYS": 236.0,
    "MET": 224.0,
    "PHE": 240.0,
    "PRO": 159.0,
    "SER": 155.0,
    "THR": 172.0,
    "TRP": 285.0,
    "TYR": 263.0,
    "VAL": 174.0,
}
"""Square angstrom: the theoretical maxima of Tien et al. 2013 (PLoS ONE 8, e80635)."""
_HEAVY_ATOMS = dict(
    zip(
        LARGEST_SURFACE,
        (5, 11, 8, 8, 6, 9, 9, 4, 10, 8, 8, 9, 8, 11, 7, 6, 7, 14, 12, 7),
        strict=True,
    )
)
"""Without OXT."""
_BEYOND = 20.0
"""Angstrom from which the nearest atom of another chain is not looked for."""


def residue_properties(structure: Structure) -> pl.DataFrame:
    """Properties of the residues of one structure that have a UniProt position.

    Surfaces are Shrake and Rupley's, with a probe of 1.4 angstrom; secondary structure is P-SEA's,
    from alpha carbons; both by biotite.

    Examples
    --------
    >>> from interplm_nb.readers import demo
    >>> table = residue_properties(demo.structure("P00044"))
    >>> table.height, table["sse"].value_counts().sort("sse").rows()
    (108, [('a', 37), ('c', 71)])
    """
    atoms: Any = structure.atoms
    there = structure.atom_positions > 0
    acids = atoms[struc.filter_amino_acids(atoms) & _heavy(atoms)]
    of_residue = {
        number: (surface, sse)
        for number, surface, sse in zip(
            _numbers(acids), _relative_surface(acids), struc.annotate_sse(acids), strict=True
        )
    }
    alpha = np.flatnonzero(there & (atoms.atom_name == "CA"))
    alpha = alpha[np.unique(structure.atom_positions[alpha], return_index=True)[1]]
    position = structure.atom_positions[alpha]
    surfaces, sses = zip(*(of_residue[n] for n in residue_numbers(atoms[alpha])), strict=True)
    number, farthest = _contacts(position, _beta(structure, alpha))
    columns = {
        "position": position,
        "rsa": pl.Series(np.array(surfaces), nan_to_null=True),
        "sse": [s or "c" for s in sses],
        "contact_number": number,
        "farthest_contact": farthest,
        "interface": pl.Series(_interface(structure, position), nan_to_null=True),
        "plddt": pl.Series(atoms.plddt[alpha], nan_to_null=True),
    }
    return pl.DataFrame(columns).select(pl.col(c).cast(t) for c, t in PROPERTIES.items())


def _heavy(atoms: Any) -> np.ndarray:
    return ~np.isin(atoms.element, ("H", "D"))


def _numbers(acids: Any) -> list[str]:
    return residue_numbers(acids[struc.get_residue_starts(acids)])


def _relative_surface(acids: Any) -> np.ndarray:
    """float64 per residue; NaN where atoms are missing, or the residue is not a standard one."""
    from biotite.structure.sasa import sasa  # type: ignore[import-not-found]  # compiled

    starts = struc.get_residue_starts(acids, add_exclusive_stop=True)
    standard = np.isin(acids.res_name, list(LARGEST_SURFACE))
    # Radii are known of standard residues; others shield them by their elements' radii.
    radii = np.array(
        [
            (vdw_radius_protor(r, a) if s else None) or vdw_radius_single(e) or 1.8
            for r, a, e, s in zip(
                acids.res_name.tolist(),
                acids.atom_name.tolist(),
                acids.element.tolist(),
                standard.tolist(),
                strict=True,
            )
        ]
    )
    surface = np.nan_to_num(sasa(acids, vdw_radii=radii))
    total = np.add.reduceat(surface, starts[:-1])
    names = acids.res_name[starts[:-1]]
    largest = np.array([LARGEST_SURFACE.get(name, np.nan) for name in names.tolist()])
    atoms = np.add.reduceat((acids.atom_name != "OXT").astype(int), starts[:-1])
    wanted = np.array([_HEAVY_ATOMS.get(name, 0) for name in names.tolist()])
    return np.where(atoms == wanted, total / largest, np.nan)


def _beta(structure: Structure, alpha: np.ndarray) -> np.ndarray:
    """float64 [n, 3]: beta carbons, alpha carbons if absent."""
    atoms: Any = structure.atoms
    found = {p: atoms.coord[i] for p, i in zip(structure.atom_positions[alpha], alpha, strict=True)}
    beta = np.flatnonzero((atoms.atom_name == "CB") & (structure.atom_positions > 0))
    # The first of several stays.
    found |= {
        p: atoms.coord[i]
        for p, i in zip(structure.atom_positions[beta][::-1], beta[::-1], strict=True)
        if p in found
    }
    return np.array(list(found.values()), np.float64).reshape(-1, 3)


def _contacts(position: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Contact numbers, and the largest |i - j| of a contact, of each residue."""
    from scipy.spatial import KDTree

    tree = KDTree(beta)
    crowd = tree.query_pairs(CROWD, output_type="ndarray")
    number = np.bincount(crowd.ravel(), minlength=len(position))
    farthest = np.zeros(len(position), np.int64)
    pairs = tree.query_pairs(CONTACT, output_type="ndarray")
    apart = np.abs(position[pairs[:, 0]] - position[pairs[:, 1]])
    for end in (0, 1):
        np.maximum.at(farthest, pairs[:, end], apart)
    return number, farthest


def _interface(structure: Structure, position: np.ndarray) -> np.ndarray:
    """float64 per position: angstrom to the nearest heavy atom of another protein chain."""
    nearest = np.full(int(position.max(initial=0)) + 1, np.nan)
    others: Any = structure.others
    if others is not None:
        others = others[struc.filter_amino_acids(others) & _heavy(others)]
    if others is None or not others.array_length():
        return nearest[position]
    from scipy.spatial import KDTree

    atoms: Any = structure.atoms
    own = np.flatnonzero((structure.atom_positions > 0) & _heavy(atoms))
    distance, _ = KDTree(others.coord).query(atoms.coord[own], distance_upper_bound=_BEYOND)
    nearest[:] = np.inf
    np.minimum.at(nearest, structure.atom_positions[own], distance)
    return np.where(np.isfinite(nearest), nearest, np.nan)[position]
