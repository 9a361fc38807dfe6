"""Your own labels: tables, GFF3, BED, and strings of one letter per residue, into `Annotations`.

Every reader takes the `Proteins` that the labels are on and returns `LabelsRead(annotations,
report)`. An invalid record (an unknown protein, a span past the end) is reported and skipped; with
`strict=True` it stops the reading. To join several readings, concatenate their tables in one
`Annotations`; their concepts need different names.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import unquote

import polars as pl

from interplm_nb.annotations import LEVELS, SCHEMA, Annotations
from interplm_nb.proteins import Proteins
from interplm_nb.readers.concepts import FEATURE_TYPES
from interplm_nb.readers.delimited import split_line, spoilt, whole
from interplm_nb.readers.opening import open_text
from interplm_nb.readers.report import InputError, ReadReport
from interplm_nb.readers.tables import table_rows, without_compression

Level = Literal["residue", "instance"]

ENDINGS = (".tsv", ".txt", ".csv", ".parquet", ".gff3", ".gff", ".bed")
"""Ends of the names of files that `read_labels` reads, before `.gz` or `.zst`."""

NEEDED = ("accession", "start", "end", "concept")
OPTIONAL = ("category", "level", "instance")

DSSP = {
    "H": "Alpha helix",
    "B": "Beta bridge",
    "E": "Beta strand",
    "G": "3-10 helix",
    "I": "Pi helix",
    "P": "Polyproline helix",
    "T": "Turn",
    "S": "Bend",
}
"""Names of DSSP's states. `C`, `-`, `L`, `X` and blank are no concept.

In three-state strings (`H`, `E`, `C`) H is any helix: pass your own names.
"""


class LabelsRead(NamedTuple):
    """Annotations on the given proteins, and what was skipped."""

    annotations: Annotations
    report: ReadReport


class Label(NamedTuple):
    """One segment as written: positions start at 1, both ends included.

    Segments with the same protein, concept and `instance` are one instance.
    """

    accession: str
    start: int
    end: int
    concept: str
    category: str
    level: str
    instance: str | None = None


def read_labels(path: Path, proteins: Proteins, strict: bool = False) -> LabelsRead:
    """Read labels from a table, GFF3 or BED file, recognised by the file's name.

    `.gff3` and `.gff` are read by `read_gff3`, `.bed` by `read_bed`, all else by `read_table`.
    """
    suffix = Path(without_compression(path)).suffix
    reader = {".gff3": read_gff3, ".gff": read_gff3, ".bed": read_bed}.get(suffix, read_table)
    return reader(path, proteins, strict=strict)


def read_table(
    path: Path,
    proteins: Proteins,
    category: str = "Own labels",
    level: Level = "instance",
    strict: bool = False,
) -> LabelsRead:
    """Read a table of segments: TSV, CSV (plain, gzip or zstd) or Parquet, by the file's name.

    Text may come from a spreadsheet: quoted cells, tabs, commas or semicolons (its first line tells
    which), empty cells cut off at the end of a row, and whole numbers written `5.0`.

    Parameters
    ----------
    path
        A table with the columns `accession`, `start`, `end` (positions start at 1, both ends
        included) and `concept`; optionally `category`, `level` and `instance`. Rows with the same
        protein, concept and instance are one instance, such as the two ends of a bond. Other
        columns are ignored and reported.
    proteins
        The proteins that the labels are on.
    category, level
        For rows without a category or level. "residue" counts recall by residues, "instance" by
        instances.
    strict
        Stop at the first invalid row instead of skipping and reporting it.

    Returns
    -------
    LabelsRead
        `annotations` and `report`.

    Raises
    ------
    InputError
        If the file cannot be read or lacks a column.

    Examples
    --------
    >>> import tempfile
    >>> proteins = Proteins.from_sequences({"P1": "MKVLA"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mine.csv"
    ...     _ = path.write_text("accession,start,end,concept\\nP1,2,4,Loop\\nP1,4,9,Loop\\n")
    ...     annotations, report = read_table(path, proteins)
    >>> annotations.table.select("concept", "start", "end").rows()
    [('Loop', 2, 4)]
    >>> report.counts()
    {'span past the end': 1}
    """
    report = ReadReport(path, strict)
    names, rows = table_rows(path, NEEDED + OPTIONAL, NEEDED, report)
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise InputError(
            f"{path}: wanted a table with the columns {', '.join(NEEDED)}; {missing} not among "
            f"{names}; rename or add them"
        )
    for name in names:
        if name and name not in NEEDED + OPTIONAL:
            report.note("column ignored", name)
    return _collect(_table_labels(rows, category, level, report), proteins, report)


def read_gff3(
    path: Path,
    proteins: Proteins,
    category: str = "GFF3",
    level: Level = "instance",
    strict: bool = False,
) -> LabelsRead:
    """Read a GFF3 file (plain, gzip or zstd) whose sequence ids are accessions.

    The concept is the feature's type and its `Name` or `Note`, if it has one: `Domain_SH3`. Lines
    with the same `ID` are one instance. Positions start at 1, both ends included; a disulfide bond
    or cross-link is its two ends, not the residues between them.

    Examples
    --------
    >>> import tempfile
    >>> proteins = Proteins.from_sequences({"P1": "MKVLA"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mine.gff3"
    ...     _ = path.write_text("P1\\tme\\tDomain\\t2\\t4\\t.\\t.\\t.\\tName=SH3\\n")
    ...     read_gff3(path, proteins).annotations.concepts
    ['Domain_SH3']
    """
    report = ReadReport(path, strict)
    with open_text(path) as lines:
        return _collect(_gff3_labels(lines, category, level, report), proteins, report)


def read_bed(
    path: Path,
    proteins: Proteins,
    category: str = "BED",
    level: Level = "instance",
    strict: bool = False,
) -> LabelsRead:
    """Read a BED file (plain, gzip or zstd): chromosomes are accessions, names are concepts.

    BED starts at 0 and excludes the end: `0 10` is positions 1 to 10. A line without a name
    (column 4) has the concept `category`. Blocks (from column 10 on) are segments of one instance.

    Examples
    --------
    >>> import tempfile
    >>> proteins = Proteins.from_sequences({"P1": "MKVLA"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mine.bed"
    ...     _ = path.write_text("P1\\t0\\t3\\tDisorder\\n")
    ...     read_bed(path, proteins).annotations.table.select("concept", "start", "end").rows()
    [('Disorder', 1, 3)]
    """
    report = ReadReport(path, strict)
    with open_text(path) as lines:
        return _collect(_bed_labels(lines, category, level, report), proteins, report)


def from_label_strings(
    labels: Mapping[str, str],
    proteins: Proteins,
    names: Mapping[str, str] = DSSP,
    category: str = "Secondary structure",
    level: Level = "instance",
    strict: bool = False,
) -> LabelsRead:
    """Take labels as one letter per residue, such as DSSP's `HHHEEC`.

    Parameters
    ----------
    labels
        `{accession: letters}`. A string with another length than its protein is invalid.
    proteins
        The proteins that the labels are on.
    names
        The concept of each letter; other letters are not concepts. Each run of a letter is one
        instance.
    category, level
        Of all concepts. "residue" counts recall by residues, "instance" by instances.
    strict
        Stop at the first invalid string instead of skipping and reporting it.

    Examples
    --------
    >>> proteins = Proteins.from_sequences({"P1": "MKVLA"})
    >>> found = from_label_strings({"P1": "HHHCE"}, proteins)
    >>> found.annotations.table.select("concept", "start", "end").rows()
    [('Alpha helix', 1, 3), ('Beta strand', 5, 5)]
    """
    report = ReadReport("label strings", strict)
    return _collect(
        _string_labels(labels, names, category, level, proteins, report), proteins, report
    )


def _table_labels(
    rows: Iterator[tuple[int, dict[str, str]]], category: str, level: str, report: ReadReport
) -> Iterator[tuple[Label, int | None]]:
    for line, row in rows:
        empty = [name for name in NEEDED if not row[name]]
        record = row["accession"] or f"line {line}"
        if empty:
            report.reject(
                "empty cell",
                record,
                f"no {', '.join(empty)}",
                f"every row needs {', '.join(NEEDED)}",
                line,
            )
            continue
        span = _span(row["start"], row["end"], record, report, line)
        if span:
            kind = (row.get("category") or category, row.get("level") or level)
            yield (
                Label(row["accession"], *span, row["concept"], *kind, row.get("instance") or None),
                line,
            )


def _gff3_labels(
    lines: Iterable[str], category: str, level: str, report: ReadReport
) -> Iterator[tuple[Label, int | None]]:
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r\n")
        if line.startswith(("##FASTA", ">")):
            return
        if not line.strip() or line.lstrip('"').startswith("#"):
            continue
        cells = split_line(line, "\t") or line.split("\t")
        # UniProt ends each row with a tab; a spreadsheet cuts off an empty last cell.
        if len(cells) == 8:
            cells.append("")
        if len(cells) < 9 or any(cells[9:]):
            report.reject(
                "row of another width",
                cells[0],
                f"{len(cells)} cells",
                "a GFF3 line has 9 tab-separated cells",
                number,
            )
            continue
        accession, kind = unquote(cells[0]), unquote(cells[2]).strip()
        if not kind:
            report.reject("empty cell", accession, "no type", "column 3 is the type", number)
            continue
        attributes: dict[str, str] = {
            key.strip(): value
            for key, _, value in (part.partition("=") for part in cells[8].split(";"))
        }
        name = unquote(attributes.get("Name") or attributes.get("Note") or "")
        name = " ".join(name.splitlines())
        span = _span(cells[3], cells[4], accession, report, number)
        if span is None:
            continue
        instance = attributes.get("ID") or f"line {number}"
        for start, end in _ends(*span) if _plain(kind) in _PAIRED else [span]:
            concept = f"{kind}_{name}" if name else kind
            yield Label(accession, start, end, concept, category, level, instance), number


def _ends(start: int, end: int) -> list[tuple[int, int]]:
    """The two ends of a bond, or its only one, to another chain; a span that is not a bond stays as
    it is."""
    return [(start, start), (end, end)] if start < end else [(start, end)]


def _plain(name: str) -> str:
    return name.lower().replace("_", " ").replace("-", " ")


_PAIRED = {
    _plain(name)
    for kind in FEATURE_TYPES
    if kind.paired
    for name in (kind.key, kind.category, kind.xml)
}
"""Types of features whose first and last position are bound; the residues between are not."""


def _bed_labels(
    lines: Iterable[str], category: str, level: str, report: ReadReport
) -> Iterator[tuple[Label, int | None]]:
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r\n")
        if not line.strip() or line.lstrip('"').startswith(("#", "track", "browser")):
            continue
        cells = (split_line(line, "\t") or line.split("\t")) if "\t" in line else line.split()
        if len(cells) < 3:
            report.reject(
                "row of another width",
                cells[0] if cells else f"line {number}",
                f"{len(cells)} cells",
                "a BED line has at least 3",
                number,
            )
            continue
        concept = cells[3] if len(cells) > 3 and cells[3] not in ("", ".") else category
        for start, end in _blocks(cells, report, number):
            yield (
                Label(cells[0], start + 1, end, concept, category, level, f"line {number}"),
                number,
            )


def _blocks(cells: list[str], report: ReadReport, line: int) -> list[tuple[int, int]]:
    """The blocks of a BED line, or its whole span; starts count from 0, ends are excluded."""
    try:
        first, last = int(cells[1]), int(cells[2])
        if len(cells) < 12:
            return [(first, last)]
        sizes, offsets = ([int(n) for n in cells[i].rstrip(",").split(",")] for i in (10, 11))
        return [
            (first + offset, first + offset + size)
            for offset, size in zip(offsets, sizes, strict=True)
        ]
    except ValueError:
        shown = " ".join(cells[1:3] + cells[10:12])
        report.reject(
            "unreadable position",
            cells[0],
            shown,
            "columns 2 and 3 of BED are numbers, 11 and 12 are lists of equal length",
            line,
        )
        return []


def _string_labels(
    labels: Mapping[str, str],
    names: Mapping[str, str],
    category: str,
    level: str,
    proteins: Proteins,
    report: ReadReport,
) -> Iterator[tuple[Label, int | None]]:
    for accession, letters in labels.items():
        length = len(proteins.sequence(accession)) if accession in proteins else len(letters)
        if len(letters) != length:
            report.reject(
                "label string of another length",
                accession,
                f"{len(letters)} labels for {length} residues",
                "give one letter per residue",
            )
            continue
        position = 1
        for letter, run in groupby(letters):
            after = position + len(list(run))
            if letter in names:
                yield Label(accession, position, after - 1, names[letter], category, level), None
            position = after


def _span(
    start: str, end: str, record: str, report: ReadReport, line: int
) -> tuple[int, int] | None:
    first, last = whole(start.strip()), whole(end.strip())
    if first is None or last is None:
        report.reject(
            "unreadable position",
            record,
            f"{start}..{end}",
            "start and end are whole numbers, as in 1022; positions start at 1",
            line,
        )
        return None
    return first, last


def _collect(
    labels: Iterator[tuple[Label, int | None]], proteins: Proteins, report: ReadReport
) -> LabelsRead:
    """Check each label against its protein and its concept, and number the instances."""
    kinds: dict[str, tuple[str, str]] = {}
    numbers: dict[object, int] = {}
    rows: list[tuple[str, int, int, str, str, str, int]] = []
    for label, line in labels:
        if (
            _is_spoilt(label, report, line)
            or not _fits(label, proteins, report, line)
            or not _agrees(label, kinds, report, line)
        ):
            continue
        # A segment without an instance is its own.
        key = (
            (label.accession, label.concept, label.instance)
            if label.instance is not None
            else len(rows)
        )
        number = numbers.setdefault(key, len(numbers) + 1)
        rows.append((*label[:6], number))
    names = ["accession", "start", "end", "concept", "category", "level", "instance"]
    annotations = Annotations(
        pl.DataFrame(rows, schema={name: SCHEMA[name] for name in names}, orient="row"), proteins
    )
    report.kept = annotations.table["accession"].n_unique()
    return LabelsRead(annotations, report)


def _is_spoilt(label: Label, report: ReadReport, line: int | None) -> bool:
    damage = spoilt(label.concept) or spoilt(label.instance or "")
    if damage:
        report.reject(
            "spoilt by a spreadsheet",
            label.accession,
            f"{label.concept}, {label.instance}: {damage}" if label.instance else damage,
            "take the row from the table as it was before, and format its cells as text",
            line,
        )
    return damage is not None


def _fits(label: Label, proteins: Proteins, report: ReadReport, line: int | None) -> bool:
    if label.accession not in proteins:
        report.reject(
            "unknown protein",
            label.accession,
            "not among the proteins",
            "use the accessions of the given proteins",
            line,
        )
        return False
    length = len(proteins.sequence(label.accession))
    if not 1 <= label.start <= label.end <= length:
        reason = "span past the end" if label.end > length else "span backwards or before 1"
        detail = f"{label.concept} {label.start}..{label.end}"
        report.reject(
            reason,
            label.accession,
            detail,
            f"positions run from 1 to {length}, start before end",
            line,
        )
        return False
    return True


def _agrees(
    label: Label, kinds: dict[str, tuple[str, str]], report: ReadReport, line: int | None
) -> bool:
    """Whether the level is valid, and category and level are those the concept came with first."""
    kind = (label.category, label.level)
    if label.level not in LEVELS:
        report.reject(
            "unknown level",
            label.accession,
            f"{label.level!r}",
            f"level must be one of {', '.join(LEVELS)}",
            line,
        )
        return False
    first = kinds.setdefault(label.concept, kind)
    if first != kind:
        detail = f"{label.concept} is {', '.join(kind)}; it was {', '.join(first)} before"
        report.reject(
            "concept of two kinds",
            label.accession,
            detail,
            "give a concept one category and one level",
            line,
        )
    return first == kind
