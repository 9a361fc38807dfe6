"""The picture of the mask experiment draws what its tables hold, controls included."""

import numpy as np
import polars as pl

from interplm_nb.figures.steering.mask import LOOKS, picture
from interplm_nb.steering.experiments.mask import MaskSettings, mask
from tests.steering.test_intervene import esm2, layer_with_sae


def test_every_feature_and_its_controls_are_lines() -> None:
    at = layer_with_sae(esm2())
    result = mask(at, [3], [5], MaskSettings(strengths=(0.0, 1.0, 2.0), n_controls=3))
    chart = picture(result)
    left, right = chart.figure.axes
    table = result.probabilities.filter(pl.col("place") == "in phase")
    drawn = {line.get_label(): line.get_ydata() for line in left.lines}
    for kind, control in (("periodic", True), ("identity", True), ("matched feature", False)):
        own = table.filter(pl.col("kind") == kind, pl.col("control").is_null() if control else True)
        wanted = own.group_by("strength").agg(pl.col("G").mean()).sort("strength")["G"]
        np.testing.assert_allclose(drawn[LOOKS[kind].name], wanted.to_numpy())
    assert LOOKS["random"].name in drawn
    assert len(right.lines) == len(LOOKS) + 1
    names = [text.get_text() for text in right.get_xticklabels()]
    assert names == ["M\n1", "G\n2", "P\n3", "P\n4", "_\n5", "P\n6", "P\n7"]
    assert chart.description.startswith("toy. Clamped at residue 2")
    assert "P(G)" in left.get_ylabel() and "maximum" in left.get_xlabel()


def test_looks_differ_without_colour() -> None:
    assert len({(look.marker, look.dash) for look in LOOKS.values()}) == len(LOOKS)
