"""Readers of labels, and of settings."""

import csv
import io
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from interplm_nb.pipeline import profiles
from interplm_nb.proteins import Proteins
from interplm_nb.readers.label_files import (
    LabelsRead,
    from_label_strings,
    read_bed,
    read_gff3,
    read_table,
)
from interplm_nb.readers.motif_files import read_motifs
from interplm_nb.readers.protein_labels import ProteinLabelsRead, read_protein_labels
from interplm_nb.readers.variants import VariantsRead, read_variants
from tests.fuzz.mutations import BYTES
from tests.fuzz.proteins import text_of
from tests.fuzz.ring import Fuzzed

PROTEINS = Proteins.from_sequences({"P1": "MKTAYIAKQR" * 5, "P2": "ACDEFGHIKL" * 3, "A;B": "M" * 9})
SEGMENTS = {"accession": ["P1", "P1", "P2", "P2"], "start": [1, 5, 2, 28], "end": [9, 5, 20, 30]}
SEGMENTS |= {"concept": ["Helix", 'a "site"', "Helix", "Loop; long"], "instance": ["", "", "x", ""]}
SPANS = ("accession", "start", "end", "concept")
PROFILE = Path(profiles.__file__).parent / "profiles" / "demo.toml"


def _written(separator: str, quoting: Any = csv.QUOTE_MINIMAL) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, quoting=quoting, lineterminator="\n")
    writer.writerows([[*SEGMENTS], *zip(*SEGMENTS.values(), strict=True)])
    return text.getvalue().encode()


def _parquet(frame: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.write_parquet(stream, compression="uncompressed")
    return stream.getvalue()


def spans(found: LabelsRead) -> set[tuple]:
    return set(found.annotations.table.select(SPANS).rows())


def same_table(path: Path, found: LabelsRead) -> None:
    """Each segment is a row, by Python's csv module; or by the cells alone where marks are text."""
    csv.field_size_limit(1 << 30)
    text, held = text_of(path), set()
    for separator in "\t,;":
        for line in text.split("\n"):
            held.add(tuple(line.split(separator)))
            held.update(map(tuple, csv.reader([line], delimiter=separator, strict=False)))
        held.update(map(tuple, csv.reader(io.StringIO(text), delimiter=separator, strict=False)))
    cells = [{_plain(cell) for cell in row} for row in held]
    for segment in spans(found):
        assert any({_plain(str(value)) for value in segment} <= row for row in cells), segment


def _plain(cell: str) -> str:
    """A cell without marks, a whole number's decimals and the kind of blanks."""
    cell = " ".join(cell.replace('"', "").split())
    return (
        str(int(match[1])) if (match := re.fullmatch(r"(-?[0-9]{1,18})(?:[.,]0*)?", cell)) else cell
    )


def same_parquet(path: Path, found: LabelsRead) -> None:
    frame = pl.DataFrame(pl.from_arrow(pq.read_table(path, use_threads=False)))
    frame = frame.rename({name: name.strip().lower() for name in frame.columns})
    texts = frame.select(pl.col(SPANS).cast(pl.String))  # binary columns too
    rows = {tuple(_plain(str(v)) for v in row) for row in texts.rows()}
    assert {tuple(_plain(str(v)) for v in span) for span in spans(found)} <= rows


def same_gff(path: Path, found: LabelsRead) -> None:
    held: set[int] = set()
    text = re.sub(r"\r\n?", "\n", path.read_bytes().decode("utf-8", "replace"))
    for row in (line.replace('"', "").split("\t") for line in text.split("\n")):
        if len(row) > 4:
            held |= {int(_plain(n)) for n in row[3:5] if re.fullmatch(r"-?[0-9]{1,18}", _plain(n))}
    assert {n for _, start, end, _ in spans(found) for n in (start, end)} <= held


def same_bed(path: Path, found: LabelsRead) -> None:
    text = text_of(path)
    for accession, *_ in spans(found):
        assert accession in text
    assert not len(found.annotations) or re.search(r"\d", text)


def same_classes(path: Path, found: ProteinLabelsRead) -> None:
    text = text_of(path).replace("\n", " ").replace('"', "")
    for accession, label in found.labels.table.rows():
        accession, label = accession.replace('"', ""), str(label).replace('"', "")
        assert accession in text and (found.labels.kind == "number" or label in text)


def same_variants(path: Path, found: VariantsRead) -> None:
    text = text_of(path)
    for variant, score in zip(found.scan.variants, found.scan.scores, strict=True):
        assert all(str(mutation) in text for mutation in variant)
        assert np.isfinite(score)


def same_profile(path: Path, found: profiles.Profile) -> None:
    tables = tomllib.loads(path.read_text("utf-8-sig"))
    for stage, table in tables.items():
        if isinstance(table, dict):
            assert {name: getattr(found.stages[stage], name) for name in table} == table


def _strings(path: Path) -> LabelsRead:
    """Label strings in a file of lines, accession and letters."""
    text = path.read_bytes().decode("utf-8", "replace")
    parts = (line.partition(" ") for line in text.split("\n"))
    rows = {accession: letters for accession, _, letters in parts}
    return from_label_strings(rows, PROTEINS)


GFF = b"""##gff-version 3
P1\tme\tDomain\t2\t40\t.\t.\t.\tName=SH3;Note=first%3B of two
P1\tme\tDisulfide bond\t5\t18\t.\t.\t.\tID=b1\t
P2\tme\tHelix\t3\t9\t.\t.\t.\t
A%3BB\tme\tHelix\t3\t9\t.\t.\t.\tName=x
##FASTA
>P1
MK
"""
BED = b"""track name=x
P1\t0\t10\tDisorder
P1\t4\t40\tBlocks\t0\t+\t4\t40\t0\t2\t3,4\t0,32
P2 1 9
"""
CLASSES = [
    b"accession\tlabel\tmore\nP1\tmembrane\t1\nP2\tnone\t2\nP3\tnucleus\t3\n",
    b"accession,label\nP1,61.5\nP2,48\nP3,55.2\nP4,NA\n",
]

VARIANTS = [
    b"variant\tscore\tmore\nK2A\t0.5\tx\nK2A,T3L\t-1.5\ty\nWT\t0\tz\nY5*\t-3\t\n",
    b'variant;score\n"K2A:T3L";-1e-3\nA4V;2\n',
]

MOTIFS = [
    b"ID   PLOOP; PATTERN.\nPA   [AG]-x(4)-G-K-\nPA   [ST].\n//\n",
    b"P loop  [AG]-x(4,5)-G-K-[ST]\n<M-{P}>\n",
    b"MEME version 4\nALPHABET= ACDEFGHIKLMNPQRSTVWY\nMOTIF m 1\n"
    b"letter-probability matrix: alength= 20 w= 2\n" + 2 * (b"0.05 " * 20 + b"\n"),
]

READERS = [
    Fuzzed(
        "label table",
        "labels.tsv",
        [_written("\t"), _written(","), _written(";", csv.QUOTE_ALL)],
        lambda path: read_table(path, PROTEINS),
        same_table,
        compress=True,
    ),
    Fuzzed(
        "label table, Parquet",
        "labels.parquet",
        [_parquet(pl.DataFrame(SEGMENTS))],
        lambda path: read_table(path, PROTEINS),
        same_parquet,
        kinds=BYTES,
    ),
    Fuzzed("GFF3", "a.gff3", [GFF], lambda path: read_gff3(path, PROTEINS), same_gff),
    Fuzzed("BED", "a.bed", [BED], lambda path: read_bed(path, PROTEINS), same_bed),
    Fuzzed("label strings", "a.txt", [b"P1 HHHHHEEECC\nP2 " + b"HEC" * 10 + b"\n"], _strings),
    Fuzzed("motifs", "a.txt", MOTIFS, read_motifs, compress=True),
    Fuzzed("labels of proteins", "a.tsv", CLASSES, read_protein_labels, same_classes),
    Fuzzed(
        "mutational scan",
        "a.tsv",
        VARIANTS,
        lambda path: read_variants(path, "MKTAYIAKQR"),
        same_variants,
        compress=True,
    ),
    Fuzzed(
        "profile",
        "mine.toml",
        [PROFILE.read_bytes()],
        lambda path: profiles.load(str(path)),
        same_profile,
    ),
]
