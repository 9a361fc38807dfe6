"""Members of a protein family: an alignment in any format that is read, or plain FASTA."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from interplm_nb.proteins import Proteins
from interplm_nb.readers.alignment_formats import Row, alignment_format, not_sequences
from interplm_nb.readers.clustal import clustal_rows
from interplm_nb.readers.entries import ReadOptions
from interplm_nb.readers.fasta import of_records
from interplm_nb.readers.fasta_records import COMMENTS, fasta_records
from interplm_nb.readers.opening import open_text
from interplm_nb.readers.report import InputError, ReadReport
from interplm_nb.readers.sequences import clean_sequence, is_repeat
from interplm_nb.readers.stockholm import stockholm_rows

GAPS = "-.~_"
"""Gap characters of an aligned row."""

_NO_GAPS = str.maketrans("", "", GAPS)
_NO_INSERTS = re.compile(r"[^a-z.]")
# HH-suite's own rows among those of an A3M: structure, its confidence, and the consensus.
_NO_MEMBER = re.compile(r"(?:ss|sa|aa)_(?:dssp|pred|conf|cons)\b|Consensus$|.*_consensus$")
_COMPLEX = re.compile(r"#\d+(?:,\d+)+\t")


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
    """int32 [n_residues]; columns start at 1, and 0 is an insert of A3M, in no column."""
    n_columns: int
    """Width of the alignment, with columns that have no residue."""
    name: str = ""
    """The family's name (Stockholm's `#=GF ID`), or empty."""

    def occupancy(self) -> np.ndarray:
        """int64 [n_columns]: number of proteins with a residue in each column."""
        return np.bincount(self.columns, minlength=self.n_columns + 1)[1:]

    def consensus(self) -> str:
        """The most frequent residue of each column; "-" for a column without residues.

        Gaps do not count; ties go to the first in the alphabet.
        """
        counts = np.zeros((self.n_columns + 1, 128), np.int64)
        np.add.at(counts, (self.columns, self.proteins.letters), 1)
        counts = counts[1:]
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
    """Read a family from Stockholm 1.0, Clustal, A3M, aligned or plain FASTA.

    The file may be plain or compressed with gzip or zstd. Its content tells the format, not its
    name: the first line tells Stockholm and Clustal. FASTA whose rows have unequal lengths, but
    equal ones without lower case and `.`, is A3M, whose lower-case residues are inserts: residues
    of the member in no column. Other FASTA with a gap (one of `GAPS`) is an alignment, and without
    is read as `read_fasta` reads it.

    Accessions of an alignment are names as written ("HBB_HUMAN/1-146", the first word of a header).
    Lower case becomes upper case. HH-suite's rows of secondary structure and consensus, and a name
    that comes again, are left out and noted.

    Parameters
    ----------
    path
        The file.
    strict
        Stop at the first invalid row (without residues, with other letters, of nucleotides, or with
        the name of another row) instead of skipping and reporting it.

    Raises
    ------
    InputError
        If the file is in none of these formats, is truncated, holds several alignments or a
        complex, rows of unequal length, no valid row, or a line longer than
        `opening.LONGEST_RECORD`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mine.a3m"
    ...     _ = path.write_text(">query\\nMKV\\n>hit\\nMaK-\\n")
    ...     found = read_family(path)
    >>> found.proteins.sequences, found.alignment.columns.tolist()
    (['MKV', 'MAK'], [1, 2, 3, 1, 0, 2])
    """
    report = ReadReport(path, strict)
    with open_text(path) as text:
        blank, first = 0, ""
        for first in text:
            if first.strip():
                break
            blank += 1
        lines = chain([first], text)
        kind = alignment_format(first)
        if kind == "Stockholm":
            rows, name = stockholm_rows(lines, path)
            return _aligned(rows, report, name)
        if kind == "Clustal":
            return _aligned(clustal_rows(lines, path), report)
        if kind or not first.startswith((">", *COMMENTS)):
            told = not_sequences(kind) if kind else f"the first line is {first.strip()[:40]!r}"
            raise InputError(
                f"{path}: {told}; wanted Stockholm ('# STOCKHOLM 1.0'), Clustal, or FASTA or A3M "
                "('>name')"
            )
        if _COMPLEX.match(first):
            raise InputError(
                f"{path}: an alignment of a complex ({first.strip()!r}): its rows join several "
                "chains, which are different proteins; give the alignment of one chain"
            )
        records = list(fasta_records(chain([""] * blank, lines), path, report))
    rows = [((r.header.split() or [""])[0], _letters(r.sequence)) for r in records]
    rows = _members(rows, report)
    if _is_a3m([row for _, row in rows]):
        return _aligned(rows, report, inserts=True)
    if any(gap in row for _, row in rows for gap in GAPS):
        return _aligned(rows, report)
    proteins, report = of_records(records, ReadOptions(strict=strict), report)
    return FamilyRead(proteins, None, report)


def _letters(row: str) -> str:
    # ColabFold's server ends an alignment with a zero byte.
    return "".join(row.split()).rstrip("\0")


def _members(rows: list[Row], report: ReadReport) -> list[Row]:
    for name, _ in rows:
        if _NO_MEMBER.match(name):
            report.note("row of HH-suite that is not a member", name)
    return [row for row in rows if not _NO_MEMBER.match(row[0])]


def _is_a3m(rows: Sequence[str]) -> bool:
    """Whether rows are of more equal length without lower case and `.`, the inserts of A3M.

    Plain sequences in lower case can be so by chance. They are no A3M unless a gap shows an
    alignment, or the first row is a query without inserts and the lengths become equal.
    """
    lengths = set(map(len, rows))
    widths = {_without_inserts(row) for row in rows}
    if any("-" in row for row in rows):
        return 0 not in widths and len(widths) < len(lengths)
    return len(widths) == 1 < len(lengths) and rows[0].isupper()


def _without_inserts(row: str) -> int:
    return len(_NO_INSERTS.findall(row))


def _aligned(
    rows: list[Row], report: ReadReport, name: str = "", inserts: bool = False
) -> FamilyRead:
    width = _width(rows, report, inserts)
    sequences: dict[str, str] = {}
    columns: list[np.ndarray] = [np.empty(0, np.int32)]
    for member, row in rows:
        if not member:
            report.reject("record without a name", "a row", row[:40], "name it, as in '>P69905'")
            continue
        sequence = clean_sequence(row.translate(_NO_GAPS), report, member)
        if sequence is None or is_repeat(sequences.get(member), sequence, report, member):
            continue
        sequences[member] = sequence
        # Cut to the sequence: a removed final * had a column too.
        columns.append(_columns(row, inserts)[: len(sequence)])
    if not sequences:
        raise InputError(f"{report.file}: no row of the alignment is valid. {report}")
    report.kept = len(sequences)
    proteins = Proteins.from_sequences(sequences)
    return FamilyRead(proteins, Alignment(proteins, np.concatenate(columns), width, name), report)


def _width(rows: list[Row], report: ReadReport, inserts: bool) -> int:
    """The number of columns; `InputError` where rows differ in it."""
    of = _without_inserts if inserts else len
    width = of(rows[0][1]) if rows else 0
    for member, row in rows:
        if of(row) != width:
            kind = "A3M, lower case and '.' not counted" if inserts else "an alignment"
            raise InputError(
                f"{report.file}: {member} has {of(row)} columns, the first row has {width}; rows "
                f"of {kind} have equal length: copy the file again, or give the sequences without "
                "gaps"
            )
    return width


def _columns(row: str, inserts: bool) -> np.ndarray:
    """int32 [n_residues]: the column of each residue, 0 for an insert."""
    letters = np.frombuffer(row.encode("ascii"), np.uint8)
    inside = (
        ~(((letters >= ord("a")) & (letters <= ord("z"))) | (letters == ord(".")))
        if inserts
        else np.ones(len(letters), bool)
    )
    columns = np.where(inside, np.cumsum(inside), 0).astype(np.int32)
    return columns[~np.isin(letters, list(GAPS.encode()))]
