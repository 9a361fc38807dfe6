"""Runs compared: the first's own SAE against a second run with the first's random one."""

import shutil

import numpy as np
import polars as pl
import pytest

from interplm_nb.concepts.intervals import by_cluster, difference
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.questions.compare_runs import CONCEPTS, RUNS, compare_runs
from interplm_nb.saving import read_json, write_json


@pytest.fixture(scope="module")
def other(tiny_run, tmp_path_factory):
    """A copy of the run, with its random_sae, or another source, as `sae`."""
    folder = tmp_path_factory.mktemp("runs") / "other"
    shutil.copytree(tiny_run.folder, folder, ignore=shutil.ignore_patterns("shuffled*"))
    shutil.rmtree(folder / "sources" / "sae")
    shutil.copytree(folder / "sources" / "random_sae", folder / "sources" / "sae")
    run = Run.open(folder)
    for name in ("best", "found"):
        table = (
            run.table("concepts", name)
            .filter(pl.col("source") == "random_sae")
            .with_columns(source=pl.lit("sae"))
        )
        run.write_table("concepts", name, table)
    return run


def copied(run: Run, folder) -> Run:
    shutil.copytree(run.folder, folder, ignore=shutil.ignore_patterns("activations", "embeddings"))
    return Run.open(folder)


def own(run: Run, name: str, source: str, convention: str = "strict") -> pl.DataFrame:
    return run.table("concepts", name).filter(
        pl.col("source") == source, pl.col("convention") == convention
    )


def test_f1s_and_their_difference_are_those_of_the_runs(tiny_run, other):
    compared = compare_runs(tiny_run, other, resamples=30)
    table = compared.concepts
    assert table.schema == CONCEPTS and compared.runs.schema == RUNS
    one, two = (
        dict(own(tiny_run, "best", s).select("concept", "f1_per_domain").iter_rows())
        for s in ("sae", "random_sae")
    )
    assert table["concept"].to_list() == sorted(one)
    for row in table.iter_rows(named=True):
        assert (row["first_f1"], row["second_f1"]) == (one[row["concept"]], two[row["concept"]])
        assert row["difference"] == two[row["concept"]] - one[row["concept"]]
        assert row["low"] <= row["high"]
    assert (table["first"][0], table["second"][0]) == (tiny_run.folder.name, "other")
    assert compared.runs["mean_f1_per_domain"].to_list() == pytest.approx(
        [np.mean(list(f.values())) for f in (one, two)]
    )
    assert compared.words.startswith(f"other against {tiny_run.folder.name}: mean best F1 ")


def test_intervals_are_over_clusters(tiny_run, other):
    compared = compare_runs(tiny_run, other, resamples=30, seed=3)
    annotations, clusters = (
        tiny_run.annotations(),
        tiny_run.splits().filter(pl.col("split") == "test"),
    )
    first, second = (
        by_cluster(tiny_run.scored(s, "strict"), annotations, own(tiny_run, "best", s), clusters)
        for s in ("sae", "random_sae")
    )
    mean = difference(second, first, 30, 3)
    row = compared.runs.row(1, named=True)
    assert (row["difference"], row["low"], row["high"]) == pytest.approx(
        (mean.estimate, mean.low, mean.high)
    )
    for k in (0, 5):
        pair = own(tiny_run, "best", "sae").sort("concept")[k : k + 1]
        alone = [
            by_cluster(
                tiny_run.scored(s, "strict"),
                annotations,
                own(tiny_run, "best", s).sort("concept")[k : k + 1],
                clusters,
            )
            for s in ("sae", "random_sae")
        ]
        rng = np.random.default_rng(3)
        weights = rng.multinomial(
            len(first.clusters), np.full(len(first.clusters), 1 / len(first.clusters)), size=30
        )
        drawn = []
        for w in weights:
            (one, there), (two, _) = (c.resampled(w[None]) for c in alone)
            if there[0, 0]:
                drawn.append(two.f1_per_domain[0, 0] - one.f1_per_domain[0, 0])
        shown = compared.concepts.row(
            by_predicate=pl.col("concept") == pair["concept"][0], named=True
        )
        assert (shown["low"], shown["high"]) == pytest.approx(
            tuple(np.quantile(drawn, [0.025, 0.975]))
        )


def test_a_run_against_itself_gains_and_loses_nothing(tiny_run):
    row = compare_runs(tiny_run, tiny_run, tiny_run, resamples=5).runs.row(2, named=True)
    assert [row[name] for name in ("difference", "low", "high", "gained", "lost")] == [
        0,
        0,
        0,
        0,
        0,
    ]


def test_gained_and_lost_are_what_one_run_alone_has_found(tiny_run, tmp_path):
    concepts = own(tiny_run, "best", "sae")["concept"].sort().to_list()
    runs = [copied(tiny_run, tmp_path / name) for name in "ab"]
    for run, found in zip(runs, (concepts[:2], concepts[1:4]), strict=True):
        rows = pl.DataFrame({"source": "sae", "convention": "strict", "concept": found})
        run.write_table("concepts", "found", rows)
    compared = compare_runs(*runs)
    changes = dict(compared.concepts.select("concept", "change").iter_rows())
    assert [changes[c] for c in concepts[:5]] == ["lost", "both", "gained", "gained", "neither"]
    assert compared.runs.row(1, named=True)["gained"] == 2 and "2 gained, 1 lost" in compared.words
    assert (
        compared.concepts["low"].null_count() == compared.concepts.height
    )  # without activations there is no interval
    assert "concepts gained and lost:" in str(compared)


def test_a_concept_that_one_run_alone_scores_is_neither_gained_nor_lost(tiny_run, tmp_path):
    best = tiny_run.table("concepts", "best")
    concepts = own(tiny_run, "best", "sae")["concept"].sort().to_list()
    runs = [copied(tiny_run, tmp_path / name) for name in "ab"]
    for run, unscored in zip(runs, (concepts[:2], concepts[2:3]), strict=True):
        run.write_table("concepts", "best", best.filter(~pl.col("concept").is_in(unscored)))
        scored = [c for c in concepts[:5] if c not in unscored]
        run.write_table(
            "concepts",
            "found",
            pl.DataFrame({"source": "sae", "convention": "strict", "concept": scored}),
        )
    compared = compare_runs(*runs)
    table = compared.concepts.sort("concept")
    assert table["change"].to_list() == [None, None, None, "both", "both"] + ["neither"] * (
        len(concepts) - 5
    )
    assert table["difference"].is_null().to_list() == [True] * 3 + [False] * (len(concepts) - 3)
    row = compared.runs.row(1, named=True)
    assert (row["gained"], row["lost"], row["n_concepts"]) == (0, 0, len(concepts) - 3)
    said = (
        "0 gained, 0 lost. Concepts that only one run scores count as neither gained nor lost: "
        "1 of a, 2 of b."
    )
    assert compared.words.endswith(said) and "concepts gained and lost:" not in str(compared)


def test_published_is_compared_without_intervals(tiny_run, other):
    compared = compare_runs(tiny_run, other, convention="published")
    assert compared.runs["low"].null_count() == 2
    scored = {
        c for s in ("sae", "random_sae") for c in own(tiny_run, "best", s, "published")["concept"]
    }
    assert set(compared.concepts["concept"]) == scored


def test_runs_of_different_models_are_refused_unless_told(tiny_run, tmp_path):
    run = copied(tiny_run, tmp_path / "esm")
    path = run.source("sae") / "about.json"
    write_json(
        read_json(path, "Source", 1)
        | {"plm": "esm2_t6_8M_UR50D", "plm_revision": "sha256:0123456789"},
        path,
    )
    with pytest.raises(
        PipelineError,
        match=r"is of esm2-mini \(\w{8}\), esm of esm2_t6_8M_UR50D \(01234567\).*--across-models",
    ):
        compare_runs(tiny_run, run)
    compared = compare_runs(tiny_run, run, across_models=True)
    assert compared.concepts["second_model"].unique().to_list() == ["esm2_t6_8M_UR50D (01234567)"]
    assert compared.concepts["first_model"][0].startswith("esm2-mini")


def test_runs_on_other_proteins_annotations_or_splits_are_refused(tiny_run, tmp_path):
    with pytest.raises(
        PipelineError,
        match=r"are on different proteins \(sha256:.*cannot be compared; run both on the same file",
    ):
        compare_runs(tiny_run, Run.shipped())
    run = copied(tiny_run, tmp_path / "fewer")
    annotations = run.annotations()
    annotations.only(annotations.concepts[1:]).save(run.folder / "annotations.parquet")
    with pytest.raises(PipelineError, match="are on different annotations"):
        compare_runs(tiny_run, Run.open(run.folder))
    run = copied(tiny_run, tmp_path / "split")
    other = run.splits().with_columns(pl.col("cluster") + 1)
    run.write_axis(run.proteins(), {"strict": run.annotations()}, other)
    with pytest.raises(PipelineError, match="are split differently"):
        compare_runs(tiny_run, run)
    with pytest.raises(PipelineError, match="needs two or more runs; got 1"):
        compare_runs(tiny_run)
    with pytest.raises(
        PipelineError, match="has no strict scores of 'umap'; its sources are sae, neurons"
    ):
        compare_runs(tiny_run, tiny_run, source="umap")


def test_the_probe_has_nothing_to_compare(tiny_run):
    with pytest.raises(
        PipelineError,
        match=r"linear_probe has no counts .* compared; .* --source linear_probe shows its "
        r"figures; .* sae, neurons, pca",
    ):
        compare_runs(tiny_run, tiny_run, source="linear_probe")
