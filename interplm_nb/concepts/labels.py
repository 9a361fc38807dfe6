"""Which residues carry which concepts and instances: sparse 0/1 matrices, made on demand."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, Self

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from interplm_nb.annotations import Annotations

Overlap = Literal["keep", "overwrite"]
"""Whether a residue under several instances of a concept belongs to all of them (`strict`), or only
to the one with the highest number (`published`)."""


class Segments(NamedTuple):
    """Segments by first row, int64 [n] each, with concepts and instances as numbers.

    A segment covers the rows `first` to `first + length` (excluded).
    """

    first: np.ndarray
    length: np.ndarray
    concept: np.ndarray
    instance: np.ndarray


class _Pairs(NamedTuple):
    """Residues of segments, int64 [n] each; one entry per residue and segment that covers it."""

    row: np.ndarray
    concept: np.ndarray
    instance: np.ndarray


@dataclass(frozen=True)
class Labels:
    """The concepts of some proteins, on the full residue axis.

    `concepts` has one row per concept of the annotations, including those that these proteins
    lack: concept, category, level, n_residues, n_instances. `concept_of` int64 [n_instances].
    Memory grows with the segments, not with the residues: `on` gives the matrices of some rows.
    """

    concepts: pl.DataFrame
    concept_of: np.ndarray
    segments: Segments
    overlap: Overlap
    n_residues: int
    """Length of the residue axis."""

    @classmethod
    def of(cls, annotations: Annotations, accessions: Collection[str], overlap: Overlap) -> Self:
        """The labels of these proteins.

        ValueError for another `overlap`, an instance on several proteins, or an axis of over
        2**31 - 1 residues.
        """
        if overlap not in ("keep", "overwrite"):
            raise ValueError(f"overlap must be 'keep' or 'overwrite', not {overlap!r}")
        n = annotations.proteins.n_residues
        if n > np.iinfo(np.int32).max:
            raise ValueError(
                f"{n:,} residues are more than a count can hold (2**31 - 1); count in parts "
                "(annotations.of) and add the scores"
            )
        names = annotations.table.select("concept", "category", "level").unique().sort("concept")
        coded = _coded(annotations, accessions, names)
        instances = coded.select("instance", "concept").unique().sort("instance")
        concept_of = instances["concept"].to_numpy().astype(np.int64)
        table = names.with_columns(
            pl.Series("n_residues", _covered(coded, names.height)),
            pl.Series(
                "n_instances", np.bincount(concept_of, minlength=names.height).astype(np.int64)
            ),
        )
        return cls(
            table,
            concept_of,
            Segments(*(coded[name].to_numpy() for name in Segments._fields)),
            overlap,
            n,
        )

    @property
    def n_concepts(self) -> int:
        """Number of concepts, including those that these proteins lack."""
        return self.concepts.height

    @cached_property
    def carried(self) -> csr_array:
        """int8 [n_residues, n_concepts]: 1 where a residue carries a concept."""
        pairs = self._pairs(0, self.n_residues)
        return _ones(pairs.row, pairs.concept, (self.n_residues, self.n_concepts), np.int8)

    @cached_property
    def members(self) -> csr_array:
        """int8 [n_residues, n_instances]: 1 where a residue belongs to an instance.

        Only of instance-level concepts.
        """
        pairs = self._of_instances(self._pairs(0, self.n_residues))
        return _ones(pairs.row, pairs.instance, (self.n_residues, len(self.concept_of)), np.int8)

    def on(self, rows: np.ndarray) -> tuple[csr_array, csr_array, np.ndarray]:
        """Labels of n ascending rows: carried, members, and the concept of each instance.

        carried int32 [n_concepts, n]; members int32 [n_here, n], of the instances there; and
        int64 [n_here].
        """
        if len(rows) == 0:
            return (
                csr_array((self.n_concepts, 0), dtype=np.int32),
                csr_array((0, 0), dtype=np.int32),
                np.empty(0, np.int64),
            )
        pairs = self._pairs(int(rows[0]), int(rows[-1]) + 1)
        place = np.searchsorted(rows, pairs.row).clip(max=len(rows) - 1)
        asked = rows[place] == pairs.row
        local = _Pairs(place[asked], pairs.concept[asked], pairs.instance[asked])
        own = self._of_instances(local)
        here, number = np.unique(own.instance, return_inverse=True)
        carried = _ones(local.concept, local.row, (self.n_concepts, len(rows)), np.int32)
        return (
            carried,
            _ones(number, own.row, (len(here), len(rows)), np.int32),
            self.concept_of[here],
        )

    def _pairs(self, first: int, last: int) -> _Pairs:
        """The residues of segments in rows `first` to `last` (excluded), and maybe some nearby."""
        longest = int(self.segments.length.max(initial=0))
        here = slice(*np.searchsorted(self.segments.first, [first - longest, last]))
        start, length, concept, instance = (column[here] for column in self.segments)
        within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        pairs = _Pairs(
            np.repeat(start, length) + within,
            np.repeat(concept, length),
            np.repeat(instance, length),
        )
        return _last_instances(pairs) if self.overlap == "overwrite" else pairs

    def _of_instances(self, pairs: _Pairs) -> _Pairs:
        """Only the residues of instance-level concepts."""
        own = (self.concepts["level"] == "instance").to_numpy()[pairs.concept]
        return _Pairs(*(column[own] for column in pairs))


def _coded(
    annotations: Annotations, accessions: Collection[str], names: pl.DataFrame
) -> pl.DataFrame:
    """The segments on these proteins as numbers: first, length, concept, instance.

    Sorted by first row; instances are numbered from 0 over all concepts, in order.
    """
    proteins = annotations.proteins
    axis = {"accession": list(accessions), "axis": [proteins.rows(a).start for a in accessions]}
    firsts = pl.DataFrame(axis, schema={"accession": pl.String, "axis": pl.Int64})
    segments = annotations.table.join(firsts, on="accession")
    _check_one_protein(segments)
    concepts = names.select("concept").with_row_index("concept_code")
    instances = (
        segments.select("concept", "instance")
        .unique()
        .sort("concept", "instance")
        .with_row_index("instance_code")
    )
    return (
        segments.join(concepts, on="concept")
        .join(instances, on=["concept", "instance"])
        .select(
            (pl.col("axis") + pl.col("start") - 1).alias("first"),
            (pl.col("end") - pl.col("start") + 1).cast(pl.Int64).alias("length"),
            pl.col("concept_code").cast(pl.Int64).alias("concept"),
            pl.col("instance_code").cast(pl.Int64).alias("instance"),
        )
        .sort("first", "instance")
    )


def _check_one_protein(segments: pl.DataFrame) -> None:
    several = (
        segments.group_by("concept", "instance")
        .agg(pl.col("accession").n_unique())
        .filter(pl.col("accession") > 1)
    )
    if several.height:
        bad = several.sort("concept", "instance").row(0, named=True)
        raise ValueError(
            f"instance {bad['instance']} of {bad['concept']!r} is on {bad['accession']} "
            "proteins; "
            f"an instance is on one: renumber them ({several.height} such instances)"
        )


def _covered(segments: pl.DataFrame, n_concepts: int) -> np.ndarray:
    """int64 [n_concepts]: residues under at least one segment of each concept.

    A segment adds what is beyond the ends of the previous ones.
    """
    end = pl.col("first") + pl.col("length")
    before = end.cum_max().shift(1, fill_value=0).over("concept")
    beyond = (end - pl.max_horizontal("first", before)).clip(lower_bound=0)
    added = (
        segments.select("concept", beyond.alias("beyond"))
        .group_by("concept")
        .agg(pl.col("beyond").sum())
    )
    covered = np.zeros(n_concepts, np.int64)
    covered[added["concept"].to_numpy()] = added["beyond"].to_numpy()
    return covered


def _last_instances(pairs: _Pairs) -> _Pairs:
    """One pair per residue and concept: the instance with the highest number."""
    order = np.lexsort((pairs.instance, pairs.concept, pairs.row))
    row, concept, instance = (column[order] for column in pairs)
    last = np.append((np.diff(row) != 0) | (np.diff(concept) != 0), True)[: len(row)]
    return _Pairs(row[last], concept[last], instance[last])


def _ones(
    rows: np.ndarray,
    columns: np.ndarray,
    shape: tuple[int, int],
    dtype: type[np.int8] | type[np.int32],
) -> csr_array:
    matrix = csr_array(
        (np.ones(len(rows), dtype), (rows.astype(np.int32), columns.astype(np.int32))), shape=shape
    )
    # Two segments of one instance may share a residue; their int8 sums are replaced by 1.
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix
