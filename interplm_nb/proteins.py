"""The residue axis: every table, embedding and activation of a run is aligned to one `Proteins`.

`row` counts residues from 0 over all proteins, in order. `position` counts from 1 within a
protein, as in UniProt. Only `Proteins.row` and `Proteins.residue` convert between them.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from interplm_nb.saving import read_parquet, write_parquet

LETTERS = "ACDEFGHIKLMNPQRSTVWYXBUZO"
"""Residue letters that ESM-2's alphabet knows: the 20 standard amino acids, then X, B, U, Z and
O.
"""


@dataclass(frozen=True)
class Residue:
    """One residue: UniProt accession and position counted from 1."""

    accession: str
    position: int


class Proteins:
    """Protein sequences laid end to end: the residue axis.

    Parameters
    ----------
    table : pl.DataFrame
        `accession` (unique), `sequence` (letters of `LETTERS`), and any metadata columns.

    Attributes
    ----------
    offsets : np.ndarray
        int64 [n_proteins + 1]; protein i has the rows `offsets[i]` to `offsets[i + 1]` (excluded).

    Raises
    ------
    ValueError
        For a missing column, a missing or repeated accession, or an empty or unreadable sequence.

    Examples
    --------
    >>> proteins = Proteins.from_sequences({"P1": "MKV", "P2": "GAVLI"})
    >>> proteins
    Proteins(2 proteins, 8 residues)
    >>> proteins.row(Residue("P2", 1)), proteins.residue(3)
    (3, Residue(accession='P2', position=1))
    """

    def __init__(self, table: pl.DataFrame) -> None:
        missing = {"accession", "sequence"} - set(table.columns)
        if missing:
            raise ValueError(
                f"Proteins need the columns 'accession' and 'sequence'; "
                f"{sorted(missing)} not among {table.columns}"
            )
        _check_accessions(table["accession"])
        _check_sequences(table)
        self.table = table
        self.offsets: np.ndarray = np.concatenate(
            [[0], np.cumsum(table["sequence"].str.len_chars().to_numpy(), dtype=np.int64)]
        )

    @classmethod
    def from_sequences(cls, sequences: Mapping[str, str]) -> Self:
        """Proteins from `{accession: sequence}`."""
        columns = {"accession": list(sequences), "sequence": list(sequences.values())}
        return cls(pl.DataFrame(columns, schema={"accession": pl.String, "sequence": pl.String}))

    @property
    def n_proteins(self) -> int:
        """Number of proteins, also `len`."""
        return self.table.height

    @property
    def n_residues(self) -> int:
        """Number of residues of all proteins: the length of the axis."""
        return int(self.offsets[-1])

    @cached_property
    def accessions(self) -> list[str]:
        """Accession of each protein, in the order of the axis."""
        return self.table["accession"].to_list()

    @cached_property
    def sequences(self) -> list[str]:
        """Sequence of each protein, in the order of the axis."""
        return self.table["sequence"].to_list()

    @property
    def lengths(self) -> np.ndarray:
        """int64 [n_proteins]: number of residues of each protein."""
        return np.diff(self.offsets)

    @cached_property
    def letters(self) -> np.ndarray:
        """uint8 [n_residues]: the ASCII code of the residue in each row."""
        return np.frombuffer("".join(self.sequences).encode("ascii"), np.uint8)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {accession: i for i, accession in enumerate(self.accessions)}

    def __len__(self) -> int:
        return self.n_proteins

    def __reduce__(self) -> tuple[type[Self], tuple[pl.DataFrame]]:
        """A pickle carries the table, without what was derived from it."""
        return type(self), (self.table,)

    def __contains__(self, accession: object) -> bool:
        return accession in self._index

    def __repr__(self) -> str:
        return f"Proteins({self.n_proteins:,} proteins, {self.n_residues:,} residues)"

    def index(self, accession: str) -> int:
        """The number of a protein on the axis, from 0."""
        try:
            return self._index[accession]
        except KeyError:
            raise KeyError(
                f"no protein {accession!r} among these {self.n_proteins:,}; "
                f"the first are {self.accessions[:3]}"
            ) from None

    def sequence(self, accession: str) -> str:
        """The sequence of one protein; KeyError for an unknown accession."""
        return self.sequences[self.index(accession)]

    def rows(self, accession: str) -> slice:
        """The rows of one protein."""
        i = self.index(accession)
        return slice(int(self.offsets[i]), int(self.offsets[i + 1]))

    def row(self, residue: Residue) -> int:
        """The row of a residue."""
        rows = self.rows(residue.accession)
        if not 1 <= residue.position <= rows.stop - rows.start:
            raise ValueError(
                f"{residue.accession} has positions 1 to {rows.stop - rows.start}, not "
                f"{residue.position}"
            )
        return rows.start + residue.position - 1

    def residue(self, row: int) -> Residue:
        """The residue in a row."""
        if not 0 <= row < self.n_residues:
            raise ValueError(f"rows are numbered 0 to {self.n_residues - 1}; got {row}")
        i = int(np.searchsorted(self.offsets, row, side="right")) - 1
        return Residue(self.accessions[i], row - int(self.offsets[i]) + 1)

    def select(self, accessions: Iterable[str]) -> Self:
        """Only these proteins, in the order of this axis (not the order given)."""
        places = np.sort(np.fromiter((self.index(a) for a in accessions), dtype=np.int64))
        return type(self)(self.table[places])

    def rows_of(self, accessions: Iterable[str]) -> np.ndarray:
        """int64: all rows of these proteins, ascending."""
        places = sorted(self.index(a) for a in accessions)
        parts = [np.arange(self.offsets[i], self.offsets[i + 1], dtype=np.int64) for i in places]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def up_to(self, max_length: int) -> tuple[Self, Sequence[str]]:
        """The proteins of at most `max_length` residues, and the accessions of those left out."""
        keep = self.lengths <= max_length
        return type(self)(self.table.filter(keep)), self.table.filter(~keep)["accession"].to_list()

    @cached_property
    def sequence_hash(self) -> str:
        """sha256 over accessions and sequences in order: the name of this residue axis."""
        digest = hashlib.sha256()
        for accession, sequence in zip(self.accessions, self.sequences, strict=True):
            digest.update(f"{accession}\t{sequence}\n".encode())
        return f"sha256:{digest.hexdigest()}"

    def save(self, path: Path) -> None:
        """Write `proteins.parquet` atomically."""
        write_parquet(
            self.table, path, {"type": "Proteins", "version": 1, "sequences": self.sequence_hash}
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read `proteins.parquet`.

        FileNotFoundError if it is missing; ValueError for another type or version, or if the
        sequences were changed.
        """
        table, about = read_parquet(path, "Proteins", 1)
        proteins = cls(table)
        if proteins.sequence_hash != about["sequences"]:
            raise ValueError(
                f"{path}: the sequences do not match the hash written with them; run stage "
                "'proteins' again"
            )
        return proteins


def _check_accessions(accessions: pl.Series) -> None:
    if accessions.null_count() or (accessions == "").any():
        raise ValueError("a protein has no accession; every protein needs one")
    twice = accessions.filter(accessions.is_duplicated()).unique().sort()
    if len(twice):
        raise ValueError(
            f"accessions must be unique; {len(twice)} are repeated, such as {twice[0]!r}"
        )


def _check_sequences(table: pl.DataFrame) -> None:
    bad = table.filter(~pl.col("sequence").str.contains(rf"^[{LETTERS}]+$").fill_null(False))
    if bad.height:
        first: Any = bad.row(0, named=True)
        found = (first["sequence"] or "")[:40]
        raise ValueError(
            f"{first['accession']}: a sequence has one or more letters of {LETTERS}, "
            f"not {found!r} ({bad.height} such proteins)"
        )
