"""What a language model is asked of one feature: conversations, and the answers that fit them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from interplm_nb.activations import FeatureActivations
from interplm_nb.interpret.asking import Message, Prompt, quoted, quoted_lines
from interplm_nb.interpret.describe import Description
from interplm_nb.interpret.known import Known, Sees
from interplm_nb.interpret.recognition import MARKED, Excerpt, Question
from interplm_nb.interpret.sampling import BINS, Sample

MOST_SPANS, LONGEST_SPAN = 20, 60
"""Active stretches of a protein that are shown, and letters of each."""


class _Numbered(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int


class Prediction(_Numbered):
    """The maximum that is predicted over one protein."""

    maximum: float = Field(ge=0, le=1)


class Predictions(BaseModel):
    """What the prompt `judge` asks for."""

    model_config = ConfigDict(extra="forbid")
    predictions: list[Prediction]


class YesNo(_Numbered):
    """An answer about one excerpt."""

    yes: bool


class YesNos(BaseModel):
    """What the prompts `detection` and `fuzzing` ask for."""

    model_config = ConfigDict(extra="forbid")
    answers: list[YesNo]


class Odd(_Numbered):
    """The intruder of one set."""

    intruder: int = Field(ge=1, le=5)


class Odds(BaseModel):
    """What the prompt `intruder` asks for."""

    model_config = ConfigDict(extra="forbid")
    answers: list[Odd]


Answer = TypeVar("Answer", bound=BaseModel)


class Asked(NamedTuple):
    """A conversation, the type of its answer, and what is wrong with an answer that parses."""

    messages: list[Message]
    answer: type[BaseModel]
    fits: Callable[[Any], str | None]
    expected_output: int
    """Tokens that a usual answer has, for estimates."""


def to_describe(found: Sample, activations: FeatureActivations, known: Known, sees: Sees) -> Asked:
    """Ask for a description from the training examples."""
    lines = []
    for i, row in enumerate(found.training.iter_rows(named=True), 1):
        shown = {"number": i, **known.shown(row["accession"], sees), "maximum": row["bin"] / BINS}
        if row["bin"]:
            track = activations.along(row["accession"], found.feature)
            shown["active"] = _spans(track > MARKED, known.proteins.sequence(row["accession"]))
        lines.append(shown)
    messages = Prompt.load("describe").messages(Description, proteins=quoted_lines(lines))
    return Asked(messages, Description, lambda _: None, 500)


def to_judge(found: Sample, summary: str | None, known: Known, sees: Sees) -> Asked:
    """Ask for the maxima of the evaluation examples, of which no activation is shown."""
    accessions = found.evaluation["accession"].to_list()
    lines = [{"number": i, **known.shown(a, sees)} for i, a in enumerate(accessions, 1)]
    messages = Prompt.load("judge").messages(
        Predictions, summary=quoted(summary), proteins=quoted_lines(lines)
    )
    return Asked(
        messages,
        Predictions,
        lambda answer: _all_numbered(answer.predictions, len(lines)),
        15 * len(lines),
    )


def predicted(answer: Predictions) -> np.ndarray:
    """float64 [n]: the predictions in the order of the examples."""
    ordered = sorted(answer.predictions, key=lambda prediction: prediction.number)
    return np.array([prediction.maximum for prediction in ordered])


def to_recognise(score: str, summary: str, questions: Sequence[Question]) -> Asked:
    """Ask the questions of `detection` or `fuzzing`."""
    lines = [{"number": i, "excerpt": q.excerpt.text} for i, q in enumerate(questions, 1)]
    messages = Prompt.load(score).messages(
        YesNos, summary=quoted(summary), excerpts=quoted_lines(lines)
    )
    return Asked(messages, YesNos, lambda a: _all_numbered(a.answers, len(lines)), 12 * len(lines))


def to_find_intruders(sets: Sequence[tuple[list[Excerpt], int]]) -> Asked:
    """Ask for the intruder of each set."""
    lines = [
        {"number": i, "excerpts": [excerpt.text for excerpt in group]}
        for i, (group, _) in enumerate(sets, 1)
    ]
    messages = Prompt.load("intruder").messages(Odds, sets=quoted_lines(lines))
    return Asked(messages, Odds, lambda a: _all_numbered(a.answers, len(lines)), 12 * len(lines))


def in_order(answers: Sequence[Any], name: str) -> list[Any]:
    """One field of numbered answers, in the order of their numbers."""
    return [getattr(a, name) for a in sorted(answers, key=lambda answer: answer.number)]


def _all_numbered(answers: Sequence[_Numbered], n: int) -> str | None:
    numbers = [answer.number for answer in answers]
    if sorted(numbers) == list(range(1, n + 1)):
        return None
    missing = sorted(set(range(1, n + 1)) - set(numbers))
    return f"it needs each number from 1 to {n} once" + (f"; {missing} are missing" * bool(missing))


def _spans(active: np.ndarray, sequence: str) -> list[list[Any]]:
    """Start, end (from 1, included) and letters of each stretch of active residues."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], active, [False]])))
    return [
        [int(first) + 1, int(last), sequence[first:last][:LONGEST_SPAN]]
        for first, last in edges.reshape(-1, 2)[:MOST_SPANS]
    ]
