"""Which run a notebook opens: how far it looks, which of several it takes, what it leaves alone."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from interplm_nb.annotations import Annotations
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.model_choice import completed
from interplm_nb.pipeline.nearest_run import (
    COMPARISON,
    EMBEDDINGS,
    LINKS,
    RunToRead,
    is_finished,
    open_lesson,
    open_run,
)
from interplm_nb.pipeline.own_activations import run_from_parts
from interplm_nb.pipeline.parameters import (
    ConceptsParameters,
    EmbedParameters,
    ProteinsParameters,
    StageParameters,
    TrainParameters,
)
from interplm_nb.pipeline.profiles import load
from interplm_nb.pipeline.run import SHIPPED, Run
from interplm_nb.pipeline.stage_table import STAGES
from interplm_nb.proteins import Proteins

SCORES = "sources/sae/scores.parquet"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the search ends, and where the notebook is opened."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scored(folder: Path, written: int = 0, *also: str) -> Path:
    """What the search looks at of a run whose scores were written at a time."""
    shutil.copytree(
        SHIPPED, folder, ignore=shutil.ignore_patterns("*activations*", "*.safetensors")
    )
    os.utime(folder / SCORES, (written, written))
    for name in also:
        (folder / name).mkdir(parents=True)
    return folder


def found(*needs: str) -> Path:
    return open_run("", *needs).run.folder.resolve()


@pytest.mark.parametrize("place", [".", "runs/mine"])
@pytest.mark.parametrize("opened_in", [".", "notebooks", "a/b/c"])
def test_a_run_is_found_from_its_folder_and_from_those_below(home, monkeypatch, place, opened_in):
    run = scored(home / "work" / place)
    start = home / "work" / opened_in
    start.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(start)
    opened = open_run("")
    assert opened.run.folder.resolve() == run and isinstance(opened.run, RunToRead)
    assert f"reads the run in `{os.path.relpath(run, start)}` (unirep-1900, 120" in opened.which


def test_the_nearest_folder_with_a_run_goes_before_newer_runs_above_it(home, monkeypatch):
    scored(home / "runs/newest", 900)
    near = scored(home / "class/runs/old", 100)
    (home / "class/notebooks").mkdir()
    monkeypatch.chdir(home / "class/notebooks")
    assert found() == near
    shutil.rmtree(near)
    assert found() == home / "runs/newest"


def test_of_several_runs_in_a_folder_the_one_scored_last_is_taken_and_another_is_named(home):
    scored(home / "runs/a", 200)
    newest = scored(home / "runs/b", 300)
    scored(home / "runs/c", 100)
    assert found() == newest
    assert "the newest of the finished runs there. For another, set `run` in the cell above: " in (
        which := open_run("").which
    )
    assert 'run = "runs/a"' in which


def test_the_search_ends_at_the_repository_and_at_home(home, monkeypatch):
    scored(home / "runs/outside")
    inside = home / "repository" / "notebooks"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert found() == home / "runs/outside"
    (home / "repository/.git").mkdir()
    assert found() == SHIPPED
    monkeypatch.setattr(Path, "home", lambda: home / "repository")
    (home / "repository/.git").rmdir()
    assert found() == SHIPPED


def test_without_a_run_it_is_the_one_that_ships_and_nothing_is_made(home):
    opened = open_run("")
    assert opened.run.folder == SHIPPED and isinstance(opened.run, RunToRead)
    assert "reads the one that comes with the package" in opened.which
    assert 'such as `run = "runs/demo"`' in opened.which
    assert not list(home.iterdir())


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_in_which_a_stage_is_at_work_or_was_cut_off_is_not_finished(home, stage):
    run = scored(home / "runs/a")
    assert is_finished(run)
    (run / STAGES[stage].folder / "work").mkdir(parents=True)
    assert not is_finished(run) and found() == SHIPPED


def test_a_run_without_scores_a_folder_and_a_damaged_record_are_passed_over(home):
    run = scored(home / "runs/a")
    (home / "runs/b").mkdir()
    (home / "runs/file").write_text("")
    assert found() == run
    (run / SCORES).unlink()
    assert found() == SHIPPED
    scored(home / "runs/c")
    (home / "runs/c/run.json").write_text("{")
    assert found() == SHIPPED


def test_a_run_that_is_named_is_opened_or_refused_and_nothing_else_is_tried(home):
    scored(home / "runs/a", 900)
    named = scored(home / "runs/b", 100)
    opened = open_run("runs/b")
    assert opened.run.folder.resolve() == named and not isinstance(opened.run, RunToRead)
    with pytest.raises(PipelineError, match="runs/gone is not a run"):
        open_run("runs/gone")


def test_a_lesson_gets_a_run_that_has_what_it_needs_or_a_sentence(home):
    scored(home / "runs/new", 900)
    full = scored(home / "runs/old", 100, EMBEDDINGS)
    assert found(EMBEDDINGS) == full and found() == home / "runs/new"
    assert found(LINKS) == home / "runs/new"
    with pytest.raises(PipelineError, match=r"with a comparison of SAEs; .*run laboratory --out"):
        open_run("", COMPARISON)


def cell(parameters: type[StageParameters], **values: object) -> dict[str, object]:
    return {n: f.default for n, f in parameters.model_fields.items()} | values


def test_a_lesson_reads_a_run_that_it_found_with_the_parameters_it_was_made_with(home, tiny_run):
    shutil.copytree(tiny_run.folder, home / "runs/tiny")
    before = {p: p.stat().st_mtime_ns for p in (home / "runs").rglob("*")}
    for stage, record in STAGES.items():
        if record.optional:
            continue
        run, params, which = open_lesson(record.parameters, cell(record.parameters))
        assert isinstance(run, RunToRead) and "computes nothing" in which
        made = tiny_run.manifest(stage)["params"]
        assert {name: params.shown()[name] for name in made} == made
        record.call(run, params)
    assert {p: p.stat().st_mtime_ns for p in (home / "runs").rglob("*")} == before


def test_what_is_read_is_what_the_stage_returned(home, tiny_run):
    shutil.copytree(tiny_run.folder, home / "runs/tiny")
    run = open_run("").run
    for stage, table in (("train", "quality"), ("activations", "sources"), ("concepts", "best")):
        read = getattr(STAGES[stage].call(run, None), table)
        assert read.equals(Run.open(tiny_run.folder).table(stage, table))


def test_a_change_to_a_run_that_was_found_is_refused_with_the_way_to_make_it(home, tiny_run):
    shutil.copytree(tiny_run.folder, home / "runs/tiny")
    with pytest.raises(
        PipelineError,
        match=r"^k = 8, but the run that was found was made with 4, .* run = \"runs/mine\"",
    ):
        open_lesson(TrainParameters, cell(TrainParameters, k=8))
    assert open_lesson(TrainParameters, cell(TrainParameters, k=4)).params.k == 4  # as it is
    with pytest.raises(PipelineError, match=r"^bootstrap = 7, but .* was made with 5,"):
        open_lesson(ConceptsParameters, cell(ConceptsParameters, bootstrap=7))


def test_in_a_run_that_is_named_a_lesson_works_and_the_first_makes_it(home):
    given = cell(ProteinsParameters, run="runs/mine")
    run, params, which = open_lesson(ProteinsParameters, given)
    assert type(run) is Run and (home / "runs/mine/run.json").is_file()
    assert which == "This notebook works in the run in `runs/mine`." and params.max_residues == 1022
    with pytest.raises(PipelineError, match="runs/gone is not a run"):
        open_lesson(TrainParameters, cell(TrainParameters, run="runs/gone"))


@pytest.mark.parametrize("stage", [s for s, record in STAGES.items() if not record.optional])
def test_a_lesson_and_the_demo_have_the_same_numbers(stage):
    """Both leave to one table what suits the model."""
    lesson, demo = STAGES[stage].parameters(), load("demo").stages[stage]
    assert completed(lesson, Run.shipped().model()) == completed(demo, Run.shipped().model())


def test_what_suits_the_model_is_filled_in_once(tiny_run):
    model = Run.shipped().model()
    params = completed(TrainParameters(k=4), model)
    assert (params.d_sae, params.k, params.steps) == (1024, 4, 300)
    assert completed(EmbedParameters(), model).stored == "bfloat16"
    assert completed(TrainParameters(), None).d_sae == 2048


def test_a_run_of_ones_own_activations_is_finished(home):
    proteins = Proteins.from_sequences({"P1": "ACDEF", "P2": "GHIK", "P3": "LMN"})
    values = np.zeros((proteins.n_residues, 2))
    values[3, 1] = 0.5
    Run.create(home / "runs/begun", "demo")
    run_from_parts(home / "runs/own", proteins, Annotations.empty(proteins), values)
    assert found() == home / "runs/own" and found(LINKS) == SHIPPED


def test_proteins_that_were_looked_at_are_passed_over(home: Path) -> None:
    mine = scored(home / "runs" / "mine", 1)
    scored(home / "runs" / "looked", 2, "looked")
    assert found() == mine.resolve()
