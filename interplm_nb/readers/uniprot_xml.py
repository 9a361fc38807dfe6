"""UniProt XML into `Proteins` and `Annotations`, one entry in memory at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Unpack
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from interplm_nb.readers import opening
from interplm_nb.readers.concepts import BY_XML, Convention
from interplm_nb.readers.entries import (
    Entry,
    Filters,
    ProteinsRead,
    ReadOptions,
    collect,
    whole_number,
)
from interplm_nb.readers.features import Feature
from interplm_nb.readers.opening import open_bytes
from interplm_nb.readers.report import InputError, ReadReport

_CHUNK = 1 << 18
_MARKS = {"less than": "<", "greater than": ">", "uncertain": "?", "unknown": "?"}


def read_uniprot_xml(
    path: Path | str,
    convention: Convention = "strict",
    strict: bool = False,
    **filters: Unpack[Filters],
) -> ProteinsRead:
    """Read UniProt XML (plain, gzip or zstd), one entry in memory at a time.

    Arguments and errors as `read_uniprot_tsv`; also raises `InputError` for XML that is not
    well-formed (a truncated download) or declares a document type or entities: UniProt's does not,
    and entities can refer to other files or grow without limit. Also for an entry, or what is
    between two, longer than `opening.LONGEST_RECORD`.
    """
    options = ReadOptions(convention, strict, **filters)
    report = ReadReport(path, strict)
    with open_bytes(path) as stream:
        entries = (_entry(element, line) for element, line in _EntryElements(path).read(stream))
        return collect(entries, options, report, "<entry> elements of UniProt XML")


class _EntryElements:
    """Splits a stream into `<entry>` elements.

    With expat itself, as `iterparse` cannot refuse a document type.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = path
        self._builder: TreeBuilder | None = None
        self._depth = 0
        self._line = 0
        self._ready: list[tuple[Element, int]] = []
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._data
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.EntityDeclHandler = self._refuse

    def read(self, stream: BinaryIO) -> Iterator[tuple[Element, int]]:
        """Each entry and its first line."""
        size, last = 0, False
        while not last:
            chunk = stream.read(_CHUNK)
            last = not chunk
            try:
                self._parser.Parse(chunk, last)
            # The others: an encoding that is unknown, or of several bytes a letter.
            except (expat.ExpatError, LookupError, ValueError) as error:
                raise InputError(
                    f"{self._path}: not well-formed XML ({error}); the file is damaged or "
                    "truncated, download it again"
                ) from error
            size = 0 if self._ready else size + len(chunk)
            if size > opening.LONGEST_RECORD:
                raise InputError(f"{self._path}: {opening.too_long('an entry')}")
            yield from self._ready
            self._ready.clear()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        if self._builder is None:
            if name != "entry":
                return
            self._builder, self._depth, self._line = (
                TreeBuilder(),
                0,
                self._parser.CurrentLineNumber,
            )
        self._depth += 1
        self._builder.start(name, attributes)

    def _end(self, name: str) -> None:
        if self._builder is None:
            return
        self._builder.end(name.rpartition(":")[2])
        self._depth -= 1
        if self._depth == 0:
            self._ready.append((self._builder.close(), self._line))
            self._builder = None

    def _data(self, text: str) -> None:
        if self._builder is not None:
            self._builder.data(text)

    def _refuse(self, name: str, *_: object) -> None:
        raise InputError(
            f"{self._path}: declares a document type or entity ({name!r}), which UniProt XML does "
            "not; take the file from UniProt"
        )


def _entry(element: Element, line: int) -> Entry:
    accession = (element.findtext("accession") or "").strip()
    sequence = element.find("sequence")
    says = whole_number(sequence.get("length")) if sequence is not None else None
    taxon = element.find("organism/dbReference[@type='NCBI Taxonomy']")
    metadata: dict[str, str | int | bool | None] = {
        "entry_name": _text(element, "name"),
        "reviewed": element.get("dataset") == "Swiss-Prot",
        "protein_name": _text(element, "protein/recommendedName/fullName")
        or _text(element, "protein/submittedName/fullName"),
        "gene_names": _text(element, "gene/name"),
        "organism": _text(element, "organism/name"),
        "taxon": whole_number(taxon.get("id")) if taxon is not None else None,
        "alphafold": element.find("dbReference[@type='AlphaFoldDB']") is not None,
    }
    residues = "".join((sequence.text or "").split()) if sequence is not None else ""
    features = [_feature(feature) for feature in element.iterfind("feature")]
    return Entry(accession, residues, features, metadata, line, says)


def _text(element: Element, place: str) -> str | None:
    return " ".join((element.findtext(place) or "").split()) or None


def _feature(element: Element) -> Feature:
    kind = element.get("type", "")
    known = BY_XML.get(kind)
    ligand, part = _text(element, "ligand/name") or "", _text(element, "ligandPart/name") or ""
    return Feature(
        known.key if known else kind,
        _location(element.find("location")),
        element.get("description", ""),
        ligand,
        part,
    )


def _location(location: Element | None) -> str:
    """As in flat files: `5`, `10..17`, `<1..20`, `?..35`, `P12345-2:3..9`."""
    if location is None:
        return "?"
    isoform = location.get("sequence")
    ends = [
        _position(location.find(place))
        for place in ("begin", "end", "position")
        if location.find(place) is not None
    ]
    text = ends[0] if len(set(ends)) == 1 else "..".join(ends) or "?"
    return f"{isoform}:{text}" if isoform else text


def _position(position: Element | None) -> str:
    if position is None:
        return "?"
    return _MARKS.get(position.get("status", ""), "") + position.get("position", "")
