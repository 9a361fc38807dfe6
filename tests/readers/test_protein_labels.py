"""Labels of whole proteins: formats, kinds, and what is refused."""

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from interplm_nb.annotations import Annotations
from interplm_nb.proteins import Proteins
from interplm_nb.readers.protein_labels import ProteinLabels, read_protein_labels
from interplm_nb.readers.report import InputError

TABLE = pl.DataFrame(
    {"accession": ["P1", "P2", "P2", "P3"], "Label": ["a", "b", "a", "none"], "more": [1, 2, 3, 4]}
)


@pytest.mark.parametrize("ending", ["tsv", "csv", "tsv.gz", "parquet", "polars", "pandas"])
def test_every_format_gives_the_same(ending: str, tmp_path: Path) -> None:
    path: Any = tmp_path / f"own.{ending}"
    if ending == "parquet":
        TABLE.write_parquet(path)
    elif ending == "polars":
        path = TABLE
    elif ending == "pandas":
        path = pd.DataFrame(TABLE.to_dict(as_series=False))
    else:
        text = TABLE.write_csv(separator="," if ending == "csv" else "\t").encode()
        path.write_bytes(gzip.compress(text) if ending.endswith("gz") else text)
    labels, report = read_protein_labels(path)
    assert labels.kind == "class" and labels.classes == ["a", "b"] and report.kept == 3
    assert labels.accessions == ["P1", "P2", "P3"]
    assert labels.carries("a", ["P3", "P2", "P1", "P9"]).tolist() == [False, True, True, False]
    assert report.counts() == {"column ignored": 1}
    assert repr(labels) == "ProteinLabels('label': 2 classes on 3 proteins)"
    with pytest.raises(KeyError, match=r"no class 'c' in .*; it has a, b"):
        labels.carries("c", ["P1"])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2.5", "-3e1"], "number"),
        ([1, 2, 3], "number"),
        ([0, 1, 1], "class"),
        (["1", "2", "x"], "class"),
        (["1", "2", "inf"], "class"),
        ([True, False, True], "class"),
        (["1", "2", "3", "NA"], "number"),
        ([1.5, 2.5, 3.5, float("nan")], "number"),
        (["1", "2", "NA", "NA"], "class"),
    ],
)
def test_numbers_are_recognised(values: list[Any], kind: str) -> None:
    table = pl.DataFrame({"accession": ["P1", "P2", "P3", "P4"][: len(values)], "label": values})
    labels, report = read_protein_labels(table)
    assert labels.kind == kind
    assert report.rejected == (kind == "number" and len(values) == 4)


def test_numbers_by_protein() -> None:
    table = pl.DataFrame({"accession": ["P1", "P2", "P3", "P1"], "tm": ["1", "x", "3", "9"]})
    labels, report = read_protein_labels(table, "TM", kind="number")
    assert labels.numbers(["P3", "P1"]).tolist() == [3.0, 1.0] and labels.classes == []
    assert report.counts() == {"not a number": 1, "protein with two numbers": 1}
    with pytest.raises(InputError, match=r"P2 \(line 2\): not a number: 'x'; labels are numbers"):
        read_protein_labels(table, "tm", kind="number", strict=True)
    with pytest.raises(InputError, match="no label is a number; read them as classes"):
        read_protein_labels(TABLE, kind="number")


def test_invalid_rows_are_left_out_and_counted() -> None:
    rows = [("P1", "a"), ("", "a"), ("P2", ""), ("P3", "none"), ("P3", "a"), ("P1", "a")]
    table = pl.DataFrame([*rows, ("P8", "b")], ["accession", "label"], orient="row")
    proteins = Proteins.from_sequences({"P1": "M", "P2": "M", "P3": "M"})
    labels, report = read_protein_labels(table, proteins=proteins)
    assert labels.table.rows() == [("P1", "a"), ("P3", "none")]
    assert report.counts() == {
        "empty cell": 2,
        "unknown protein": 1,
        "class and none": 1,
        "repeated row": 1,
    }
    with pytest.raises(InputError, match=r"line 2 \(line 2\): empty cell: no accession"):
        read_protein_labels(table, strict=True)


def test_tables_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"columns accession and class; \['class'\] not among"):
        read_protein_labels(TABLE, "class")
    with pytest.raises(InputError, match="no row with an accession and a label is left"):
        read_protein_labels(TABLE.clear())
    with pytest.raises(InputError, match=r"ends in \.tsv, \.txt, \.csv or \.parquet"):
        read_protein_labels(tmp_path / "own.xlsx")
    with pytest.raises(InputError, match="no such file"):
        read_protein_labels(tmp_path / "own.tsv")


def test_classes_from_annotations() -> None:
    proteins = Proteins.from_sequences({"P1": "MKV", "P2": "MKV", "P3": "MKV"})
    site = {"category": "c", "level": "instance", "start": 1, "end": 2}
    rows = [
        site | {"accession": a, "concept": c, "instance": i}
        for i, (a, c) in enumerate([("P1", "Helix"), ("P1", "Helix"), ("P2", "Turn")])
    ]
    annotations = Annotations(pl.DataFrame(rows), proteins)
    labels = ProteinLabels.carrying(annotations, ["Helix"])
    assert sorted(labels.table.rows()) == [("P1", "Helix"), ("P2", "none"), ("P3", "none")]
    few = ProteinLabels.carrying(annotations, ["Helix", "Turn"], among=["P3", "P2"])
    assert sorted(few.table.rows()) == [("P2", "Turn"), ("P3", "none")]
    with pytest.raises(KeyError, match="no concept 'Sheet' among 2 concepts"):
        ProteinLabels.carrying(annotations, ["Sheet"])


AGAIN = {
    "quoted": 'accession\tlabel\nP1\t"a ""b"""\nP2\tc\n',
    "semicolons": 'accession;label\r\nP1;a "b"\r\nP2;c\r\n;\r\n',
    "byte order mark": '\ufeffaccession,label\nP1,"a ""b"""\nP2,c\n',
    "a line end in another column": 'accession,label,x\nP1,"a ""b""","1\n2"\nP2,c\n',
}


@pytest.mark.parametrize("again", AGAIN)
def test_a_table_that_a_spreadsheet_saved_again(again: str, tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text(AGAIN[again].replace(';a "b"', ';"a ""b"""'), encoding="utf-8", newline="")
    labels, report = read_protein_labels(path)
    assert labels.table.rows() == [("P1", 'a "b"'), ("P2", "c")] and report.rejected == 0


def test_a_mark_that_is_not_closed_takes_no_other_row(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text('accession,label\nP1,"a\nP2,b\nP3,"c"\n')
    labels, report = read_protein_labels(tmp_path / "own.csv")
    assert labels.table.rows() == [("P2", "b"), ("P3", "c")]
    assert report.records("quotation mark not closed") == ["P1"]


def test_what_a_spreadsheet_spoilt_is_left_out() -> None:
    table = pl.DataFrame({"accession": ["P1", "P2", "P3"], "label": ["1-Mar", "#N/A", "a"]})
    labels, report = read_protein_labels(table)
    assert labels.accessions == ["P3"] and report.counts() == {"spoilt by a spreadsheet": 2}
    with pytest.raises(InputError, match=r"P1 \(line 1\): spoilt by a spreadsheet: '1-Mar'"):
        read_protein_labels(table, strict=True)


@pytest.mark.parametrize("number", ["61,5", "1,022.5", "6,1e1"])
def test_numbers_with_commas_never_become_classes(number: str) -> None:
    table = pl.DataFrame({"accession": ["P1", "P2", "P3"], "label": [number, "48", "55.2"]})
    with pytest.raises(InputError, match=rf"\(line 1\): is '{number}' a number\? Write it with a"):
        read_protein_labels(table)
    assert read_protein_labels(table, kind="class").labels.kind == "class"
    numbers, report = read_protein_labels(table, kind="number")
    assert numbers.accessions == ["P2", "P3"]
    assert report.records("not a number") == ["P1"]


def test_a_pandas_frame_with_missing_numbers_is_numbers() -> None:
    frame = pd.DataFrame(
        {"accession": ["P1", "P2", "P3", "P4"], "label": [1.0, 2, 3, float("nan")]}
    )
    labels, report = read_protein_labels(frame)
    assert labels.kind == "number" and labels.accessions == ["P1", "P2", "P3"]
    assert report.rejected == 1
