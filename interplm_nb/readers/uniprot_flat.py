"""UniProt flat files (.dat, .txt) into `Proteins` and `Annotations`.

Feature tables in today's format and in the format before 2019_11.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO, Unpack

from interplm_nb.readers import opening
from interplm_nb.readers.concepts import Convention
from interplm_nb.readers.entries import (
    Entry,
    Filters,
    ProteinsRead,
    ReadOptions,
    collect,
    whole_number,
)
from interplm_nb.readers.features import Feature
from interplm_nb.readers.opening import open_text
from interplm_nb.readers.report import InputError, ReadReport

_CODES = frozenset(("ID", "AC", "DE", "GN", "OS", "OX", "DR", "FT", "SQ"))
_TODAY = re.compile(r"(\w+) +(\S+)$")  # HELIX           24..26
_OLD = re.compile(
    r"(\w+) +([<>?\d]+) +([<>?\d]+)(?: +(.*))?$"
)  # HELIX        24     26       Note.
_QUALIFIER = re.compile(r'/(note|ligand|ligand_part)="((?:[^"]|"")*)"')
_ID = re.compile(r"(\S+)\s+(\w+);.*?(\d+) AA\.")
_EVIDENCE = re.compile(r"\s*\{(?:ECO:|EI)[^}]*\}")
# Until 2014 notes ended with how certain they were.
_QUALITY = re.compile(r"\s*\(?\b(?:By similarity|Potential|Probable)\)?\.?$", re.IGNORECASE)
_FTID = re.compile(r"\s*/FTId=\S+$")


def read_uniprot_flat(
    path: Path | str,
    convention: Convention = "strict",
    strict: bool = False,
    **filters: Unpack[Filters],
) -> ProteinsRead:
    """Read a UniProt flat file (plain, gzip or zstd), one entry in memory at a time.

    Arguments and errors as `read_uniprot_tsv`; also raises `InputError` if the file ends inside an
    entry (each ends with `//`), or an entry is longer than `opening.LONGEST_RECORD`.
    """
    options = ReadOptions(convention, strict, **filters)
    report = ReadReport(path, strict)
    with open_text(path) as text:
        entries = (_entry(draft, report) for draft in _drafts(text, path))
        return collect(entries, options, report, "UniProt flat file entries ('ID' to '//')")


@dataclass
class _Draft:
    """The lines of one entry that are used, by line code."""

    first: int
    lines: dict[str, list[str]] = field(default_factory=dict)
    sequence: list[str] = field(default_factory=list)

    def joined(self, code: str) -> str:
        """The lines of one code as one line; "" if absent."""
        return " ".join(line.strip() for line in self.lines.get(code, ()))


def _drafts(text: TextIO, path: Path | str) -> Iterator[_Draft]:
    draft: _Draft | None = None
    size = 0
    for number, line in enumerate(text, 1):
        code = line[:2]
        size = size + len(line) if draft else 0
        if draft and size > opening.LONGEST_RECORD:
            raise InputError(f"{path}: {opening.too_long(f'the entry at line {draft.first}')}")
        if draft is None:
            if line.strip() and code != "ID":
                raise InputError(
                    f"{path}: line {number} is {line[:40].rstrip()!r}; wanted a UniProt flat file, "
                    "whose entries begin with 'ID'"
                )
            draft = _Draft(number) if code == "ID" else None
        if draft is None:
            continue
        if code == "//":
            yield draft
            draft = None
        elif code == "  ":
            draft.sequence.append(line)
        elif code in _CODES:
            draft.lines.setdefault(code, []).append(line[5:].rstrip())
    if draft is not None:
        raise InputError(
            f"{path}: the file ends inside the entry that begins at line {draft.first}, before its "
            "'//'; download it again"
        )


def _entry(draft: _Draft, report: ReadReport) -> Entry:
    about = _ID.match(draft.joined("ID"))
    accession = draft.joined("AC").partition(";")[0].strip()
    label = accession or f"entry at line {draft.first}"
    if about is None:
        report.reject(
            "unreadable ID line",
            label,
            repr(draft.joined("ID")),
            "as in 'HBA_HUMAN  Reviewed;  142 AA.'",
            draft.first,
        )
    metadata: dict[str, str | int | bool | None] = {
        "entry_name": about[1] if about else None,
        # Until 2007 Swiss-Prot entries were 'STANDARD', TrEMBL's 'PRELIMINARY'.
        "reviewed": about[2].lower() in ("reviewed", "standard") if about else None,
        "protein_name": _after(r"(?:Rec|Sub)Name: Full=(.+?);", draft.joined("DE")),
        "gene_names": _after(r"Name=(.+?);", draft.joined("GN")),
        "organism": draft.joined("OS").removesuffix(".") or None,
        "taxon": whole_number(_after(r"NCBI_TaxID=(\d+)", draft.joined("OX"))),
        "alphafold": any(line.startswith("AlphaFoldDB;") for line in draft.lines.get("DR", ())),
    }
    features = list(_features(draft.lines.get("FT", []), report, label, draft.first))
    # Blanks group residues by ten; EMBL's tools append the count to the line.
    sequence = "".join(re.sub(r"\s|\d+\s*$", "", line) for line in draft.sequence)
    return Entry(
        accession,
        sequence,
        features,
        metadata,
        draft.first,
        whole_number(about[3]) if about else None,
    )


def _after(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text)
    return _EVIDENCE.sub("", match[1]) if match else None


def _features(lines: list[str], report: ReadReport, accession: str, line: int) -> Iterator[Feature]:
    """The features of an entry's `FT` lines, without their first five columns."""
    drafts: list[list[str]] = []
    for text in lines:
        if text[:1] not in ("", " "):
            drafts.append([text])
        elif drafts:
            drafts[-1].append(text.strip())
    for first, *rest in drafts:
        today, old = _TODAY.match(first), _OLD.match(first)
        if today:
            found = {
                name: value.replace('""', '"') for name, value in _QUALIFIER.findall(_join(rest))
            }
            yield Feature(today[1], today[2], **found)
        elif old:
            location = old[2] if old[2] == old[3] else f"{old[2]}..{old[3]}"
            yield Feature(old[1], location, _old_note(_join([old[4] or "", *rest])))
        else:
            report.reject(
                "unreadable feature",
                accession,
                repr(first[:60]),
                "as in 'HELIX           24..26'",
                line,
            )


def _join(lines: list[str]) -> str:
    """Join wrapped text. UniProt wraps at blanks, and after hyphens and slashes without one."""
    text = ""
    for line in lines:
        unbroken = len(text) > 1 and text[-1] in "-/" and text[-2] != " "
        text = f"{text}{line}" if unbroken or not text else f"{text} {line}"
    return text


def _old_note(text: str) -> str:
    """The note without evidence, identifier, quality and final period."""
    text = _EVIDENCE.sub("", _FTID.sub("", text)).rstrip(". ")
    return _QUALITY.sub("", text).strip()
