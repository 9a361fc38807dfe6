"""Lesson 4: sequences that were written while a feature was held, judged by their letters."""

import re
from functools import cache

import numpy as np

from interplm_nb.pipeline.run import Run
from interplm_nb.workshop.exercise import Exercise

FINGER = "C.{2,4}C.{12}H.{3,5}H"
"""The classical C2H2 zinc finger, in letters."""
SHUFFLES = 20
BROKEN = 0.3
"""A sequence has broken down if one letter makes up more than this share of it."""


def written(run: Run, kind: str) -> list[str]:
    """The sequences of the run's stage `steer` that were written in one way, such as "steered".

    Examples
    --------
    >>> len(written(Run.shipped(), "steered"))
    48
    """
    table = run.table("steer", "sequences")
    kinds = table["kind"].unique(maintain_order=True).to_list()
    if kind not in kinds:
        raise ValueError(f"no sequences were written in the way {kind!r}: {', '.join(kinds)}")
    return table.filter(kind=kind)["sequence"].to_list()


def shuffled(sequence: str, seed: int) -> str:
    """The same letters in random order.

    Examples
    --------
    >>> shuffled("MKVLA", seed=0)
    'VALMK'
    """
    order = np.random.default_rng(seed).permutation(len(sequence))
    return "".join(sequence[i] for i in order)


def _with_finger(sequences: list[str]) -> float:
    return sum(bool(re.search(FINGER, sequence)) for sequence in sequences) / len(sequences)


def _fingers(kind: str) -> float:
    return _with_finger(written(Run.shipped(), kind))


@cache
def _left() -> float:
    steered = written(Run.shipped(), "steered")
    return _with_finger([shuffled(s, seed) for seed in range(SHUFFLES) for s in steered])


def _once() -> float:
    return _with_finger([shuffled(s, 0) for s in written(Run.shipped(), "steered")])


def _commonest(kind: str) -> np.ndarray:
    """Of each sequence, the share of its commonest letter."""
    sequences = written(Run.shipped(), kind)
    return np.array([max(map(s.count, set(s))) / len(s) for s in sequences])


def _broken(kind: str) -> float:
    return float((_commonest(kind) > BROKEN).mean())


EXERCISES = {
    "fingers": Exercise(
        lambda: _fingers("steered"),
        "`re.search(FINGER, sequence)` is None where there is no finger. Count those that have "
        "one, and divide by the number of sequences.",
        "Some of them, and far from all.",
        (
            (
                lambda: 1 - _fingers("steered"),
                "That is the share without a finger.",
            ),
        ),
    ),
    "shuffled": Exercise(
        _left,
        "Shuffle every sequence with every seed from 0 to 19, search each, and take the share of "
        "all that you searched.",
        "This much comes from the letters alone, whatever their order.",
        (
            (
                lambda: _fingers("steered"),
                "Nothing was shuffled yet: this is the share of the sequences as they were "
                "written.",
            ),
            (
                _once,
                "That is one shuffling. Do all twenty, so that the share does not hang on a single "
                "draw.",
            ),
        ),
    ),
    "broken": Exercise(
        lambda: _broken("output only"),
        "`max(map(s.count, set(s)))` is how often the commonest letter of `s` occurs. Divide by "
        "the length, compare with the limit, and take the mean.",
        "Most of these are no sequences that a protein could have.",
        (
            (
                lambda: _broken("steered"),
                "That is the share among the steered sequences. The question is about the other "
                "ones.",
            ),
            (
                lambda: float(_commonest("output only").mean()),
                "That is the mean share of the commonest letter. How many sequences are above the "
                "limit?",
            ),
        ),
    ),
}
