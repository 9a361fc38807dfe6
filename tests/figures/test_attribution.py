"""Pictures of attribution and circuits show every node, the errors and the controls."""

import pytest

from interplm_nb.figures.steering import attribution as figures
from interplm_nb.figures.steering import circuit as drawings
from interplm_nb.steering.experiments.attribution.attribute import AttributionSettings, attribution
from interplm_nb.steering.experiments.attribution.survey import (
    AttributionSurveySettings,
    attribution_survey,
)
from interplm_nb.steering.experiments.circuits.circuit import CircuitSettings, circuit
from tests.steering.test_intervene import SEQUENCE, esm2, layer_with_sae


@pytest.fixture(scope="module")
def found():
    two = [layer_with_sae(esm2(), layer, k=4, seed=layer) for layer in (1, 2)]
    settings = CircuitSettings(position=9, n_nodes=3, sizes=(6,), n_random=4)
    return circuit(two, SEQUENCE, settings)


def test_bars_are_the_largest_nodes_the_rest_and_the_errors() -> None:
    at = layer_with_sae(esm2(), k=4)
    result = attribution(at, SEQUENCE, AttributionSettings(position=9, k=3, n_sets=6))
    chart = figures.carriers(result, 5, {result.nodes["feature"][0]: "Zinc finger"})
    left, right = chart.figure.axes
    bars = [bar.get_width() for bar in left.patches]
    assert bars[:5] == pytest.approx(result.nodes["attribution"].head(5).to_list())
    assert sum(bars) == pytest.approx(result.summary["total"].item())
    assert bars[-1] == pytest.approx(result.summary["error"].item())
    labels = [label.get_text() for label in left.get_yticklabels()]
    assert labels[0].endswith("Zinc finger") and labels[-1] == "SAE's errors"
    told = [label.get_text() for label in right.get_yticklabels()]
    assert told == ["the top (3)", "random sets (3)", "random sets\nof like mass (3)", "all errors"]
    assert "nats" in left.get_xlabel() and repr(chart) == result.sentence
    assert chart._repr_mimebundle_()[0]["image/png"]


def test_a_survey_has_its_controls_in_one_picture() -> None:
    at = layer_with_sae(esm2(), k=4)
    settings = AttributionSurveySettings(
        after=3, each=AttributionSettings(k=2, n_sets=4, n_singles=3), n_resamples=20
    )
    survey = attribution_survey(at, {"A": SEQUENCE, "B": "MKKLAGHWW"}, settings, progress=False)
    (axis,) = figures.removals(survey).figure.axes
    assert len(axis.get_yticklabels()) == 4
    points = [line.get_xdata()[0] for line in axis.lines if line.get_linestyle() == "None"]
    wanted = dict(survey.figures.select("figure", "mean").iter_rows())
    assert points == pytest.approx([wanted[k] for k in ("top", "random", "matched", "errors")])


def test_a_circuit_has_a_line_per_edge_and_a_mark_per_node(found) -> None:
    chart = drawings.drawing(found, {1: {found.nodes["feature"][0]: "Helix"}})
    (axis,) = chart.figure.axes
    marks = [line for line in axis.lines if line.get_marker() not in ("None", "")]
    lines = [line for line in axis.lines if line.get_marker() in ("None", "")]
    assert len(lines) == found.edges.height
    assert len(marks) == found.nodes.height + 2 + 1  # errors of two layers, the prediction
    words = " ".join(text.get_text() for text in axis.texts)
    for said in ("errors of layer 1", "errors of layer 2", "Helix", found.words):
        assert said in words
    dashed = sum(line.get_linestyle() == "--" for line in lines)
    assert dashed == (found.edges["weight"] < 0).sum()
    widths = [line.get_linewidth() for line in lines]
    assert max(widths) == widths[-1], "the largest edge is drawn last, and widest"
    assert len(chart.hover.data) == found.edges.height + 1
    assert chart._repr_mimebundle_()[0]["image/svg+xml"]


def test_faithfulness_is_drawn_with_random_circuits_and_errors_alone(found) -> None:
    without, kept = drawings.faithfulness(found).figure.axes
    names = [text.get_text() for text in kept.get_legend().get_texts()]
    assert names == ["circuit", "random", "random like-mass", "all features", "errors alone"]
    assert without.get_title() == "no errors" and kept.get_title() == "all errors kept"
    own = found.faithfulness.filter(set="circuit", errors=True).sort("per_layer")
    assert kept.lines[0].get_ydata().tolist() == own["faithfulness"].to_list()
    assert "1: the model" in without.get_ylabel()
