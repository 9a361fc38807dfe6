"""Calibration against scikit-learn's and the definition of isotonic regression; reliability by
hand.
"""

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
    # Min-max formula of isotonic regression: max over a <= s of min over b >= s of the mean label
    # between a and b.
    best = {
        s: max(
            min(labels[(scores >= a) & (scores <= b)].mean() for b in order if b >= s)
            for a in order
            if a <= s
        )
        for s in order
    }
    np.testing.assert_allclose(found, [best[s] for s in scores], atol=1e-6)
    assert found.sum() == pytest.approx(labels.sum(), abs=1e-5)


@given(
    st.lists(
        st.tuples(st.integers(1, 8), st.booleans(), st.integers(0, 4)), min_size=1, max_size=40
    ),
    st.integers(1, 6),
    st.integers(1, 4),
)
def test_a_step_rests_on_enough_examples_and_groups(
    examples: list[tuple[int, bool, int]], per_step: int, groups_per_step: int
):
    scores, labels, groups = (np.array(column) for column in zip(*sorted(examples), strict=True))
    order = np.argsort(scores.astype(np.float32), kind="stable")[::-1]
    steps = [[]]
    for part in np.array_split(order, max(1, len(order) // per_step)):
        if (
            steps[-1]
            and len(steps[-1]) >= per_step
            and len(set(groups[steps[-1]])) >= groups_per_step
        ):
            steps.append([])
        steps[-1] += part.tolist()
    if len(steps) > 1 and len(set(groups[steps[-1]])) < groups_per_step:
        steps[-2] += steps.pop()
    top = steps[0]
    mean = np.mean([labels[top][groups[top] == g].mean() for g in set(groups[top])])
    found = Calibration.fit(scores, labels, groups, per_step, groups_per_step)
    # Nothing above the top step makes it surer, and lower ones only where they pool with it.
    assert found(np.array([99.0]))[0] >= mean - 1e-6
    if len(steps) == 1:
        assert found(scores) == pytest.approx(np.full(len(scores), mean), abs=1e-6)


def test_residues_of_one_protein_are_one_piece_of_evidence():
    scores = np.concatenate([np.full(100, 0.9), np.full(100, 0.1)])
    labels = np.arange(200) < 90
    groups = np.concatenate([np.repeat([0, 1], [90, 10]), np.arange(100) + 2])
    assert Calibration.fit(scores, labels, groups, 10, 2)(np.array([0.9]))[0] == pytest.approx(
        0.5, abs=1e-6
    )
    assert Calibration.fit(scores, labels, groups, 10, 30)(np.array([0.9]))[0] == pytest.approx(
        1 / 22, abs=0.02
    )


def test_it_is_level_outside_the_scores_it_has_seen():
    calibration = Calibration.fit(np.array([0.2, 0.4]), np.array([False, True]))
    np.testing.assert_allclose(calibration(np.array([0.0, 0.3, 9.0])), [0, 0.5, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("scores", "labels", "words"),
    [
        ([], [], "one or more scores"),
        ([1.0], [True, False], r"\(1,\) scores and \(2,\) labels"),
        ([np.nan], [True], "1 of 1 scores are not finite"),
    ],
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
