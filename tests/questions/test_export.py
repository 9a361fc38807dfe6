"""A run's feature -> concept table: both conventions, against the score tables it is made from."""

import shutil

import polars as pl
import pytest

from interplm_nb.concepts.exported import read_exported
from interplm_nb.concepts.links import ConceptLinks, linked
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.questions.export import best_pairs, export_links
from interplm_nb.questions.feature_tables import OF_STATISTICS
from tests import shipped


def test_strict_pairs_are_those_linked_on_validation(tiny_run, tmp_path):
    n = export_links(tiny_run, "neurons", "strict", tmp_path / "t.tsv", min_f1=0.2)
    read = read_exported(tmp_path / "t.tsv")
    scored = (
        tiny_run.table("concepts", "best")
        .filter(pl.col("source") == "neurons", pl.col("convention") == "strict")["concept"]
        .to_list()
    )
    wanted = linked(
        *(tiny_run.scores("neurons", split) for split in ("validation", "test")), scored, 0.2
    )
    assert n == read.table.height == wanted.height > 0
    assert set(read.table.select(wanted.columns).rows()) == set(wanted.rows())
    about, proteins = read.about, tiny_run.proteins()
    assert (about["convention"], about["plm"], about["layer"], about["n_features"]) == (
        "strict",
        "esm2-mini",
        1,
        192,
    )
    assert about["thresholds"] == [0.0, 0.15, 0.5, 0.6, 0.8]
    assert (about["sequences"], about["annotations"]) == (
        proteins.sequence_hash,
        tiny_run.annotations().fingerprint,
    )
    assert "at least 1 instances" in about["concepts_scored"]


def test_published_pairs_have_their_best_threshold_on_test(tiny_run, tmp_path):
    export_links(tiny_run, "sae", "published", tmp_path / "t.tsv", min_f1=0.0)
    table, about = read_exported(tmp_path / "t.tsv")
    assert about["sae"] == tiny_run.about("sae")["weights"]
    on_test = tiny_run.scores("sae", "test", "published").table()
    assert table.height
    for row in table.sample(min(40, table.height), seed=0).iter_rows(named=True):
        of = on_test.filter(
            pl.col("concept") == row["concept"], pl.col("feature") == row["feature"]
        )
        best = min(
            of.iter_rows(named=True),
            key=lambda r: (-r["f1_per_domain"], -r["f1"], r["threshold"]),
        )
        assert row["test_threshold"] == best["threshold"]
        assert all(
            row[name] == best[name]
            for name in ("precision", "recall", "recall_per_domain", "f1", "f1_per_domain")
        )
    assert (table["f1_per_domain"] > 0).all()


def test_what_the_stage_says_more_of_a_pair_goes_with_it(tiny_run, tmp_path, monkeypatch):
    table = linked(
        *(tiny_run.scores("sae", split) for split in ("validation", "test")), ["Helix"], 0.0
    )[:3].with_columns(q_value=pl.lit(0.05))
    folder = tmp_path / "sae"
    ConceptLinks(table, pl.DataFrame(schema={"concept": pl.String})).save(folder, {})
    for path in tiny_run.source("sae").iterdir():
        if path.name not in ("links.parquet", "calibration.parquet"):
            (folder / path.name).symlink_to(path)
    source = Run.source
    monkeypatch.setattr(
        Run, "source", lambda self, name: folder if name == "sae" else source(self, name)
    )
    monkeypatch.setattr(Run, "links", lambda self, name: ConceptLinks.load(folder))
    export_links(tiny_run, "sae", "strict", tmp_path / "t.tsv", min_f1=0.01)
    read = read_exported(tmp_path / "t.tsv")
    tested = read.table.filter(pl.col("q_value") == 0.05)
    assert set(tested.select("concept", "feature").rows()) == set(
        table.select("concept", "feature").rows()
    )
    assert read.table["q_value"].null_count() == read.table.height - 3 > 0
    assert read.about["columns"]["q_value"]


def test_a_source_without_scores_is_refused(tiny_run, tmp_path):
    with pytest.raises(PipelineError, match="has no strict scores of 'umap'; its sources are sae"):
        export_links(tiny_run, "umap", "strict", tmp_path / "t.tsv")


@pytest.mark.parametrize("convention", ["strict", "published"])
def test_the_probe_has_nothing_to_export(tiny_run, tmp_path, convention):
    with pytest.raises(
        PipelineError,
        match="linear_probe has no counts of features on concepts, so it cannot be exported",
    ):
        export_links(tiny_run, "linear_probe", convention, tmp_path / "t.tsv")


def test_a_source_that_a_convention_leaves_out_is_not_offered(tiny_run):
    with pytest.raises(
        PipelineError,
        match=r"has no published scores of 'pca'; its sources are sae, neurons, shuffled_sae, "
        r"random_sae$",
    ):
        best_pairs(tiny_run, "pca", "published")


@pytest.mark.parametrize(
    ("dropped", "text"),
    [
        (
            0,
            r"no concept of .* has more than 10 instances or 1,500 residues in validation, "
            r"so 'sae' has no published .*: run on more proteins$",
        ),
        (
            7,
            "'sae' hits none of the 7 concepts of .* on test, and published drops a concept "
            "without a hit; use the strict convention",
        ),
    ],
)
def test_published_says_why_it_has_no_pair(tiny_run, tmp_path, dropped, text):
    shutil.copytree(
        tiny_run.stage_folder("concepts"), tmp_path / tiny_run.stage_folder("concepts").name
    )
    run = Run(tmp_path)
    run.write_table("concepts", "best", run.table("concepts", "best").clear())
    changes = {"n_concepts": pl.lit(0), "n_dropped": pl.lit(dropped)}
    run.write_table(
        "concepts", "comparison", run.table("concepts", "comparison").with_columns(**changes)
    )
    with pytest.raises(PipelineError, match=text):
        best_pairs(run, "sae", "published")


def test_a_run_that_was_cut_down_names_what_was_counted_not_what_it_holds(tmp_path):
    run = Run.shipped()
    export_links(run, "sae", "strict", tmp_path / "t.tsv", min_f1=0.3)
    about = read_exported(tmp_path / "t.tsv").about
    assert about["sequences"] != run.proteins().sequence_hash
    assert about["annotations"] is None


def test_what_is_said_of_a_feature_goes_with_its_pairs(tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(Run.shipped().folder, folder)
    run = Run.open(folder)
    described = shipped.interpretation("descriptions").drop_nulls("summary")
    export_links(run, "sae", "strict", tmp_path / "before.tsv", min_f1=0.0)
    assert "note" not in read_exported(tmp_path / "before.tsv").table.columns
    feature = int(read_exported(tmp_path / "before.tsv").table["feature"][0])
    run.write_note(feature, "binds DNA")
    export_links(run, "sae", "strict", tmp_path / "t.tsv", min_f1=0.0)
    table = read_exported(tmp_path / "t.tsv").table
    said = dict(described.select("feature", "summary").iter_rows())
    patterns = dict(run.feature_table("motifs").select("feature", "pattern").iter_rows())
    statistics = {r["feature"]: r for r in run.feature_table("statistics").to_dicts()}
    for row in table.iter_rows(named=True):
        own = row["feature"]
        assert row["description"] == said.get(own)
        assert (row["described_by"] == "statistical") == (own in said)
        assert (row["motif_pattern"] or "") == patterns.get(own, "")
        periodic = statistics[own]["shape"] == "periodic"
        for name in OF_STATISTICS:
            absent = statistics[own][name] == "" or (name == "period" and not periodic)
            assert row[name] == (None if absent else statistics[own][name]), name
        assert row["note"] == ("binds DNA" if own == feature else None)
    explained = read_exported(tmp_path / "t.tsv").about["columns"]
    assert all(explained[name] for name in OF_STATISTICS)
    assert table["description"].drop_nulls().len() and table["description_r"].drop_nulls().len()
