"""Names of clusters, against sums of binomial coefficients and Benjamini and Hochberg by hand."""

from math import comb
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.features.cluster_names import BY_CHANCE, CLUSTERS, named_clusters

PAIRS = {"concept": pl.String, "category": pl.String, "feature": pl.UInt32}


def atlas(clusters: list[int]) -> pl.DataFrame:
    """Features 10, 12, 14, ... with these clusters."""
    features = [10 + 2 * i for i in range(len(clusters))]
    schema = {"feature": pl.UInt32, "cluster": pl.Int32}
    return pl.DataFrame({"feature": features, "cluster": clusters}, schema=schema)


def pairs(matched: list[tuple[str, int]]) -> pl.DataFrame:
    rows = [(concept, f"kind of {concept}", feature) for concept, feature in matched]
    return pl.DataFrame(rows, schema=PAIRS, orient="row")


def tail(k: int, m: int, carrying: int, n: int) -> float:
    ways = (comb(carrying, i) * comb(m - carrying, n - i) for i in range(k, min(carrying, n) + 1))
    return sum(ways) / comb(m, n)


def adjusted(p: dict[Any, float]) -> dict[Any, float]:
    """Benjamini and Hochberg: the least p' m / rank' of this p and of all larger ones."""
    order = sorted(p, key=lambda key: p[key])
    scaled = [p[key] * len(order) / rank for rank, key in enumerate(order, 1)]
    return {key: min(1.0, *scaled[i:]) for i, key in enumerate(order)}


@given(
    st.lists(st.integers(-1, 2), min_size=6, max_size=24),
    st.sets(st.tuples(st.sampled_from("ABC"), st.integers(0, 30)), max_size=30),
)
def test_every_row_is_what_counting_by_hand_gives(
    clusters: list[int], matched: set[tuple[str, int]]
) -> None:
    present = sorted({c for c in clusters if c >= 0})
    clusters = [present.index(c) if c >= 0 else -1 for c in clusters]  # as HDBSCAN numbers them
    table = named_clusters(atlas(clusters), pairs([(c, 10 + f) for c, f in matched]))
    assert dict(table.schema) == CLUSTERS
    members: dict[int, set[int]] = {}
    for i, cluster in enumerate(clusters):
        members.setdefault(cluster, set()).add(10 + 2 * i)
    every = set().union(*members.values())
    carrying: dict[str, set[int]] = {}
    for concept, feature in matched:
        if 10 + feature in every:
            carrying.setdefault(concept, set()).add(10 + feature)
    members.pop(-1, None)
    p = {
        (c, concept): tail(len(own & those), len(every), len(those), len(own))
        for c, own in members.items()
        for concept, those in carrying.items()
    }
    q = adjusted(p)
    rows = {(row["cluster"], row["concept"]): row for row in table.iter_rows(named=True)}
    assert set(table["cluster"]) == set(members)
    for key in p:
        both = len(members[key[0]] & carrying[key[1]])
        assert (key in rows) == bool(both)
        if both:
            row = rows[key]
            assert (row["n_matching"], row["n_matching_all"]) == (both, len(carrying[key[1]]))
            assert row["category"] == f"kind of {key[1]}"
            assert row["expected"] == pytest.approx(
                len(members[key[0]]) * len(carrying[key[1]]) / len(every)
            )
            assert row["p"] == pytest.approx(p[key]) and row["q"] == pytest.approx(q[key])
    for cluster, own in members.items():
        part = table.filter(cluster=cluster)
        assert part["n_features"].unique().to_list() == [len(own)]
        could = [
            key
            for key in p
            if key[0] == cluster and q[key] <= 0.05
            if (k := len(own & carrying[key[1]])) >= 2
            if k * len(every) >= 2 * len(own) * len(carrying[key[1]])
        ]
        name = part["name"].unique().item()
        assert (name == "") == (not could)
        if could:
            assert part["concept"][0] == name
            assert p[cluster, name] == pytest.approx(min(p[key] for key in could))
        no_member = "no member matches a concept" if part["p"][0] is None else BY_CHANCE
        expected = "" if could else no_member
        marked = part.filter("beyond_chance")["concept"].to_list()
        assert {(cluster, concept) for concept in marked} == set(could)
        assert part["why_no_name"].unique().to_list() == [expected]


def test_a_planted_cluster_has_its_concept_and_one_without_says_why() -> None:
    clusters = [0] * 6 + [1] * 6 + [2] * 6 + [-1] * 60
    matched = [("Zinc finger", 10 + 2 * i) for i in (0, 1, 2, 3, 4, 30)]
    matched += [("Helix", 10 + 2 * i) for i in (6, 40, 41, 42, 43, 44, 45, 46)]
    table = named_clusters(atlas(clusters), pairs(matched))
    first = table.unique("cluster", keep="first", maintain_order=True)
    assert first["name"].to_list() == ["Zinc finger", "", ""]
    assert first["why_no_name"].to_list() == ["", BY_CHANCE, "no member matches a concept"]
    assert first["concept"].to_list() == ["Zinc finger", "Helix", None]
    assert first["n_matching"].to_list() == [5, 1, 0]
    assert (first["named_by_chance"] <= 0.1).all()
    assert table.equals(named_clusters(atlas(clusters), pairs(matched)))


def test_two_members_make_a_name_and_one_makes_none() -> None:
    """One feature alone may match a concept beyond chance; its cluster is not named after it."""
    clusters = [0, 0] + [-1] * 200
    one = named_clusters(atlas(clusters), pairs([("A", 10)]))
    assert one["q"].item() < 0.05 and one["name"].item() == "" and one["why_no_name"].item()
    two = named_clusters(atlas(clusters), pairs([("A", 10), ("A", 12)]))
    assert two["name"].item() == "A"


def test_a_cluster_that_holds_most_of_the_map_is_not_named_after_a_small_excess() -> None:
    matched = [("Domain", 10 + 2 * i) for i in range(400)]
    table = named_clusters(atlas([0] * 900 + [-1] * 30), pairs(matched))
    assert table["q"].item() < 0.01 and table["expected"].item() > 380
    assert table.select("name", "why_no_name").row(0) == ("", BY_CHANCE)


def test_clusters_that_do_not_recur_have_their_counts_and_no_name() -> None:
    clusters = [0] * 6 + [-1] * 60
    matched = pairs([("Zinc finger", 10 + 2 * i) for i in range(5)])
    why = "clusters do not recur over five seeds: mean adjusted Rand index 0.40"
    table = named_clusters(atlas(clusters), matched, why)
    assert table.select("name", "why_no_name").rows() == [("", why)]
    named = named_clusters(atlas(clusters), matched)
    same = [name for name in CLUSTERS if name not in ("name", "why_no_name")]
    assert table.select(same).equals(named.select(same)) and named["name"][0] == "Zinc finger"


def test_by_chance_is_the_share_of_shuffles_that_would_name_a_cluster() -> None:
    """Nearly every feature matches A in one set, so that a shuffle names a cluster often: drawn
    again, one feature at a time."""
    clusters = [0] * 4 + [-1] * 8
    features = [10 + 2 * i for i in range(12)]
    own = {10, 12, 14, 16}
    found = named_clusters(atlas(clusters), pairs([("A", f) for f in own]), seed=3)
    rng, named = np.random.default_rng(3), 0
    for _ in range(100):
        carries = np.array([f in own for f in features])[rng.permutation(12)]
        k = int(carries[:4].sum())
        named += k >= 2 and tail(k, 12, 4, 4) <= 0.05
    assert named > 0 and found["named_by_chance"].item() == pytest.approx(named / 100)


@pytest.mark.parametrize("clusters", [[], [-1, -1, -1]])
def test_a_map_without_clusters_gives_an_empty_table(clusters: list[int]) -> None:
    table = named_clusters(atlas(clusters), pairs([("A", 10)]))
    assert table.is_empty() and dict(table.schema) == CLUSTERS


def test_without_a_concept_every_cluster_is_listed() -> None:
    table = named_clusters(atlas([0, 0, 1, 1]), pairs([]))
    assert table.select("cluster", "n_features", "n_matching", "named_by_chance").rows() == [
        (0, 2, 0, 0.0),
        (1, 2, 0, 0.0),
    ]
