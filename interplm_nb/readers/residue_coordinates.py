"""Where residues are: one place per row of the residue axis, from structures mapped to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl

from interplm_nb.proteins import Proteins
from interplm_nb.readers.structure_list import opened
from interplm_nb.readers.structures import Structure

STRUCTURES_READ: dict[str, Any] = {
    "accession": pl.String,
    "file": pl.String,
    "chain": pl.String,
    "predicted": pl.Boolean,
    "n_residues": pl.Int64,
    "n_placed": pl.Int64,
    "why_not": pl.String,
}
"""Columns of `ResidueCoordinates.read`: `n_placed` of the protein's `n_residues` have coordinates;
`why_not` says why a structure was not used, and is null where it was."""


class Placed(NamedTuple):
    """The residues of one protein that have coordinates, n of them."""

    index: np.ndarray
    """int64 [n]: places in the protein, from 0, ascending; UniProt position less 1."""
    alpha: np.ndarray
    """float64 [n, 3]: alpha carbons, angstrom."""
    beta: np.ndarray
    """float64 [n, 3]: beta carbons; the alpha carbon if absent, as of glycine."""


@dataclass(frozen=True, eq=False)
class ResidueCoordinates:
    """Alpha and beta carbons of the residues of `proteins`, one structure per protein.

    Examples
    --------
    >>> from functools import partial
    >>> from interplm_nb.readers import demo
    >>> from interplm_nb.readers.read import read
    >>> proteins = read(demo.table_path()).proteins.select(["P00044", "P02829"])
    >>> structures = {"P00044": partial(demo.structure, "P00044")}
    >>> coordinates = ResidueCoordinates.of(proteins, structures)
    >>> coordinates
    ResidueCoordinates(1 of 2 proteins, 108 of their 109 residues)
    >>> coordinates.placed("P00044").alpha.shape
    (108, 3)
    """

    proteins: Proteins
    """The residue axis."""
    alpha: np.ndarray
    """float32 [n_residues, 3], angstrom; NaN: no coordinates."""
    beta: np.ndarray
    """float32 [n_residues, 3]; the alpha carbon where there is no beta carbon."""
    plddt: np.ndarray
    """float32 [n_residues]: a model's confidence, 0 to 100; NaN in experimental structures."""
    read: pl.DataFrame
    """Columns of `STRUCTURES_READ`, a row per structure that was given."""

    @classmethod
    def of(cls, proteins: Proteins, structures: Mapping[str, Callable[[], Structure]]) -> Self:
        """Read the structures of these proteins; those of other proteins are ignored.

        Parameters
        ----------
        proteins
            The residue axis.
        structures
            By accession, a function that returns the structure, as `StructureFiles.loaders` gives
            them. One that cannot be read, or that is of another sequence, is left out and named in
            `read`.
        """
        n = proteins.n_residues
        alpha, beta = np.full((n, 3), np.nan, np.float32), np.full((n, 3), np.nan, np.float32)
        plddt = np.full(n, np.nan, np.float32)
        rows = []
        for about, structure in opened(structures, proteins):
            rows.append({"n_placed": 0} | about)
            if structure is not None:
                at = proteins.rows(about["accession"])
                rows[-1]["n_placed"] = _place(structure, alpha[at], beta[at], plddt[at])
                rows[-1]["predicted"] = bool(np.isfinite(plddt[at]).any())
        return cls(proteins, alpha, beta, plddt, pl.DataFrame(rows, schema=STRUCTURES_READ))

    @cached_property
    def accessions(self) -> list[str]:
        """The proteins with coordinates, in the order of the axis."""
        return self.read.filter(pl.col("n_placed") > 0)["accession"].to_list()

    @cached_property
    def complete(self) -> list[str]:
        """The proteins in which every residue has coordinates, in the order of the axis."""
        return self.read.filter(pl.col("n_placed") == pl.col("n_residues"))["accession"].to_list()

    def confident(self, min_plddt: float) -> "ResidueCoordinates":
        """The same without the residues of models whose pLDDT is lower than `min_plddt`.

        Experimental structures have no pLDDT and keep all residues.
        """
        low = self.plddt < min_plddt  # NaN is not lower
        alpha, beta = (np.where(low[:, None], np.nan, carbon) for carbon in (self.alpha, self.beta))
        there = np.isfinite(alpha[:, 0])
        counts = [int(there[self.proteins.rows(a)].sum()) for a in self.read["accession"]]
        read = self.read.with_columns(n_placed=pl.Series(counts, dtype=pl.Int64))
        return ResidueCoordinates(self.proteins, alpha, beta, self.plddt, read)

    def placed(self, accession: str) -> Placed:
        """The residues of one protein that have coordinates."""
        rows = self.proteins.rows(accession)
        index = np.flatnonzero(np.isfinite(self.alpha[rows, 0]))
        return Placed(
            index,
            self.alpha[rows][index].astype(np.float64),
            self.beta[rows][index].astype(np.float64),
        )

    def __repr__(self) -> str:
        used = self.read.filter(pl.col("n_placed") > 0)
        return (
            f"ResidueCoordinates({used.height:,} of {len(self.proteins):,} proteins, "
            f"{used['n_placed'].sum():,} of their {used['n_residues'].sum():,} residues)"
        )


def _place(structure: Structure, alpha: np.ndarray, beta: np.ndarray, plddt: np.ndarray) -> int:
    """Write one structure's carbons into the rows of its protein; how many residues have any."""
    atoms: Any = structure.atoms
    # Reversed, so that the first of several atoms of one position is the one that stays.
    for name, carbons in (("CA", alpha), ("CA", beta), ("CB", beta)):
        chosen = np.flatnonzero((atoms.atom_name == name) & (structure.atom_positions > 0))[::-1]
        carbons[structure.atom_positions[chosen] - 1] = atoms.coord[chosen]
        if carbons is alpha:
            plddt[structure.atom_positions[chosen] - 1] = atoms.plddt[chosen]
    # A residue of side chain atoms alone has no place.
    beta[np.isnan(alpha[:, 0])] = np.nan
    return int(np.isfinite(alpha[:, 0]).sum())
