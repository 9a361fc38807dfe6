import pytest

from interplm_nb.readers.report import EXAMPLES, InputError, ReadReport


def test_notes_are_counted_by_reason_and_remember_their_records():
    report = ReadReport("a.fasta", kept=2)
    report.note("empty", "P1")
    report.note("empty", "P2", "line 4")
    report.note("column absent", "Helix", n=3)
    assert report.counts() == {"empty": 2, "column absent": 3}
    assert report.records("empty") == ["P1", "P2"]
    assert report.records("never") == []
    assert report.table()["reason"].to_list() == ["column absent", "empty"]
    assert str(report).splitlines()[0] == "a.fasta: 2 proteins kept"
    assert "2  empty (P1, ...)" in str(report)


def test_an_empty_report_has_a_table_of_the_same_columns():
    assert ReadReport("a").table().columns == ["reason", "n", "records", "example"]


def test_a_rejection_stops_a_strict_reading_with_file_record_line_and_way_out():
    wanted = (
        r"a\.fasta: P1 \(line 7\): gap: '-' at position 3; remove it, or read without strict to "
        "skip it"
    )
    with pytest.raises(InputError, match=wanted):
        ReadReport("a.fasta", strict=True).reject("gap", "P1", "'-' at position 3", "remove it", 7)
    lenient = ReadReport("a.fasta")
    lenient.reject("gap", "P1", "'-' at position 3", "remove it", 7)
    assert lenient.counts() == {"gap": 1}


def test_counts_go_on_when_examples_end():
    report = ReadReport("a")
    for i in range(EXAMPLES + 5):
        report.note("many", f"P{i}")
    assert report.counts() == {"many": EXAMPLES + 5}
    assert len(report.records("many")) == EXAMPLES
