"""The map of features: near directions lie near, the dead are absent, few features work, equal
seeds give equal maps.
"""

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_info

from interplm_nb.features.atlas import ATLAS, N_NEIGHBORS, atlas


def bundles(n: int, size: int, seed: int = 0) -> np.ndarray:
    """float32 [n * size, 32]: n directions, `size` vectors near each, of different lengths."""
    rng = np.random.default_rng(seed)
    near = rng.normal(size=(n, 32)).repeat(size, axis=0) + 0.1 * rng.normal(size=(n * size, 32))
    return (near * rng.uniform(0.5, 3, (n * size, 1))).astype(np.float32)


def test_what_points_the_same_way_lies_together_and_is_one_cluster() -> None:
    decoder = bundles(5, 12)
    table = atlas(decoder, np.ones(60, bool))
    assert table.schema == ATLAS
    assert table["feature"].to_list() == list(range(60))
    assert table["cluster"].to_list() == [c for c in table["cluster"][::12] for _ in range(12)]
    assert sorted(table["cluster"].unique()) == [0, 1, 2, 3, 4]
    centres = (
        table.group_by("cluster")
        .agg(pl.mean("x", "y"), radius=pl.col("x").std() + pl.col("y").std())
        .rows()
    )
    for (_, ax, ay, a), (_, bx, by, b) in combinations(centres, 2):
        assert np.hypot(ax - bx, ay - by) > max(a, b)


def test_the_longer_side_runs_from_minus_1_to_1_and_dead_features_are_absent() -> None:
    alive = np.arange(60) % 3 > 0
    table = atlas(bundles(5, 12), alive)
    assert table["feature"].to_list() == np.flatnonzero(alive).tolist()
    low, high = table.select("x", "y").min().row(0), table.select("x", "y").max().row(0)
    assert max(high) == pytest.approx(1) and min(low) == pytest.approx(-1)
    np.testing.assert_allclose(low, -np.array(high), atol=1e-6)


def test_equal_seeds_give_equal_maps_and_lengths_do_not_matter() -> None:
    decoder, alive = bundles(3, 10), np.ones(30, bool)
    table = atlas(decoder, alive, seed=1)
    assert table.equals(atlas(decoder, alive, seed=1))
    assert not table.equals(atlas(decoder, alive, seed=2))
    # A power of two keeps every direction to the last bit.
    assert table.equals(atlas(decoder * np.float32(4), alive, seed=1))


def test_the_threads_of_the_process_are_as_before() -> None:
    before = threads()
    assert before
    atlas(bundles(3, 10), np.ones(30, bool))
    after = threads()
    assert {name: after[name] for name in before} == before


def threads() -> dict[str, int]:
    """Of each OpenMP library that is loaded."""
    import sklearn.cluster  # noqa: F401

    return {
        library["filepath"]: library["num_threads"]
        for library in threadpool_info()
        if library["user_api"] == "openmp"
    }


@pytest.mark.parametrize("n", range(N_NEIGHBORS + 1))
def test_few_features_lie_on_their_two_principal_axes(n: int) -> None:
    decoder = bundles(1, N_NEIGHBORS)[:n].reshape(n, 32)
    table = atlas(decoder, np.ones(n, bool))
    assert table.schema == ATLAS and table.height == n
    assert (table["cluster"] == -1).all()
    if n < 2:
        assert table.select("x", "y").rows() == [(0, 0)] * n
        return
    directions = decoder / np.linalg.norm(decoder, axis=1, keepdims=True)
    variance, axes = np.linalg.eigh(np.cov(directions.T.astype(float)))
    expected = directions @ axes[:, np.argsort(variance)[::-1][:2]]
    for name, wanted in zip("xy", expected.T, strict=True):
        if n > 2 or name == "x":
            assert abs(np.corrcoef(table[name], wanted)[0, 1]) == pytest.approx(1, abs=1e-3)


def test_the_first_that_umap_takes_and_vectors_that_are_equal_or_zero() -> None:
    for decoder in (
        bundles(1, N_NEIGHBORS + 1),
        np.ones((20, 4), np.float32),
        np.zeros((20, 4), np.float32),
    ):
        table = atlas(decoder, np.ones(len(decoder), bool))
        assert table.height == len(decoder)
        assert np.isfinite(table.select("x", "y").to_numpy()).all()


@pytest.mark.parametrize(
    ("decoder", "alive"),
    [
        (np.ones((3, 2)), np.ones(2, bool)),
        (np.ones(3), np.ones(3, bool)),
        (np.ones((3, 2)), np.ones(3)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(decoder: np.ndarray, alive: np.ndarray) -> None:
    with pytest.raises(
        ValueError,
        match=r"an atlas needs decoder vectors \[n_features, d_in\] and one bool per feature, "
        r"not \(3,",
    ):
        atlas(decoder, alive)
