"""Neighbours and matches of features, against sorting each row and trying every assignment."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from interplm_nb.features.families import (
    BY_CHANCE,
    MATCHES,
    NEIGHBOURS,
    cosine,
    matches,
    neighbours,
    random_dictionary,
)

VALUES = st.sampled_from([-0.5, 0.0, 0.25, 0.5, 0.75, 1.0])


def test_cosines_of_vectors_and_of_none() -> None:
    vectors = np.array([[1.0, 0], [0, 2], [3, 3], [0, 0]])
    found = cosine(vectors, vectors[:2])
    np.testing.assert_allclose(found, [[1, 0], [0, 1], [0.5**0.5] * 2, [0, 0]], atol=1e-7)


@given(arrays.arrays(np.float64, (6, 6), elements=VALUES), st.integers(1, 7), st.integers(0, 63))
def test_neighbours_are_the_highest_of_each_row(similar: np.ndarray, k: int, dead: int) -> None:
    alive = np.array([not dead >> i & 1 for i in range(6)])
    table = neighbours({"decoder": similar, "concept": similar.T}, alive, k)
    assert dict(table.schema) == NEIGHBOURS
    expected = []
    for kind, matrix in (("decoder", similar), ("concept", similar.T)):
        for i in np.flatnonzero(alive):
            others = [j for j in np.flatnonzero(alive) if j != i and matrix[i, j] > 0]
            others = sorted(others, key=lambda j: (-matrix[i, j], j))[:k]
            expected += [(i, kind, rank, j, matrix[i, j]) for rank, j in enumerate(others, 1)]
    assert table.rows() == expected


def test_a_similarity_of_another_shape_and_no_neighbour_are_refused() -> None:
    with pytest.raises(ValueError, match=r"similarity 'decoder' must have shape \(3, 3\), one row"):
        neighbours({"decoder": np.ones((2, 3))}, np.ones(3, bool))
    with pytest.raises(ValueError, match="k must be 1 or more, not 0"):
        neighbours({}, np.ones(3, bool), 0)


@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=VALUES))
def test_matches_are_the_best_of_all_assignments(similar: np.ndarray) -> None:
    table = matches(similar, similar)
    assert dict(table.schema) == MATCHES
    n, m = similar.shape
    assert table.height == min(n, m)
    assert table["feature"].n_unique() == table["match"].n_unique() == min(n, m)
    tall = similar if n <= m else similar.T
    best = max(
        sum(tall[i, j] for i, j in enumerate(order))
        for order in permutations(range(max(n, m)), min(n, m))
    )
    assert table["similarity"].sum() == pytest.approx(best)
    for i, j, s, ambiguity, by_chance in table.iter_rows():
        rivals = [similar[i, k] for k in range(m) if k != j]
        rivals += [similar[k, j] for k in range(n) if k != i]
        expected = 1 if s <= 0 else min(1, max([0, *rivals]) / s)
        assert ambiguity == pytest.approx(expected, rel=1e-6)
        assert by_chance == (1 + (table["similarity"] >= s).sum()) / (1 + min(n, m))


def test_a_shuffled_dictionary_is_found_again_and_a_random_one_is_not() -> None:
    rng = np.random.default_rng(0)
    common = rng.standard_normal((1, 32)) * 2
    decoder = rng.standard_normal((80, 32)) + common
    order = rng.permutation(80)
    again = decoder[order] + 0.2 * rng.standard_normal((80, 32))
    null = cosine(decoder, random_dictionary(decoder, seed=1))
    numbers = np.arange(100, 180)
    table = matches(cosine(decoder, again), null, features=numbers)
    assert table["feature"].to_list() == numbers.tolist()
    np.testing.assert_array_equal(order[table["match"].to_numpy()], np.arange(80))
    assert (table["by_chance"] <= BY_CHANCE).all() and (table["ambiguity"] < 1).all()
    other = cosine(decoder, random_dictionary(decoder, seed=2))
    lost = matches(other, null)
    assert (lost["by_chance"].to_numpy() <= BY_CHANCE).mean() < 0.2
    assert lost["ambiguity"].to_numpy().mean() > table["ambiguity"].to_numpy().mean() + 0.1


def test_a_random_dictionary_has_the_mean_and_the_covariance() -> None:
    rng = np.random.default_rng(3)
    decoder = rng.standard_normal((20_000, 3)) @ np.diag([1.0, 2, 4]) + np.array([5.0, 0, -1])
    drawn = random_dictionary(decoder)
    np.testing.assert_allclose(drawn.mean(axis=0), decoder.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(decoder.T), atol=0.4)
    assert np.array_equal(drawn, random_dictionary(decoder, 0))
    assert not np.array_equal(drawn, random_dictionary(decoder, 1))


def test_similarities_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="similarities must be finite; NaN or infinity"):
        matches(np.array([[np.nan]]), np.array([[0.0]]))
