"""Pictures of a generation show every row of its tables, with controls."""

import polars as pl
import pytest

from interplm_nb.figures.steering import generation as figures
from interplm_nb.steering.experiments.generation.experiment import generation
from interplm_nb.steering.experiments.generation.result import GenerationResult
from tests.plm.tiny_unirep import tiny
from tests.steering.experiments.test_generation import JUDGING, SMALL
from tests.steering.test_intervene import layer_with_sae


@pytest.fixture(scope="module")
def result() -> GenerationResult:
    return generation(layer_with_sae(tiny(n_layers=1), 1), 3, JUDGING, SMALL)


def test_shares_have_a_row_for_every_kind_and_base_rate(result: GenerationResult) -> None:
    chart = figures.shares(result)
    (axis,) = chart.figure.axes
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert labels[0] == "steered (n = 8)"
    assert labels[-2:] == ["natural windows (n = 5)", "natural carriers (n = 2)"]
    assert len(labels) == 8
    assert chart.description == result.sentence
    drawn = [line for line in axis.lines if len(line.get_xdata()) == 2]
    assert len(drawn) == 8
    assert "image/png" in chart._repr_mimebundle_()[0]


def test_a_probe_has_its_own_panel(result: GenerationResult) -> None:
    from dataclasses import replace

    probed = result.kinds.with_columns(
        pl.lit(0.5).alias("probe_rate"),
        pl.lit(0.4).alias("probe_low"),
        pl.lit(0.6).alias("probe_high"),
    )
    figure = figures.shares(replace(result, kinds=probed)).figure
    assert len(figure.axes) == 2


def test_doses_have_a_line_for_every_kind_with_strengths(result: GenerationResult) -> None:
    (axis,) = figures.doses(result).figure.axes
    lines = {line.get_label(): line for line in axis.lines}
    assert lines["steered"].get_xdata().tolist() == [0.5, 1.0]
    assert set(lines) == {
        "steered",
        "same letters, shuffled",
        "output only",
        "atom alone",
        "matched features",
        "random directions",
        "unsteered",
    }
