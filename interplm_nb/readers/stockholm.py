"""Members of a protein family: a Stockholm alignment, an aligned FASTA file, or plain FASTA."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self, TextIO

import numpy as np

from interplm_nb.proteins import Proteins
from interplm_nb.readers.fasta import read_fasta
from interplm_nb.readers.opening import open_text
from interplm_nb.readers.report import InputError, ReadReport
from interplm_nb.readers.sequences import clean_sequence

GAPS = "-.~_"
"""Gap characters of an aligned row."""

_HEAD = "# STOCKHOLM 1."
_NO_GAPS = str.maketrans("", "", GAPS)


@dataclass(frozen=True)
class Alignment:
    """Aligned proteins: the residue axis, and the alignment column of each residue.

    Examples
    --------
    >>> both = Proteins.from_sequences({"A": "MKV", "B": "MV"})
    >>> alignment = Alignment(both, np.array([1, 2, 3, 1, 3], np.int32), 3)
    >>> alignment.consensus(), alignment.occupancy().tolist()
    ('MKV', [2, 1, 2])
    """

    proteins: Proteins
    columns: np.ndarray
    """int32 [n_residues]; columns start at 1."""
    n_columns: int
    """Width of the alignment, with columns that have no residue."""
    name: str = ""
    """The family's name (Stockholm's `#=GF ID`), or empty."""

    def occupancy(self) -> np.ndarray:
        """int64 [n_columns]: number of proteins with a residue in each column."""
        return np.bincount(self.columns - 1, minlength=self.n_columns)

    def consensus(self) -> str:
        """The most frequent residue of each column; "-" for a column without residues.

        Gaps do not count; ties go to the first in the alphabet.
        """
        counts = np.zeros((self.n_columns, 128), np.int64)
        np.add.at(counts, (self.columns - 1, self.proteins.letters), 1)
        letters = np.where(counts.any(axis=1), counts.argmax(axis=1), ord("-")).astype(np.uint8)
        return letters.tobytes().decode("ascii")

    def select(self, accessions: Iterable[str]) -> Self:
        """Only these proteins, in their order here; columns keep their numbers."""
        chosen = set(accessions)
        rows = self.proteins.rows_of(chosen)
        return type(self)(
            self.proteins.select(chosen), self.columns[rows], self.n_columns, self.name
        )


class FamilyRead(NamedTuple):
    """Members of a family, and what was skipped."""

    proteins: Proteins
    alignment: Alignment | None
    """None for plain FASTA, whose sequences are not aligned."""
    report: ReadReport


def read_family(path: Path | str, strict: bool = False) -> FamilyRead:
    """Read a family from Stockholm 1.0 or FASTA, plain or compressed with gzip or zstd.

    The first line tells the format, not the file's name. FASTA with a gap (one of `GAPS`) is an
    alignment; other FASTA is read by `read_fasta`. Accessions of an alignment are names as written
    ("HBB_HUMAN/1-146", the first word of a header). Lower case, as of inserts, becomes upper case.

    Parameters
    ----------
    path
        The file.
    strict
        Stop at the first invalid row (without residues, or with other letters) instead of skipping
        and reporting it.

    Raises
    ------
    InputError
        If the file is neither format, is truncated, or holds several alignments, rows of unequal
        length, or no valid row.
    """
    with open_text(path) as text:
        first = next((line for line in text if line.strip()), "")
        if first.startswith(_HEAD):
            return _aligned(*_stockholm(text, path), ReadReport(path, strict))
    if not first.startswith(">"):
        raise InputError(
            f"{path}: the first line is {first.strip()[:40]!r}; wanted Stockholm "
            "('# STOCKHOLM 1.0') or FASTA ('>name')"
        )
    rows = list(_fasta_rows(path))
    if not any(gap in row for _, row in rows for gap in GAPS):
        proteins, report = read_fasta(path, strict)
        return FamilyRead(proteins, None, report)
    return _aligned(_once(rows, path), "", ReadReport(path, strict))


def _stockholm(text: TextIO, path: Path | str) -> tuple[dict[str, str], str]:
    """Aligned rows by name, their blocks joined, and the family's name."""
    parts: dict[str, list[str]] = {}
    family, ended = "", False
    for line in (line.strip() for line in text):
        if ended and line:
            raise InputError(
                f"{path}: more follows the first alignment's '//'; give a file with one alignment"
            )
        if line.startswith("#=GF ID"):
            family = line[7:].strip()
        if not line or line.startswith("#"):
            continue
        if line == "//":
            ended = True
            continue
        words = line.split()
        if len(words) != 2:
            raise InputError(
                f"{path}: {line[:60]!r} is not a row of a Stockholm alignment; wanted a name, "
                "blanks, and the aligned residues"
            )
        parts.setdefault(words[0], []).append(words[1])
    if not ended:
        raise InputError(
            f"{path}: the alignment has no end ('//'); the file is truncated, copy it again"
        )
    return {name: "".join(row) for name, row in parts.items()}, family


def _fasta_rows(path: Path | str) -> Iterator[tuple[str, str]]:
    from biotite.sequence.io.fasta import FastaFile

    with open_text(path) as text:
        for header, row in FastaFile.read_iter(text):
            yield (header.split() or [""])[0], "".join(row.split())


def _once(rows: list[tuple[str, str]], path: Path | str) -> dict[str, str]:
    found = dict(rows)
    if len(found) < len(rows):
        names = [name for name, _ in rows]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(
            f"{path}: {twice!r} names two rows of the alignment; give each row its own name"
        )
    return found


def _aligned(rows: dict[str, str], name: str, report: ReadReport) -> FamilyRead:
    width = len(next(iter(rows.values()), ""))
    for member, row in rows.items():
        if len(row) != width:
            raise InputError(
                f"{report.file}: {member} has {len(row)} columns, the first row has {width}; rows "
                "of an alignment have equal length: align the sequences, or give them without gaps"
            )
    sequences: dict[str, str] = {}
    columns: list[int] = []
    for member, row in rows.items():
        sequence = clean_sequence(row.translate(_NO_GAPS), report, member) if member else None
        if sequence is not None:
            sequences[member] = sequence
            # Cut to the sequence: a removed final * had a column too.
            columns += [i for i, a in enumerate(row, 1) if a not in GAPS][: len(sequence)]
    if not sequences:
        raise InputError(f"{report.file}: no row of the alignment is valid. {report}")
    report.kept = len(sequences)
    proteins = Proteins.from_sequences(sequences)
    return FamilyRead(
        proteins, Alignment(proteins, np.array(columns, np.int32), width, name), report
    )
