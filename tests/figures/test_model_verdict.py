"""Lesson 1 says of the demo what its run says."""

import polars as pl
import pytest

from interplm_nb.figures.model_verdict import model_verdict
from interplm_nb.pipeline.run import Run
from interplm_nb.stages.concept_summary import verdict


def test_the_figures_are_those_of_the_run_that_ships() -> None:
    table = Run.shipped().table("concepts", "comparison").filter(convention="strict")
    assert all(f"**{mean:.3f}**" in model_verdict() for mean in table["mean_f1_per_domain"])


def test_the_words_are_those_of_the_runs_differences() -> None:
    words = verdict(Run.shipped().table("concepts", "differences"), seeds=1)
    assert words and words in model_verdict()


def test_several_seeds_of_the_sae_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Run.table

    def of_three_seeds(run: Run, stage: str, name: str) -> pl.DataFrame:
        table = whole(run, stage, name)
        return table.with_columns(seeds=3) if name == "comparison" else table

    monkeypatch.setattr(Run, "table", of_three_seeds)
    assert "The SAE's mean best F1 (mean of 3 seeds) is " in model_verdict()
