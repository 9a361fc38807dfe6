"""The verdict follows the figures, whatever they are."""

import polars as pl
import pytest

from interplm_nb.figures.model_verdict import _sentence, model_verdict
from interplm_nb.pipeline.run import Run

CONTROLS = ["neurons", "shuffled_sae", "random_sae"]


@pytest.mark.parametrize(
    ("low", "said", "unsaid"),
    [
        ([0.01, 0.02, 0.03], "better than every control", "no better"),
        (
            [-0.01, -0.02, 0.0],
            "no better than the model's neurons, the SAE on the shuffled model and the random SAE",
            "above",
        ),
        ([0.01, -0.02, 0.03], "above the model's neurons and the random SAE, but", "every control"),
    ],
)
def test_only_an_interval_above_0_is_a_difference(low: list[float], said: str, unsaid: str) -> None:
    text = _sentence(pl.DataFrame({"control": CONTROLS, "low": low})).replace("**", "")
    assert said in text and unsaid not in text


def test_the_figures_are_those_of_the_run_that_ships() -> None:
    table = Run.shipped().table("concepts", "comparison").filter(convention="strict")
    assert all(f"**{mean:.3f}**" in model_verdict() for mean in table["mean_f1_per_domain"])
