"""Residue labels that structures give, as concepts: what `ConceptScores` scores features on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from interplm_nb.annotations import SCHEMA, Annotations
from interplm_nb.proteins import Proteins
from interplm_nb.readers.residue_properties import PROPERTIES, residue_properties
from interplm_nb.readers.structure_list import opened
from interplm_nb.readers.structures import Structure

BURIED, EXPOSED = 0.09, 0.36
"""Relative accessibilities: less is buried, at least this is exposed (Rost and Sander 1994)."""
DENSE = 21
"""Contact number from which packing is dense: the upper quarter of 35,334 residues of 149 proteins
of the PDB."""
INTERFACE = 5.0
"""Angstrom within which a heavy atom of another chain makes an interface."""

LABELLED: dict[str, Any] = {
    "accession": pl.String,
    "file": pl.String,
    "chain": pl.String,
    "n_residues": pl.Int64,
    "n_labelled": pl.Int64,
    "why_not": pl.String,
}
"""Columns of `StructureLabels.read`; `why_not` is null where the protein is labelled."""

_RSA, _FAR, _PLDDT = pl.col("rsa"), pl.col("farthest_contact"), pl.col("plddt")
_RESIDUE = "residue"
CONCEPTS: dict[str, tuple[str, pl.Expr]] = {
    "Accessibility_Buried": (_RESIDUE, _RSA < BURIED),
    "Accessibility_Intermediate": (_RESIDUE, (_RSA >= BURIED) & (_RSA < EXPOSED)),
    "Accessibility_Exposed": (_RESIDUE, _RSA >= EXPOSED),
    "Secondary structure_Helix": ("instance", pl.col("sse") == "a"),
    "Secondary structure_Strand": ("instance", pl.col("sse") == "b"),
    "Secondary structure_Coil": ("instance", pl.col("sse") == "c"),
    "Contact_Short range": (_RESIDUE, _FAR.is_between(6, 11)),
    "Contact_Medium range": (_RESIDUE, _FAR.is_between(12, 23)),
    "Contact_Long range": (_RESIDUE, _FAR >= 24),
    "Packing_Dense": (_RESIDUE, pl.col("contact_number") >= DENSE),
    "Interface_Other chain": (_RESIDUE, pl.col("interface") <= INTERFACE),
    "Model confidence_Very high": (_RESIDUE, _PLDDT > 90),
    "Model confidence_Confident": (_RESIDUE, (_PLDDT > 70) & (_PLDDT <= 90)),
    "Model confidence_Low": (_RESIDUE, (_PLDDT > 50) & (_PLDDT <= 70)),
    "Model confidence_Very low": (_RESIDUE, _PLDDT <= 50),
}
"""Concept -> how recall counts it, and what a residue of `PROPERTIES` must meet.

A run of helix is one instance. A residue's contact range is that of its farthest contact. Classes
of confidence are AlphaFold DB's.
"""


@dataclass(frozen=True, eq=False)
class StructureLabels:
    """Concepts of the residues of proteins with structures."""

    annotations: Annotations
    """On all proteins that were given. Score on `accessions` alone: the others have no labels
    because nobody looked, not because they lack them."""
    properties: pl.DataFrame
    """accession, then columns of `residue_properties.PROPERTIES`."""
    read: pl.DataFrame
    """Columns of `LABELLED`, a row per structure."""

    @property
    def accessions(self) -> list[str]:
        """The proteins that are labelled."""
        return self.read.filter(pl.col("why_not").is_null())["accession"].to_list()

    def __repr__(self) -> str:
        return (
            f"StructureLabels({len(self.accessions):,} of {self.read.height:,} structures, "
            f"{len(self.annotations.concepts)} concepts)"
        )


def structure_labels(
    proteins: Proteins,
    structures: Mapping[str, Callable[[], Structure]],
    min_coverage: float = 0.8,
    min_plddt: float = 70.0,
) -> StructureLabels:
    """Label the residues of proteins by their structures.

    Parameters
    ----------
    proteins
        The residue axis.
    structures
        By accession, a function that returns the structure.
    min_coverage
        Proteins with a smaller share of residues in the structure are left out: the engine counts
        a residue without a label as one that lacks it.
    min_plddt
        Residues of models with less confidence get labels of confidence alone.

    Returns
    -------
    StructureLabels
        Structures that cannot be read, or are of another sequence, are in `read` with the reason.

    Examples
    --------
    >>> from functools import partial
    >>> from interplm_nb.readers import demo
    >>> from interplm_nb.readers.read import read
    >>> proteins = read(demo.table_path()).proteins.select(["P00044", "P02829"])
    >>> labels = structure_labels(proteins, {"P00044": partial(demo.structure, "P00044")})
    >>> labels.accessions
    ['P00044']
    >>> labels.annotations.only(["Secondary structure_Helix"]).summary()["n_instances"].item()
    4
    """
    rows, tables = [], [pl.DataFrame(schema={"accession": pl.String, **PROPERTIES})]
    for found, structure in opened(structures, proteins):
        about = {"n_labelled": 0} | found
        rows.append(about)
        if structure is None:
            continue
        table, length = residue_properties(structure), about["n_residues"]
        if table.height < min_coverage * length:
            about["why_not"] = (
                f"{structure.name} shows {table.height:,} of {length:,} residues, and "
                f"{min_coverage:.0%} are wanted"
            )
            continue
        about["n_labelled"] = table.height
        named = table.with_columns(accession=pl.lit(about["accession"])).select(tables[0].columns)
        tables.append(named)
    properties = pl.concat(tables)
    annotations = Annotations(_segments(properties, min_plddt), proteins)
    return StructureLabels(annotations, properties, pl.DataFrame(rows, schema=LABELLED))


def _segments(properties: pl.DataFrame, min_plddt: float) -> pl.DataFrame:
    """Rows of `annotations.SCHEMA`: runs of residues that meet a concept, each an instance."""
    parts = [pl.DataFrame(schema=SCHEMA)]
    sure = _PLDDT.is_null() | _PLDDT.ge(min_plddt)
    for concept, (level, meets) in CONCEPTS.items():
        category = concept.partition("_")[0]
        known = meets if category == "Model confidence" else meets & sure
        found = properties.filter(known).sort("accession", "position")
        new = (pl.col("position").diff() != 1) | (
            pl.col("accession") != pl.col("accession").shift()
        )
        runs = (
            found.with_columns(instance=new.fill_null(True).cum_sum() - 1)
            .group_by("accession", "instance", maintain_order=True)
            .agg(pl.col("position").min().alias("start"), pl.col("position").max().alias("end"))
        )
        about = {"concept": concept, "category": category, "level": level}
        labelled = runs.with_columns(**{k: pl.lit(v) for k, v in about.items()})
        parts.append(labelled.select(pl.col(c).cast(t) for c, t in SCHEMA.items()))
    return pl.concat(parts)
