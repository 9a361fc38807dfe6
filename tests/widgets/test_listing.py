"""Which features are listed: against every pair looked at one by one."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.concept_names import concept_name
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.feature_table import FeatureTable
from interplm_nb.widgets.listing import concept_pairs, listing, packed_pairs
from interplm_nb.widgets.packing import pack, unpack
from interplm_nb.widgets.selection import Selection


@pytest.fixture(scope="module")
def data() -> FeatureData:
    return FeatureData(Run.shipped(), structures={})


SEARCHES = (
    *("", "7", "zinc", "HELIX", "domain any", "any kind", "disulfide", "no such", "trans 1"),
    *("motif", "proteins named", "on helix fires", "c-x", "g-g 1", "zinc named", "l-x(2)"),
)


def slow_list(
    data: FeatureData, listed: dict[str, Any], by_rank: bool
) -> dict[int, tuple[str, int] | None]:
    """Each listed feature with its concept and rank, by the words of `Selection.listed`'s help."""
    texts = [name for name in ("description", "motif_pattern") if name in data.features.columns]
    told = {
        row["feature"]: [row[name].lower() for name in texts if row[name]]
        for row in data.features.to_dicts()
    }
    words = listed.get("search", "").lower().split()
    places: dict[str, int] = {}
    pairs: dict[int, list[dict[str, Any]]] = {}
    for row in data.pages.ranked.to_dicts():
        places[row["concept"]] = places.get(row["concept"], 0) + 1
        pairs.setdefault(row["feature"], []).append(row | {"rank": places[row["concept"]]})
    least = np.float32(listed.get("least_f1", 0))

    def says(feature: int, pair: dict[str, Any] | None, where: str) -> bool:
        """Is every word in one of: n, the pair's names; i, the number; t, the feature's texts?"""
        names = []
        if pair:
            names = [pair["concept"], pair["category"]]
            names.append(concept_name(*names))
        return all(
            ("i" in where and str(feature).startswith(word))
            or ("n" in where and any(word in name.lower() for name in names))
            or ("t" in where and any(word in text for text in told[feature]))
            for word in words
        )

    def matches(feature: int, pair: dict[str, Any] | None) -> bool:
        said = says(feature, pair, "nit")
        wanted = listed.get("category")
        strong = not least or (pair is not None and np.float32(pair["f1_per_domain"]) >= least)
        of_category = not wanted or (pair is not None and pair["category"] == wanted)
        return bool(said and strong and of_category)

    found: dict[int, tuple[str, int] | None] = {}
    for feature, maximum in data.features.select("feature", "maximum").iter_rows():
        own = [pair for pair in pairs.get(feature, [None]) if matches(feature, pair)]
        kept = not listed.get("among") or feature in listed["among"]
        if own and kept and (listed.get("silent") or maximum > 0):
            by_names = [pair for pair in own if says(feature, pair, "ni")]
            if not by_names and says(feature, None, "it"):
                alone = not listed.get("category") and not least
                by_names = [None] if alone else own
            known = [pair for pair in by_names or own if pair is not None]
            best = min(known, key=lambda pair: pair["rank"] if by_rank else 0, default=None)
            found[feature] = None if best is None else (best["concept"], best["rank"])
    return found


@settings(max_examples=40, deadline=None)
@given(
    search=st.sampled_from(SEARCHES),
    category=st.sampled_from(["", "Domain", "Zinc finger", "Disulfide bond"]),
    least=st.sampled_from([0, 0.1, 0.3, 1]),
    silent=st.booleans(),
    among=st.just([]) | st.lists(st.integers(0, 1023), max_size=300),
    by_rank=st.booleans(),
)
def test_a_feature_is_listed_for_the_best_pair_that_matches(
    data: FeatureData,
    search: str,
    category: str,
    least: float,
    silent: bool,
    among: list[int],
    by_rank: bool,
) -> None:
    listed = Selection(
        listed={"search": search, "category": category, "least_f1": least, "silent": silent}
        | {"among": among}
    ).listed
    found = listing(data.features, data.concept_pairs, listed, None, by_rank)
    expected = slow_list(data, listed, by_rank)
    assert found["feature"].to_list() == sorted(expected)
    for feature, concept, rank in found.select("feature", "concept", "rank").iter_rows():
        assert expected[feature] == (None if concept is None else (concept, rank))


def test_every_scored_concept_can_be_found(data: FeatureData) -> None:
    """One label per feature hid the best feature of most concepts."""
    ranked = data.pages.ranked
    for concept in ranked["concept"].unique():
        rows = listing(data.features, data.concept_pairs, {"search": concept.lower()})
        best = ranked.filter(concept=concept)["feature"][0]
        shown = rows.filter(feature=best)["concept"].to_list()
        assert len(shown) == 1 and concept.lower() in shown[0].lower()
    labels = data.features["concept"].unique().drop_nulls()
    assert "Disulfide bond" not in labels  # the label of no feature, and yet
    assert listing(data.features, data.concept_pairs, {"search": "disulfide"}).height > 10


def test_the_first_rows_are_the_best_of_each_concept_by_validation_alone(
    data: FeatureData,
) -> None:
    rows = FeatureTable(data).rows()
    firsts = data.pages.ranked.unique("concept", keep="first", maintain_order=True)
    n = firsts["feature"].n_unique()
    assert rows["rank"].head(n).to_list() == [1] * n
    assert set(rows["feature"].head(n)) == set(firsts["feature"])
    other = data.concept_pairs.with_columns(f1_per_domain=1 - pl.col("f1_per_domain"))
    again = listing(data.features, other, {}, by_rank=True)
    assert again.drop("f1_per_domain").equals(
        data.listed(data.selection, by_rank=True).drop("f1_per_domain")
    )


def test_pairs_are_sent_in_order_and_compact(data: FeatureData) -> None:
    pairs = concept_pairs(data.pages)
    packed = pack(*packed_pairs(pairs))
    record, arrays = unpack(packed)
    assert [record["concept"][c] for c in arrays["concept"]] == pairs["concept"].to_list()
    assert [record["category"][c] for c in arrays["concept"]] == pairs["category"].to_list()
    assert arrays["feature"].tolist() == pairs["feature"].to_list()
    for name in ("validation_f1_per_domain", "f1_per_domain"):
        np.testing.assert_array_equal(arrays[name], pairs[name].to_numpy().astype(np.float32))
    assert len(packed) < 12 * pairs.height + 6_000


def test_a_run_without_pairs_lists_its_features(data: FeatureData) -> None:
    none = data.concept_pairs.clear()
    assert packed_pairs(none)[0] == {"concept": [], "category": []}
    rows = listing(data.features, none, {"search": "101"})
    alive = [f for f in (101, *range(1010, 1020)) if f in data.pages.alive]
    assert rows["feature"].to_list() == alive
    assert rows["concept"].null_count() == rows["rank"].null_count() == len(alive)
