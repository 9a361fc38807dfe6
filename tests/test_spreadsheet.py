"""TSV that a spreadsheet may open."""

import io

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.spreadsheet import defused, tsv, undefused

HOSTILE = '=HYPERLINK("http://x")'


@given(st.text("'=+-@\t\r1.e5a", max_size=6))
def test_what_is_defused_can_be_read_back_and_runs_nowhere(text):
    cell = defused(text)
    assert undefused(cell) == text
    if cell[:1] in tuple("=+-@\t\r"):
        float(cell.removesuffix("%"))  # a number is all that may begin so


def test_numbers_stay_numbers_in_a_table():
    table = pl.DataFrame(
        {
            "accession": [HOSTILE, "@SUM", "P1\x1b[2J", None],
            "=name": ["-1.5", "+alpha", "two\nlines", "1e-5"],
            "f1": [-1.5, 0.25, None, 2.0],
        }
    )
    text = tsv(table, 2)
    assert text.split("\n") == [
        "accession\t'=name\tf1",
        '"\'=HYPERLINK(""http://x"")"\t-1.5\t-1.50',
        "'@SUM\t'+alpha\t0.25",
        "P1\\u001b[2J\ttwo\\u000alines\t",
        "\t1e-5\t2.00",
        "",
    ]
    read = pl.read_csv(io.StringIO(text), separator="\t")
    assert read["accession"].to_list() == ["'" + HOSTILE, "'@SUM", "P1\\u001b[2J", None]
