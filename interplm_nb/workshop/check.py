"""A student's answer against the right one: what is said hints, and never tells."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from interplm_nb.workshop.exercise import Exercise, Number
from interplm_nb.workshop.exercises import EXERCISES
from interplm_nb.workshop.quizzes import QUIZZES

TOLERANCE, OF_SMALL = 0.005, 0.1
"""How far an answer may be from the right one: two decimals are enough, and a tenth of what is
smaller."""


class Checked:
    """What is said of an answer; it shows itself at the end of a cell."""

    def __init__(self, right: bool, said: str) -> None:
        self.right = right
        self.said = said

    def __repr__(self) -> str:
        return f"{'Right' if self.right else 'Not yet'}. {self.said}"


def check(name: str, answer: Any) -> Checked:
    """Compare an answer with the right one, which is computed from the run that ships.

    Parameters
    ----------
    name
        An exercise, such as "precision".
    answer
        What was computed: a number. `...` says that nothing was filled in.

    Raises
    ------
    ValueError
        For an exercise that does not exist.

    Examples
    --------
    >>> check("precision", ...)
    Not yet. Nothing is filled in: write your code where the three dots are.
    >>> check("precision", 62.5)
    Not yet. A share lies between 0 and 1.
    """
    if name not in EXERCISES:
        raise ValueError(f"no exercise {name!r}; there are {', '.join(EXERCISES)}")
    exercise = EXERCISES[name]
    if answer is ...:
        return Checked(False, "Nothing is filled in: write your code where the three dots are.")
    number = _number(answer)
    if number is None:
        return Checked(False, f"A single number is asked for; this is a {type(answer).__name__}.")
    if exercise.share and not 0 <= number <= 1:
        return Checked(False, "A share lies between 0 and 1.")
    if _equal(number, exercise.right()):
        return Checked(True, exercise.praise)
    return Checked(False, _hint(exercise, number))


def quiz(lesson: int, answers: Mapping[int, str]) -> Checked:
    """How many of a lesson's five answers are right, and where to read again.

    Examples
    --------
    >>> quiz(3, {})
    Not yet. 0 of 5 are right. Not answered: 1, 2, 3, 4, 5.
    """
    questions = QUIZZES[lesson]
    given = {number: str(answers.get(number, "")).strip().lower() for number in questions}
    wrong = [n for n, question in questions.items() if given[n] not in ("", question.right)]
    empty = [n for n in questions if not given[n]]
    said = [f"{len(questions) - len(wrong) - len(empty)} of {len(questions)} are right."]
    said += [f"Question {n}: {questions[n].hint}" for n in wrong]
    if empty:
        said.append(f"Not answered: {', '.join(map(str, empty))}.")
    return Checked(not wrong and not empty, " ".join(said))


def _number(answer: Any) -> Number | None:
    """The answer as one finite number; None for anything else."""
    if isinstance(answer, str | bytes | bool):
        return None
    values = np.asarray(answer)
    if values.size != 1 or values.dtype.kind not in "iuf":
        return None
    number = float(values.reshape(-1)[0])
    return number if math.isfinite(number) else None


def _hint(exercise: Exercise, number: Number) -> str:
    """What is said of a mistake that others made too; else the exercise's own hint."""
    return next((hint for slip, hint in exercise.slips if _equal(number, slip())), exercise.hint)


def _equal(one: Number, other: Number) -> bool:
    return abs(one - other) <= min(TOLERANCE, OF_SMALL * abs(other))
