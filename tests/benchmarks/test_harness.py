import json
import sys

import pytest

from benchmarks.__main__ import main, names
from benchmarks.harness import (
    Figure,
    in_own_process,
    in_turn,
    machine,
    medians,
    report,
    versions,
)


@pytest.mark.parametrize(
    ("ours", "other", "goal", "sense", "of", "ratio", "met"),
    [
        (9.0, 3.0, 3, "at least", "ours / other", 3.0, True),
        (8.0, 3.0, 3, "at least", "ours / other", 8 / 3, False),
        (1.1, 1.0, 1.15, "at most", "ours / other", 1.1, True),
        (2.0, 400.0, 100, "at least", "other / ours", 200.0, True),
    ],
)
def test_a_goal_is_a_bound_on_a_ratio(ours, other, goal, sense, of, ratio, met):
    figure = Figure.compare("x", ours, other, "s", goal, sense, of)
    assert (
        figure.ratio == pytest.approx(ratio)
        and figure.met == met
        and figure.goal == f"{of} {sense} {goal:g}"
    )


@pytest.mark.parametrize(("ours", "met"), [(2.0, True), (3.0, True), (3.1, False)])
def test_a_figure_alone_is_measured_against_its_bound(ours, met):
    figure = Figure.within("x", ours, 3.0, "s", "a note")
    assert figure.met == met and figure.ratio == pytest.approx(ours / 3)
    assert (figure.other, figure.note) == (3.0, "a note; other: the bound")
    assert Figure.within("x", ours, 3.0, "s").note == "other: the bound"


def test_a_table_is_printed_and_a_line_appended_per_figure(tmp_path, capsys):
    results = tmp_path / "results.jsonl"
    good, bad = (
        Figure.compare("good", 4, 1, "x", 3, note="a note"),
        Figure.compare("bad", 1, 1, "x", 3),
    )
    assert report([good], results) and not report([good, bad], results)
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert [line["name"] for line in lines] == ["good", "good", "bad"]
    assert {
        "name",
        "machine",
        "versions",
        "ours",
        "other",
        "unit",
        "ratio",
        "goal",
        "met",
    } <= lines[0].keys()
    printed = capsys.readouterr().out
    assert "yes" in printed and "NO" in printed and "good: a note" in printed


def test_what_it_ran_on_is_said():
    assert "cores" in machine() and {"python", "torch"} <= versions().keys()


def test_benchmarks_are_found_by_name(capsys):
    assert "embed" in names() and "harness" not in names()
    with pytest.raises(SystemExit):
        main(["nonsense"])
    assert "no benchmark 'nonsense'; there are" in capsys.readouterr().err


def test_medians_are_of_each_side_and_the_note_has_every_pair():
    pairs = [({"rate": 4}, {"rate": 2}), ({"rate": 9}, {"rate": 3}), ({"rate": 5}, {"rate": 10})]
    assert medians(pairs, "rate") == (5, 3)
    assert in_turn(pairs, "rate") == "medians of 3 alternating pairs (ratios 2.00, 3.00, 0.50)"


def test_the_result_of_a_process_is_its_last_line(tmp_path):
    lines = tmp_path / "lines.json"
    lines.write_text('{"done": 0.5}\n{"rate": 2}\n')
    found = in_own_process(sys.executable, "json.tool", {}, lines, "--json-lines", "--compact")
    assert found == {"rate": 2}


def test_a_process_that_fails_is_named_with_its_last_words():
    with pytest.raises(RuntimeError, match=r"^json\.tool failed: .*--indent: invalid int value"):
        in_own_process(sys.executable, "json.tool", {"indent": "wide"})
