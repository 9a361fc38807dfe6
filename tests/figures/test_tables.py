"""Tables of stage `concepts` say what they are over."""

import polars as pl

from interplm_nb.concepts.intervals import COVERS
from interplm_nb.figures import tables
from interplm_nb.stages.partial_relatives import COLUMN

COMPARISON = pl.DataFrame(
    {
        "source": ["sae", "sae"],
        "convention": ["strict", "published"],
        "concepts_scored": ["enough instances", "more than 10 instances"],
        "n_concepts": [45, 50],
        "n_few_clusters": [7, None],
        "mean_f1_per_domain": [0.2, 0.3],
        "low": [0.1, None],
        "high": [0.3, None],
        "mean_f1": [0.1, 0.2],
        "mean_auprc": [0.1, None],
        "concepts_above_chance": [3, None],
        "features_found": [3, 4],
        "concepts_found": [2, 3],
        "features_found_by_f1_alone": [5, 6],
        "concepts_found_by_f1_alone": [4, 5],
    }
)


def test_a_comparison_says_what_rests_on_few_families_and_what_its_interval_covers() -> None:
    shown = tables.comparison(COMPARISON)
    assert shown.caption == (
        "strict: concepts with enough instances; 7 of 45 rest on fewer than 10 clusters; "
        "means on test proteins without partial relatives in train were not counted"
    )
    apart = tables.comparison(COMPARISON.with_columns(pl.lit(0.2).alias(COLUMN)))
    assert "not counted" not in apart.caption and "partial relatives" in str(apart.names)
    assert f"{COVERS}: from" in str(shown.names) and "by F1 > 0.5 alone" in str(shown.names)
    published = tables.comparison(COMPARISON, "published")
    assert published.caption == "published: concepts with more than 10 instances"
    nothing = tables.comparison(COMPARISON.clear())
    assert nothing.caption == "strict: no concept is scored"


def test_concepts_on_the_same_residues_are_listed_with_the_name_they_count_under() -> None:
    scored = pl.DataFrame(
        {
            "convention": "strict",
            "concept": ["Domain_SH3", "Domain_any"],
            "counted_under": ["Domain_SH3", "Domain_SH3"],
            "n_instances": 12,
            "n_clusters": 7,
        }
    )
    shown = tables.counted_once(scored)
    assert isinstance(shown, tables.Table)
    assert shown.table["concept"].to_list() == ["Domain_any"]
    none = tables.counted_once(scored.head(1))
    assert str(none) == "No two of the scored concepts are on the same residues."
