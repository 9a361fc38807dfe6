"""A run's folder: made, opened, refused; what is missing names the stage to run."""

import polars as pl
import pytest

from interplm_nb.annotations import Annotations
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins
from interplm_nb.saving import write_parquet


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "run", "demo")


@pytest.fixture
def proteins():
    return Proteins.from_sequences({"P1": "ACDEFG", "P2": "GHIKL"})


def test_a_run_is_made_opened_and_knows_its_profile(run):
    assert Run.open(run.folder) == run
    assert Run.at(run.folder).profile == "demo"
    assert Run.create(run.folder, "mine.toml").profile == "mine.toml"


def test_a_folder_with_other_files_is_not_taken(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(PipelineError, match=r"holds other files and no run\.json"):
        Run.create(tmp_path, "demo")
    with pytest.raises(
        PipelineError,
        match=r"is not a run: it has no run\.json; make one with: interplm-nb run demo --out",
    ):
        Run.open(tmp_path)
    with pytest.raises(PipelineError, match="is a file; a run needs a folder"):
        Run.create(tmp_path / "thesis.tex", "demo")


@pytest.mark.parametrize(
    ("ask", "stage"),
    [
        (lambda r: r.proteins(), "proteins"),
        (lambda r: r.splits(), "proteins"),
        (lambda r: r.embeddings(2), "embed"),
        (lambda r: r.sae(), "train"),
        (lambda r: r.about("shuffled_sae"), "train"),
        (lambda r: r.maxima("neurons"), "activations"),
        (lambda r: r.atlas(), "activations"),
        (lambda r: r.scores("random_sae"), "concepts"),
    ],
)
def test_what_is_missing_names_the_stage(run, ask, stage):
    with pytest.raises(PipelineError, match=rf"run stage '{stage}' first"):
        ask(run)


def test_a_source_or_convention_that_is_none(run):
    with pytest.raises(PipelineError, match="no source 'transcoder' in"):
        run.source("transcoder")
    with pytest.raises(
        ValueError, match=r"a convention is one of \('strict', 'published'\), not 'loose'"
    ):
        run.annotations("loose")


def test_proteins_annotations_and_splits_come_back(run, proteins):
    proteins.save(run.folder / "proteins.parquet")
    Annotations.empty(proteins).save(run.folder / "annotations.parquet")
    splits = pl.DataFrame(
        {
            "accession": ["P1", "P2"],
            "cluster": [0, 1],
            "split": ["train", "test"],
            "split_published": ["test", "validation"],
        }
    )
    write_parquet(
        splits.cast({"cluster": pl.UInt32}),
        run.folder / "splits.parquet",
        {"type": "Splits", "version": 1},
    )
    assert run.proteins().sequence_hash == proteins.sequence_hash
    assert len(run.annotations()) == 0
    assert run.accessions("train") == ["P1"]
    assert run.accessions("validation", "published") == ["P2"]


def test_outputs_are_the_stages_files_without_manifest_work_and_drafts(run):
    run.write_table("proteins", "counts", pl.DataFrame({"n": [1]}))
    run.write_summary("proteins", n_proteins=2)
    (run.folder / "splits.parquet").write_bytes(b"x")
    (run.folder / ".splits.parquet.77.tmp").write_bytes(b"x")
    run.work("proteins").mkdir()
    (run.work("proteins") / "started.json").write_text("{}")
    run.manifest_path("proteins").write_text("{}")
    assert [str(f.relative_to(run.folder)) for f in run.outputs("proteins")] == [
        "01_proteins/counts.parquet",
        "01_proteins/summary.json",
        "splits.parquet",
    ]
    run.clear_drafts()
    assert not (run.folder / ".splits.parquet.77.tmp").exists()
    run.clear("proteins")
    assert run.outputs("proteins") == []
    assert not run.stage_folder("proteins").exists()
    assert run.record.exists()
