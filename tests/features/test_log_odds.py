"""Log odds of motifs, against their definition letter by letter."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.features.log_odds import along, log_odds
from interplm_nb.features.logos import AMINO_ACIDS, UNIFORM


def test_frequencies_have_as_many_pseudocounts_as_the_root_of_the_letters() -> None:
    counts = np.zeros((2, 20), np.int64)
    counts[0, 0] = 9
    odds = log_odds(counts, UNIFORM)
    assert odds[0, 0] == pytest.approx(np.log2((9 + 3 * 0.05) / 12 / 0.05))
    assert odds[0, 1] == pytest.approx(np.log2(3 * 0.05 / 12 / 0.05))
    assert not odds[1].any(), "a column without a letter says nothing"
    assert not odds[:, 20].any()


def test_a_letter_that_the_background_lacks_says_nothing() -> None:
    background = np.append(np.full(19, 1 / 19), 0.0)
    counts = np.full((1, 20), 4)
    counts[0, 19] = 0
    odds = log_odds(counts, background)
    assert np.isfinite(odds).all() and odds[0, 19] == 0
    assert odds[0, :19] == pytest.approx(np.zeros(19))


@given(st.integers(0, 10_000), st.text(AMINO_ACIDS + "XU", min_size=1, max_size=12))
def test_a_place_has_the_sum_over_its_window(seed: int, letters: str) -> None:
    rng = np.random.default_rng(seed)
    flank = int(rng.integers(0, 4))
    background = rng.dirichlet(np.ones(20))
    counts = rng.multinomial(8, background, size=2 * flank + 1)
    found = along(log_odds(counts, background), letters)
    for i in range(len(letters)):
        expected = 0.0
        for column, place in enumerate(range(i - flank, i + flank + 1)):
            if 0 <= place < len(letters) and letters[place] in AMINO_ACIDS:
                a = AMINO_ACIDS.index(letters[place])
                share = (counts[column, a] + np.sqrt(8) * background[a]) / (8 + np.sqrt(8))
                expected += np.log2(share / background[a])
        assert found[i] == pytest.approx(expected)
