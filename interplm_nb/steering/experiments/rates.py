"""Shares of sequences, with what their intervals cover."""

from collections.abc import Sequence

import numpy as np

ALPHA = 0.05
"""Largest p of a claim."""

LEVEL = 0.95


def wilson(k: int, n: int) -> tuple[float, float]:
    """The 95 % interval of k in n (Wilson 1927): other draws under the same changes.

    It covers neither other dictionaries nor other proteins.

    Examples
    --------
    >>> [round(end, 3) for end in wilson(0, 96)]
    [0.0, 0.038]
    """
    if n == 0:
        return 0.0, 1.0
    from scipy.stats import norm

    z = float(norm.ppf((1 + LEVEL) / 2))
    p = k / n
    middle = p + z * z / (2 * n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (float((middle + sign * half) / (1 + z * z / n)) for sign in (-1, 1))
    return (0.0 if k == 0 else low), (1.0 if k == n else high)


def over(rates: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of the mean of rates, of seeds or dictionaries (Student's t), within 0 to
    1.

    None for fewer than two, and where all are equal: they show no spread to go by.
    """
    if len(set(rates)) < 2:
        return None
    from scipy.stats import t

    half = float(t.ppf((1 + LEVEL) / 2, len(rates) - 1)) * float(np.std(rates, ddof=1))
    mean, half = float(np.mean(rates)), half / np.sqrt(len(rates))
    return max(0.0, mean - half), min(1.0, mean + half)


def beyond_letters(k: int, n: int, shuffled: Sequence[float]) -> float:
    """How likely k of n is, or more, if order does not matter.

    `shuffled`: the share of the n sequences with a match in each shuffle of their letters. The
    binomial tail at their mean, with one more match for good measure; sequences differ in their
    letters, so the true tail is no heavier.

    Examples
    --------
    >>> round(beyond_letters(30, 100, [0.05] * 20), 6)
    0.0
    >>> round(beyond_letters(30, 100, [0.28] * 20), 2)
    0.37
    """
    from scipy.stats import binom

    trials = n * len(shuffled)
    expected = (float(np.sum(shuffled)) * n + 1) / (trials + 1)
    return float(binom.sf(k - 1, n, min(expected, 1.0)))


def more_often(k: int, n: int, other: int, n_other: int) -> float:
    """Fisher's exact test: how likely k of n is, or more, if the others' share is the same."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(k - 1, n + n_other, k + other, n))
