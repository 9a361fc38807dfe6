"""All columns at once against one ranking at a time, and scipy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from scipy.stats import spearmanr

from interplm_nb.concepts.by_protein import columns
from interplm_nb.concepts.by_protein.columns import as_scores, rank_correlations
from interplm_nb.concepts.decisions import ranking

CELLS = st.sampled_from([0.0, 0.0, 0.2, 0.5, 1.0])


@given(st.data(), st.integers(2, 12), st.integers(1, 4), st.integers(1, 30))
def test_each_column_is_ranked_as_alone(data: st.DataObject, n: int, m: int, entries: int) -> None:
    flat = data.draw(st.lists(CELLS, min_size=n * m, max_size=n * m))
    values = np.array(flat, np.float32).reshape(n, m)
    positive = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    positive[:2] = True, False
    direction = np.array(data.draw(st.lists(st.sampled_from([1, -1]), min_size=m, max_size=m)))
    before, columns._ENTRIES = columns._ENTRIES, entries
    try:
        found = as_scores(csr_array(values), direction, positive)
    finally:
        columns._ENTRIES = before
    for j in range(m):
        alone = ranking(direction[j] * values[:, j], positive)
        threshold, f1 = alone.best()
        assert (found.threshold[j], found.f1[j]) == (threshold, f1)
        assert_allclose(found.auprc[j], alone.average_precision)


@given(st.data(), st.integers(3, 12))
def test_rank_correlations_are_scipys(data: st.DataObject, n: int) -> None:
    values = np.array(data.draw(st.lists(CELLS, min_size=2 * n, max_size=2 * n))).reshape(n, 2)
    numbers = np.array(data.draw(st.lists(CELLS, min_size=n, max_size=n)))
    found = rank_correlations(values, numbers)
    for j in range(2):
        constant = np.ptp(values[:, j]) == 0 or np.ptp(numbers) == 0
        assert_allclose(
            found[j], 0 if constant else spearmanr(values[:, j], numbers)[0], atol=1e-12
        )


def test_no_column_gives_no_figure() -> None:
    none = np.empty((3, 0), np.float32)
    found = as_scores(none, np.empty(0, np.int64), np.array([True, False, False]))
    assert [len(column) for column in found] == [0, 0, 0]
    assert len(rank_correlations(none, np.arange(3))) == 0
