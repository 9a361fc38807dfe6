from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.stats import mannwhitneyu

from interplm_nb.concepts.enrich import ENRICHED, count_test, enriched, rank_test


def sparse(columns: list) -> csr_array:
    return csr_array(np.array(columns, np.float32).T)


def all_splits(values: np.ndarray, n: int, statistic) -> float:
    """Share of all ways to draw n of the values whose statistic is that of the first n, or more."""
    found = statistic(values[:n], values[n:])
    others = [
        statistic(values[list(drawn)], np.delete(values, drawn))
        for drawn in combinations(range(len(values)), n)
    ]
    return float(np.mean([other >= found - 1e-9 for other in others]))


def auc_of(ours: np.ndarray, others: np.ndarray) -> float:
    return float(np.mean([(a > b) + (a == b) / 2 for a, b in product(ours, others)]))


values = st.integers(0, 4).map(lambda v: v / 4)
groups = st.tuples(
    st.lists(values, min_size=1, max_size=4), st.lists(values, min_size=1, max_size=6)
)


@given(groups)
def test_the_count_test_counts_all_draws(sets):
    ours, others = (np.array(s) > 0.3 for s in sets)
    p = count_test(np.array([ours.sum()]), len(ours), np.array([others.sum()]), len(others))
    assert p[0] == pytest.approx(
        all_splits(np.concatenate([ours, others]), len(ours), lambda a, b: a.sum())
    )


@given(groups)
def test_auc_is_the_chance_of_a_pair(sets):
    ours, others = sets
    assert rank_test(sparse([ours]), sparse([others])).auc[0] == pytest.approx(
        auc_of(np.array(ours), np.array(others))
    )


def test_without_zeros_p_is_the_usual_normal_approximation():
    rng = np.random.default_rng(0)
    ours, others = (
        np.round(rng.uniform(0.2, 1.2, (30, 5)), 1),
        np.round(rng.uniform(0.1, 1.1, (200, 5)), 1),
    )
    usual = mannwhitneyu(ours, others, axis=0, alternative="greater", method="asymptotic")
    found = rank_test(csr_array(ours.astype(np.float32)), csr_array(others.astype(np.float32)))
    np.testing.assert_allclose(found.p, usual.pvalue, rtol=1e-6)
    np.testing.assert_allclose(found.auc, usual.statistic / 6000)


@pytest.mark.parametrize("n_zeros", [5, 8])
def test_with_many_zeros_p_is_near_the_share_of_all_draws(n_zeros):
    rng = np.random.default_rng(n_zeros)
    for _ in range(8):
        pool = rng.permutation(
            np.concatenate([np.zeros(n_zeros), rng.uniform(0.1, 1, 12 - n_zeros)])
        )
        exact = all_splits(pool, 4, auc_of)
        found = rank_test(sparse([pool[:4]]), sparse([pool[4:]])).p[0]
        assert abs(found - exact) < 0.06


def test_one_member_and_two_of_ten_thousand_that_fire_are_no_proof():
    ours, others = np.zeros(9), np.zeros(10_000)
    ours[0], others[:2] = 1.0, 0.5
    exact = 9 / 10_009  # the chance that the one on top is a member
    usual = mannwhitneyu(ours, others, alternative="greater", method="asymptotic").pvalue
    assert usual < 1e-50  # what the usual approximation makes of it
    assert exact / 2 < rank_test(sparse([ours]), sparse([others])).p[0] < 2 * exact


def test_a_feature_that_tells_nothing_apart_has_no_small_p():
    found = rank_test(sparse([[0, 0], [1, 1], [0, 1]]), sparse([[0, 0, 0], [1, 1, 1], [0, 1, 1]]))
    assert found.auc[:2].tolist() == [0.5, 0.5] and (found.p > 0.5).all()


def test_the_table_has_both_tests_of_every_feature_that_fires_and_the_surest_first():
    rng = np.random.default_rng(1)
    ours = np.where(rng.random((20, 40)) < 0.3, rng.random((20, 40)), 0)
    others = np.where(rng.random((60, 40)) < 0.3, rng.random((60, 40)), 0)
    ours[:, 7], others[:, 7] = 0.9, 0
    ours[:, 3], others[:, 3] = 0, 0
    members, background = csr_array(ours.astype(np.float32)), csr_array(others.astype(np.float32))
    table = enriched(members, background, 0.5)
    assert dict(table.schema) == ENRICHED
    assert table["feature"][0] == 7 and sorted(table["feature"]) == [f for f in range(40) if f != 3]
    assert table["p_count"].is_sorted()
    assert table["p_count"][0] == pytest.approx(1 / comb(80, 20))
    ranked = rank_test(members, background)
    for row in table.iter_rows(named=True):
        f = row["feature"]
        fired = ours[:, f].astype(np.float32) > 0.5, others[:, f].astype(np.float32) > 0.5
        assert (row["members"], row["background"]) == (fired[0].sum(), fired[1].sum())
        assert (row["share"], row["background_share"]) == (fired[0].mean(), fired[1].mean())
        assert (row["auc"], row["p_rank"]) == (ranked.auc[f], ranked.p[f])
    for p, q in (("p_count", "q_count"), ("p_rank", "q_rank")):
        p, q = table[p].to_numpy(), table[q].to_numpy()
        plain = [min(min(1.0, len(p) * x / (p <= x).sum()) for x in p if x >= own) for own in p]
        np.testing.assert_allclose(q, plain)


def test_a_value_at_the_threshold_does_not_fire():
    table = enriched(sparse([[0.15, 0.16]]), sparse([[0.15, 0.0]]), 0.15)
    assert table.select("members", "background").row(0) == (1, 0)


def test_nothing_fires_at_all():
    assert enriched(
        csr_array((2, 3), dtype=np.float32), csr_array((2, 3), dtype=np.float32), 0.15
    ).is_empty()


def test_sets_that_cannot_be_compared_are_refused():
    with pytest.raises(
        ValueError,
        match="two sets of one or more proteins on the same features, not 0 x 3 and 2 x 3",
    ):
        enriched(csr_array((0, 3), dtype=np.float32), csr_array((2, 3), dtype=np.float32), 0.15)
    with pytest.raises(ValueError, match="not 1 x 3 and 2 x 4"):
        enriched(csr_array((1, 3), dtype=np.float32), csr_array((2, 4), dtype=np.float32), 0.15)
