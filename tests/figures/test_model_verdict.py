"""Lesson 1 says of the demo what its run says."""

from interplm_nb.figures.model_verdict import model_verdict
from interplm_nb.pipeline.run import Run
from interplm_nb.stages.concept_summary import verdict


def test_the_figures_are_those_of_the_run_that_ships() -> None:
    table = Run.shipped().table("concepts", "comparison").filter(convention="strict")
    assert all(f"**{mean:.3f}**" in model_verdict() for mean in table["mean_f1_per_domain"])


def test_the_words_are_those_of_the_runs_differences() -> None:
    words = verdict(Run.shipped().table("concepts", "differences"))
    assert words and words in model_verdict()
