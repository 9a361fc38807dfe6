"""Delimited text: cells as the csv module has them, and what it reads wrong."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.readers.delimited import column_names, delimited, split_line, spoilt, whole
from interplm_nb.readers.report import InputError, ReadReport

cells = st.text(st.sampled_from("\"ab ,;'\\5"), max_size=6)


@given(st.lists(cells, min_size=1, max_size=5), st.sampled_from("\t,;"), st.sampled_from([0, 1]))
def test_a_line_is_split_as_it_was_written(row, separator, quoting) -> None:
    line = written(row, separator, quoting)
    assert split_line(line, separator) == row == next(csv.reader([line], delimiter=separator))


@given(st.lists(cells.filter(lambda cell: not cell.startswith('"')), min_size=1, max_size=5))
def test_marks_within_cells_that_are_not_quoted_are_text(row) -> None:
    assert split_line("\t".join(row), "\t") == row


@pytest.mark.parametrize(
    ("line", "separator", "wanted"),
    [
        ('"a" or "b"\tc', "\t", ['"a" or "b"', "c"]),
        ('"a\tb', "\t", None),
        ('"a\tb"', "\t", None),  # no spreadsheet has a tab in a cell
        ('"a" b,c', ",", None),
        ('"a,b', ",", None),
        ('"a,b",', ",", ["a,b", ""]),
        ("", ",", [""]),
        ('""\t"', "\t", None),
        ('"""', "\t", None),
        ('""""', "\t", ['"']),
    ],
)
def test_cells_that_begin_with_a_mark(line, separator, wanted) -> None:
    assert split_line(line, separator) == wanted


def written(row: list[str], separator: str, quoting: Any) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, quoting=quoting, lineterminator="").writerow(row)
    return text.getvalue()


def read(text: str, columns=("name", "more"), needed=("name",)):
    report = ReadReport("a.csv")
    names, rows = delimited(text.splitlines(keepends=True), columns, needed, report)
    return names, list(rows), report


OPEN = 'name\tmore\nP1\t"open\nP2\tb\nP3\tc\n'


@pytest.mark.parametrize(
    "text",
    [OPEN, OPEN.replace("\tc", '\t"c"'), OPEN.replace("\t", ","), OPEN.replace("P3", '"P3"')],
)
def test_a_mark_that_is_not_closed_takes_no_other_row(text) -> None:
    _, rows, report = read(text)
    assert rows == [(3, ["P2", "b"]), (4, ["P3", "c"])]
    assert report.records("quotation mark not closed") == ["P1"] and report.rejected == 1
    assert "(line 2)" in str(report)


@given(st.lists(st.text("ab\"'", min_size=1, max_size=3), min_size=2, max_size=4))
def test_a_line_end_within_a_cell_is_a_space(lines) -> None:
    cell = "\n".join(lines)
    for separator in "\t,;":
        row = written(["P1", cell], separator, csv.QUOTE_ALL)
        _, rows, report = read(f"name{separator}more\n{row}\nP2{separator}b\n")
        assert rows == [(2, ["P1", cell.replace("\n", " ")]), (len(lines) + 2, ["P2", "b"])]
        assert not report.counts()


def test_cells_may_be_missing_at_the_end_where_the_row_has_ended() -> None:
    _, rows, report = read("name,more,x\nP1\nP2,b\n,,\n\nP3,c,, ,\nP4,c,,d\nP5,d", needed=("name",))
    assert rows == [(2, ["P1", "", ""]), (3, ["P2", "b", ""]), (6, ["P3", "c", ""])]
    assert report.counts() == {
        "cells missing at the end, read as empty": 2,
        "row of another width": 2,  # P4, and P5, where the file may be cut off
    }
    _, rows, report = read("name,more\nP1\nP2,b", needed=("name", "more"))
    assert rows == [(3, ["P2", "b"])] and report.counts() == {"row of another width": 1}


@pytest.mark.parametrize("separator", "\t,;")
@pytest.mark.parametrize("before", ["", "\n\r\n", "sep={}\n", '"sep={}"\n', "sep={},,\n"])
def test_the_first_line_tells_the_separator(separator, before) -> None:
    text = before.format(separator) + "Name|more|a, b; c\nP1|b|c\n".replace("|", separator)
    names, rows, _ = read(text.replace("a, b; c", "x"))
    assert names == ["Name", "more", "x"] and [row for _, row in rows] == [["P1", "b", "c"]]


def test_wanted_columns_tell_the_separator_from_other_letters() -> None:
    names, rows, _ = read("name\tmore\ta, b, c, d\nP1\tb\t1\n")
    assert names == ["name", "more", "a, b, c, d"] and rows == [(2, ["P1", "b", "1"])]


def test_first_lines_that_cannot_be_used() -> None:
    with pytest.raises(InputError, match=r"a\.csv: two columns are named 'more'; remove or rename"):
        read("name,more,More\n")
    with pytest.raises(InputError, match=r"a\.csv \(line 2\): a quotation mark is not closed in"):
        read('\n"name\n')
    assert column_names("") == column_names('"name') == []
    assert column_names("Entry;x\nP1;2") == ["Entry", "x"]


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ("5", 5),
        ("-5", -5),
        ("5.0", 5),
        ("5,00", 5),
        ("1022.0", 1022),
        *dict.fromkeys(
            ["", "5.5", "1,022", "1.022", "5.000", "1e3", "5-Mar", "1_000", "٣"]
        ).items(),
        *dict.fromkeys(["1 022", "1'022", "+5", "5.", "9" * 19, "2026-03-05"]).items(),
    ],
)
def test_whole_numbers(cell, wanted) -> None:
    assert whole(cell) == wanted


@pytest.mark.parametrize(
    "cell", ["5-Mar", "1-Sep-26", "01-Dec-2026", "Oct-04", "#N/A", "#REF!", "########"]
)
def test_what_a_spreadsheet_made_of_a_text(cell) -> None:
    assert spoilt(cell) is not None
    assert spoilt(f"{cell} x") is None


def test_tables_joined_with_their_names_give_no_row_of_them() -> None:
    """Else a UniProt table would hold the protein Entry, of sequence SEQUENCE."""
    _, rows, report = read("name,more\nP1,b\nname, more\nP2,c\n")
    assert rows == [(2, ["P1", "b"]), (4, ["P2", "c"])]
    assert report.records("names of the columns again, left out") == ["line 3"]
