"""Read a file of proteins in any format; the format is recognised by the file's first bytes."""

from pathlib import Path
from typing import Literal, Unpack

from interplm_nb.annotations import Annotations
from interplm_nb.readers.alignment_formats import alignment_format, not_sequences
from interplm_nb.readers.concepts import Convention
from interplm_nb.readers.delimited import column_names
from interplm_nb.readers.entries import Filters, ProteinsRead
from interplm_nb.readers.fasta import read_fasta
from interplm_nb.readers.fasta_records import COMMENTS
from interplm_nb.readers.opening import open_bytes, refuse_packed
from interplm_nb.readers.report import InputError
from interplm_nb.readers.uniprot_flat import read_uniprot_flat
from interplm_nb.readers.uniprot_tsv import read_uniprot_tsv
from interplm_nb.readers.uniprot_xml import read_uniprot_xml

Format = Literal["fasta", "tsv", "text", "xml"]

_UNIPROT = {"tsv": read_uniprot_tsv, "text": read_uniprot_flat, "xml": read_uniprot_xml}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read(
    path: Path | str,
    convention: Convention = "strict",
    strict: bool = False,
    *,
    format: Format | Literal["auto"] = "auto",
    **filters: Unpack[Filters],
) -> ProteinsRead:
    """Read proteins and their annotations from FASTA or a UniProt TSV, flat file or XML.

    The file may be plain or compressed with gzip or zstd.

    Parameters
    ----------
    path
        The file.
    convention
        How UniProt features become concepts: "strict" or "published" (`concepts.py`).
    strict
        Stop at the first invalid record instead of skipping and reporting it.
    format
        "fasta", "tsv", "text" (a UniProt flat file) or "xml"; "auto" recognises it from the
        content, regardless of the file's name.
    **filters
        Filters and options: see `entries.Filters`.

    Returns
    -------
    ProteinsRead
        `proteins`, `annotations` (empty for FASTA) and `report` (what was skipped, and why).

    Raises
    ------
    InputError
        If the file is missing, damaged, in none of these formats, or has no valid protein, or if
        a line or a record is longer than `opening.LONGEST_RECORD`.

    Examples
    --------
    >>> from interplm_nb.readers import demo
    >>> proteins, annotations, report = read(demo.table_path(), max_length=1022)
    >>> len(proteins) == report.kept
    True
    >>> annotations.concepts[0]
    'Active site_Charge relay system'
    """
    kind = recognise(path) if format == "auto" else format
    if kind == "fasta":
        proteins, report = read_fasta(path, strict, **filters)
        return ProteinsRead(proteins, Annotations.empty(proteins), report)
    return _UNIPROT[kind](path, convention, strict, **filters)


def recognise(path: Path | str) -> Format:
    """The format of a file of proteins, from its first non-blank characters.

    Raises `InputError` for any other format.
    """
    with open_bytes(path) as stream:
        refuse_packed(stream, path)
        # An XML file may be one long line.
        start = stream.read(10_000).removeprefix(_BYTE_ORDER_MARK).lstrip(b" \r\n")
    lines = [line.decode("utf-8", "replace") for line in start.splitlines() if line.strip()]
    first = lines[0] if lines else ""
    if kind := alignment_format(first):
        raise InputError(f"{path}: {not_sequences(kind)}")
    if next((line for line in lines if not line.startswith(COMMENTS)), "").startswith(">"):
        return "fasta"
    if first.startswith("<"):
        return "xml"
    if first.startswith("ID   "):
        return "text"
    if "\t" in first or _is_table(start):
        return "tsv"
    raise InputError(
        f"{path}: format not recognised from its first line, {first[:40].strip()!r}; "
        "wanted FASTA ('>name'), a UniProt flat file ('ID   '), UniProt XML, or a UniProt TSV (or "
        "CSV) with a header line. Set the format to fasta, text, xml or tsv; sequences alone need "
        "a line '>name' above each"
    )


def _is_table(start: bytes) -> bool:
    """Whether the first line, separated by commas or semicolons, names a column that is needed."""
    names = column_names(start.decode("utf-8", "replace"))
    return any(name.lower() in ("entry", "sequence") for name in names)
