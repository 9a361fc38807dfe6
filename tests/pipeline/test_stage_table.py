"""The record of each stage fits the rest of the project."""

from pathlib import Path

import pytest

from interplm_nb.pipeline.stage_table import STAGES, Stage

ROOT = Path(__file__).parents[2]
STAGE = pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)


@STAGE
def test_its_function_can_be_called(stage: Stage) -> None:
    assert callable(stage.call) and stage.call.__name__ == stage.name


@STAGE
def test_it_reads_what_is_made_before_it(stage: Stage) -> None:
    before = list(STAGES)[: list(STAGES).index(stage.name)]
    assert set(stage.reads) <= set(before)
    assert not any(STAGES[name].optional for name in stage.reads)


@STAGE
def test_its_notebook_calls_it(stage: Stage) -> None:
    notebook = (ROOT / "notebooks" / f"{stage.folder}.ipynb").read_text(encoding="utf-8")
    assert f"{stage.name}(opened, params" in notebook or f"{stage.name}(run, params" in notebook
