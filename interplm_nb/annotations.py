"""Concepts on proteins, as segments.

One row is one contiguous segment of one instance of one concept. A disulfide bond or a cross-link
between two residues is two rows of one residue each, with one `instance`. Recall counts instances,
never rows.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl

from interplm_nb.proteins import Proteins
from interplm_nb.saving import read_parquet, write_parquet

SCHEMA = {
    "accession": pl.String,
    "concept": pl.String,
    "category": pl.String,
    "level": pl.String,
    "start": pl.Int32,
    "end": pl.Int32,
    "instance": pl.UInt32,
}
"""Columns of `Annotations.table`; `start` and `end` are positions from 1, both included."""

LEVELS = ("residue", "instance")
"""What recall counts: residues (active sites, modified residues) or instances (domains,
helices).
"""


class Annotations:
    """Concepts as segments on proteins; proteins without a segment count as negatives.

    Parameters
    ----------
    table : pl.DataFrame
        The columns of `SCHEMA`, one row per segment. `instance` numbers are unique within a
        concept. Rows are sorted by protein, start, end, concept.
    proteins : Proteins
        The residue axis.

    Raises
    ------
    ValueError
        For a missing column, an empty cell, an unknown protein or level, a segment outside its
        protein, or a concept with two categories or levels.

    Examples
    --------
    >>> proteins = Proteins.from_sequences({"P1": "MKVLAA", "P2": "GAVLI"})
    >>> helix = {"accession": "P1", "concept": "Helix", "category": "Helix", "level": "instance"}
    >>> segments = pl.DataFrame([helix | {"start": 2, "end": 4, "instance": 0}])
    >>> annotations = Annotations(segments, proteins)
    >>> annotations
    Annotations(1 segments of 1 concepts on Proteins(2 proteins, 11 residues))
    >>> annotations.mask("Helix").nonzero()[0].tolist()
    [1, 2, 3]
    """

    def __init__(self, table: pl.DataFrame, proteins: Proteins) -> None:
        missing = [c for c in SCHEMA if c not in table.columns]
        if missing:
            raise ValueError(
                f"Annotations need the columns {list(SCHEMA)}; {missing} not among {table.columns}"
            )
        table = table.select(pl.col(c).cast(t) for c, t in SCHEMA.items())
        _check_segments(table, proteins)
        self.proteins = proteins
        order = pl.col("accession").replace_strict(
            proteins.accessions, range(len(proteins)), return_dtype=pl.UInt32
        )
        self.table = table.sort(order, "start", "end", "concept", "instance")

    @classmethod
    def empty(cls, proteins: Proteins) -> Self:
        """Annotations without any segment: every protein is a negative."""
        return cls(pl.DataFrame(schema=SCHEMA), proteins)

    def __len__(self) -> int:
        return self.table.height

    def __repr__(self) -> str:
        what = f"{len(self):,} segments of {len(self.concepts):,} concepts on {self.proteins}"
        return f"Annotations({what})"

    @property
    def concepts(self) -> list[str]:
        """Concept names, sorted."""
        return self.table["concept"].unique().sort().to_list()

    @property
    def fingerprint(self) -> str:
        """sha256 over the segments, in order; it identifies the labels that a count used."""
        return f"sha256:{hashlib.sha256(self.table.write_csv().encode()).hexdigest()}"

    def summary(self) -> pl.DataFrame:
        """One row per concept: concept, category, level, n_proteins, n_instances, n_residues.

        A residue under two segments counts once.
        """
        counts = self.table.group_by("concept", "category", "level").agg(
            pl.col("accession").n_unique().alias("n_proteins"),
            pl.col("instance").n_unique().alias("n_instances"),
        )
        residues = (
            self.residues().group_by("concept").agg(pl.col("row").n_unique().alias("n_residues"))
        )
        return counts.join(residues, on="concept", how="left").sort("concept")

    def residues(self) -> pl.DataFrame:
        """One row per residue of each segment: row (i64), concept, instance."""
        starts = pl.DataFrame(
            {"accession": self.proteins.accessions, "first": self.proteins.offsets[:-1]}
        )
        spread = self.table.join(starts, on="accession", how="left").select(
            pl.int_ranges(
                pl.col("first") + pl.col("start") - 1, pl.col("first") + pl.col("end")
            ).alias("row"),
            "concept",
            "instance",
        )
        return spread.explode("row")

    def of(self, proteins: Proteins) -> Self:
        """The annotations of these proteins, on their axis."""
        return type(self)(
            self.table.filter(pl.col("accession").is_in(proteins.accessions)), proteins
        )

    def only(self, concepts: Iterable[str]) -> Self:
        """The annotations of these concepts, on the same axis."""
        return type(self)(self.table.filter(pl.col("concept").is_in(list(concepts))), self.proteins)

    def mask(self, concept: str) -> np.ndarray:
        """bool [n_residues]: the residues that carry a concept."""
        mask = np.zeros(self.proteins.n_residues, dtype=bool)
        mask[self.only([concept]).residues()["row"].to_numpy()] = True
        return mask

    def save(self, path: Path) -> None:
        """Write the segments and the hash of their proteins to a Parquet file, atomically."""
        write_parquet(
            self.table,
            path,
            {"type": "Annotations", "version": 1, "sequences": self.proteins.sequence_hash},
        )

    @classmethod
    def load(cls, path: Path, proteins: Proteins) -> Self:
        """Read segments; ValueError if they were written for other proteins."""
        table, about = read_parquet(path, "Annotations", 1)
        if about["sequences"] != proteins.sequence_hash:
            raise ValueError(
                f"{path} annotates other proteins ({about['sequences'][:19]}) than the given ones "
                f"({proteins.sequence_hash[:19]})"
            )
        return cls(table, proteins)


def _check_segments(table: pl.DataFrame, proteins: Proteins) -> None:
    if table.null_count().sum_horizontal().sum():
        raise ValueError(
            f"Annotations must not have empty cells; nulls by column: "
            f"{table.null_count().row(0, named=True)}"
        )
    odd = table.filter(~pl.col("level").is_in(LEVELS))
    if odd.height:
        raise ValueError(
            f"a concept's level is one of {LEVELS}, not {odd['level'][0]!r} "
            f"(concept {odd['concept'][0]!r})"
        )
    strangers = table.filter(~pl.col("accession").is_in(proteins.accessions))
    if strangers.height:
        raise ValueError(
            f"{strangers.height} segments are on unknown proteins, such as "
            f"{strangers['accession'][0]!r}"
        )
    lengths = pl.DataFrame({"accession": proteins.accessions, "length": proteins.lengths})
    misplaced = (
        (pl.col("start") < 1)
        | (pl.col("end") < pl.col("start"))
        | (pl.col("end") > pl.col("length"))
    )
    outside = table.join(lengths, on="accession").filter(misplaced)
    if outside.height:
        bad = outside.row(0, named=True)
        segment = f"{bad['accession']}: segment {bad['start']}..{bad['end']} of {bad['concept']!r}"
        raise ValueError(
            f"{segment} does not fit in 1..{bad['length']} ({outside.height} such segments)"
        )
    several = (
        table.group_by("concept")
        .agg(pl.struct("category", "level").n_unique().alias("n"))
        .filter(pl.col("n") > 1)
    )
    if several.height:
        raise ValueError(f"concept {several['concept'][0]!r} has more than one category or level")
