"""Records of a FASTA file as written: proteins, or the rows of an alignment."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from interplm_nb.readers import opening
from interplm_nb.readers.alignment_formats import alignment_format, not_sequences
from interplm_nb.readers.report import InputError, ReadReport

COMMENTS = (";", "#")
"""How a comment line begins."""

_BYTE_ORDER_MARK = "\ufeff"
_JOINED = re.compile(r"([A-Za-z*.~_-]+)>(.*)")
_PIR = re.compile(r"(?:[PFDRN][13LC]|XX);")


class Record(NamedTuple):
    """A record: its header without `>`, its letters, and its first line."""

    header: str
    sequence: str
    line: int


def fasta_records(lines: Iterable[str], path: Path | str, report: ReadReport) -> Iterator[Record]:
    """The records of a FASTA file, one in memory at a time.

    Comment lines (`COMMENTS`) are left out. A `>` after letters starts a record: two files were
    joined, and the first had no line end. The report notes both.

    Raises
    ------
    InputError
        If the text is not FASTA, or a record has over `opening.LONGEST_RECORD` letters.
    """
    header: str | None = None
    start, size, parts = 0, 0, []
    for number, line in enumerate(lines, 1):
        line = line.replace(_BYTE_ORDER_MARK, "").strip()
        if header is None and (kind := alignment_format(line)):
            raise InputError(f"{path}: {not_sequences(kind)}")
        if line.startswith(COMMENTS):
            report.note("comment line left out", f"line {number}", line[:40])
            continue
        joined = _JOINED.fullmatch(line) if ">" in line else None
        if line.startswith(">") or (joined and header is not None):
            before, name = joined.groups() if joined else ("", line[1:].lstrip())
            if joined:
                report.note(
                    "record that starts within a line",
                    name.strip(),
                    f"line {number}; two files joined without a line end?",
                )
            if header is not None:
                yield Record(header, "".join([*parts, before]), start)
            header, start, size, parts = name.strip(), number, 0, []
            if _PIR.match(name):
                raise InputError(
                    f"{path}: line {number} is {line[:40]!r}: this is PIR (NBRF), whose names are "
                    "followed by a title line; convert it to FASTA"
                )
        elif line and header is None:
            raise InputError(
                f"{path}: line {number} is {line[:40]!r}; wanted FASTA, which starts with '>'"
            )
        elif line:
            parts.append(line)
            size += len(line)
            if size > opening.LONGEST_RECORD:
                raise InputError(f"{path}: {opening.too_long(f'the record at line {start}')}")
    if header is not None:
        yield Record(header, "".join(parts), start)
