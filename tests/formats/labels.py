"""Formats of labels, and of settings."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from interplm_nb.pipeline import profiles
from interplm_nb.proteins import Proteins
from interplm_nb.readers.label_files import from_label_strings, read_labels
from interplm_nb.readers.protein_labels import read_protein_labels
from tests.formats.table import Example, Format, Read, Refused, written

PROTEINS = Proteins.from_sequences({"P1": "MKTAYIAKQR" * 3})
TABLE = "accession\tstart\tend\tconcept\nP1\t2\t9\tLoop\n"
LOOP = [("Loop", 2, 9)]
BOND = [("Disulfide bond", 5, 5), ("Disulfide bond", 18, 18)]


def spans(name: str, content: str | bytes) -> Example:
    """Concept, start and end of each segment."""

    def example(folder: Path) -> list[tuple]:
        found = read_labels(written(folder, name, content), PROTEINS, strict=True).annotations
        return found.table.select("concept", "start", "end").sort("start").rows()

    return example


def _strings(letters: str) -> Example:
    def example(_: Path) -> list[tuple]:
        proteins = Proteins.from_sequences({"P1": "MKVLA"})
        found = from_label_strings({"P1": letters}, proteins, strict=True).annotations
        return found.table.select("concept", "start", "end").rows()

    return example


def _classes(name: str, content: str) -> Example:
    return lambda folder: _found(written(folder, name, content))


CLASSES = pl.DataFrame({"accession": ["P1", "P2"], "label": ["membrane", "none"]})


def _found(source: Path | pl.DataFrame) -> tuple[str, list[tuple]]:
    found = read_protein_labels(source, strict=True).labels
    return found.kind, found.table.rows()


def _class_parquet(folder: Path) -> tuple[str, list[tuple]]:
    CLASSES.write_parquet(folder / "a.parquet")
    return _found(folder / "a.parquet")


def _profile(text: str) -> Callable[[Path], Any]:
    def example(folder: Path) -> int:
        stages: Any = profiles.load(str(written(folder, "mine.toml", text))).stages
        return stages["train"].steps

    return example


def _parquet() -> bytes:
    stream = io.BytesIO()
    frame = pl.DataFrame({"accession": ["P1"], "start": [2], "end": [9], "concept": ["Loop"]})
    frame.write_parquet(stream)
    return stream.getvalue()


GFF = "##gff-version 3\nP1\tme\t{}\t{}\t{}\t.\t.\t.\t{}\n"

LABELS = [
    Format(
        "Table: TSV, CSV",
        "read_table",
        [
            Read(
                "by the names of its columns",
                spans("a.tsv", TABLE),
                LOOP,
                (spans("a.csv", TABLE.replace("\t", ",")),),
            ),
            Read(
                "from a spreadsheet: quoted, `;`, `5.0`",
                spans("a.csv", '"accession";"start";"end";"concept"\n"P1";"2.0";"9,00";"Loop"\n'),
                LOOP,
            ),
        ],
        [
            Refused(
                "a column missing",
                "not among",
                spans("a.tsv", "accession\tstart\tend\nP1\t2\t9\n"),
            ),
            Refused(
                "a quotation mark not closed",
                "quotation mark not closed",
                spans("a.csv", 'accession,start,end,concept\nP1,2,9,"Loop\n'),
            ),
            Refused(
                "dates of a spreadsheet",
                "a date that a spreadsheet made",
                spans("a.tsv", TABLE.replace("Loop", "1-Mar")),
            ),
            Refused("past the end", "span past the end", spans("a.tsv", TABLE.replace("9", "99"))),
            Refused(
                "workbooks (.xlsx, .ods)",
                "save the sheet as TSV",
                spans("a.xlsx", b"PK"),
                (spans("a.ods", b"PK"),),
            ),
        ],
    ),
    Format(
        "Table: Parquet",
        "read_table",
        [Read("the same columns", spans("a.parquet", _parquet()), LOOP)],
        [Refused("damaged", "not a Parquet file", spans("a.parquet", _parquet()[:-20]))],
    ),
    Format(
        "GFF3",
        "read_gff3",
        [
            Read(
                "type and `Name` or `Note`",
                spans("a.gff3", GFF.format("Domain", 2, 9, "Name=SH3")),
                [("Domain_SH3", 2, 9)],
                (spans("a.gff3", GFF.format("Domain", 2, 9, "Note=SH3")),),
            ),
            Read(
                "UniProt's own, with a tab at the end; bonds are their two ends",
                spans("a.gff", GFF.format("Disulfide bond", 5, 18, "ID=b1\t")),
                BOND,
            ),
        ],
        [Refused("other than 9 cells", "9 tab-separated cells", spans("a.gff3", "P1\tme\tx\n"))],
    ),
    Format(
        "BED",
        "read_bed",
        [
            Read("from 0, end excluded", spans("a.bed", "P1\t1\t9\tLoop\n"), LOOP),
            Read(
                "blocks are one instance",
                spans("a.bed", "P1\t4\t18\tBond\t0\t.\t4\t18\t0\t2\t1,1\t0,13\n"),
                [("Bond", 5, 5), ("Bond", 18, 18)],
            ),
        ],
        [Refused("fewer than 3 cells", "a BED line has at least 3", spans("a.bed", "P1\t1\n"))],
    ),
    Format(
        "Label strings",
        "from_label_strings",
        [
            Read(
                "DSSP's letters",
                _strings("HHHCE"),
                [("Alpha helix", 1, 3), ("Beta strand", 5, 5)],
            )
        ],
        [Refused("another length", "give one letter per residue", _strings("HHH"))],
    ),
    Format(
        "Labels of whole proteins: TSV, CSV, Parquet, frames",
        "ipn.read_protein_labels",
        [
            Read(
                "classes",
                _classes("a.tsv", "accession\tlabel\nP1\tmembrane\nP2\tnone\n"),
                ("class", [("P1", "membrane"), ("P2", "none")]),
                (
                    _classes("a.csv", "accession,label\nP1,membrane\nP2,none\n"),
                    _class_parquet,
                    lambda _: _found(CLASSES),
                ),
            ),
            Read(
                "numbers",
                _classes("a.csv", "accession,label\nP1,1.5\nP2,2\nP3,3\n"),
                ("number", [("P1", 1.5), ("P2", 2.0), ("P3", 3.0)]),
            ),
        ],
        [
            Refused(
                "decimal commas",
                "Write it with a decimal point",
                _classes("a.tsv", 'accession\tlabel\nP1\t1,5\nP2\t2,5\nP3\t"3,5"\n'),
            ),
            Refused(
                "no row left",
                "no row with an accession and a label",
                _classes("a.tsv", "accession\tlabel\n"),
            ),
        ],
    ),
]

SETTINGS = [
    Format(
        "Profile: TOML",
        "interplm-nb run",
        [Read("one table per stage", _profile("[train]\nsteps = 5\n"), 5)],
        [
            Refused("no TOML", "is not a TOML file", _profile("[train\n")),
            Refused("unknown names", "train.stepz", _profile("[train]\nstepz = 5\n")),
        ],
    )
]
