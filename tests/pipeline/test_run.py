"""A run's folder: made, opened, refused; what is missing names the stage to run."""

from unittest.mock import patch

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_array

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.best_pairs import strict
from interplm_nb.concepts.scored_concepts import scored_concepts
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.own_activations import run_from_parts
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins
from interplm_nb.readers.report import InputError
from interplm_nb.saving import read_parquet


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
    splits = pl.DataFrame(
        {
            "accession": ["P1", "P2"],
            "cluster": [0, 1],
            "split": ["train", "test"],
            "split_published": ["test", "validation"],
        }
    )
    annotations = {"strict": Annotations.empty(proteins)}
    run.write_axis(proteins, annotations, splits.cast({"cluster": pl.UInt32}))
    assert run.proteins().sequence_hash == proteins.sequence_hash
    assert len(run.annotations()) == 0
    assert run.accessions("train") == ["P1"]
    assert run.accessions("validation", "published") == ["P2"]


def test_the_axis_is_read_once_and_a_rerun_stage_is_seen_after_it(run, proteins):
    splits = pl.DataFrame({"accession": ["P1", "P2"], "cluster": [0, 1], "split": "train"})
    splits = splits.with_columns(split_published=pl.lit("test"))
    axis = (proteins, {"strict": Annotations.empty(proteins)}, splits)
    run.write_axis(*axis)
    with (
        patch.object(Proteins, "load", wraps=Proteins.load) as opened,
        patch("interplm_nb.pipeline.run_folder.read_parquet", wraps=read_parquet) as read,
    ):
        for _ in range(2):
            assert run.accessions("train") == ["P1", "P2"]
            assert run.annotations().proteins is run.proteins()
    assert opened.call_count == read.call_count == 1
    Run.open(run.folder).write_axis(*axis[:2], splits.with_columns(split=pl.lit("test")))
    assert Run.open(run.folder).accessions("test") == ["P1", "P2"]
    assert run.accessions("test") == []
    run.clear("proteins")
    with pytest.raises(PipelineError, match="run stage 'proteins' first"):
        run.splits()


@pytest.mark.parametrize("form", ["array", "sparse", "blocks"])
def test_a_run_from_ones_own_activations_is_scored(tmp_path, form):
    proteins = Proteins.from_sequences({f"P{i}": "ACDEFG" for i in range(3)})
    rows = {
        "accession": proteins.accessions,
        "concept": "site",
        "category": "Site",
        "level": "instance",
        "start": 2,
        "end": 3,
        "instance": range(3),
    }
    values = np.zeros((18, 2), np.float32)
    values[[1, 2, 7, 8, 13, 14], 1] = 0.5
    blocks = [(0, csr_array(values[:5])), (5, csr_array(values[5:]))]
    given = {"array": values, "sparse": csr_array(values), "blocks": blocks}[form]
    found = Annotations(pl.DataFrame(rows), proteins)
    run = run_from_parts(tmp_path / "run", proteins, found, given, plm="mine", layer=3)
    np.testing.assert_array_equal(run.maxima().of("strict"), np.float32([0, 0.5]))
    np.testing.assert_array_equal(run.activations().of("P2").toarray(), values[12:])
    assert [run.accessions(s) for s in ("train", "validation", "test")] == [["P0"], ["P1"], ["P2"]]
    scored = scored_concepts(found, run.splits(), 1, 1)
    chosen = strict(run.scores("sae", "validation"), run.scores("sae", "test"), scored)
    assert chosen.pairs.select("concept", "feature", "f1_per_domain").rows() == [("site", 1, 1)]
    assert (run.about("sae")["plm"], run.about("sae")["layer"]) == ("mine", 3)


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


def test_a_run_of_own_activations_takes_no_nucleotides(tmp_path):
    for sequences in (
        {"gene": "ATGACCGTTAAAGGCCATTGAACGATGACC"},
        {"a": "ACGTACGT", "b": "ACGGT" * 5},
    ):
        proteins = Proteins.from_sequences(sequences)
        values = np.zeros((proteins.n_residues, 2), np.float32)
        with pytest.raises(InputError, match=r"sequences are nucleotides, not residues, such as"):
            run_from_parts(tmp_path / "r", proteins, Annotations.empty(proteins), values)
    assert not (tmp_path / "r").exists()
