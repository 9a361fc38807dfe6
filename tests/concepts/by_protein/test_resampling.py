"""Weighted figures against the same figures on repeated examples; exchanges of labels."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, f1_score

from interplm_nb.concepts.by_protein.resampling import auprc, exchanges, f1, spearman

SCORES = np.array([0.9, 0.9, 0.4, 0.0, 0.0, 0.2, 0.7])
POSITIVE = np.array([True, False, True, False, False, True, True])
NUMBERS = np.array([5.0, 1.0, 2.0, 2.0, 0.0, 7.0, 3.0])


@given(st.lists(st.integers(0, 3), min_size=7, max_size=7).filter(lambda w: sum(w) > 1))
def test_a_weight_repeats_an_example(drawn: list[int]) -> None:
    weights = np.array([drawn, [1] * 7])
    again = np.repeat(np.arange(7), drawn)
    positive, scores, numbers = POSITIVE[again], SCORES[again], NUMBERS[again]
    called = scores > 0.3
    assert_allclose(
        f1(SCORES > 0.3, POSITIVE[None], weights)[0],
        f1_score(positive, called, zero_division=0) if positive.any() else 0,
    )
    assert_allclose(
        auprc(SCORES, POSITIVE[None], weights)[0],
        average_precision_score(positive, scores) if positive.any() else 0,
    )
    varies = np.ptp(scores) > 0 and np.ptp(numbers) > 0
    assert_allclose(
        spearman(SCORES, NUMBERS[None], weights)[0],
        spearmanr(scores, numbers)[0] if varies else 0,
        atol=1e-9,
    )


@given(st.integers(0, 100))
def test_an_exchange_is_the_same_figure_on_exchanged_labels(seed: int) -> None:
    (place,) = exchanges(np.arange(7), 1, seed)
    once = np.ones((1, 7), np.int64)
    both = np.stack([POSITIVE, POSITIVE[place]])
    assert_allclose(auprc(SCORES, both, once)[1], average_precision_score(both[1], SCORES))
    assert_allclose(f1(SCORES > 0.3, both, once)[1], f1_score(both[1], SCORES > 0.3))
    assert_allclose(
        spearman(SCORES, NUMBERS[place][None], once)[0], spearmanr(SCORES, NUMBERS[place])[0]
    )


@given(st.lists(st.integers(0, 4), min_size=1, max_size=9), st.integers(0, 9))
def test_every_label_is_given_once(clusters: list[int], seed: int) -> None:
    places = exchanges(np.array(clusters), 20, seed)
    assert_array_equal(np.sort(places, axis=1), np.tile(np.arange(len(clusters)), (20, 1)))


def test_labels_of_relatives_stay_together() -> None:
    """With clusters of one size, a cluster's labels move as one."""
    clusters = np.repeat(np.arange(10), 3)[np.random.default_rng(0).permutation(30)]
    for places in exchanges(clusters, 50, 0):
        for cluster in range(10):
            assert len(set(clusters[places[clusters == cluster]])) == 1


def test_exchanges_go_everywhere() -> None:
    places = exchanges(np.arange(4), 2000, 0)
    counts = np.array([np.bincount(places[:, i], minlength=4) for i in range(4)])
    assert (abs(counts - 500) < 100).all()
