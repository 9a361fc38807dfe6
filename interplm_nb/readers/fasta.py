"""FASTA files into `Proteins`."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

import polars as pl
from tqdm.auto import tqdm

from interplm_nb.proteins import Proteins
from interplm_nb.readers.opening import open_text
from interplm_nb.readers.report import InputError, ReadReport
from interplm_nb.readers.sequences import clean_sequence, is_repeat

_UNIPROT = re.compile(r"(?:sp|tr)\|([^|\s]+)\|\S*\s*(.*)")


class FastaRead(NamedTuple):
    """Proteins of a FASTA file (metadata: `description`), and what was left out."""

    proteins: Proteins
    report: ReadReport


class _Record(NamedTuple):
    header: str
    sequence: str
    line: int


def read_fasta(path: Path | str, strict: bool = False) -> FastaRead:
    """Read a FASTA file, plain or packed by gzip or zstd.

    The accession is UniProt's (`>sp|P69905|HBA_HUMAN ...`) or the first word. Lower case is raised and one final `*` removed, both noted.
    A record with gaps, inner `*`, digits, blanks, no residues, or an accession that came before with another sequence is noted and left out;
    with `strict` it stops the reading.

    Raises `InputError` for a file that is missing, truncated, not FASTA, or without any good record.
    """
    report = ReadReport(path, strict)
    sequences: dict[str, str] = {}
    descriptions: list[str] = []
    with open_text(path) as text:
        for record in tqdm(
            _records(text, path), desc="FASTA records", unit=" records", delay=2, leave=False
        ):
            accession, description = _name(record.header)
            label = accession or f"record at line {record.line}"
            if not accession:
                report.reject(
                    "record without a name",
                    label,
                    "nothing after '>'",
                    "name it, as in '>P69905'",
                    record.line,
                )
                continue
            sequence = clean_sequence(record.sequence, report, label, record.line)
            if sequence is None or is_repeat(
                sequences.get(accession), sequence, report, label, record.line
            ):
                continue
            sequences[accession] = sequence
            descriptions.append(description)
    if not sequences:
        raise InputError(
            f"{path}: no protein could be read; wanted FASTA records ('>name', then residues). {report}"
        )
    report.kept = len(sequences)
    return FastaRead(Proteins(_table(sequences, descriptions)), report)


def _records(text: TextIO, path: Path | str) -> Iterator[_Record]:
    header: str | None = None
    start, parts = 0, []
    for number, line in enumerate(text, 1):
        line = line.strip()
        if line.startswith(">"):
            if header is not None:
                yield _Record(header, "".join(parts), start)
            header, start, parts = line[1:].strip(), number, []
        elif line and header is None:
            raise InputError(
                f"{path}: line {number} is {line[:40]!r}; wanted FASTA, whose first line begins with '>'"
            )
        else:
            parts.append(line)
    if header is not None:
        yield _Record(header, "".join(parts), start)


def _name(header: str) -> tuple[str, str]:
    """Accession and description of a header line."""
    uniprot = _UNIPROT.match(header)
    if uniprot:
        return uniprot[1], uniprot[2]
    words = header.split(maxsplit=1)
    return words[0] if words else "", words[1] if len(words) > 1 else ""


def _table(sequences: dict[str, str], descriptions: list[str]) -> pl.DataFrame:
    columns = {
        "accession": list(sequences),
        "sequence": list(sequences.values()),
        "description": descriptions,
    }
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
