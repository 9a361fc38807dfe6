"""Tables and pictures of the lesson on what features are."""

import polars as pl
import pytest

from interplm_nb.features.cluster_names import CLUSTERS
from interplm_nb.features.hierarchy import HIERARCHY
from interplm_nb.features.motifs import MOTIFS
from interplm_nb.figures import features as figures
from interplm_nb.figures.tables import Sentence
from interplm_nb.stages.features import MATCHED, features
from tests.pipeline.tiny import tiny_parameters


@pytest.fixture(scope="module")
def made(tiny_run):
    return features(tiny_run, tiny_parameters(tiny_run.folder)["features"])


def test_the_overview_names_each_sae_and_its_chance(made):
    shown = figures.overview(made.overview)
    assert shown.table["source"].to_list() == ["SAE", "shuffled PLM", "random SAE"]
    assert "bits by chance" in repr(shown) and "precision by chance" in repr(shown)


def test_pictures_say_their_medians(made):
    said = figures.letters(made.statistics).description
    alive = made.statistics.filter((pl.col("source") == "sae") & (pl.col("n_active") > 0))
    assert f"SAE {alive['amino_acid_information'].median():.2f};" in said
    said = repr(figures.patterns(made.motifs))
    own = made.motifs.filter(
        (pl.col("source") == "sae") & (pl.col("pattern") != "") & (pl.col("held_out_matches") > 0)
    )
    assert f"SAE {own['pattern_precision'].median():.2f} of {own.height}" in said


def test_no_pattern_and_no_other_sae_are_said():
    empty = pl.DataFrame(schema={"source": pl.String, **MOTIFS})
    assert "No feature of this run has a pattern" in repr(figures.patterns(empty))
    found = figures.matches(pl.DataFrame(schema=MATCHED))
    assert isinstance(found, Sentence) and "no other SAE with activations" in repr(found)


def test_matches_are_counted_by_sae_and_kind(made):
    shown = figures.matches(made.matches)
    assert not isinstance(shown, Sentence)
    rows = dict(
        zip(shown.table.select("other", "kind").iter_rows(), shown.table["again"], strict=True)
    )
    by_decoder = made.matches.filter(other="random_sae", kind="decoder")
    expected = (by_decoder["by_chance"] <= 0.05).mean()
    assert rows["random SAE", "by decoder vector (cosine)"] == expected
    seeds = made.matches.with_columns(other=pl.lit("sae/2"))
    assert "SAE, seed 2" in repr(figures.matches(seeds))


def test_motifs_with_two_positions_come_by_what_chance_leaves():
    rows = [
        {"source": "sae", "feature": 1, "pattern": "C", "information": 9.0},
        {"source": "sae", "feature": 2, "pattern": "C-x-C", "information": 5.0},
        {"source": "sae", "feature": 3, "pattern": "C(2)", "information": 7.0},
        {"source": "random_sae", "feature": 4, "pattern": "C-C", "information": 9.0},
    ]
    table = pl.DataFrame(
        [{**dict.fromkeys(MOTIFS, None), "information_by_chance": 1.0, **row} for row in rows],
        schema={"source": pl.String, **MOTIFS},
    )
    assert figures.best_motifs(table).table["feature"].to_list() == [3, 2]
    assert figures.best_motifs(table, 1).table["feature"].to_list() == [3]


def test_neighbours_of_a_feature_are_named_by_kind(made):
    feature = int(made.neighbours["feature"][0])
    shown = figures.neighbours(made.neighbours, feature, 2).table
    assert set(shown["rank"]) <= {1, 2} and "feature" not in shown.columns
    assert shown["kind"].str.starts_with("by ").all()


def cluster(number: int, **values: object) -> dict[str, object]:
    nothing = {"n_features": 6, "name": "", "why_no_name": "", "named_by_chance": 0.01}
    nothing |= {"beyond_chance": False}
    return {"cluster": number} | nothing | values


def test_clusters_are_counted_with_their_chance_and_show_their_best_concept():
    rows = [
        cluster(0, why_no_name="none", concept="Helix", n_matching=2, q=0.3),
        cluster(
            1, name="Zinc finger", concept="Zinc finger", n_matching=5, q=0.001, beyond_chance=True
        ),
        cluster(1, name="Zinc finger", concept="Helix", n_matching=1, q=0.9),
    ]
    shown = figures.clusters(pl.DataFrame(rows, schema=CLUSTERS))
    assert shown.caption == (
        "1 of 2 clusters have a concept beyond chance (with features shuffled over the map: 0.02)"
    )
    assert shown.table.select("cluster", "concept", "n_matching").rows() == [
        (1, "Zinc finger", 5),
        (0, "Helix", 2),
    ]


def test_clusters_that_do_not_recur_say_so_and_a_map_without_clusters_too():
    why = "clusters do not recur over five seeds: mean adjusted Rand index 0.40"
    table = pl.DataFrame(
        [cluster(0, why_no_name=why), cluster(1, why_no_name=why)], schema=CLUSTERS
    )
    assert figures.clusters(table).caption.endswith(f"0.02); no cluster has a name: {why}")
    said = figures.clusters(pl.DataFrame(schema=CLUSTERS))
    assert isinstance(said, Sentence) and "no clusters" in repr(said)


def test_the_hierarchy_is_listed_from_the_broadest_down():
    rows = [
        {"feature": 0, "prefix": 2},
        {"feature": 1, "prefix": 2},
        {"feature": 2, "prefix": 4, "parent": 1, "share": 0.5, "by_chance": 0.01},
        {"feature": 3, "prefix": 4, "parent": 0, "share": 0.9, "by_chance": 0.5},
        {"feature": 5, "prefix": 8, "parent": 2, "share": 0.9, "by_chance": 0.01},
        {"feature": 6, "prefix": 8, "share": 0.0, "by_chance": 1.0},
        {"feature": 7, "prefix": 8, "parent": 2, "share": 0.4, "by_chance": 0.01},
    ]
    control = [
        {"feature": 1, "prefix": 2},
        {"feature": 2, "prefix": 4, "parent": 1, "share": 0.1, "by_chance": 0.01},
    ]
    schema = {"source": pl.String, **HIERARCHY}
    table = pl.DataFrame(
        [{"source": "sae"} | row for row in rows]
        + [{"source": "random_sae"} | row for row in control],
        schema=schema,
    )
    shown = figures.hierarchy(table)
    assert shown.table["feature"].to_list() == ["1", "\u20032", "\u2003\u20035"]
    assert shown.caption == (
        "features under their parents; 2 of the 5 beyond the first prefix have one (of the random "
        "SAE's, cut at the same prefixes, 0 of 1)"
    )
    said = figures.hierarchy(pl.DataFrame(schema=schema))
    assert isinstance(said, Sentence) and "train.recipe = matryoshka" in repr(said)
