"""Which residues carry which concepts, and which instances: sparse 0/1 matrices over the residue axis."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from interplm_nb.annotations import Annotations

Overlap = Literal["keep", "overwrite"]
"""What a residue under several instances of one concept belongs to: all of them (`strict`), or the highest-numbered only (`published`)."""


@dataclass(frozen=True)
class Labels:
    """The concepts of some proteins, on the axis of all.

    concepts: one row per concept of the annotations, also those that these proteins lack: concept, category, level, n_residues, n_instances.
    carried: [n_residues, n_concepts], 1 where a residue carries a concept. members: [n_residues, n_instances], 1 where a residue belongs to an
    instance of an instance-level concept; concept_of: int64 [n_instances].
    """

    concepts: pl.DataFrame
    carried: csr_array
    members: csr_array
    concept_of: np.ndarray

    @classmethod
    def of(cls, annotations: Annotations, accessions: Collection[str], overlap: Overlap) -> Self:
        """The labels of these proteins. ValueError for another `overlap`, an instance on several proteins, or an axis of over 2**31 - 1 residues."""
        if overlap not in ("keep", "overwrite"):
            raise ValueError(f"overlap is 'keep' or 'overwrite', not {overlap!r}")
        names = annotations.table.select("concept", "category", "level").unique().sort("concept")
        segments = _coded(annotations, accessions, names)
        pairs = _pairs(segments)
        if overlap == "overwrite":
            pairs = pairs.group_by("row", "concept").agg(pl.col("instance").max())
        n = annotations.proteins.n_residues
        if n > np.iinfo(np.int32).max:
            raise ValueError(f"{n:,} residues are more than a count can hold (2**31 - 1); count in parts (annotations.of) and add the scores")
        carried = _ones(pairs["row"], pairs["concept"], (n, names.height))
        instances = segments.select("instance", "concept").unique().sort("instance")
        residue_level = (names["level"] == "residue").to_numpy()
        own = pairs.filter(~pl.Series(residue_level[pairs["concept"].to_numpy()]))
        members = _ones(own["row"], own["instance"], (n, instances.height))
        concept_of = instances["concept"].to_numpy().astype(np.int64)
        table = names.with_columns(
            pl.Series("n_residues", carried.sum(axis=0, dtype=np.int64)),
            pl.Series("n_instances", np.bincount(concept_of, minlength=names.height).astype(np.int64)),
        )
        return cls(table, carried, members, concept_of)

    @property
    def n_concepts(self) -> int:
        """Number of concepts, those that these proteins lack included."""
        return self.concepts.height

    def on(self, rows: np.ndarray) -> tuple[csr_array, csr_array, np.ndarray]:
        """For n rows: carried [n_concepts, n]; the instances there, [n_here, n]; and the concept of each of those, int64 [n_here]."""
        members = self.members[rows]
        here, place = np.unique(members.indices, return_inverse=True)
        local = csr_array((members.data, place.astype(np.int32), members.indptr), shape=(len(rows), len(here)))
        return csr_array(self.carried[rows].T), csr_array(local.T), self.concept_of[here]


def _coded(annotations: Annotations, accessions: Collection[str], names: pl.DataFrame) -> pl.DataFrame:
    """The segments on these proteins as numbers: first (row), length, concept, instance (from 0 over all concepts, in order)."""
    proteins = annotations.proteins
    axis = {"accession": list(accessions), "axis": [proteins.rows(a).start for a in accessions]}
    firsts = pl.DataFrame(axis, schema={"accession": pl.String, "axis": pl.Int64})
    segments = annotations.table.join(firsts, on="accession")
    _check_one_protein(segments)
    concepts = names.select("concept").with_row_index("concept_code")
    instances = segments.select("concept", "instance").unique().sort("concept", "instance").with_row_index("instance_code")
    return (
        segments.join(concepts, on="concept")
        .join(instances, on=["concept", "instance"])
        .select(
            (pl.col("axis") + pl.col("start") - 1).alias("first"),
            (pl.col("end") - pl.col("start") + 1).cast(pl.Int64).alias("length"),
            pl.col("concept_code").cast(pl.UInt32).alias("concept"),
            pl.col("instance_code").cast(pl.UInt32).alias("instance"),
        )
    )


def _check_one_protein(segments: pl.DataFrame) -> None:
    several = segments.group_by("concept", "instance").agg(pl.col("accession").n_unique()).filter(pl.col("accession") > 1)
    if several.height:
        bad = several.sort("concept", "instance").row(0, named=True)
        raise ValueError(
            f"instance {bad['instance']} of {bad['concept']!r} lies on {bad['accession']} proteins; an instance lies on one: number them anew "
            f"({several.height} such instances)"
        )


def _pairs(segments: pl.DataFrame) -> pl.DataFrame:
    """One row per residue of each segment: row, concept, instance."""
    length = segments["length"].to_numpy()
    within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    return pl.DataFrame(
        {
            "row": np.repeat(segments["first"].to_numpy(), length) + within,
            "concept": np.repeat(segments["concept"].to_numpy(), length),
            "instance": np.repeat(segments["instance"].to_numpy(), length),
        }
    )


def _ones(rows: pl.Series, columns: pl.Series, shape: tuple[int, int]) -> csr_array:
    places = (rows.to_numpy().astype(np.int32), columns.to_numpy().astype(np.int32))
    matrix = csr_array((np.ones(len(rows), np.int8), places), shape=shape)
    # Two segments of one instance may share a residue; int8 sums of such duplicates are not read, only where they are.
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix
