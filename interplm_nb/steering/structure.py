"""What a changed feature does to a structure: what a folding model must offer, and what is read.

This is an interface. No folding model is part of this project: ESMFold's weights are not
here, and nothing has been measured with them. A class that meets `Folder` is all that is needed.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl

from interplm_nb.readers.residue_properties import residue_properties
from interplm_nb.readers.structures import Structure
from interplm_nb.readers.superpose import superpose
from interplm_nb.steering.intervene import Intervention

CHANGES: dict[str, Any] = {
    "position": pl.Int32,
    "changed": pl.Boolean,
    "moved": pl.Float64,
    "rsa": pl.Float64,
    "rsa_change": pl.Float64,
    "plddt": pl.Float64,
    "plddt_change": pl.Float64,
}
"""Columns of `StructureChange.residues`. changed: the residue's features were. moved: angstrom
between its two alpha carbons after superposition. rsa: relative solvent accessibility before, and
its change. plddt: the folding model's confidence before, and its change; null where it gives
none."""


class Folder(Protocol):
    """A model that predicts a structure from a sequence and runs the PLM whose layer is changed."""

    @property
    def plm_revision(self) -> str:
        """The revision of the PLM inside it, as `PLM.revision`: interventions of another are
        refused."""
        ...

    def fold(self, sequence: str, intervention: Intervention | None = None) -> Structure:
        """The predicted structure of a sequence.

        With an intervention, its PLM runs with `intervention.edit([len(sequence)])` on the layer
        `intervention.layer`, in every recycle, and what lies above reads the changed
        representations. The structure has one chain whose residue numbers are positions, and pLDDT
        as B-factors, if it has any.
        """
        ...


@dataclass(frozen=True)
class StructureChange:
    """A protein's structure before and after a change of features."""

    before: Structure
    after: Structure
    """Superposed on `before`."""
    rmsd: float
    """Of the alpha carbons, angstrom."""
    tm_score: float
    residues: pl.DataFrame
    """Columns of `CHANGES`."""

    @property
    def sentence(self) -> str:
        """How far the residues that were changed moved, beside the others."""
        own, others = (self.residues.filter(pl.col("changed") == on) for on in (True, False))
        return (
            f"RMSD {self.rmsd:.2f} Å, TM-score {self.tm_score:.2f}. Changed residues move "
            f"{_mean(own, 'moved'):.2f} Å and their relative accessibility by "
            f"{_mean(own, 'rsa_change'):+.2f}; the others {_mean(others, 'moved'):.2f} Å and "
            f"{_mean(others, 'rsa_change'):+.2f}."
        )


def structure_change(folder: Folder, sequence: str, intervention: Intervention) -> StructureChange:
    """Fold a sequence with and without a change of features, and compare the two structures.

    Run it for matched features and random directions too: what a control does to the structure is
    the scale of what the feature does.

    Raises
    ------
    ValueError
        For an intervention in another PLM than the folder's, and one with changes of several
        sequences.
    InputError
        Where fewer than 10 residues correspond.
    """
    if intervention.at.plm.revision != folder.plm_revision:
        raise ValueError(
            f"this folding model runs another PLM ({folder.plm_revision[:19]}) than the one whose "
            f"features are changed ({intervention.at.plm.name}); take an SAE of its own PLM"
        )
    if len(intervention.rows) != 1:
        raise ValueError(
            f"one structure is compared with one: the intervention has changes of "
            f"{len(intervention.rows)} sequences; give one list of changes"
        )
    before, after = folder.fold(sequence), folder.fold(sequence, intervention)
    both = superpose(before, after)
    residues = _compared(before, both.mobile, _positions(intervention, len(sequence)))
    return StructureChange(before, both.mobile, both.rmsd, both.tm_score, residues)


def _positions(intervention: Intervention, length: int) -> set[int]:
    every = range(1, length + 1)
    return {p for change in intervention.rows[0] for p in change.positions or every}


def _compared(before: Structure, after: Structure, changed: Collection[int]) -> pl.DataFrame:
    """Columns of `CHANGES`."""
    tables = [
        residue_properties(one)
        .select("position", pl.col("rsa", "plddt").cast(pl.Float64))
        .join(_alpha_carbons(one), on="position")
        for one in (before, after)
    ]
    table = tables[0].join(tables[1], on="position", suffix="_after").sort("position")
    moved = pl.sum_horizontal((pl.col(f"{axis}_after") - pl.col(axis)) ** 2 for axis in "xyz")
    return table.select(
        "position",
        pl.col("position").is_in(list(changed)).alias("changed"),
        moved.sqrt().alias("moved"),
        "rsa",
        (pl.col("rsa_after") - pl.col("rsa")).alias("rsa_change"),
        "plddt",
        (pl.col("plddt_after") - pl.col("plddt")).alias("plddt_change"),
    )


def _alpha_carbons(structure: Structure) -> pl.DataFrame:
    atoms: Any = structure.atoms
    own = (structure.atom_positions > 0) & (atoms.atom_name == "CA")
    first = np.unique(structure.atom_positions[own], return_index=True)[1]
    coordinates = atoms.coord[own][first].astype(np.float64)
    position = structure.atom_positions[own][first].astype(np.int32)
    return pl.DataFrame({"position": position} | dict(zip("xyz", coordinates.T, strict=True)))


def _mean(table: pl.DataFrame, column: str) -> float:
    value = table[column].mean()
    return float("nan") if value is None else float(value)  # type: ignore[arg-type]
