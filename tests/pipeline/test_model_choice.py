"""Which model a run takes, what follows from it, and what is refused before a stage starts."""

import json

import pytest

from interplm_nb import plm
from interplm_nb.pipeline import runner
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.model_choice import settle_model, settled, suited
from interplm_nb.pipeline.parameters import EmbedParameters, ProteinsParameters
from interplm_nb.pipeline.profiles import load
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.run_model import RunModel
from interplm_nb.plm.record import ModelRecord
from interplm_nb.readers.report import InputError
from tests.pipeline.fakes import write_fakes

UNIREP = ModelRecord(
    "unirep-1900", "sha256:1", (10, 1900), 2000, "ACD", "next residue", True, True, "CC BY-NC 4.0"
)


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "run", "demo")


def inspect_as(monkeypatch, answers):
    asked = []

    def inspect(name):
        asked.append(name)
        answer = answers.get(name)
        if isinstance(answer, Exception):
            raise answer
        return answer or real(name)

    real = plm.inspect
    monkeypatch.setattr(plm, "inspect", inspect)
    return asked


def test_auto_is_the_real_model_and_says_its_licence(run, monkeypatch):
    inspect_as(monkeypatch, {"unirep-1900": UNIREP})
    said = []
    model = settle_model(run, EmbedParameters(), said.append)
    assert model == RunModel("auto", "unirep-1900", UNIREP) == run.model()
    assert said == [
        "model: unirep-1900 (weights: CC BY-NC 4.0); for another one: -p embed.plm=NAME"
    ]


def test_auto_without_pip_is_the_stand_in_and_a_resumed_run_keeps_it(run, monkeypatch):
    offline = ConnectionError("no network")
    asked = inspect_as(monkeypatch, {"unirep-1900": offline})
    said = []
    assert settle_model(run, EmbedParameters(), said.append).name == "esm2-mini"
    assert said == [
        "model: esm2-mini, because unirep-1900 cannot be fetched (no network)",
    ]
    inspect_as(monkeypatch, {"unirep-1900": UNIREP})
    assert settle_model(run, EmbedParameters(), said.append).name == "esm2-mini"
    assert asked == ["unirep-1900", "esm2-mini"] and len(said) == 1
    assert settle_model(run, EmbedParameters(plm="unirep-1900"), said.append).record == UNIREP


def test_another_profile_keeps_the_model_of_the_run(run):
    settle_model(run, EmbedParameters(plm="esm2-mini"))
    assert Run.create(run.folder, "proteomes").model() == run.model() is not None


def test_settings_follow_the_model_where_nobody_says_otherwise(run, monkeypatch):
    inspect_as(monkeypatch, {"unirep-1900": UNIREP})
    profile = runner.fitted(run, load("demo"), lambda _: None)
    assert profile.stages["embed"].plm == "unirep-1900"
    assert profile.stages["embed"].layer == suited(UNIREP).layer == 1
    assert profile.stages["train"].d_sae == suited(UNIREP).d_sae
    assert profile.stages["proteins"].max_residues == 1022  # the demo's own
    given = ["embed.plm=esm2-mini", "embed.layer=2", "train.d_sae=77"]
    profile = runner.fitted(run, load("demo", given), lambda _: None)
    assert (profile.stages["embed"].layer, profile.stages["train"].d_sae) == (2, 77)


@pytest.mark.parametrize(
    ("asked", "policy", "kept"),
    [
        (0, "skip", 2000),
        (1022, "skip", 1022),
        (5000, "skip", 2000),
        (5000, "refuse", 2000),
        (0, "window", 2000),
        (5000, "window", 5000),
    ],
)
def test_the_longest_protein_is_what_the_model_reads(run, asked, policy, kept):
    assert settled(run, ProteinsParameters()).max_residues == 1022  # no model yet
    run.note_model(RunModel("unirep-1900", "unirep-1900", UNIREP))
    params = ProteinsParameters(max_residues=asked, too_long=policy)
    assert settled(run, params).max_residues == kept


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        (["embed.plm=esm2-mimi"], FileNotFoundError, "'esm2-mimi' is neither .* did you mean esm2"),
        (["embed.plm=esm2-mini", "embed.layer=99"], PipelineError, r"embed\.layer = 99: esm2-mini"),
        (["embed.arrays=nowhere.npz"], InputError, "nowhere.npz: no such file"),
        (["embed.arrays=/"], InputError, "^/ is a folder; wanted one .* array per accession"),
    ],
)
def test_what_cannot_work_is_refused_before_the_first_stage(tmp_path, settings, error, match):
    request = runner.Request("demo", tmp_path / "run", settings, notebooks=write_fakes(tmp_path))
    with pytest.raises(error, match=match):
        runner.run(request, lambda _: None)
    left = {p.name for p in (tmp_path / "run").iterdir()}
    assert left <= {"run.json", ".lock"}
    assert (
        "model" not in json.loads((tmp_path / "run" / "run.json").read_text()) or "layer" in match
    )


def test_arrays_have_no_model_to_compare_with(tmp_path, run):
    import numpy as np

    np.savez(tmp_path / "own.npz", P12345=np.zeros((5, 3), np.float32))
    settings = [f"embed.arrays={tmp_path / 'own.npz'}", "compare.steps=5"]
    with pytest.raises(PipelineError, match=r"stage 'compare' measures .* arrays have no model"):
        runner.fitted(run, load("demo", settings), lambda _: None)
    profile = runner.fitted(run, load("demo", settings[:1]), lambda _: None)
    assert profile.stages["embed"].layer == 0
    assert run.model() == RunModel("arrays own.npz", "own", None)
    assert run.possible(["sae", "shuffled_sae", "random_sae"]) == ["sae", "random_sae"]
    with pytest.raises(PipelineError, match=r"came from arrays .own., so it has no model to run"):
        run.plm()
