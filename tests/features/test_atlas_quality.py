"""How far a map can be trusted, against slow definitions: true neighbours, recurring clusters."""

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.features.atlas import atlas
from interplm_nb.features.atlas_quality import (
    NEIGHBOURS,
    RECURRING,
    SEEDS,
    AtlasQuality,
    agreement,
    atlas_quality,
)
from tests.features.test_atlas import bundles


def together(labels: list[int], i: int, j: int) -> bool:
    return labels[i] == labels[j] and labels[i] >= 0


def slow_agreement(a: list[int], b: list[int]) -> float:
    """Pair by pair: are two features in one cluster in a, in b, in both, and beyond chance?"""
    pairs = list(combinations(range(len(a)), 2))
    in_a = sum(together(a, *pair) for pair in pairs)
    in_b = sum(together(b, *pair) for pair in pairs)
    both = sum(together(a, *pair) and together(b, *pair) for pair in pairs)
    if in_a == in_b == both:
        return 1
    by_chance = in_a * in_b / len(pairs)
    return (both - by_chance) / ((in_a + in_b) / 2 - by_chance)


@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 3)), max_size=14))
def test_agreement_equals_a_count_of_pairs(labels: list[tuple[int, int]]) -> None:
    a, b = [x for x, _ in labels], [y for _, y in labels]
    found = agreement(np.array(a, np.int64), np.array(b, np.int64))
    assert found == pytest.approx(slow_agreement(a, b))


def slow_kept(table: pl.DataFrame, decoder: np.ndarray) -> float:
    """Feature by feature, with every distance."""
    vectors = decoder[table["feature"].to_numpy()].astype(float)
    places = table.select("x", "y").to_numpy().astype(float)
    shares = []
    for i in range(len(vectors)):
        others = [j for j in range(len(vectors)) if j != i]

        def cosine(j: int, i: int = i) -> float:
            lengths = np.linalg.norm(vectors[i]) * np.linalg.norm(vectors[j])
            return float(vectors[i] @ vectors[j] / lengths)

        def away(j: int, i: int = i) -> float:
            return float(np.linalg.norm(places[i] - places[j]))

        true = set(sorted(others, key=cosine, reverse=True)[:NEIGHBOURS])
        shown = set(sorted(others, key=away)[:NEIGHBOURS])
        shares.append(len(true & shown) / len(true))
    return float(np.mean(shares))


@pytest.mark.parametrize("n", [2, 8, 40])
def test_kept_neighbours_and_recurrence_equal_their_definitions(n: int) -> None:
    decoder = np.random.default_rng(n).normal(size=(n + 3, 6)).astype(np.float32)
    alive = np.arange(n + 3) >= 3
    maps = [atlas(decoder, alive, seed) for seed in range(7, 7 + SEEDS)]
    found = atlas_quality(maps[0], decoder, seed=7)
    assert found.kept == pytest.approx(slow_kept(maps[0], decoder))
    clusters = [table["cluster"].to_list() for table in maps]
    each = [slow_agreement(a, b) for a, b in combinations(clusters, 2)]
    assert found.recurrence == pytest.approx(np.mean(each))


def test_random_places_keep_what_is_said() -> None:
    """The mean over many random maps of the same features."""
    rng = np.random.default_rng(0)
    decoder = rng.normal(size=(30, 8))
    table = atlas(decoder, np.ones(30, bool))
    shares = []
    for _ in range(40):
        x, y = rng.random(30), rng.random(30)
        shares.append(slow_kept(table.with_columns(x=pl.Series(x), y=pl.Series(y)), decoder))
    expected = atlas_quality(table, decoder).kept_by_chance
    assert expected == pytest.approx(10 / 29)
    assert np.mean(shares) == pytest.approx(expected, abs=0.03)


def test_planted_groups_recur_and_random_directions_do_not() -> None:
    planted = bundles(6, 12)
    table = atlas(planted, np.ones(72, bool))
    found = atlas_quality(table, planted)
    assert found.recurrence is not None and found.recurrence > 0.9
    assert found.kept is not None and found.kept > 0.8
    assert found.why_no_clusters(table) == ""
    random = np.random.default_rng(0).normal(size=(150, 200))
    table = atlas(random, np.ones(150, bool))
    found = atlas_quality(table, random)
    assert found.recurrence is not None and found.recurrence < RECURRING / 2
    assert found.why_no_clusters(table) == (
        f"clusters do not recur over five seeds: mean adjusted Rand index {found.recurrence:.2f}"
    )


def test_few_features_have_no_clusters_and_one_has_no_neighbours() -> None:
    for n in (0, 1, 5):
        decoder = np.random.default_rng(0).normal(size=(n, 4))
        table = atlas(decoder, np.ones(n, bool))
        found = atlas_quality(table, decoder)
        assert "lie close enough together" in found.why_no_clusters(table)
        assert (found.kept is None) == (n < 2)
    assert found.kept_by_chance == 1


def test_a_cluster_that_is_the_map_is_no_cluster_however_well_it_recurs() -> None:
    table = pl.DataFrame({"cluster": [0] * 97 + [1] * 2 + [-1]})
    assert AtlasQuality(0.99).why_no_clusters(table) == (
        "one cluster holds 97\u00a0% of the features"
    )
    table = pl.DataFrame({"cluster": [0] * 90 + [1] * 9 + [-1]})
    assert AtlasQuality(0.99).why_no_clusters(table) == ""


def test_what_was_not_measured_is_said_with_the_way_out() -> None:
    table = pl.DataFrame({"cluster": [0, 0, -1]})
    assert AtlasQuality().why_no_clusters(table) == (
        "it was not measured whether clusters recur: "
        "run stage activations again (--force activations)"
    )
    assert "was not measured: run stage activations again" in AtlasQuality().words
    assert AtlasQuality(0.51, 0.268, 10 / 1020).words == (
        "keeps 27\u00a0% of a feature's 10 nearest by cosine (random places: 0.98\u00a0%)"
    )
    assert AtlasQuality(0.51).why_no_clusters(table) == ""
    assert AtlasQuality(0.5).why_no_clusters(table).endswith("mean adjusted Rand index 0.50")
