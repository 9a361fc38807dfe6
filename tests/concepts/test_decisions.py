"""Rankings, thresholds and figures against loops over the examples, and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from interplm_nb.concepts.decisions import constant, decided, ranking, ranking_of_sparse

SCORES = st.sampled_from([-1.5, 0.0, 0.25, 0.5, 2.0])


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Scores with ties and labels with at least one positive and one negative."""
    n = draw(st.integers(2, 12))
    labels = [True, False, *draw(st.lists(st.booleans(), min_size=n - 2, max_size=n - 2))]
    return np.array(draw(st.lists(SCORES, min_size=n, max_size=n)), np.float32), np.array(labels)


@given(scored())
def test_the_best_threshold_has_the_best_f1_of_all_and_calls_fewest(
    drawn: tuple[np.ndarray, np.ndarray],
) -> None:
    scores, labels = drawn
    every = {
        t: metrics.f1_score(labels, scores > t, zero_division=0)
        for t in [-np.inf, *np.unique(scores).tolist()]
    }
    threshold, f1 = ranking(scores, labels).best()
    assert f1 == pytest.approx(max(every.values()))
    assert metrics.f1_score(labels, scores > threshold) == pytest.approx(f1)
    assert threshold == max(
        t for t, value in every.items() if value == pytest.approx(f1, abs=1e-12)
    )


@given(scored(), st.sampled_from([-np.inf, 0.0, 0.3, 2.0]))
def test_figures_are_those_of_scikit_learn(
    drawn: tuple[np.ndarray, np.ndarray], threshold: float
) -> None:
    scores, labels = drawn
    found, called = decided(scores, labels, threshold), scores > threshold
    assert (found.n, found.n_positive, found.prevalence) == (
        len(labels),
        labels.sum(),
        pytest.approx(labels.mean()),
    )
    assert found.accuracy == pytest.approx(metrics.accuracy_score(labels, called))
    assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(labels, called))
    assert found.precision == pytest.approx(
        metrics.precision_score(labels, called, zero_division=0)
    )
    assert found.recall == pytest.approx(metrics.recall_score(labels, called))
    assert found.f1 == pytest.approx(metrics.f1_score(labels, called, zero_division=0))
    assert found.auprc == pytest.approx(metrics.average_precision_score(labels, scores))


@given(scored())
def test_an_entry_may_stand_for_many_examples(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    scores, labels = drawn
    zero = scores == 0
    one = ranking(
        np.append(scores[~zero], 0),
        np.append(labels[~zero], labels[zero].sum()),
        np.append(np.ones((~zero).sum()), zero.sum()),
    )
    if zero.any():
        assert one.average_precision == pytest.approx(ranking(scores, labels).average_precision)
        assert one.best() == ranking(scores, labels).best()


@given(scored(), st.booleans())
def test_values_that_are_not_stored_rank_as_zeros(
    drawn: tuple[np.ndarray, np.ndarray], explicit_zero: bool
) -> None:
    scores, labels = drawn
    stored = scores != 0
    stored[0] |= explicit_zero
    found, wanted = (
        ranking_of_sparse(scores[stored], labels[stored], len(labels), int(labels.sum())),
        ranking(scores, labels),
    )
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@given(scored())
def test_a_ranking_counts_what_is_at_or_above_each_score(
    drawn: tuple[np.ndarray, np.ndarray],
) -> None:
    scores, labels = drawn
    found = ranking(scores, labels)
    assert found.scores.tolist() == sorted(set(scores.tolist()), reverse=True)
    assert found.called.tolist() == [(scores >= s).sum() for s in found.scores]
    assert found.tp.tolist() == [labels[scores >= s].sum() for s in found.scores]


def test_without_a_positive_or_a_call_figures_are_zero() -> None:
    found = decided(np.array([0.1, 0.2]), np.array([False, False]), 1.0)
    assert found == (2, 0, 0.0, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0)


def test_constant_answers() -> None:
    labels = np.array([True, False, False, False])
    positive, negative = constant(labels, True), constant(labels, False)
    assert (positive.f1, positive.accuracy, positive.balanced_accuracy, positive.auprc) == (
        0.4,
        0.25,
        0.5,
        0.25,
    )
    assert (negative.f1, negative.accuracy, negative.balanced_accuracy, negative.auprc) == (
        0.0,
        0.75,
        0.5,
        0.25,
    )


def test_what_cannot_be_ranked_is_refused() -> None:
    with pytest.raises(ValueError, match="one or more scores without NaN, not 0 with 0 NaN"):
        ranking(np.array([]), np.array([]))
    with pytest.raises(ValueError, match="not 2 with 1 NaN"):
        ranking(np.array([1.0, np.nan]), np.array([True, False]))
