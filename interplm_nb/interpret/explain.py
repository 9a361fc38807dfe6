"""Describe features, with or without a language model, and score it against its nulls."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from pydantic import BaseModel

from interplm_nb.activations import FeatureActivations
from interplm_nb.interpret.asking import Model, ModelError, NoAnswerError, ask
from interplm_nb.interpret.describe import Description
from interplm_nb.interpret.judge import JUDGED, judge_statistically, judgements, other_features
from interplm_nb.interpret.known import Known, Sees
from interplm_nb.interpret.questions import (
    Asked,
    in_order,
    predicted,
    to_describe,
    to_find_intruders,
    to_judge,
    to_recognise,
)
from interplm_nb.interpret.recognition import (
    RECOGNISED,
    Score,
    detection,
    excerpts,
    fuzzing,
    intruders,
    recognise_statistically,
    recognised,
)
from interplm_nb.interpret.sampling import Sample, Sizes, sample
from interplm_nb.interpret.spending import BudgetSpentError
from interplm_nb.interpret.statements import Pattern
from interplm_nb.interpret.statistical import Stated, describe_statistically
from interplm_nb.progress import progress_bar

OTHERS = 5
"""Other features whose statements a regression is fitted on, as a null; which of them is drawn
moves the median much where features are few."""

FAILURES_IN_A_ROW = 5
"""Calls without an answer, one after another, after which a model is taken to be down."""

DESCRIPTIONS: dict[str, Any] = {
    "feature": pl.UInt32,
    "describer": pl.String,
    "sees": pl.String,
    "summary": pl.String,
    "description": pl.String,
    "states": pl.String,
    "n_examples": pl.Int64,
    "failed": pl.String,
}
"""Columns of descriptions. states: the kinds of statement that a statistical description makes,
joined by commas; null of a language model's. n_examples: training examples of the feature; failed:
why there is no description, null where there is one."""


@dataclass(frozen=True)
class Terms:
    """What describers and judges see, and what is drawn."""

    sees: Sees = "annotations"
    """What a describer sees of a protein."""
    judge_sees: Sees = "names"
    """What a judge sees. As in the paper with "annotations"; without, it cannot look up what the
    description names."""
    sizes: Sizes = field(default_factory=Sizes)
    close: bool = False
    """Whether silent proteins are close negatives first."""
    twice: bool = False
    """Whether a language model describes a feature twice, to see whether it says the same."""
    seed: int = 0


class Subject(NamedTuple):
    """A feature with its examples, and what statistics state of it."""

    found: Sample
    stated: Stated


class Explained(NamedTuple):
    """Descriptions and their scores."""

    descriptions: pl.DataFrame
    """Columns of `DESCRIPTIONS`."""
    judged: pl.DataFrame
    """Columns of `interpret.judge.JUDGED`."""
    recognised: pl.DataFrame
    """Columns of `interpret.recognition.RECOGNISED`, with describer."""
    stopped: str
    """Why it ended early; "" where it is whole."""


def subjects(
    activations: FeatureActivations,
    features: Sequence[int],
    known: Known,
    clusters: np.ndarray | None,
    terms: Terms,
) -> tuple[list[Subject], tuple[int, ...]]:
    """The features with enough examples, and the numbers of those that are left out."""
    found, left_out = [], []
    for feature in progress_bar(features, desc="examples", leave=False):
        drawn = sample(activations, feature, clusters, terms.sizes, terms.seed, terms.close)
        if drawn is None:
            left_out.append(feature)
        else:
            stated = describe_statistically(
                drawn, activations, known, clusters, terms.sees, terms.seed
            )
            found.append(Subject(drawn, stated))
    return found, tuple(left_out)


def explain_statistically(
    of: Sequence[Subject],
    activations: FeatureActivations,
    known: Known,
    clusters: np.ndarray | None,
    terms: Terms,
    against: Sequence[Subject] = (),
) -> Explained:
    """Descriptions without a language model, judged by a ridge regression with the nulls.

    The statements of other features are those of `OTHERS` of the features themselves, or of
    `against`, which must be others.
    """
    stated = {subject.found.feature: subject.stated for subject in (*of, *against)}
    numbers = [subject.found.feature for subject in of]
    others = (
        _drawn(numbers, against, terms.seed)
        if against
        else other_features(numbers, OTHERS, terms.seed)
    )
    descriptions, judged, scores = [], [], []
    for found, own in progress_bar(of, desc="statistical", leave=False):
        said = own.description
        kinds = sorted({type(statement).__name__.lower() for statement in own.statements})
        row = _described(found, "statistical", terms.sees, said)
        descriptions.append(row | {"states": ", ".join(kinds)})
        null = [stated[other] for other in others[found.feature]]
        judged.append(
            judge_statistically(found, own, null, known, clusters, terms.judge_sees, terms.seed)
        )
        odds = next((s.odds for s in own.statements if isinstance(s, Pattern)), None)
        scores.append(recognise_statistically(found, activations, odds, terms.seed))
    return explained_of(descriptions, judged, scores, "statistical")


def explain(
    of: Sequence[Subject],
    activations: FeatureActivations,
    known: Known,
    clusters: np.ndarray | None,
    model: Model,
    terms: Terms,
    at_once: int = 4,
) -> Explained:
    """Descriptions of a language model, judged by it with the nulls.

    The judge is given the description, another feature's, the statistical one, and none. A call
    that fails leaves its row with the reason. A budget that is spent, or a model that is down,
    stops the rest; what was done is returned, with `stopped`. `at_once` calls are under way
    together.
    """
    from anyio.from_thread import start_blocking_portal

    talk = _Conversation(of, activations, known, clusters, model, terms, at_once)
    # In its own thread: a notebook's kernel already runs an event loop in this one.
    with start_blocking_portal() as portal:
        return portal.call(talk.whole)


def planned(
    of: Sequence[Subject], activations: FeatureActivations, known: Known, terms: Terms
) -> list[Asked]:
    """The calls that `explain` would make, with a summary of 200 characters for each that is not
    written yet; answers that must be requested again are not among them."""
    summary, calls = "x" * 200, []
    others = [summary] if len(of) > 1 else []
    for found, stated in of:
        calls += [to_describe(found, activations, known, terms.sees)] * (1 + terms.twice)
        given = [summary, *others, stated.description.summary, None, *[summary] * terms.twice]
        calls += [to_judge(found, text, known, terms.judge_sees) for text in given]
        calls += [asked for _, asked, _ in _recognition(found, activations, summary, terms.seed)]
    return calls


def _recognition(
    found: Sample, activations: FeatureActivations, summary: str, seed: int
) -> list[tuple[Score, Asked, list[Any]]]:
    """The questions of each score that has any, with the right answers."""
    random = np.random.default_rng([seed, found.feature, 2])
    cut = excerpts(found, activations, evaluation=True, seed=seed)
    asked: list[tuple[Score, Asked, list[Any]]] = []
    scores: tuple[tuple[Score, Callable[..., Any]], ...] = (
        ("detection", detection),
        ("fuzzing", fuzzing),
    )
    for score, questions_of in scores:
        if questions := questions_of(cut, random):
            right = [question.right for question in questions]
            asked.append((score, to_recognise(score, summary, questions), right))
    if sets := intruders(cut, random):
        asked.append(("intruder", to_find_intruders(sets), [place + 1 for _, place in sets]))
    return asked


class _Conversation:
    """The calls of one run to one model."""

    def __init__(
        self,
        of: Sequence[Subject],
        activations: FeatureActivations,
        known: Known,
        clusters: np.ndarray | None,
        model: Model,
        terms: Terms,
        at_once: int,
    ) -> None:
        self._of, self._activations, self._known = of, activations, known
        self._clusters, self._model, self._terms = clusters, model, terms
        self._room = asyncio.Semaphore(at_once)
        self._stopped = ""
        self._in_a_row = 0

    async def whole(self) -> Explained:
        """Describe every feature, then judge what was said."""
        first = await self._each("descriptions", self._description)
        second: list[Any] = [None] * len(self._of)
        if self._terms.twice:
            second = await self._each("again", lambda subject: self._description(subject, draw=1))
        said = {s.found.feature: d for s, d in zip(self._of, first, strict=True) if d is not None}
        summaries = {f: d.summary for f, d in said.items() if isinstance(d, Description)}
        others = other_features(list(summaries), seed=self._terms.seed)
        again = {s.found.feature: d for s, d in zip(self._of, second, strict=True)}

        async def scored(subject: Subject) -> Any:
            """What the judge found for a feature; None where it was not described in time."""
            feature = subject.found.feature
            if feature in summaries:
                other = [summaries[f] for f in others[feature]]
                return await self._scored(subject, summaries[feature], other, again[feature])
            return self._without(subject, said[feature]) if feature in said else None

        done = [d for d in await self._each("judgements", scored) if d is not None]
        descriptions = [
            _described(s.found, self._model.name, self._terms.sees, said[s.found.feature])
            for s in self._of
            if s.found.feature in said
        ]
        judged, scores = [j for j, _ in done], [r for _, r in done]
        return explained_of(descriptions, judged, scores, self._model.name, self._stopped)

    async def _each(self, name: str, do: Callable[[Subject], Awaitable[Any]]) -> list[Any]:
        """`do` for each subject; None for those that were not done before a stop."""
        bar = progress_bar(total=len(self._of), desc=name, leave=False)

        async def one(subject: Subject) -> Any:
            """What `do` returns, or None after a stop."""
            try:
                return await do(subject)
            except _StoppedError:
                return None
            finally:
                bar.update()

        with bar:
            return await asyncio.gather(*(one(subject) for subject in self._of))

    async def _description(self, subject: Subject, draw: int = 0) -> Description | str:
        """What the model says, or why it says nothing."""
        asked = to_describe(subject.found, self._activations, self._known, self._terms.sees)
        return await self._answer(asked, draw)

    async def _answer(self, asked: Asked, draw: int = 0) -> Any:
        """A fitting answer, or a str: why there is none. _StoppedError after a stop."""
        async with self._room:
            return await self._asked(asked, draw)

    async def _asked(self, asked: Asked, draw: int) -> Any:
        if self._stopped:
            raise _StoppedError
        try:
            answer = await ask(self._model, asked.messages, asked.answer, asked.fits, draw)
        except BudgetSpentError as error:
            self._stopped = str(error)
            raise _StoppedError from error
        except NoAnswerError as error:
            self._in_a_row = 0
            return str(error)
        except ModelError as error:
            self._in_a_row += 1
            if self._in_a_row >= FAILURES_IN_A_ROW:
                self._stopped = f"{self._in_a_row} calls in a row failed; the last: {error}"
            return str(error)
        self._in_a_row = 0
        return answer

    async def _scored(
        self, subject: Subject, summary: str, others: list[str], again: Any
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        found, stated = subject
        name = self._model.name
        given: list[tuple[str, str, str | None]] = [
            (name, "description", summary),
            *((name, "another description", other) for other in others),
            ("statistical", "description", stated.description.summary),
            ("", "no description", None),
        ]
        if isinstance(again, Description):
            given.append((name, "second description", again.summary))
        sees = self._terms.judge_sees
        answers = await _all(
            self._answer(to_judge(found, text, self._known, sees)) for *_, text in given
        )
        values = [
            (who, what, answer if isinstance(answer, str) else predicted(answer))
            for (who, what, _), answer in zip(given, answers, strict=True)
        ]
        if isinstance(again, str):  # why there is none
            values.append((name, "second description", again))
        places = self._known.places(found.evaluation["accession"].to_list())
        clusters = None if self._clusters is None else self._clusters[places]
        judged = judgements(
            self._about(found), values, found.maximum[places], clusters, self._terms.seed
        )
        return judged, await self._recognised(found, summary)

    def _about(self, found: Sample) -> dict[str, Any]:
        name, sees = self._model.name, self._terms.judge_sees
        return {"feature": found.feature, "judge": name, "sees": sees}

    def _without(self, subject: Subject, why: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
        """A feature without a description: its judgement failed, and is counted as such."""
        failed = [(self._model.name, "description", f"no description: {why}")]
        judged = judgements(self._about(subject.found), failed, np.empty(0))
        return judged, pl.DataFrame(schema=RECOGNISED)

    async def _recognised(self, found: Sample, summary: str) -> pl.DataFrame:
        asked = _recognition(found, self._activations, summary, self._terms.seed)
        answers = await _all(self._answer(question) for _, question, _ in asked)
        rows = []
        for (score, _, right), answer in zip(asked, answers, strict=True):
            if isinstance(answer, str):
                rows.append(recognised(found.feature, score, None, right, answer))
            else:
                said = in_order(answer.answers, "intruder" if score == "intruder" else "yes")
                rows.append(recognised(found.feature, score, said, right))
        return pl.DataFrame(rows, schema=RECOGNISED)


class _StoppedError(Exception):
    """The run was stopped before this call."""


def _drawn(features: Iterable[int], against: Sequence[Subject], seed: int) -> dict[int, list[int]]:
    """For each feature `OTHERS` of the others, by the seed and its number alone."""
    numbers = np.array([subject.found.feature for subject in against])
    n = min(OTHERS, len(numbers))
    draws = {f: np.random.default_rng([seed, f, 3]).choice(numbers, n, False) for f in features}
    return {feature: drawn.tolist() for feature, drawn in draws.items()}


async def _all(calls: Iterable[Awaitable[Any]]) -> list[Any]:
    """The answers of all calls. After a stop those under way still end, and are recorded."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers


def _described(found: Sample, describer: str, sees: Sees, said: BaseModel | str) -> dict[str, Any]:
    row = {"feature": found.feature, "describer": describer, "sees": sees}
    row |= {"n_examples": found.training.height}
    return row | ({"failed": said} if isinstance(said, str) else said.model_dump())


def explained_of(
    descriptions: list[dict[str, Any]],
    judged: list[pl.DataFrame],
    scores: list[pl.DataFrame],
    describer: str,
    stopped: str = "",
) -> Explained:
    """The tables of rows; empty ones of none."""
    return Explained(
        pl.DataFrame(descriptions, schema=DESCRIPTIONS),
        pl.concat([pl.DataFrame(schema=JUDGED), *judged]),
        pl.concat([pl.DataFrame(schema=RECOGNISED), *scores]).with_columns(
            pl.lit(describer).alias("describer")
        ),
        stopped,
    )
