"""FASTA files into `Proteins`."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Unpack

import polars as pl

from interplm_nb.proteins import Proteins
from interplm_nb.readers.entries import Entry, Filters, ReadOptions, collect
from interplm_nb.readers.fasta_records import Record, fasta_records
from interplm_nb.readers.opening import open_text
from interplm_nb.readers.report import ReadReport

_UNIPROT = re.compile(r"(?:sp|tr)\|([^|\s]+)\|\S*\s*(.*)")


class FastaRead(NamedTuple):
    """Proteins of a FASTA file (metadata: `description`), and what was skipped."""

    proteins: Proteins
    report: ReadReport


def read_fasta(path: Path | str, strict: bool = False, **filters: Unpack[Filters]) -> FastaRead:
    """Read a FASTA file, plain or compressed with gzip or zstd.

    The accession is UniProt's (`>sp|P69905|HBA_HUMAN ...`) or the first word of the header. Lower
    case is converted to upper case, one final `*` removed, comment lines (`;` or `#`) left out, and
    a record found that starts within a line (files joined without a line end); the report notes
    each.

    Parameters
    ----------
    path
        The file.
    strict
        Stop at the first invalid record instead of skipping and reporting it. A record is invalid
        with gaps, an inner `*`, digits, blanks or no residues, of nucleotides, and when its
        accession came before with another sequence.
    **filters
        Filters: see `entries.Filters`.

    Returns
    -------
    FastaRead
        `proteins` and `report` (what was skipped or changed, and why).

    Raises
    ------
    InputError
        If the file is missing, truncated, not FASTA, or has no valid record, or if a record or a
        line is longer than `opening.LONGEST_RECORD`.

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
        return of_records(fasta_records(text, path, report), options, report)


def of_records(records: Iterable[Record], options: ReadOptions, report: ReadReport) -> FastaRead:
    """Proteins of the records of a FASTA file; what is wrong goes to `report`, as `read_fasta`."""
    proteins, _, _ = collect(
        _entries(records, report),
        options,
        report,
        "FASTA records ('>name', then residues)",
        {"description": pl.String},
    )
    return FastaRead(proteins, report)


def _entries(records: Iterable[Record], report: ReadReport) -> Iterator[Entry]:
    for header, sequence, line in records:
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


def _name(header: str) -> tuple[str, str]:
    """Accession and description of a header line."""
    uniprot = _UNIPROT.match(header)
    if uniprot:
        return uniprot[1], uniprot[2]
    words = header.split(maxsplit=1)
    return words[0] if words else "", words[1] if len(words) > 1 else ""
