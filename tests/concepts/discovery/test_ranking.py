"""Precision and average precision against lists with clusters written out as often as they are
drawn.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.concepts.discovery.ranking import Ranked, quality, resamples, spread


def slow_quality(hits: list[bool], k: int, n_right: int) -> tuple[float, float]:
    first = hits[:k]
    at = [sum(hits[: i + 1]) / (i + 1) for i in range(len(hits)) if hits[i]]
    return sum(first) / k, sum(at) / max(n_right, 1)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=12), st.integers(1, 15))
def test_with_each_cluster_once_it_is_the_plain_figure(
    entries: list[tuple[bool, int]], k: int
) -> None:
    hits, clusters = [h for h, _ in entries], [c for _, c in entries]
    right = np.bincount([c for h, c in entries if h], minlength=4) + np.array([1, 0, 0, 2])
    found = quality(
        Ranked(np.array(hits, bool), np.array(clusters, np.int64), right), [k], np.ones((1, 4))
    )
    assert found.tolist() == [pytest.approx(slow_quality(hits, k, int(right.sum())))]


def test_a_cluster_drawn_twice_counts_twice() -> None:
    ranked = Ranked(np.array([True, False, True]), np.array([0, 1, 2]), np.array([1, 0, 1]))
    (at_1, at_3, average), (_, without, _) = quality(
        ranked, [1, 3], np.array([[2, 1, 0], [0, 3, 0]])
    )
    # In words: hit, hit, miss.
    assert (at_1, at_3, average) == (1.0, pytest.approx(2 / 3), 1.0)
    assert without == 0


def test_precision_stops_within_a_cluster_that_reaches_beyond_k() -> None:
    ranked = Ranked(np.array([False, True]), np.array([0, 1]), np.array([0, 1]))
    assert quality(ranked, [3], np.array([[2, 5]]))[0, 0] == pytest.approx(1 / 3)


def test_the_interval_holds_the_estimate_and_follows_the_seed() -> None:
    rng = np.random.default_rng(0)
    ranked = Ranked(rng.random(200) < 0.4, rng.integers(0, 30, 200), np.full(30, 3))
    estimate, low, high = spread(quality(ranked, [50], resamples(30, 200, 1)))
    assert (low < estimate).all() and (estimate < high).all()
    assert (resamples(30, 5, 1) == resamples(30, 5, 1)).all() and (
        resamples(30, 5, 1)[1:] != resamples(30, 5, 2)[1:]
    ).any()
    assert resamples(30, 5, 1).sum(axis=1).tolist() == [30] * 6


def test_nothing_ranked_is_zero() -> None:
    none = Ranked(np.empty(0, bool), np.empty(0, np.int64), np.array([2]))
    assert quality(none, [10], np.ones((1, 1))).tolist() == [[0, 0]]
