"""Calibration against scikit-learn's and the definition of isotonic regression; reliability by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.concepts.calibration import Calibration, reliability

EXAMPLES = st.lists(st.tuples(st.integers(1, 8), st.booleans()), min_size=1, max_size=40)


@given(EXAMPLES)
def test_it_is_the_best_function_that_never_falls(examples: list[tuple[int, bool]]):
    scores, labels = (np.array(column) for column in zip(*examples, strict=True))
    found = Calibration.fit(scores, labels)(scores)
    order = np.unique(scores)
    # Min-max formula of isotonic regression: max over a <= s of min over b >= s of the mean label between a and b.
    best = {s: max(min(labels[(scores >= a) & (scores <= b)].mean() for b in order if b >= s) for a in order if a <= s) for s in order}
    np.testing.assert_allclose(found, [best[s] for s in scores], atol=1e-6)
    assert found.sum() == pytest.approx(labels.sum(), abs=1e-5)


@given(EXAMPLES, st.integers(2, 6))
def test_neighbours_are_taken_together(examples: list[tuple[int, bool]], per_knot: int):
    scores, labels = (np.array(column, float) for column in zip(*sorted(examples), strict=True))
    parts = np.array_split(np.arange(len(scores)), max(1, len(scores) // per_knot))
    assert min(map(len, parts)) >= min(per_knot, len(scores))
    found = Calibration.fit(scores, labels.astype(bool), per_knot)
    top = found(np.array([99.0]))[0]
    # The last part's mean is the most that the top can be, as it pools with lower ones where they are higher.
    assert top >= labels[parts[-1]].mean() - 1e-6
    assert any(top == pytest.approx(np.concatenate([labels[p] for p in parts[i:]]).mean(), abs=1e-6) for i in range(len(parts)))


def test_it_is_level_outside_the_scores_it_has_seen():
    calibration = Calibration.fit(np.array([0.2, 0.4]), np.array([False, True]))
    np.testing.assert_allclose(calibration(np.array([0.0, 0.3, 9.0])), [0, 0.5, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("scores", "labels", "words"),
    [([], [], "one or more scores"), ([1.0], [True, False], r"\(1,\) scores, \(2,\) labels"), ([np.nan], [True], "1 of 1 scores are not finite")],
)
def test_bad_examples(scores: list[float], labels: list[bool], words: str):
    with pytest.raises(ValueError, match=words):
        Calibration.fit(np.array(scores), np.array(labels))


def test_reliability_by_hand():
    found = reliability(np.array([0.1, 0.19, 0.9, 1.0]), np.array([0, 1, 1, 0]), bins=5)
    np.testing.assert_allclose(found.confidence, [0.145, 0.95])
    np.testing.assert_allclose(found.observed, [0.5, 0.5])
    assert found.n.tolist() == [2, 2] and found.error == pytest.approx((2 * 0.355 + 2 * 0.45) / 4)
    assert reliability(np.empty(0), np.empty(0)).error == 0
