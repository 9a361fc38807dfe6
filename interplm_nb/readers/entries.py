"""Entries, as any reader yields them one by one, into `Proteins` and `Annotations`."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

import polars as pl

from interplm_nb.annotations import Annotations
from interplm_nb.progress import progress_bar
from interplm_nb.proteins import Proteins
from interplm_nb.readers.concepts import Convention
from interplm_nb.readers.features import Feature, SegmentBuilder
from interplm_nb.readers.report import InputError, ReadReport
from interplm_nb.readers.sequences import clean_sequence, is_repeat, short_nucleotides

_NUMBER = re.compile(r"[0-9]{1,9}")

METADATA = {
    "entry_name": pl.String,
    "reviewed": pl.Boolean,
    "protein_name": pl.String,
    "gene_names": pl.String,
    "organism": pl.String,
    "taxon": pl.Int64,
    "alphafold": pl.Boolean,
}
"""Metadata columns of `Proteins.table` from every UniProt format; null if the file has no value."""


class ProteinsRead(NamedTuple):
    """Proteins and annotations of a file, on one residue axis, and what was skipped."""

    proteins: Proteins
    annotations: Annotations
    report: ReadReport


class Entry(NamedTuple):
    """One entry as written."""

    accession: str
    sequence: str
    features: list[Feature]
    metadata: dict[str, str | int | bool | None]
    line: int
    length: int | None = None
    """Number of residues, as the entry states it."""


def whole_number(text: str | None) -> int | None:
    """The number in a text of 1 to 9 ASCII digits, else None."""
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None


class Filters(TypedDict, total=False):
    """Filters and options that every reader of proteins takes as keywords.

    A filter keeps proteins whose file has no value for it. FASTA has lengths and sequences only.
    """

    max_length: int | None
    """Skip longer proteins (default: no limit)."""
    reviewed: bool
    """Keep Swiss-Prot entries only."""
    alphafold: bool
    """Keep entries with a model in AlphaFoldDB only, as InterPLM does."""
    unique_sequences: bool
    """Keep only the first protein with each sequence, as InterPLM does."""
    min_instances: int
    """Instances that a note or ligand needs for its own concept (default 10)."""
    merge_numbered: bool
    """Merge `Sushi 1` and `Sushi 2` into one concept (`strict` only; by default they stay two, as
    in InterPLM)."""


@dataclass(frozen=True)
class ReadOptions:
    """How to read entries; `Filters` describes the fields from `max_length` on."""

    convention: Convention = "strict"
    strict: bool = False
    max_length: int | None = None
    reviewed: bool = False
    alphafold: bool = False
    unique_sequences: bool = False
    min_instances: int = 10
    merge_numbered: bool = False

    def __post_init__(self) -> None:
        if self.convention not in ("strict", "published"):
            raise ValueError(f"convention must be 'strict' or 'published'; got {self.convention!r}")
        if self.min_instances < 1:
            raise ValueError(f"min_instances must be at least 1; got {self.min_instances}")


def collect(
    entries: Iterable[Entry],
    options: ReadOptions,
    report: ReadReport,
    kind: str,
    columns: Mapping[str, pl.DataType | type[pl.DataType]] = METADATA,
) -> ProteinsRead:
    """Check and filter entries one by one; their segments are kept in flat arrays.

    `kind` names what was wanted, `columns` the metadata. Raises `InputError` if no entry is left.
    """
    builder = SegmentBuilder(
        options.convention, options.min_instances, options.merge_numbered, report
    )
    sequences: dict[str, str] = {}
    seen: set[str] = set()
    metadata: list[tuple] = []
    for entry in progress_bar(
        entries, desc="reading proteins", unit=" proteins", delay=2, leave=False
    ):
        sequence = _sequence(entry, sequences, report)
        if sequence is None or not _selected(entry, sequence, options, seen, report):
            continue
        builder.add(len(sequences), entry.accession, len(sequence), entry.features, entry.line)
        sequences[entry.accession] = sequence
        metadata.append(tuple(entry.metadata.get(name) for name in columns))
    if not sequences:
        raise InputError(f"{report.file}: no protein is left; wanted {kind}. {report}")
    if short_nucleotides(sequences.values()):
        raise InputError(
            f"{report.file}: nucleotides, not residues: {len(sequences):,} short sequences of "
            "A, C, G, T or U. Translate them first"
        )
    report.kept = len(sequences)
    names = {"accession": list(sequences), "sequence": list(sequences.values())}
    about = pl.DataFrame(metadata, schema=dict(columns), orient="row")
    proteins = Proteins(pl.DataFrame(names, schema=dict.fromkeys(names, pl.String)).hstack(about))
    return ProteinsRead(proteins, builder.annotations(proteins), report)


def _sequence(entry: Entry, known: dict[str, str], report: ReadReport) -> str | None:
    """The entry's sequence, or None if it is rejected."""
    if not entry.accession:
        report.reject(
            "entry without an accession",
            f"entry at line {entry.line}",
            "it is empty",
            "every entry needs one",
            entry.line,
        )
        return None
    sequence = clean_sequence(entry.sequence, report, entry.accession, entry.line)
    if sequence is None or is_repeat(
        known.get(entry.accession), sequence, report, entry.accession, entry.line
    ):
        return None
    if entry.length not in (None, len(sequence)):
        detail = f"{len(sequence)} residues, and the entry says {entry.length}"
        report.reject(
            "sequence of another length than the entry says",
            entry.accession,
            detail,
            "download it again",
            entry.line,
        )
        return None
    return sequence


def _selected(
    entry: Entry, sequence: str, options: ReadOptions, seen: set[str], report: ReadReport
) -> bool:
    """Whether the filters keep this entry."""
    reason = None
    if options.max_length is not None and len(sequence) > options.max_length:
        reason = f"longer than {options.max_length:,} residues"
    elif options.reviewed and entry.metadata.get("reviewed") is False:
        reason = "not reviewed"
    elif options.alphafold and entry.metadata.get("alphafold") is False:
        reason = "no model in AlphaFoldDB"
    elif options.unique_sequences and sequence in seen:
        reason = "the same sequence as another protein"
    if reason:
        report.note(f"filtered: {reason}", entry.accession)
    elif options.unique_sequences:
        seen.add(sequence)
    return reason is None
