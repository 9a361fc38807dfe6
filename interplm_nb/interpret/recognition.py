"""Can a feature be recognised by its description? Detection, fuzzing and intruder scores.

All three ask about excerpts: the residues around a maximum of the evaluation half. Detection: does
the feature fire here, or is this an excerpt of a silent protein? Fuzzing: does it fire on the
marked residues, or are the marks misplaced? Intruder: which of five excerpts is from a silent
protein? The last needs no description; it says whether the feature's excerpts have anything in
common.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from scipy.stats import binom

from interplm_nb.activations import FeatureActivations
from interplm_nb.features.log_odds import along, log_odds
from interplm_nb.features.logos import BACKGROUND, position_weights
from interplm_nb.features.motifs import FLANK
from interplm_nb.interpret.sampling import Sample

REACH = 15
"""Residues on each side of the maximum that an excerpt shows."""
MARKED = 0.15
"""Residues strictly above it are marked."""
STRONG = 0.5
"""Excerpts are of proteins whose maximum is this or more."""
IN_SET = 5
"""Excerpts in a set with one intruder."""

Score = Literal["detection", "fuzzing", "intruder"]
CHANCE: dict[Score, float] = {"detection": 0.5, "fuzzing": 0.5, "intruder": 1 / IN_SET}
"""What a judge scores who knows nothing."""

RECOGNISED: dict[str, Any] = {
    "feature": pl.UInt32,
    "score": pl.String,
    "n": pl.Int64,
    "balanced_accuracy": pl.Float64,
    "accuracy": pl.Float64,
    "chance": pl.Float64,
    "p_value": pl.Float64,
    "failed": pl.String,
}
"""Columns of `recognised`. balanced_accuracy: mean of the share right where the answer is yes and
the share right where it is no (null for intruder, whose answer is one of five); accuracy: share
right; p_value: chance of that many right answers or more by guessing at `chance`."""


class Excerpt(NamedTuple):
    """Residues around a place, some of them marked."""

    letters: str
    """2 REACH + 1 letters, fewer at the ends of a protein."""
    centre: int
    """Index of the place."""
    marked: tuple[int, ...]
    """Indices of marked residues, ascending."""

    @property
    def text(self) -> str:
        """The letters, marked ones in brackets.

        >>> Excerpt("MKVL", 1, (1, 2)).text
        'M[K][V]L'
        """
        return "".join(f"[{a}]" if i in self.marked else a for i, a in enumerate(self.letters))


class Question(NamedTuple):
    """An excerpt, and whether the answer to the score's question is yes."""

    excerpt: Excerpt
    right: bool


class Excerpts(NamedTuple):
    """Excerpts of one half: around maxima, and at random places of silent proteins."""

    active: list[Excerpt]
    silent: list[Excerpt]


def excerpts(
    found: Sample, activations: FeatureActivations, evaluation: bool, seed: int = 0
) -> Excerpts:
    """The excerpts of one half: of strong proteins, and as many of silent ones where there are.

    Silent places are a function of (seed, feature, half).
    """
    half = found.evaluation if evaluation else found.training
    random = np.random.default_rng([seed, found.feature, 3 + evaluation])
    rows, values = activations.feature(found.feature)
    marked = rows[values > MARKED]
    active, silent = [], []
    for accession, maximum, position in half.select("accession", "maximum", "position").iter_rows():
        sequence = activations.proteins.sequence(accession)
        if maximum >= STRONG:
            own = activations.proteins.rows(accession)
            here = marked[np.searchsorted(marked, own.start) : np.searchsorted(marked, own.stop)]
            active.append(_excerpt(sequence, position - 1, here - own.start))
        elif maximum == 0:
            place = int(random.integers(len(sequence)))
            silent.append(_excerpt(sequence, place, np.array([place])))
    return Excerpts(active, silent)


def _excerpt(sequence: str, place: int, marked: np.ndarray) -> Excerpt:
    first, last = max(0, place - REACH), min(len(sequence), place + REACH + 1)
    inside = marked[(marked >= first) & (marked < last)] - first
    return Excerpt(sequence[first:last], place - first, tuple(inside.tolist()))


def detection(of: Excerpts, random: np.random.Generator) -> list[Question]:
    """Unmarked excerpts, active and silent, in random order; as many of each."""
    n = min(len(of.active), len(of.silent))
    questions = [
        Question(excerpt._replace(marked=()), right)
        for excerpts, right in ((of.active, True), (of.silent, False))
        for excerpt in excerpts[:n]
    ]
    return [questions[i] for i in random.permutation(len(questions))]


def fuzzing(of: Excerpts, random: np.random.Generator) -> list[Question]:
    """Each active excerpt once: half with its marks, half with as many marks on other residues.

    An excerpt with more than half of its residues marked cannot be misplaced and is left out.
    """
    movable = [e for e in of.active if 2 * len(e.marked) <= len(e.letters)]
    questions = []
    for i, place in enumerate(random.permutation(len(movable))):
        excerpt = movable[place]
        if i % 2:
            others = np.setdiff1d(np.arange(len(excerpt.letters)), excerpt.marked)
            moved = np.sort(random.choice(others, len(excerpt.marked), replace=False))
            excerpt = excerpt._replace(marked=tuple(moved.tolist()))
        questions.append(Question(excerpt, i % 2 == 0))
    return [questions[i] for i in random.permutation(len(questions))]


def intruders(of: Excerpts, random: np.random.Generator) -> list[tuple[list[Excerpt], int]]:
    """Sets of `IN_SET` unmarked excerpts and the index of the silent one; no excerpt twice."""
    n = min(len(of.active) // (IN_SET - 1), len(of.silent))
    active = random.permutation(len(of.active))
    sets = []
    for i in range(n):
        group = [of.active[j] for j in active[i * (IN_SET - 1) : (i + 1) * (IN_SET - 1)]]
        place = int(random.integers(IN_SET))
        group.insert(place, of.silent[i])
        sets.append(([excerpt._replace(marked=()) for excerpt in group], place))
    return sets


def balanced_accuracy(said: Sequence[bool], right: Sequence[bool]) -> float | None:
    """Mean of the share right among the true and among the false; None without one of either.

    >>> balanced_accuracy([True, True, True, True], [True, True, True, False])
    0.5
    """
    said_, right_ = np.array(said, bool), np.array(right, bool)
    if right_.all() or not right_.any():
        return None
    return float((said_[right_].mean() + (~said_[~right_]).mean()) / 2)


def recognised(
    feature: int, score: Score, said: Sequence[Any] | None, right: Sequence[Any], failed: str = ""
) -> dict[str, Any]:
    """A row of `RECOGNISED`: what was said against what is right; `failed`: why nothing was said.

    ValueError where the two differ in number: a missing answer is not counted.
    """
    row = {"feature": feature, "score": score, "chance": CHANCE[score]}
    if said is None or not right:
        return row | {"n": 0, "failed": failed or "too few excerpts"}
    if len(said) != len(right):
        raise ValueError(f"{len(said)} answers to {len(right)} questions; each needs one")
    hits = sum(a == b for a, b in zip(said, right, strict=True))
    row |= {"n": len(right), "accuracy": hits / len(right)}
    row["p_value"] = float(binom.sf(hits - 1, len(right), CHANCE[score]))
    if score != "intruder":
        row["balanced_accuracy"] = balanced_accuracy(said, right)
    return row


AVERAGES: dict[str, Any] = {
    "describer": pl.String,
    "score": pl.String,
    "measure": pl.String,
    "chance": pl.Float64,
    "features": pl.Int64,
    "scored": pl.Int64,
    "mean": pl.Float64,
    "above_chance": pl.Int64,
}
"""Columns of `average_scores`. measure: "balanced accuracy" or "accuracy"; scored: features with a
score; above_chance: of these, with p_value of 0.05 or less, of which one in 20 is by chance."""


def average_scores(table: pl.DataFrame) -> pl.DataFrame:
    """The mean of each score over features, with what chance gives and what was not scored.

    `table`: columns of `RECOGNISED`, with describer. Returns columns of `AVERAGES`.
    """
    rows = []
    for (describer, score), group in table.group_by("describer", "score", maintain_order=True):
        name = "accuracy" if score == "intruder" else "balanced_accuracy"
        there = group.filter(pl.col(name).is_not_null())
        rows.append(
            {
                "describer": describer,
                "score": score,
                "measure": name.replace("_", " "),
                "chance": group["chance"][0],
                "features": group.height,
                "scored": there.height,
                "mean": there[name].mean(),
                "above_chance": int((there["p_value"] <= 0.05).sum()),
            }
        )
    return pl.DataFrame(rows, schema=AVERAGES)


def recognise_statistically(
    found: Sample, activations: FeatureActivations, odds: np.ndarray | None, seed: int = 0
) -> pl.DataFrame:
    """The three scores of a judge without a language model, from the motif that is stated.

    `odds`: its log odds (`features.log_odds`). Detection: their best sum in the excerpt; fuzzing:
    their mean over the marked residues. The answer is yes above the threshold with the best
    balanced accuracy on the training half. Without a motif every answer is no, which scores as
    chance. Intruder: of the excerpts, the one that a motif of the other four fits worst.

    Returns
    -------
    pl.DataFrame
        Columns of `RECOGNISED`, a row for each score.
    """
    random = np.random.default_rng([seed, found.feature, 2])
    train, test = (excerpts(found, activations, evaluation, seed) for evaluation in (False, True))
    rows = []
    scores: tuple[tuple[Score, Any], ...] = (("detection", detection), ("fuzzing", fuzzing))
    for score, asked in scores:
        of_training, of_test = asked(train, random), asked(test, random)
        values = [
            np.array([_fit(odds, question.excerpt) for question in of])
            for of in (of_training, of_test)
        ]
        threshold = _threshold(values[0], [question.right for question in of_training])
        said = (values[1] > threshold).tolist()
        rows.append(recognised(found.feature, score, said, [q.right for q in of_test]))
    sets = intruders(test, random)
    rows.append(
        recognised(
            found.feature, "intruder", [_odd_one(s) for s, _ in sets], [right for _, right in sets]
        )
    )
    return pl.DataFrame(rows, schema=RECOGNISED)


def _fit(odds: np.ndarray | None, excerpt: Excerpt) -> float:
    if odds is None:
        return 0.0
    fits = along(odds, excerpt.letters)
    return float(fits[list(excerpt.marked)].mean() if excerpt.marked else fits.max())


def _threshold(values: np.ndarray, right: list[bool]) -> float:
    """The threshold with the best balanced accuracy, the lowest of equals; inf without examples."""
    between = np.unique(values)
    scored = [(balanced_accuracy((values > t).tolist(), right) or 0.0, -t) for t in between]
    best, threshold = max(scored, default=(0.0, -np.inf))
    return -threshold if best > 0.5 else float("inf")


def _odd_one(group: list[Excerpt]) -> int:
    """The index of the excerpt that a motif of the others fits worst, around its centre."""
    windows = [_centred(excerpt) for excerpt in group]
    fits = []
    for i, excerpt in enumerate(group):
        others = position_weights(windows[:i] + windows[i + 1 :]).counts
        fits.append(along(log_odds(others, BACKGROUND), excerpt.letters)[excerpt.centre])
    return int(np.argmin(fits))


def _centred(excerpt: Excerpt) -> str:
    padded = "-" * FLANK + excerpt.letters + "-" * FLANK
    return padded[excerpt.centre : excerpt.centre + 2 * FLANK + 1]
