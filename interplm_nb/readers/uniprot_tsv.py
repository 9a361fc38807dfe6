"""UniProt TSV (or CSV) into `Proteins` and `Annotations`: columns of today and before 2022."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Unpack

from interplm_nb.readers.concepts import (
    BY_COLUMN,
    COFACTOR_COLUMN,
    FEATURE_TYPES,
    Convention,
    FeatureType,
)
from interplm_nb.readers.delimited import delimited, spoilt, whole
from interplm_nb.readers.entries import (
    Entry,
    Filters,
    ProteinsRead,
    ReadOptions,
    collect,
)
from interplm_nb.readers.features import Feature
from interplm_nb.readers.opening import open_text
from interplm_nb.readers.report import InputError, ReadReport

# A quotation mark ends a value only before ';' or the end: notes contain quotation marks.
_FEATURE = re.compile(r'\s*([A-Z][A-Z_]+) ([^\s;]+)((?:;\s*/\w+=".*?"(?=\s*;|\s*$))*)\s*(?:;|$)')
_QUALIFIER = re.compile(r'/(note|ligand|ligand_part)="(.*?)"(?=\s*;|\s*$)')
_NEXT = re.compile(r";\s*(?=[A-Z][A-Z_]+ [^\s;]+\s*(?:;|$))")

# Names of today and older ones, in lower case.
_METADATA = {
    "entry name": "entry_name",
    "reviewed": "reviewed",
    "status": "reviewed",
    "protein names": "protein_name",
    "gene names": "gene_names",
    "organism": "organism",
    "organism (id)": "taxon",
    "organism id": "taxon",
    "alphafolddb": "alphafold",
    "cross-reference (alphafolddb)": "alphafold",
}
_COLUMNS = ("entry", "sequence", "length", COFACTOR_COLUMN.lower(), *_METADATA, *BY_COLUMN)
_FILTERS = {"reviewed": "Reviewed", "alphafold": "AlphaFoldDB"}


def read_uniprot_tsv(
    path: Path | str,
    convention: Convention = "strict",
    strict: bool = False,
    **filters: Unpack[Filters],
) -> ProteinsRead:
    """Read a UniProt TSV download (plain, gzip or zstd), also one that a spreadsheet saved again.

    Parameters
    ----------
    path
        A table with the columns `Entry` and `Sequence`, and any feature columns; tabs, commas or
        semicolons, as its first line has them. Absent columns of features and filters are reported.
    convention
        How features become concepts: "strict" or "published" (`concepts.py`).
    strict
        Stop at the first invalid record instead of skipping and reporting it.
    **filters
        Filters and options: see `entries.Filters`.

    Returns
    -------
    ProteinsRead
        `proteins`, `annotations` and `report`.

    Raises
    ------
    InputError
        If the file is missing or truncated, lacks a column, or has no valid protein.
    """
    options = ReadOptions(convention, strict, **filters)
    report = ReadReport(path, strict)
    with open_text(path) as text:
        names, rows = delimited(text, _COLUMNS, ("entry", "sequence"), report)
        entries = _Table(names, options, report).entries(rows)
        return collect(entries, options, report, "rows with an accession and a sequence")


class _Table:
    """The columns of one table, by index."""

    def __init__(self, names: list[str], options: ReadOptions, report: ReadReport) -> None:
        self.report = report
        self.places = {name.lower(): place for place, name in enumerate(names)}
        missing = [name for name in ("Entry", "Sequence") if name.lower() not in self.places]
        if missing:
            raise InputError(
                f"{report.file}: wanted a UniProt TSV with the columns 'Entry' and 'Sequence'; "
                f"{missing} not among {_short(names)}. Download it again with these columns (REST "
                "fields 'accession' and 'sequence')"
            )
        self.metadata = [
            (_METADATA[name], place) for name, place in self.places.items() if name in _METADATA
        ]
        kinds = [
            (BY_COLUMN[name], place) for name, place in self.places.items() if name in BY_COLUMN
        ]
        self.features = [
            (kind, place) for kind, place in kinds if kind.naming_in(options.convention)
        ]
        self._note_columns(kinds, options)

    def _note_columns(self, kinds: list[tuple[FeatureType, int]], options: ReadOptions) -> None:
        present = {kind.key for kind, _ in kinds}
        for kind, _ in kinds:
            if kind.naming_in(options.convention) is None:
                self.report.note(
                    f"column without a concept in the {options.convention} convention", kind.column
                )
        for kind in FEATURE_TYPES:
            if kind.field and kind.naming_in(options.convention) and kind.key not in present:
                self.report.note("concept column absent", kind.column, f"REST field {kind.field}")
        for option, column in _FILTERS.items():
            if getattr(options, option) and option not in dict(self.metadata):
                self.report.note("filter skipped, its column is absent", column)

    def entries(self, rows: Iterator[tuple[int, list[str]]]) -> Iterator[Entry]:
        """The entries of numbered rows; one with a cell that cannot be read is reported and left
        out."""
        length, cofactor = self.places.get("length"), self.places.get(COFACTOR_COLUMN.lower())
        for line, cells in rows:
            accession = cells[self.places["entry"]].strip()
            if cofactor is not None and cells[cofactor]:
                self.report.note(
                    "cofactor names no residues", accession, n=cells[cofactor].count("Name=")
                )
            features = self._features(cells, accession, line)
            if features is None:
                continue
            says = cells[length].strip() if length is not None else ""
            sequence = cells[self.places["sequence"]]
            metadata = self._metadata(cells, accession)
            yield Entry(accession, sequence, features, metadata, line, whole(says))

    def _features(self, cells: list[str], accession: str, line: int) -> list[Feature] | None:
        """The features of a row; None if a cell has none that can be read.

        Without them the protein would be a negative of what the cell says.
        """
        features: list[Feature] = []
        for kind, place in self.features:
            if not cells[place].strip():
                continue
            found = list(self._parse(cells[place], accession, line))
            if not found:
                self.report.reject(
                    "protein left out: no feature of a cell can be read",
                    accession,
                    kind.column,
                    "copy the cell again, or leave it empty",
                    line,
                )
                return None
            features += found
        return features

    def _metadata(self, cells: list[str], accession: str) -> dict[str, str | int | bool | None]:
        found: dict[str, str | int | bool | None] = {
            name: cells[place].strip() or None for name, place in self.metadata
        }
        for name, value in found.items():
            damage = spoilt(str(value))
            if damage:
                self.report.note(f"{name} left empty: {damage}", accession, str(value))
                found[name] = None
        if "reviewed" in found:
            found["reviewed"] = str(found["reviewed"]).lower() in ("reviewed", "true")
        if "alphafold" in found:
            found["alphafold"] = found["alphafold"] is not None
        if "taxon" in found:
            found["taxon"] = whole(str(found["taxon"]))
        return found

    def _parse(self, cell: str, accession: str, line: int) -> Iterator[Feature]:
        """The features of a cell; other text is rejected, up to the next feature."""
        start = 0
        while start < len(cell):
            match = _FEATURE.match(cell, start)
            if match is None:
                detail, wanted = (
                    repr(cell[start : start + 40]),
                    'features are as in HELIX 4..18; /note="..."',
                )
                self.report.reject("unreadable feature", accession, detail, wanted, line)
                onward = _NEXT.search(cell, start)
                start = onward.end() if onward else len(cell)
                continue
            start = match.end()
            yield (
                Feature(match[1], match[2], **dict(_QUALIFIER.findall(match[3])))
                if match[3]
                else Feature(match[1], match[2])
            )


def _short(names: list[str]) -> str:
    return f"{names[:12]} and {len(names) - 12} more" if len(names) > 12 else str(names)
