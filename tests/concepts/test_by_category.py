"""What is found by category and limit, against loops over the pairs."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.concepts.best_pairs import PAIRS
from interplm_nb.concepts.by_category import ALL, best_of_feature, by_category, by_layer, unlabelled
from interplm_nb.concepts.links import LINKS

LIMITS = (0.1, 0.3, 0.5)
CATEGORY = {"Helix": "Helix", "Kinase": "Domain", "PH": "Domain", "Zinc": "Zinc finger"}


@st.composite
def some_links(draw: st.DrawFn) -> pl.DataFrame:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pairs = [(c, f) for c in CATEGORY for f in range(6) if rng.random() < 0.6]
    rows = [
        dict.fromkeys(LINKS)
        | {
            "concept": c,
            "feature": f,
            "category": CATEGORY[c],
            "level": "instance",
            "threshold": 0.5,
        }
        | {
            name: float(rng.integers(0, 8)) / 10
            for name in ("validation_f1_per_domain", "f1_per_domain")
        }
        for c, f in pairs
    ]
    return pl.DataFrame(rows, schema=LINKS)


def found(links: pl.DataFrame, limit: float) -> list[dict]:
    return [
        row
        for row in links.iter_rows(named=True)
        if row["validation_f1_per_domain"] > limit and row["f1_per_domain"] > limit
    ]


@given(some_links())
def test_features_by_category_are_those_of_a_loop(links: pl.DataFrame) -> None:
    wanted = set()
    for limit in LIMITS:
        for category in {*links["category"], *([ALL] if links.height else [])}:
            pairs = [row for row in found(links, limit) if category in (row["category"], ALL)]
            wanted.add(
                (
                    category,
                    limit,
                    len({r["feature"] for r in pairs}),
                    len({r["concept"] for r in pairs}),
                    len(pairs),
                )
            )
    table = by_category(links, LIMITS)
    assert set(table.rows()) == wanted
    assert table.columns == ["category", "limit", "features", "concepts", "pairs"]


@given(some_links(), st.integers(0, 63))
def test_features_without_a_concept_are_those_of_a_loop(links: pl.DataFrame, bits: int) -> None:
    alive = np.array([bits >> f & 1 for f in range(6)], bool)
    for row in unlabelled(links, alive, LIMITS).iter_rows(named=True):
        labelled = {r["feature"] for r in found(links, row["limit"]) if alive[r["feature"]]}
        assert (row["alive"], row["labelled"]) == (alive.sum(), len(labelled))
        assert row["unlabelled"] == pytest.approx(
            1 - len(labelled) / alive.sum() if alive.any() else 0
        )


def test_links_of_another_source_are_refused() -> None:
    links = pl.DataFrame(
        {
            "concept": ["Helix"],
            "feature": [7],
            "validation_f1_per_domain": [0.9],
            "f1_per_domain": [0.9],
        }
    )
    with pytest.raises(
        ValueError, match="name feature 7, but alive has 6 features; pass both from one source"
    ):
        unlabelled(links, np.ones(6, bool))


@given(some_links())
def test_a_features_best_concept_is_the_one_of_a_loop(links: pl.DataFrame) -> None:
    wanted = {}
    for row in sorted(
        links.iter_rows(named=True), key=lambda r: (-r["validation_f1_per_domain"], r["concept"])
    ):
        wanted.setdefault(row["feature"], row["concept"])
    assert best_of_feature(links).select("feature", "concept").rows() == sorted(wanted.items())


def test_layers_side_by_side() -> None:
    row = dict.fromkeys(PAIRS) | {
        "concept": "Helix",
        "category": "Helix",
        "n_instances": 3,
        "f1_per_domain": 0.5,
    }
    one, two = (
        pl.DataFrame([row], schema=PAIRS),
        pl.DataFrame([row | {"f1_per_domain": 0.7}, row | {"concept": "Turn"}], schema=PAIRS),
    )
    table = by_layer({"1": one, "2": two})
    assert table.select("label", "concept", "f1_per_domain").rows() == [
        ("1", "Helix", 0.5),
        ("2", "Helix", 0.7),
        ("2", "Turn", 0.5),
    ]
    assert by_layer({}).columns == table.columns
