"""FASTA files into `Proteins`."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO, Unpack

import polars as pl

from interplm_nb.proteins import Proteins
from interplm_nb.readers.entries import Entry, Filters, ReadOptions, collect
from interplm_nb.readers.opening import open_text
from interplm_nb.readers.report import InputError, ReadReport

_UNIPROT = re.compile(r"(?:sp|tr)\|([^|\s]+)\|\S*\s*(.*)")


class FastaRead(NamedTuple):
    """Proteins of a FASTA file (metadata: `description`), and what was skipped."""

    proteins: Proteins
    report: ReadReport


def read_fasta(path: Path | str, strict: bool = False, **filters: Unpack[Filters]) -> FastaRead:
    """Read a FASTA file, plain or compressed with gzip or zstd.

    The accession is UniProt's (`>sp|P69905|HBA_HUMAN ...`) or the first word of the header. Lower
    case is converted to upper case and one final `*` removed; the report notes both.

    Parameters
    ----------
    path
        The file.
    strict
        Stop at the first invalid record instead of skipping and reporting it. A record is invalid
        with gaps, an inner `*`, digits, blanks or no residues, and when its accession came before
        with another sequence.
    **filters
        Filters: see `entries.Filters`.

    Returns
    -------
    FastaRead
        `proteins` and `report` (what was skipped or changed, and why).

    Raises
    ------
    InputError
        If the file is missing, truncated, not FASTA, or has no valid record.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "two.fasta"
    ...     _ = path.write_text(">P1 first\\nMKV\\n>P2\\nM-V\\n")
    ...     proteins, report = read_fasta(path)
    >>> proteins.sequences, report.counts()
    (['MKV'], {'gap in the sequence': 1})
    """
    report = ReadReport(path, strict)
    options = ReadOptions(strict=strict, **filters)
    with open_text(path) as text:
        proteins, _, _ = collect(
            _entries(text, path, report),
            options,
            report,
            "FASTA records ('>name', then residues)",
            {"description": pl.String},
        )
    return FastaRead(proteins, report)


def _entries(text: TextIO, path: Path | str, report: ReadReport) -> Iterator[Entry]:
    for header, sequence, line in _records(text, path):
        accession, description = _name(header)
        if accession:
            yield Entry(accession, sequence, [], {"description": description}, line)
        else:
            report.reject(
                "record without a name",
                f"record at line {line}",
                "nothing after '>'",
                "name it, as in '>P69905'",
                line,
            )


def _records(text: TextIO, path: Path | str) -> Iterator[tuple[str, str, int]]:
    """Header, sequence and first line of each record."""
    header: str | None = None
    start, parts = 0, []
    for number, line in enumerate(text, 1):
        line = line.strip()
        if line.startswith(">"):
            if header is not None:
                yield header, "".join(parts), start
            header, start, parts = line[1:].strip(), number, []
        elif line and header is None:
            raise InputError(
                f"{path}: line {number} is {line[:40]!r}; wanted FASTA, which starts with '>'"
            )
        else:
            parts.append(line)
    if header is not None:
        yield header, "".join(parts), start


def _name(header: str) -> tuple[str, str]:
    """Accession and description of a header line."""
    uniprot = _UNIPROT.match(header)
    if uniprot:
        return uniprot[1], uniprot[2]
    words = header.split(maxsplit=1)
    return words[0] if words else "", words[1] if len(words) > 1 else ""
