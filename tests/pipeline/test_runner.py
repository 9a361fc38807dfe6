"""The runner: order, skipping, forcing, failing, resuming; most of it without a kernel."""

import json

import nbformat
import pytest
from nbformat.sign import NotebookNotary

from interplm_nb.pipeline import runner
from interplm_nb.pipeline.errors import PipelineError, StageError
from interplm_nb.pipeline.lock import locked
from interplm_nb.pipeline.profiles import load
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stage_table import STAGES
from tests.pipeline.fakes import OF_DEMO, work_like, write_fakes

MINI = ["embed.plm=esm2-mini"]


@pytest.fixture
def ran(monkeypatch):
    """Stages run, in order; each writes its parameters into its output."""
    stages = []

    def execute(run, params, source, descriptor, progress):
        stages.append(params.stage)
        work_like(params.stage, run, f"{params.stage} {params.made()}")

    monkeypatch.setattr(runner, "execute", execute)
    return stages


def ask(tmp_path, *settings, **options):
    said = []
    settings = ["embed.plm=esm2-mini", *settings]
    run = runner.run(
        runner.Request("demo", tmp_path / "run", settings, notebooks=tmp_path, **options),
        said.append,
    )
    return run, said


def test_stages_run_in_order_once(tmp_path, ran):
    said = ask(tmp_path)[1]
    assert ran == list(OF_DEMO)
    assert said[0] == "model: esm2-mini (weights: MIT)"
    assert said[2].startswith("01_proteins: done in")
    ran.clear()
    assert ask(tmp_path)[1] == [f"{STAGES[stage].folder}: unchanged, skipped" for stage in OF_DEMO]
    assert ran == []


def test_a_changed_parameter_runs_its_stage_and_those_that_read_it(tmp_path, ran):
    ask(tmp_path)
    ran.clear()
    ask(tmp_path, "train.steps=7")
    assert ran == [
        "train",
        "activations",
        "features",
        "steer",
    ]  # what the fake activations make is the same as before, so only what reads train follows


def test_too_few_data_are_said_after_stage_1_where_something_follows(tmp_path, ran):
    _, said = ask(tmp_path, "train.steps=3000", "concepts.min_instances=31")
    assert said[2].startswith("01_proteins: done")
    assert said[3:5] == [
        "few data: train: 3,000 steps of 2,048 residues are 146 passes over the 42,000 train "
        "residues; as a rule of thumb, more than 100 teach little; use -p train.steps=2050, or "
        "more proteins",
        "few data: concepts: 0 concepts have at least 31 instances in validation and in test, "
        "and at least 5 homology clusters in test; as a rule of thumb, a mean over fewer than 10 "
        "concepts says little; use more proteins, or -p concepts.min_instances=5 "
        "-p concepts.min_clusters=3, which scores 10, each on fewer instances",
    ]
    assert said[5].startswith(f"02_embed: stage 2 of {len(OF_DEMO)}; running ")
    _, again = ask(tmp_path, "train.steps=3000", "concepts.min_instances=31")
    assert not [line for line in again if "few data" in line]  # nothing was run
    _, later = ask(tmp_path, "train.steps=3000", "concepts.min_instances=32")
    assert [line[:19] for line in later if "few data" in line] == ["few data: concepts:"]


def test_a_batch_that_train_cannot_fill_is_refused_before_stage_2(tmp_path, ran):
    with pytest.raises(
        PipelineError,
        match=r"^train\.batch_size = 42001: the train proteins have 42,000 residues in all; take a",
    ):
        ask(tmp_path, "train.batch_size=42001")
    assert ran == ["proteins"]


def test_a_stage_can_be_forced_or_started_from(tmp_path, ran):
    with pytest.raises(PipelineError, match="run stage 'proteins' first"):
        ask(tmp_path, first="embed")
    ask(tmp_path)
    ran.clear()
    ask(tmp_path, force="activations")
    assert ran == list(OF_DEMO[OF_DEMO.index("activations") :])
    ran.clear()
    _, said = ask(tmp_path, "proteins.seed=1", first="embed")
    assert ran == []
    assert said[0] == "01_proteins: taken as it is (--from embed)"
    with pytest.raises(PipelineError, match="no stage 'training'; stages are proteins, embed"):
        ask(tmp_path, force="training")


def test_an_optional_stage_runs_in_its_place_where_it_is_asked_for(tmp_path, ran):
    run, said = ask(tmp_path, "compare.steps=5")
    asked = load("demo", ["compare.steps=5"]).stages
    assert ran == [stage for stage in STAGES if stage in asked] and "compare" in ran
    assert said[8].startswith("03b_compare: done in")
    ran.clear()
    ask(tmp_path, "compare.steps=6")
    assert ran == ["compare"]  # nothing is made from it
    ran.clear()
    ask(tmp_path)
    assert (
        ran == [] and run.manifest("compare")["params"]["steps"] == 6
    )  # what is not requested is left as it is
    ask(tmp_path, "compare.steps=6", first="compare", force="compare")
    assert ran == ["compare", *OF_DEMO[OF_DEMO.index("activations") :]]
    ran.clear()
    _, said = ask(tmp_path, "compare.steps=6", first="activations")
    assert "03b_compare: taken as it is (--from activations)" in said and ran == []
    for options in ({"first": "compare"}, {"force": "compare"}):
        with pytest.raises(
            PipelineError,
            match=r"stage 'compare' is optional, and profile demo has no table \[compare\]; set "
            r"one of its parameters with -p compare\.name=value, or take a profile that has it: "
            r"laboratory, sweep-8m$",
        ):
            ask(tmp_path, **options)


def test_a_second_run_in_the_folder_is_refused(tmp_path, ran):
    with (
        locked(tmp_path / "run" / ".lock"),
        pytest.raises(PipelineError, match="in use by another run"),
    ):
        ask(tmp_path)
    assert ran == []


def test_no_space_is_said(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runner, "execute", full)
    with pytest.raises(
        PipelineError,
        match=r"no space left on the disk that holds .*; "
        "free some and run again: interplm-nb run demo --out",
    ):
        ask(tmp_path)


def test_the_command_to_resume_is_whole(tmp_path):
    request = runner.Request(
        "demo", tmp_path / "a b", ["train.steps=5", "proteins.path=x y.tsv"], device="cpu"
    )
    assert (
        request.command() == f"interplm-nb run demo --out '{tmp_path}/a b' -p train.steps=5 "
        "-p 'proteins.path=x y.tsv' --device cpu"
    )


def test_with_kernels_a_failure_names_the_cell_and_the_run_resumes(tmp_path, capfd):
    out = tmp_path / "a {b} run"
    broken = write_fakes(tmp_path / "broken", broken="train")
    with pytest.raises(StageError) as failed:
        runner.run(runner.Request("demo", out, MINI, notebooks=broken), lambda _: None)
    text = str(failed.value)
    assert f"cell [4] of {out / '03_train.ipynb'} failed (raise ValueError" in text
    assert "ValueError: the last line" in text
    assert f"resume with: interplm-nb run demo --out '{out}'" in text
    said = []
    run = runner.run(
        runner.Request("demo", out, MINI, notebooks=write_fakes(tmp_path / "whole")), said.append
    )
    assert said[:2] == ["01_proteins: unchanged, skipped", "02_embed: unchanged, skipped"]
    check_notebook(run)
    assert capfd.readouterr().err == ""


def test_a_kernel_that_dies_is_said_to_have_died(tmp_path):
    deadly = write_fakes(
        tmp_path / "deadly",
        broken="proteins",
        code="import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    )
    with pytest.raises(
        StageError,
        match=r"01_proteins\.ipynb stopped: interrupted, killed, or out of memory\nresume with: ",
    ):
        runner.run(runner.Request("demo", tmp_path / "run", MINI, notebooks=deadly), lambda _: None)


def check_notebook(run: Run) -> None:
    notebook = nbformat.read(run.notebook("train"), as_version=4)
    notary = NotebookNotary()
    assert notary.check_signature(notebook)
    notary.store.close()
    text = json.dumps(notebook)
    assert str(run.folder) not in text
    assert "papermill" not in notebook.metadata
    assert "it/s" not in json.dumps([cell.get("outputs") for cell in notebook.cells])
    assert [cell.metadata["tags"] for cell in notebook.cells if cell.metadata.get("tags")] == [
        ["parameters"],
        ["injected-parameters"],
    ]
    assert {key for cell in notebook.cells for key in cell.metadata} == {"tags"}
    assert notebook.cells[-1].outputs[0].text == "wrote sae.safetensors\n"
