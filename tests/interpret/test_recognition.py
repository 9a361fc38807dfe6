"""Detection, fuzzing and intruder: what is asked, what is right, what chance scores."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score

from interplm_nb.interpret.recognition import (
    CHANCE,
    IN_SET,
    MARKED,
    REACH,
    RECOGNISED,
    STRONG,
    Excerpt,
    Excerpts,
    balanced_accuracy,
    detection,
    excerpts,
    fuzzing,
    intruders,
    recognise_statistically,
    recognised,
)
from interplm_nb.interpret.statements import Pattern
from interplm_nb.interpret.statistical import describe_statistically
from tests.interpret.planted import drawn, planted

ACTIVATIONS, KNOWN, CLUSTERS = planted(400)
FOUND = drawn(ACTIVATIONS, 0, CLUSTERS)
TEST = excerpts(FOUND, ACTIVATIONS, evaluation=True)
ODDS = next(
    s.odds
    for s in describe_statistically(FOUND, ACTIVATIONS, KNOWN, CLUSTERS).statements
    if isinstance(s, Pattern)
)


def random() -> np.random.Generator:
    return np.random.default_rng(0)


def test_excerpts_are_cut_around_maxima_and_mark_what_is_above_the_threshold() -> None:
    strong = FOUND.evaluation.filter(pl.col("maximum") >= STRONG)
    assert len(TEST.active) == strong.height
    for excerpt, (accession, position) in zip(
        TEST.active, strong.select("accession", "position").iter_rows(), strict=True
    ):
        sequence, track = KNOWN.proteins.sequence(accession), ACTIVATIONS.along(accession, 0)
        first = max(0, position - 1 - REACH)
        assert excerpt.letters == sequence[first : position + REACH]
        assert first + excerpt.centre == position - 1
        above = [i - first for i in range(60) if track[i] > MARKED]
        assert list(excerpt.marked) == [i for i in above if 0 <= i < len(excerpt.letters)]
    silent = FOUND.evaluation.filter(pl.col("maximum") == 0)
    assert len(TEST.silent) == silent.height


def test_a_residue_at_the_threshold_is_not_marked() -> None:
    """Public fuzzing ignored its threshold."""
    values = np.zeros((ACTIVATIONS.n_residues, 1), np.float32)
    at = KNOWN.proteins.offsets[:-1] + 30
    values[at], values[at + 1], values[at + 2] = 1.0, MARKED, np.nextafter(np.float32(MARKED), 1)
    table = type(ACTIVATIONS).from_dense(values, KNOWN.proteins, unit="max")
    cut = excerpts(drawn(table, 0, CLUSTERS), table, evaluation=False)
    assert {e.marked for e in cut.active} == {(REACH, REACH + 2)}


def test_detection_asks_of_as_many_active_as_silent_and_shows_no_mark() -> None:
    asked = detection(TEST, random())
    assert sum(q.right for q in asked) == sum(not q.right for q in asked)
    assert len(asked) == 2 * min(len(TEST.active), len(TEST.silent))
    assert all(q.excerpt.marked == () for q in asked)
    active = {e.letters for e in TEST.active}
    assert all((q.excerpt.letters in active) == q.right for q in asked)


def test_fuzzing_moves_the_marks_of_half() -> None:
    asked = fuzzing(TEST, random())
    of = {e.letters: e.marked for e in TEST.active}
    assert len(asked) == len(TEST.active)
    assert abs(sum(q.right for q in asked) - len(asked) / 2) <= 0.5
    for question in asked:
        marked = of[question.excerpt.letters]
        assert len(question.excerpt.marked) == len(marked)
        if question.right:
            assert question.excerpt.marked == marked
        else:
            assert not set(question.excerpt.marked) & set(marked)


def test_an_excerpt_that_is_marked_all_over_is_not_fuzzed() -> None:
    whole = Excerpts([Excerpt("MKVLA", 2, (0, 1, 2, 3, 4))], [])
    assert fuzzing(whole, random()) == []


def test_intruders_are_the_silent_ones() -> None:
    sets = intruders(TEST, random())
    assert len(sets) == min(len(TEST.active) // 4, len(TEST.silent))
    silent = {e.letters for e in TEST.silent}
    seen = []
    for group, place in sets:
        assert len(group) == IN_SET
        assert [e.letters in silent for e in group] == [i == place for i in range(IN_SET)]
        seen += [e.letters for e in group]
    assert len(seen) == len(set(seen))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_balanced_accuracy(pairs: list[tuple[bool, bool]]) -> None:
    said, right = [a for a, _ in pairs], [b for _, b in pairs]
    found = balanced_accuracy(said, right)
    if len(set(right)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(balanced_accuracy_score(right, said))


def test_rows_name_the_measure_and_its_chance() -> None:
    row = recognised(3, "detection", [True, True, False], [True, False, False])
    assert row["balanced_accuracy"] == 0.75
    assert row["accuracy"] == pytest.approx(2 / 3)
    assert row["p_value"] == pytest.approx(binomtest(2, 3, 0.5, "greater").pvalue)
    row = recognised(3, "intruder", [0, 4], [0, 3])
    assert (row["accuracy"], row["chance"], row.get("balanced_accuracy")) == (0.5, 0.2, None)
    assert row["p_value"] == pytest.approx(binomtest(1, 2, 0.2, "greater").pvalue)


def test_missing_answers_are_refused_and_failures_named() -> None:
    with pytest.raises(ValueError, match="1 answers to 2 questions"):
        recognised(3, "detection", [True], [True, False])
    assert recognised(3, "detection", None, [True], "time-out")["failed"] == "time-out"
    assert recognised(3, "intruder", [], [])["failed"] == "too few excerpts"


def test_a_planted_motif_is_recognised() -> None:
    table = recognise_statistically(FOUND, ACTIVATIONS, ODDS)
    assert table.schema == pl.Schema(RECOGNISED)
    of = {row["score"]: row for row in table.iter_rows(named=True)}
    assert of["detection"]["balanced_accuracy"] >= 0.9
    assert of["fuzzing"]["balanced_accuracy"] > 0.9
    assert of["intruder"]["accuracy"] > 0.5
    assert max(row["p_value"] for row in of.values()) < 0.05
    assert {name: row["chance"] for name, row in of.items()} == CHANCE


def test_without_a_motif_the_answers_are_chance() -> None:
    table = recognise_statistically(FOUND, ACTIVATIONS, None)
    assert table["balanced_accuracy"].to_list()[:2] == [0.5, 0.5]
