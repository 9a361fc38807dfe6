"""What stage `concepts` reports beyond F1: on the selected pairs, and from test only."""

import shutil

import numpy as np
import polars as pl
import pytest

from interplm_nb.concepts.auprc import average_precision
from interplm_nb.concepts.best_pairs import STATISTICS, strict
from interplm_nb.concepts.intervals import by_cluster, draws_of_clusters, interval
from interplm_nb.concepts.scored_concepts import scored_concepts
from interplm_nb.concepts.significance import significance
from interplm_nb.concepts.support import MIN_CLUSTERS
from interplm_nb.pipeline.parameters import ConceptsParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import MATCHED, PROBES, SOURCES
from interplm_nb.pipeline.stage_table import STAGES
from interplm_nb.sae.count_on_device import on_device
from interplm_nb.stages.concept_overview import by_source
from interplm_nb.stages.concept_statistics import with_statistics
from interplm_nb.stages.concepts import MERGED
from tests.pipeline.tiny import tiny_parameters


@pytest.fixture(scope="module")
def result(tiny_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("statistics") / "run"
    shutil.copytree(tiny_run.folder, folder)
    return STAGES["concepts"].call(
        Run.open(folder), tiny_parameters(folder)["concepts"]
    )  # all is counted: it reads


@pytest.fixture
def params(tiny_run) -> ConceptsParameters:
    return tiny_parameters(tiny_run.folder)["concepts"]


@pytest.mark.parametrize("source", ["sae", "neurons", "pca", "letters", "window_3", "linear_probe"])
def test_the_statistics_are_of_the_selected_pairs_on_test(tiny_run, result, params, source):
    pairs = result.best.filter(pl.col("source") == source, pl.col("convention") == "strict").sort(
        "concept"
    )
    values, annotations = tiny_run.scored(source, "strict"), tiny_run.annotations()
    test = tiny_run.splits().filter(pl.col("split") == "test")
    ranked = average_precision(values, annotations, pairs, test["accession"].to_list())
    np.testing.assert_array_equal(pairs["auprc"], ranked["auprc"])
    tested = significance(values, annotations, pairs, test, params.null_draws, params.seed)
    np.testing.assert_allclose(tested["f1_per_domain"], pairs["f1_per_domain"], atol=1e-12)
    np.testing.assert_array_equal(pairs["q_value"], tested["q_value"])
    mean = interval(by_cluster(values, annotations, pairs, test), params.bootstrap, params.seed)
    row = result.comparison.row(
        by_predicate=(pl.col("source") == source) & (pl.col("convention") == "strict"), named=True
    )
    assert (row["mean_f1_per_domain"], row["low"], row["high"]) == pytest.approx(
        (mean.estimate, mean.low, mean.high)
    )
    assert row["concepts_above_chance"] == (pairs["q_value"] < 0.05).sum()


@pytest.fixture(scope="module")
def seeded(tiny_run, tmp_path_factory):
    """The tiny run with two seeds of the trained SAE, and what stage `concepts` made of it."""
    folder = tmp_path_factory.mktemp("seeded") / "run"
    shutil.copytree(tiny_run.folder, folder)
    run, given = Run.open(folder), tiny_parameters(folder)
    given["train"] = given["train"].model_copy(update={"seeds": 2})
    for stage in ("train", "activations", "concepts"):
        result = STAGES[stage].call(run, given[stage])
    return run, result


@pytest.mark.parametrize(
    ("source", "members"),
    [
        ("sae", ("sae", "sae/2")),
        ("random_sae", ("random_sae", "random_sae/2", "random_sae/3")),
    ],
)
def test_a_row_is_the_mean_over_its_seeds(seeded, params, source, members):
    run, result = seeded
    assert tuple(run.possible(SOURCES[source].members)) == members
    trained = {run.sae(member).about.seed for member in ("sae", "sae/2")}
    random = {run.sae(m).about.seed for m in SOURCES["random_sae"].members}
    assert (len(trained), len(random), trained & random) == (2, 3, set())
    assert "The SAE's mean best F1 (mean of 2 seeds) is" in result.verdict
    test = run.splits().filter(pl.col("split") == "test")
    clusters = test["cluster"].n_unique()
    draws = draws_of_clusters(clusters, params.bootstrap, params.seed)
    scored = scored_concepts(
        run.annotations(), run.splits(), params.min_instances, params.min_clusters
    )
    means, resampled, found = [], [], []
    for member in members:
        chosen = strict(run.scores(member, "validation"), run.scores(member, "test"), scored)
        counts = by_cluster(run.scored(member, "strict"), run.annotations(), chosen.pairs, test)
        means.append(chosen.mean_f1_per_domain)
        resampled.append(counts.mean_f1_per_domain(draws))
        found.append(chosen.candidates["feature"].n_unique())
    assert len(set(means)) == len(members)
    strict_rows = result.comparison.filter(convention="strict")
    row = strict_rows.row(by_predicate=pl.col("source") == source, named=True)
    low, high = np.quantile(np.mean(resampled, axis=0), [0.025, 0.975])
    figures = ("mean_f1_per_domain", "low", "high", "lowest_seed", "highest_seed")
    wanted = (np.mean(means), low, high, min(means), max(means))
    assert [row[name] for name in figures] == pytest.approx(wanted)
    assert row["seeds"] == len(members)
    assert row["features_found_by_f1_alone"] == round(np.mean(found))
    shuffled = strict_rows.row(by_predicate=pl.col("source") == "shuffled_sae", named=True)
    assert (shuffled["seeds"], shuffled["lowest_seed"]) == (1, None)
    f1 = dict(strict_rows.select("source", "mean_f1_per_domain").iter_rows())
    for control, found_difference in result.differences.select("control", "difference").iter_rows():
        assert found_difference == pytest.approx(f1["sae"] - f1[control])
    first = result.best.filter(source=source, convention="strict")
    assert first["f1_per_domain"].mean() == pytest.approx(means[0])


def test_probes_are_fitted_on_one_sample(tiny_run):
    settings = [tiny_run.projection(probe).settings for probe in PROBES]
    assert len({(s["n_sampled"], s["background"], s["seed"]) for s in settings}) == 1
    window = tiny_run.projection("window_3")
    assert window.W.shape[0] == 7 * 20 and "letters within 3 residues" in window.plm


def test_what_is_not_asked_for_is_null(tiny_run, result, params):
    pairs = (
        result.best.filter(pl.col("source") == "sae", pl.col("convention") == "strict")
        .drop(STATISTICS)
        .sort("concept")
    )
    clusters = tiny_run.splits().filter(pl.col("split") == "test")
    none = params.model_copy(update={"bootstrap": 0, "null_draws": 0})
    table, counts = with_statistics(
        tiny_run.scored("sae", "strict"), tiny_run.annotations(), pairs, clusters, none
    )
    assert counts is None and table["q_value"].is_null().all() and table["low"].is_null().all()
    assert not table["auprc"].is_null().any()


def test_each_concept_is_linked_to_its_best_feature_and_to_strong_ones(tiny_run, result, params):
    links = tiny_run.links()
    assert links.table.equals(result.links)
    best = result.best.filter(
        pl.col("source") == "sae", pl.col("convention") == "strict"
    ).drop_nulls("feature")
    firsts = links.table.group_by("concept", maintain_order=True).first()
    assert (
        firsts.select("concept", "feature", "threshold").rows()
        == best.sort("concept").select("concept", "feature", "threshold").rows()
    )
    assert links.table.group_by("concept").len()["len"].max() <= params.links_per_concept
    others = links.table.filter(pl.int_range(pl.len()).over("concept") > 0)
    assert (others["validation_f1_per_domain"] >= params.link_f1).all()
    assert set(links.knots["feature"]) <= set(links.table["feature"])


def test_the_overview_has_every_source(result):
    assert result.categories["source"].unique(maintain_order=True).to_list() == list(MATCHED)
    assert dict(by_source(result.unlabelled)).keys() == set(MATCHED)
    sae = result.unlabelled.filter(pl.col("source") == "sae")
    assert (sae["unlabelled"] * sae["alive"] == sae["alive"] - sae["labelled"]).all()


def test_a_feature_covers_instances_of_its_best_concept_alone(result):
    assert (
        result.coverage.height
        and not result.coverage.select("source", "feature").is_duplicated().any()
    )


def test_repeats_are_counted_both_ways_where_that_is_asked_for(tiny_run, params, tmp_path):
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    asked = {"run": str(tmp_path / "run"), "merge_repeats": True, "bootstrap": 0, "null_draws": 0}
    both = STAGES["concepts"].call(Run.open(tmp_path / "run"), params.model_copy(update=asked))
    assert set(both.comparison.filter(pl.col("convention") == MERGED)["source"]) == set(MATCHED)
    apart = set(both.best.filter(pl.col("convention") == "strict")["concept"])
    merged = set(both.best.filter(pl.col("convention") == MERGED)["concept"])
    numbered = {c for c in apart if c.rsplit(" ", 1)[-1].isdigit()}
    assert apart - merged <= numbered


def test_counts_on_a_named_device_are_the_same(tiny_run, tmp_path, monkeypatch):
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    for scores in (run.folder / "sources").glob("*/scores.parquet"):
        scores.unlink()
    asked = []

    def on_the_cpu(device: str):
        asked.append(device)
        return on_device("cpu")

    monkeypatch.setattr("interplm_nb.sae.count_on_device.on_device", on_the_cpu)
    params = tiny_parameters(run.folder)["concepts"].model_copy(update={"device": "cuda"})
    STAGES["concepts"].call(run, params)
    assert set(asked) == {"cuda"}
    again = Run.open(run.folder)
    for source in MATCHED:
        for split in ("validation", "test"):
            found, wanted = (r.scores(source, split).table() for r in (again, tiny_run))
            assert found.equals(wanted)


def test_the_scored_concepts_are_those_that_means_are_over(tiny_run, result, params):
    scored = scored_concepts(
        tiny_run.annotations(), tiny_run.splits(), params.min_instances, params.min_clusters
    )
    own = result.scored.filter(convention="strict").drop("convention")
    assert own.equals(scored.table)
    for (source,), part in result.best.filter(convention="strict").group_by("source"):
        assert part["concept"].sort().to_list() == scored.names, source
    strict = result.comparison.filter(convention="strict")
    assert set(strict["n_concepts"]) == {len(scored.names)}
    assert set(strict["n_few_clusters"]) == {scored.n_few_clusters}
    assert result.comparison.filter(convention="published")["n_few_clusters"].is_null().all()


def test_found_and_unsupported_pairs_are_those_that_the_comparison_counts(tiny_run, result):
    assert (result.found["clusters"] >= MIN_CLUSTERS).all()
    assert (result.unsupported["clusters"] >= 0).all()
    for row in result.comparison.filter(seeds=1).iter_rows(named=True):
        own = (pl.col("source") == row["source"], pl.col("convention") == row["convention"])
        found, rest = (table.filter(*own) for table in (result.found, result.unsupported))
        above = pl.concat([found, rest])
        assert (above.select("f1_per_domain", "validation_f1_per_domain") > 0.5).to_numpy().all()
        for name, table in (("found", found), ("found_by_f1_alone", above)):
            assert row[f"features_{name}"] == table["feature"].n_unique()
            assert row[f"concepts_{name}"] == table["concept"].n_unique()
            assert row[f"pairs_{name}"] == table.height
    assert result.unsupported.height > 0  # 8 proteins support little
