"""Readers of proteins and of alignments, with the slow obvious parser of each format."""

import gzip
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from interplm_nb.proteins import LETTERS
from interplm_nb.readers import demo
from interplm_nb.readers.alignment import FamilyRead, read_family
from interplm_nb.readers.entries import ProteinsRead
from interplm_nb.readers.fasta import read_fasta
from interplm_nb.readers.read import read
from interplm_nb.readers.sequences import are_nucleotides
from interplm_nb.readers.uniprot_flat import read_uniprot_flat
from interplm_nb.readers.uniprot_tsv import read_uniprot_tsv
from interplm_nb.readers.uniprot_xml import read_uniprot_xml
from tests.fuzz.ring import Fuzzed

GOLDEN = Path(__file__).parents[1] / "golden" / "uniprot"


def golden(name: str) -> bytes:
    return gzip.decompress((GOLDEN / name).read_bytes())


def text_of(path: Path) -> str:
    """The text, decompressed, without a byte order mark, lines ended by line feeds."""
    data = path.read_bytes()
    data = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    return re.sub(r"\r\n?", "\n", data.decode("utf-8-sig"))


def cleaned(letters: str) -> str:
    """In upper case, without a final stop."""
    return letters.removesuffix("*").upper() if letters.isascii() else letters


def fasta_records(text: str) -> Iterator[tuple[str, str]]:
    """Header and letters."""
    header, parts = None, []
    for line in text.split("\n"):
        line = line.replace("\ufeff", "").strip()
        if line.startswith(">"):
            if header is not None:
                yield header, "".join(parts)
            header, parts = line[1:], []
        elif header is not None and not line.startswith(("#", ";")):
            parts.append(line)
    if header is not None:
        yield header, "".join(parts)


def named(header: str) -> str:
    match = re.match(r"(?:sp|tr)\|([^|\s]+)\|", header.strip())
    return match[1] if match else (header.split() or [""])[0]


def same_fasta(path: Path, found: Any) -> None:
    """Each protein is a record, and each good record is a protein."""
    if "record that starts within a line" in found.report.counts():
        return
    records = [(named(header), cleaned(s)) for header, s in fasta_records(text_of(path))]
    kept = dict(zip(found.proteins.accessions, found.proteins.sequences, strict=True))
    assert set(kept.items()) <= set(records)
    good = {
        name
        for name, s in records
        if name and re.fullmatch(f"[{LETTERS}]+", s) and not are_nucleotides(s)
    }
    assert set(kept) == good


def on_one_line(path: Path, found: ProteinsRead) -> None:
    """Accession and sequence of each protein stand together in a line, or in lines joined."""
    text = text_of(path).replace('""', '"')
    for accession, sequence in zip(
        found.proteins.accessions, found.proteins.sequences, strict=True
    ):
        lines = [line for line in text.split("\n") if accession in line]
        assert any(sequence in line.upper() for line in lines) or (
            '"' in text and sequence in text.replace("\n", " ").upper()
        )


def same_flat(path: Path, found: ProteinsRead) -> None:
    held = set()
    for entry in re.split(r"(?m)^//.*$", text_of(path)):
        accession = re.findall(r"(?m)^AC.{0,3}(.*)", entry)
        letters = "".join(re.findall(r"(?m)^  (.*)", entry))
        joined = " ".join(a.strip() for a in accession).partition(";")[0].strip()
        held.add((joined, cleaned(re.sub(r"[\s\d]", "", letters))))
    kept = zip(found.proteins.accessions, found.proteins.sequences, strict=True)
    assert set(kept) <= held


def same_xml(path: Path, found: ProteinsRead) -> None:
    data = path.read_bytes()
    data = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    held = set()
    for entry in ElementTree.fromstring(data).iter():
        if entry.tag.rpartition("}")[2].rpartition(":")[2] == "entry":
            values = {
                tag: next((e.text or "" for e in entry if e.tag.rpartition("}")[2] == tag), "")
                for tag in ("accession", "sequence")
            }
            letters = "".join(values["sequence"].split())
            held.add((values["accession"].strip(), cleaned(letters)))
    kept = zip(found.proteins.accessions, found.proteins.sequences, strict=True)
    assert set(kept) <= held


def same_rows(path: Path, found: FamilyRead) -> None:
    """Each member's letters are those of its lines, in order."""
    text = text_of(path)
    fasta = [(named_row(h), "".join(s.split())) for h, s in fasta_records(text)]
    blocks: dict[str, str] = {}
    for words in (line.split() for line in text.split("\n")):
        if len(words) in (2, 3):
            blocks[words[0]] = blocks.get(words[0], "") + words[1]
    held = {(name, residues(row)) for name, row in (*fasta, *blocks.items())}
    kept = set(zip(found.proteins.accessions, found.proteins.sequences, strict=True))
    doubtful = {
        "record that starts within a line",
        "identical duplicate left out",
        "accession again with another sequence",
    }
    if found.alignment is None:
        same_fasta(path, found)
    elif not doubtful & {*found.report.counts()} and "repeat" not in str(found.report):
        assert kept <= held
    if found.alignment is not None:
        assert len(found.alignment.columns) == found.proteins.n_residues
        assert found.alignment.columns.max() <= found.alignment.n_columns


def named_row(header: str) -> str:
    return (header.split() or [""])[0]


def residues(row: str) -> str:
    return cleaned(re.sub(r"[-.~_\0]", "", row))


def _demo() -> list[tuple[str, str]]:
    proteins = read(demo.table_path(), max_length=300).proteins
    return list(islice(zip(proteins.accessions, proteins.sequences, strict=True), 12))


def _wrapped(sequence: str) -> str:
    return "\n".join(sequence[i : i + 60] for i in range(0, len(sequence), 60))


def _fasta() -> list[bytes]:
    plain = "".join(f">{a}\n{_wrapped(s)}\n" for a, s in _demo())
    uniprot = "".join(f">sp|{a}|NAME_YEAST of yeast OS=x\n{s}\n" for a, s in _demo()[:5])
    return [plain.encode(), uniprot.encode()]


def _tables() -> list[bytes]:
    before = golden("before_2022.tsv.gz")
    with gzip.open(demo.table_path()) as stream:
        today = b"".join(islice(stream, 8))
    quoted = "\n".join(
        ";".join('"' + cell.replace('"', '""') + '"' for cell in line.split("\t"))
        for line in today.decode().splitlines()
    )
    return [before, today, quoted.encode()]


def _alignments() -> list[bytes]:
    rows = {"one/3-9": "MKV-LAadFGH.K", "two": "MRVILA--FGHWK", "three": "-KVLLSg-YGHWK"}
    block = "".join(f"{name:<10}{row}\n" for name, row in rows.items())
    upper = block.upper().replace("ONE/3-9", "one/3-9")
    return [
        f"# STOCKHOLM 1.0\n#=GF ID Made_up\n{block}#=GC seq_cons MKV\n\n{block}//\n".encode(),
        f"CLUSTAL W (1.83)\n\n{upper}    ** *\n\n{upper}".encode(),
        "".join(f">{name} a row\n{row}\n" for name, row in rows.items()).encode(),
        b">query\nMKVLAFGHK\n>hit\nMKaaV-AFGHK\n>other\nM-VLAFcGHK\n",
        b"#A3M#\n>query\nMKVLAFGHK\n>hit\nMKaaV-AFGHK\n",
    ]


def _flat() -> list[bytes]:
    entries = [e + b"//\n" for n in ("old.dat.gz", "today.dat.gz") for e in _split(golden(n))]
    entries = sorted(entries, key=len)
    return [b"".join(entries[:3]), entries[0], entries[4]]


def _split(data: bytes) -> list[bytes]:
    return [entry.lstrip(b"\n") for entry in data.split(b"//\n") if entry.strip()]


READERS = [
    Fuzzed("FASTA", "a.fasta", _fasta(), read_fasta, same_fasta, compress=True),
    Fuzzed("UniProt TSV and CSV", "a.tsv", _tables(), read_uniprot_tsv, on_one_line, compress=True),
    Fuzzed("UniProt flat file", "a.dat", _flat(), read_uniprot_flat, same_flat, compress=True),
    Fuzzed(
        "UniProt XML",
        "a.xml",
        [golden("P0ABP8.xml.gz"), golden("P62330.xml.gz")],
        read_uniprot_xml,
        same_xml,
        compress=True,
    ),
    Fuzzed(
        "proteins, format by content",
        "a.txt",
        [*_fasta(), *_tables()[:2], *_flat()[1:2], golden("P0ABP8.xml.gz")],
        read,
        compress=True,
    ),
    Fuzzed("alignments", "a.aln", _alignments(), read_family, same_rows, compress=True),
]
