"""`interplm-nb steer`: an experiment, its recipe, and what is refused."""

from pathlib import Path

import polars as pl
import pytest

from interplm_nb.cli.main import main
from interplm_nb.pipeline.experiment_table import EXPERIMENTS
from interplm_nb.pipeline.recipes import Recipe
from interplm_nb.pipeline.run import Run

SMALL = {"n_sets": "2", "k": "2", "n_singles": "2", "steps": "2", "most_steps": "8"}


def steer(*words: str) -> int:
    return main(["steer", *words, "--device", "cpu"])


def settings(**values: str) -> list[str]:
    return [word for name, value in values.items() for word in ("-s", f"{name}={value}")]


@pytest.mark.parametrize("kind", EXPERIMENTS)
def test_every_experiment_lists_its_settings(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert steer(kind, "--settings") == 0
    said = capsys.readouterr().out
    assert "seed = 0\n    Seed of all draws." in said
    assert callable(EXPERIMENTS[kind].load("function"))
    assert EXPERIMENTS[kind].load("settings").kind == kind


def test_an_experiment_is_repeated_from_its_recipe(
    tiny_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, again = tmp_path / "out", tmp_path / "again"
    given = settings(**SMALL, position="20")
    assert steer("attribution", "--run", str(tiny_run.folder), *given, "--out", str(out)) == 0
    said = capsys.readouterr().out
    assert said.startswith("log probability of ") and "recipe.toml (repeats this), summary" in said
    assert steer(str(out / "recipe.toml"), "--out", str(again)) == 0
    names = {file.name for file in out.iterdir()}
    assert names == {file.name for file in again.iterdir()} >= {"nodes.parquet", "recipe.toml"}
    for name in names - {"recipe.toml"}:
        assert pl.read_parquet(out / name).equals(pl.read_parquet(again / name)), name
    recipe = Recipe.read(out / "recipe.toml")
    assert recipe.settings["k"] == 2 and recipe.made_with["plm"] == "esm2-mini"


def test_a_recipe_of_another_sae_is_refused(
    tiny_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "recipe.toml"
    Recipe(kind="attribution", run=str(tiny_run.folder), made_with={"sae": "sha256:other"}).write(
        file
    )
    assert steer(str(file)) == 2
    assert "made with sae sha256:other, " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dosage"], "unknown experiment 'dosage'; did you mean dose"),
        (["dose"], "give the run whose features are changed: --run runs/demo"),
        (["nowhere.toml"], "nowhere.toml: No such file"),
        (["dose", "-s", "strength"], "-s strength: expected name=value, such as -s strength"),
    ],
)
def test_what_is_wrong_is_said(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert steer(*words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("dose", {"strenghts": "[1]"}, "dose: unknown setting 'strenghts'; did you mean strengths"),
        ("attribution", {"k": "0"}, "attribution.k = 0: input should be greater than or equal to"),
        ("attribution", {"protein": "nobody"}, "'nobody' is not in "),
        ("circuit", {}, "a circuit crosses two layers or more, and a run has the SAEs of one"),
        ("variants", {}, "a scan needs its table and the sequence that is mutated: -s scan="),
        ("generation", {"concept": "Turn"}, "no rule finds 'Turn' in letters"),
    ],
)
def test_what_an_experiment_cannot_do_is_said(
    tiny_run: Run,
    kind: str,
    given: dict[str, str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert steer(kind, "--run", str(tiny_run.folder), *settings(**given)) == 2
    assert message in capsys.readouterr().err
