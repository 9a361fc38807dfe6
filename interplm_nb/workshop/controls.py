"""Lesson 3: a feature against labels, against another source, and against chance."""

from functools import cache

import numpy as np
import polars as pl

from interplm_nb.pipeline.run import Run
from interplm_nb.workshop.exercise import Exercise

FEATURE, CONCEPT, THRESHOLD = 669, "Signal peptide", 0.5
DRAWS = 200
MARGIN = 0.1


def active(run: Run, feature: int, threshold: float, source: str = "sae") -> np.ndarray:
    """On which residues a feature is above a share of its maximum; bool [n_residues].

    Examples
    --------
    >>> int(active(Run.shipped(), 669, 0.5).sum())
    56
    """
    activations = run.activations(source).relative_to(run.maxima(source).train)
    rows, values = activations.feature(feature)
    on = np.zeros(activations.n_residues, bool)
    on[rows[values > threshold]] = True
    return on


def rotated(labels: np.ndarray, lengths: np.ndarray, seed: int) -> np.ndarray:
    """The labels of each protein moved along it by a random distance, its end joined to its start.

    How many residues carry the label stays, and that they follow one another; where they lie is
    lost.

    Examples
    --------
    >>> rotated(np.array([True, False, False, True]), np.array([3, 1]), seed=3)
    array([False, False,  True,  True])
    """
    random = np.random.default_rng(seed)
    parts = np.split(labels, np.cumsum(lengths)[:-1])
    return np.concatenate([np.roll(part, random.integers(len(part))) for part in parts])


def best_f1(run: Run) -> pl.DataFrame:
    """Best F1 on test proteins, a row per concept and a column per source.

    Examples
    --------
    >>> best_f1(Run.shipped()).height
    45
    """
    best = run.table("concepts", "best").filter(convention="strict")
    wide = best.pivot(on="source", index="concept", values="f1_per_domain")
    return wide.sort("sae", "concept", descending=[True, False])


def _ratio(part: str) -> float:
    on, carried = _both()
    both = (on & carried).sum()
    return float(both / {"active": on, "carried": carried, "all": np.ones_like(on)}[part].sum())


@cache
def _both() -> tuple[np.ndarray, np.ndarray]:
    run = Run.shipped()
    return active(run, FEATURE, THRESHOLD), run.annotations().mask(CONCEPT)


def _above(other: str, margin: float) -> int:
    table = best_f1(Run.shipped())
    return int((table["sae"] - table[other] > margin).sum())


@cache
def _p_value() -> float:
    on, carried = _both()
    lengths = Run.shipped().proteins().lengths
    real = _ratio("active")
    drawn = [rotated(carried, lengths, seed)[on].mean() for seed in range(DRAWS)]
    return (1 + sum(value >= real for value in drawn)) / (1 + DRAWS)


EXERCISES = {
    "precision": Exercise(
        lambda: _ratio("active"),
        "Both arrays hold True and False, one per residue: `a & b` is True where both are, and "
        "`.sum()` counts.",
        "When the feature is on, this share of the residues carries the label.",
        (
            (
                lambda: _ratio("carried"),
                "You divided by the residues that carry the label: that is recall. Precision asks "
                "about the residues where the feature is on.",
            ),
            (
                lambda: _ratio("all"),
                "You divided by all residues. Only those where the feature is on count.",
            ),
        ),
    ),
    "margin": Exercise(
        lambda: _above("random_sae", MARGIN),
        "Subtract one column from the other, compare with the margin, and count.",
        "On these concepts training made a difference that one can see without statistics.",
        (
            (
                lambda: _above("random_sae", 0.0),
                "You counted every concept where the SAE is ahead, by however little.",
            ),
            (
                lambda: _above("neurons", MARGIN),
                "You compared with the model's neurons; the question is about the random SAE.",
            ),
        ),
        share=False,
    ),
    "chance": Exercise(
        _p_value,
        "Count the draws whose precision is at least the real one, then count the real labels too, "
        "above and below the line.",
        "That is as small as it can get with this many draws.",
        (
            (
                lambda: 0.0,
                "No draw may have reached it, but a chance of 0 claims more than a few draws can "
                "show. The real labels are one of the possible ones too: count them.",
            ),
        ),
    ),
}
