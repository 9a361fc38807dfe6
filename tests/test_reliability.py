"""docs/reliability.md and the command that writes it."""

import pytest

from scripts import build_reliability as built


def test_the_page_has_rings_of_the_command_and_no_fault():
    kept = built.kept()
    assert {"fuzz", "damage", "checkpoints", "hostile"} <= kept.keys() <= built.RINGS.keys()
    for part in kept.values():
        assert part.rstrip().endswith("| 0 |") and "| all |" in part


def test_one_ring_leaves_the_rows_of_others(tmp_path, monkeypatch):
    page = tmp_path / "reliability.md"
    monkeypatch.setattr(built, "PAGE", page)
    monkeypatch.setattr("sys.argv", ["build", "damage"])
    for rows, code in (([built.Row("one", 2, "2 read", 0)], 0), ([], 0)):
        monkeypatch.setitem(built.RINGS, "damage", ("about", lambda _, rows=rows: iter(rows)))
        assert built.main() == code
    page.write_text(page.read_text() + "\n## hostile\n\nas it was\n")
    fault = [built.Row("two", 1_000, "999 read", 1)]
    monkeypatch.setitem(built.RINGS, "damage", ("about", lambda _: iter(fault)))
    assert built.main() == 1
    kept = built.kept()
    assert kept["hostile"] == "## hostile\n\nas it was"
    assert "| two | 1,000 | 999 read | 1 |" in kept["damage"] and "one" not in kept["damage"]


@pytest.mark.parametrize("words", [("tests/test_bfloat16.py",)])
def test_a_ring_of_tests_counts_them(words):
    (row,) = built.tests("-m", "not slow", *words)(0)
    assert row.what == "`tests/test_bfloat16.py`" and row.tried > 0 and row.faults == 0
