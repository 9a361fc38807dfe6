"""What a check says of right, wrong and strange answers; it never tells the right one."""

import re
from typing import Any

import numpy as np
import polars as pl
import pytest

from interplm_nb.pipeline.run import Run
from interplm_nb.workshop import check, quiz
from interplm_nb.workshop.controls import active, best_f1, rotated
from interplm_nb.workshop.exercises import EXERCISES
from interplm_nb.workshop.quizzes import QUIZZES


@pytest.mark.parametrize("name", EXERCISES)
def test_the_right_number_is_right_in_any_form(name: str) -> None:
    right = EXERCISES[name].right()
    for form in (right, np.float64(right), np.array([right]), pl.Series([right])):
        assert check(name, form).right
    assert repr(check(name, right)).startswith("Right. ")


@pytest.mark.parametrize("name", EXERCISES)
def test_each_slip_is_wrong_and_has_its_own_hint(name: str) -> None:
    exercise = EXERCISES[name]
    hints = [hint for _, hint in exercise.slips]
    assert len({*hints, exercise.hint}) == len(hints) + 1
    for slip, hint in exercise.slips:
        said = check(name, slip())
        assert not said.right and said.said == hint, "a slip must differ from the right number"


@pytest.mark.parametrize("name", EXERCISES)
def test_no_hint_tells_the_number(name: str) -> None:
    exercise = EXERCISES[name]
    right = exercise.right()
    for hint in (exercise.hint, *(hint for _, hint in exercise.slips)):
        for number in re.findall(r"\d+\.?\d*", hint):
            assert not check(name, float(number)).right, (right, hint)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (..., "Nothing is filled in"),
        (None, "A single number is asked for; this is a NoneType"),
        ("0.5", "A single number is asked for; this is a str"),
        (True, "this is a bool"),
        ([0.1, 0.2], "this is a list"),
        (np.array([True, False]), "this is a ndarray"),
        (float("nan"), "A single number is asked for"),
        (62.5, "A share lies between 0 and 1"),
        (-0.1, "A share lies between 0 and 1"),
    ],
)
def test_what_is_no_answer_is_said(answer: Any, said: str) -> None:
    checked = check("precision", answer)
    assert not checked.right and said in checked.said


def test_an_unknown_exercise_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no exercise 'precison'; there are cosine, aligned"):
        check("precison", 1)


@pytest.mark.parametrize("lesson", QUIZZES)
def test_a_quiz_says_where_to_read_again_and_tells_no_letter(lesson: int) -> None:
    questions = QUIZZES[lesson]
    right = {number: question.right for number, question in questions.items()}
    assert quiz(lesson, right).right
    assert quiz(lesson, {n: f" {letter.upper()} " for n, letter in right.items()}).right
    assert set(right.values()) <= set("abcd") and len(set(right.values())) >= 3
    wrong = quiz(lesson, {n: "a" if right[n] != "a" else "b" for n in questions})
    assert not wrong.right and wrong.said.startswith("0 of 5 are right. Question 1: ")
    for number, question in questions.items():
        assert f"Question {number}: {question.hint}" in wrong.said
        assert not re.search(r"\b[a-d]\)|\b[b-d]\b", question.hint)
    one = quiz(lesson, {1: right[1], 3: "z"})
    assert one.said.startswith("1 of 5 are right. Question 3:")
    assert one.said.endswith("Not answered: 2, 4, 5.")


@pytest.fixture(scope="module")
def run() -> Run:
    return Run.shipped()


def test_active_is_above_the_threshold_residue_by_residue(run: Run) -> None:
    unit_max = run.activations().relative_to(run.maxima().train)
    proteins = run.proteins()
    plain = np.concatenate([unit_max.along(a, 669) > 0.5 for a in proteins.accessions])
    assert np.array_equal(active(run, 669, 0.5), plain) and plain.any()


def test_rotated_moves_the_labels_within_each_protein() -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(1, 30, 40)
    labels = random.random(lengths.sum()) < 0.3
    moved = rotated(labels, lengths, seed=1)
    assert np.array_equal(moved, rotated(labels, lengths, seed=1))
    start, shifts = 0, set()
    for length in lengths:
        old, new = labels[start : start + length], moved[start : start + length]
        found = [shift for shift in range(length) if np.array_equal(np.roll(old, shift), new)]
        assert found, "a rotation"
        shifts.add(found[0])
        start += length
    assert len(shifts) > 5


def test_best_f1_has_the_tables_figures(run: Run) -> None:
    wide = best_f1(run)
    best = run.table("concepts", "best").filter(convention="strict")
    for row in best.sample(30, seed=0).iter_rows(named=True):
        value = wide.filter(concept=row["concept"])[row["source"]].item()
        assert value == row["f1_per_domain"]
