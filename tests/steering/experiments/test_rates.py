"""Intervals against their textbook forms."""

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from interplm_nb.steering.experiments.rates import beyond_letters, more_often, over, wilson


@pytest.mark.parametrize(("k", "n"), [(0, 96), (28, 96), (96, 96), (1, 2)])
def test_wilson_is_scipys(k: int, n: int) -> None:
    wanted = binomtest(k, n).proportion_ci(method="wilson")
    np.testing.assert_allclose(wilson(k, n), (wanted.low, wanted.high), atol=1e-12)


def test_nothing_drawn_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert over([0.3]) is None
    assert over([0.0, 0.0]) is None  # no spread is no certainty


def test_the_interval_over_seeds_is_students() -> None:
    rates = [0.3, 0.5, 0.4]
    wanted = ttest_1samp(rates, 0).confidence_interval(0.95)
    np.testing.assert_allclose(over(rates), wanted)
    assert over([0.0, 0.1]) == (0.0, pytest.approx(0.05 + 12.7062 * 0.05, rel=1e-3))


def test_more_often_counts_the_tables_that_are_as_extreme() -> None:
    # 3 of 3 beside 0 of 3: one of the 20 ways to deal 3 finds to 6 sequences.
    assert more_often(3, 3, 0, 3) == pytest.approx(1 / 20)
    assert more_often(0, 3, 3, 3) == pytest.approx(1)


def test_shuffles_without_a_match_are_not_taken_for_certain() -> None:
    none = [0.0] * 20
    assert beyond_letters(1, 32, none) == pytest.approx(1 - (1 - 1 / 641) ** 32)
    assert beyond_letters(0, 32, none) == 1
    assert beyond_letters(32, 32, [1.0] * 20) == 1
