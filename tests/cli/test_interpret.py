"""`interplm-nb interpret` on the run that ships: without a model, with one, plan, refusals."""

import json
from pathlib import Path

import polars as pl
import pytest

from interplm_nb.cli.main import main
from interplm_nb.pipeline.run import Run
from interplm_nb.readers import demo
from tests.interpret.model_server import serving
from tests.interpret.test_explain import scripted

SHIPPED = str(Run.shipped().folder)


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def run(*arguments: str) -> int:
    return main(["interpret", "--run", SHIPPED, *arguments])


def test_without_a_language_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--features", "random:4,ids:0", "--out", str(tmp_path)) == 0
    said = capsys.readouterr().out
    assert said.startswith("4 features described; 61 of 1002 features have enough examples; left")
    assert "another description" in said
    assert "balanced accuracy" in said
    found = pl.read_parquet(tmp_path / "descriptions.parquet")
    assert found.height == 4
    assert found["summary"].null_count() == 0
    assert {p.name for p in tmp_path.iterdir()} == {
        "descriptions.parquet",
        "judged.parquet",
        "recognised.parquet",
    }


def test_proteins_of_a_bin_are_as_many_as_asked_for(tmp_path: Path) -> None:
    examples = []
    for per_bin in ("1", "2"):
        out = tmp_path / per_bin
        assert run("--features", "random:3", "--per-bin", per_bin, "--out", str(out)) == 0
        examples.append(pl.read_parquet(out / "descriptions.parquet")["n_examples"].to_list())
    fewer, more = examples
    assert all(a < b <= a + 9 for a, b in zip(fewer, more, strict=True))


def test_structures_that_are_too_few_change_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """34 of the run's 120 proteins have one."""
    asked = ["--features", "random:4", "--out"]
    assert run(*asked, str(tmp_path / "without")) == 0
    assert "StructureLabels" not in capsys.readouterr().out
    folder = str(demo.folder() / "structures")
    assert run(*asked, str(tmp_path / "with"), "--structures", folder) == 0
    assert "StructureLabels(20 of 34 structures, " in capsys.readouterr().out
    for name in ("descriptions", "judged", "recognised"):
        one, other = (
            pl.read_parquet(tmp_path / of / f"{name}.parquet") for of in ("with", "without")
        )
        assert one.equals(other)


def test_with_a_server_of_ones_own_and_a_replay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pydantic_ai")
    asked = ["--features", "random:2", "--provider", "openai:scripted", "--out", str(tmp_path)]
    with serving(scripted) as server:
        assert run(*asked, "--dry-run", "--price", "1,2") == 0
        plan = capsys.readouterr().out
        assert server.requests == []
        assert run(*asked, "--base-url", server.address) == 0
        assert plan.startswith("openai:scripted: 14 calls, about ")
        # Both features have one summary: judging the other's is judging its own, asked once.
        assert len(server.requests) == 12
        assert "out, about $0.0" in plan
    first = capsys.readouterr().out
    assert run(*asked, "--replay") == 0
    assert capsys.readouterr().out == first
    judged = pl.read_parquet(tmp_path / "judged.parquet")
    assert judged["judge"].unique().to_list() == ["openai:scripted"]
    calls = list((tmp_path / "calls").rglob("*.json"))
    assert json.loads(calls[0].read_text())["model"] == "openai:scripted"


def test_a_budget_that_runs_out_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pydantic_ai")
    asked = ["--features", "random:2", "--provider", "openai:scripted", "--out", str(tmp_path)]
    with serving(scripted) as server:
        assert run(*asked, "--base-url", server.address, "--max-tokens", "100") == 0
    said = capsys.readouterr().out
    assert "stopped early: the budget of 100 tokens has too little left" in said
    assert "the same command goes on from here" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--features", "best"], "features: 'best' chooses no features"),
        (["--features", "ids:0"], "none of these features has enough examples (61 of 1002"),
        (["--source", "nobody"], "no source 'nobody'"),
        (["--structures", "nowhere"], "nowhere"),
        (["--source", "random_sae", "--features", "f1:0.5"], "linked to the trained SAE ('sae')"),
        (["--features", "random:1", "--provider", "openai:x"], "set the environment variable"),
        (["--features", "random:1", "--provider", "gpt"], "PROVIDER:MODEL"),
        (
            ["--features", "random:1", "--provider", "openai:x", "--replay"],
            "holds no record of this call",
        ),
    ],
)
def test_refusals(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(*arguments, "--out", str(tmp_path))
    printed = capsys.readouterr()
    assert said in printed.err + printed.out
    if "--replay" not in arguments:
        assert code == 2
