"""Stage `steer`: what it writes of a generation, and what it says where nothing is generated."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from interplm_nb.figures.chart import Chart
from interplm_nb.figures.steering import generation as figures
from interplm_nb.figures.steering.further import further
from interplm_nb.figures.tables import Sentence
from interplm_nb.pipeline.nearest_run import RunToRead
from interplm_nb.pipeline.parameters import SteerParameters
from interplm_nb.pipeline.recipes import Recipe
from interplm_nb.pipeline.run import Run
from interplm_nb.questions.experiments.generation import best_features, favoured
from interplm_nb.stages.steer import steer
from interplm_nb.steering.rules import rule_of

ZINC = "Zinc finger_any"


def copied(of: Run, folder: Path) -> Run:
    shutil.copytree(of.folder, folder)
    return Run.open(folder)


def test_a_run_without_the_concept_says_so_and_is_done(tiny_run: Run, tmp_path: Path) -> None:
    run = copied(tiny_run, tmp_path / "run")
    result = steer(run, SteerParameters(run=str(run.folder), concept="Zinc fnger"))
    said = "no feature is linked to Zinc fnger. Linked are "
    assert result.said.startswith(f"Nothing was generated: {said}")
    assert result.generation is None and result.recipe == f"# {result.said}\n"
    assert steer(RunToRead.open(run.folder), SteerParameters()) == result
    for shown in (figures.kinds, figures.pilot, figures.examples, figures.shares):
        assert isinstance(shown(result.generation), Sentence)


def test_a_masked_model_fills_in_masks(tiny_run: Run, tmp_path: Path) -> None:
    """Of the concepts that a rule can judge, the one that is found best."""
    run = copied(tiny_run, tmp_path / "run")
    params = SteerParameters(run=str(run.folder), n_sequences=2, length=20)
    found = steer(run, params).generation
    assert found is not None and rule_of(found.settings.concept) is not None
    assert "output only" not in found.kinds["kind"].to_list()  # nothing recurs
    assert found.sequences.filter(kind="steered").height == 2


def test_further_experiments_are_kept_and_shown(tiny_run: Run, tmp_path: Path) -> None:
    run = copied(tiny_run, tmp_path / "run")
    params = SteerParameters(
        run=str(run.folder), n_sequences=2, length=20, more=["attribution", "dose"]
    )
    result = steer(run, params)
    attribution, chart, dose = further(result)
    for sentence, kind, table in (
        (attribution, "attribution", "nodes"),
        (dose, "dose", "left_out"),
    ):
        assert str(sentence) == result.more[kind].sentence
        assert run.table("steer", f"{kind}_{table}").equals(result.more[kind].tables()[table])
    assert isinstance(chart, Chart)
    assert "No feature could be tested" in str(dose)  # in so small a run: nothing to draw
    read = further(steer(RunToRead.open(run.folder), SteerParameters()))
    assert [str(shown) for shown in read] == [str(attribution), str(dose)]


def test_a_further_experiment_that_cannot_be_done_stops_the_stage_at_once(
    tiny_run: Run, tmp_path: Path
) -> None:
    run = copied(tiny_run, tmp_path / "run")
    params = SteerParameters(run=str(run.folder), more=["mask"])
    with pytest.raises(ValueError, match="no feature of this SAE fires on G every 3 residues"):
        steer(run, params)


def test_a_run_without_further_experiments_says_how_to_ask(tiny_run: Run, tmp_path: Path) -> None:
    run = copied(tiny_run, tmp_path / "run")
    (asked,) = further(steer(run, SteerParameters(run=str(run.folder), concept="Zinc fnger")))
    assert str(asked).startswith("This run has no further experiment. In your own run, set more =")


def test_a_run_of_arrays_has_no_model_to_change(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copied(tiny_run, tmp_path / "run")
    model = run.model()
    assert model is not None and model.record is not None
    monkeypatch.setattr(Run, "model", lambda _: model._replace(record=None))
    assert "there is no model that could be changed" in steer(run, SteerParameters()).said


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_writes_beside_its_controls_and_its_recipe_repeats_it(tmp_path: Path) -> None:
    run = copied(Run.shipped(), tmp_path / "run")
    params = SteerParameters(
        run=str(run.folder), device="cpu", concept=ZINC, n_sequences=4, length=40
    )
    result = steer(run, params)
    found = result.generation
    assert found is not None and found.settings.length == 40
    assert found.pilot["feature"].to_list() == best_features(run, ZINC, 3)
    assert found.feature == favoured(found.pilot)
    assert dict(found.kinds.select("kind", "n").iter_rows()) == {
        "steered": 4,
        "output only": 4,
        "atom alone": 4,
        "matched features": 12,
        "random directions": 12,
        "unsteered": 4,
    }
    assert {len(s) for s in found.sequences["sequence"]} == {40}
    again = steer(RunToRead.open(run.folder), SteerParameters()).generation
    assert again is not None
    for name, table in found.tables().items():
        assert table.equals(again.tables()[name]), name
    (tmp_path / "recipe.toml").write_text(result.recipe)
    recipe = Recipe.read(tmp_path / "recipe.toml")
    from interplm_nb.questions.steer import experiment

    repeated = experiment(
        run, recipe.kind, recipe.settings, recipe.source, "cpu", recipe.made_with
    ).result
    assert repeated.tables()["sequences"].equals(found.sequences)
    assert isinstance(found.natural, pl.DataFrame) and found.natural.height == 2
