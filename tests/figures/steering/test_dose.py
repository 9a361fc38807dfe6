"""Pictures of the dose-response experiment draw what its tables hold, controls included."""

import numpy as np
import polars as pl
import pytest

from interplm_nb.figures.chart import NothingToDrawError
from interplm_nb.figures.steering import dose as figures
from interplm_nb.steering.experiments.dose.dose_response import DoseResult, Split, dose_response
from tests.steering.experiments.test_dose import SETTINGS, scene
from tests.steering.test_intervene import esm2, layer_with_sae


@pytest.fixture(scope="module")
def result() -> DoseResult:
    plm = esm2()
    at, other = (layer_with_sae(plm, seed=seed) for seed in (0, 1))
    activations, split = scene(at)
    return dose_response(at, activations, split, {3: "Helix", 6: ""}, SETTINGS, second=other)


def test_curves_hold_every_kind_with_intervals(result: DoseResult) -> None:
    chart = figures.curves(result, [3])
    (axis,) = chart.figure.axes
    lines = {line.get_label(): line for line in axis.lines}
    for kind in figures.LOOKS:
        own = result.doses.filter(pl.col("feature") == 3, pl.col("kind") == kind)
        np.testing.assert_allclose(lines[kind].get_ydata(), own.sort("strength")["effect"])
    band = axis.collections[0].get_datalim(axis.transData)
    matched = result.doses.filter(pl.col("feature") == 3, pl.col("kind") == "matched feature")
    assert band.y0 == pytest.approx(matched["least_change"].min())
    assert band.y1 == pytest.approx(matched["most_change"].max())
    assert "f/3 Helix" in axis.get_title(loc="left") and "target" in axis.get_title(loc="left")
    assert chart.description == f"toy. {result.sentence}"


def test_all_features_are_rows_beside_their_controls(result: DoseResult) -> None:
    chart = figures.all_features(result)
    (axis,) = chart.figure.axes
    table = result.features.sort("effect")
    names = [text.get_text() for text in axis.get_yticklabels()]
    assert [name.split(" -> ")[0] for name in names] == [
        f"{row['concept'] or 'random'} f/{row['feature']}" for row in table.iter_rows(named=True)
    ]
    drawn = {line.get_label(): line.get_xdata() for line in axis.lines}
    np.testing.assert_allclose(drawn["feature, 95 % over homology clusters"], table["effect"])
    np.testing.assert_allclose(drawn["its match in the second dictionary"], table["match_effect"])
    assert "matched features, middle 95 %" in drawn


def test_locality_is_drawn_by_distance(result: DoseResult) -> None:
    chart = figures.locality(result)
    assert len(chart.figure.axes) == 2
    own = result.locality.filter(pl.col("feature") == 3, pl.col("kind") == "feature")
    lines = [line for axis in chart.figure.axes for line in axis.lines]
    wanted = own.sort("distance")["effect"].to_numpy()
    assert any(
        len(line.get_ydata()) == 9 and np.allclose(line.get_ydata(), wanted) for line in lines
    )
    assert "within 2 residues" in chart.description and "beyond" in chart.description


def test_nothing_to_draw_is_said() -> None:
    at = layer_with_sae(esm2())
    activations, split = scene(at)
    empty = dose_response(at, activations, Split(split.train, split.test[:1]), {3: ""}, SETTINGS)
    for draw in (figures.curves, figures.all_features, figures.locality):
        with pytest.raises(NothingToDrawError, match="there is no feature to draw: it fires on"):
            draw(empty)


def test_looks_differ_without_colour() -> None:
    looks = figures.LOOKS.values()
    assert len({(look.marker, look.dash) for look in looks}) == len(looks)
