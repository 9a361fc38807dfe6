"""The histogram for print, and its settings."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import traitlets as t

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.histogram import ActivationHistogram
from interplm_nb.widgets.packing import unpack
from tests.widgets.conftest import HELIX, SILENT
from tests.widgets.small_run import simple_run


@pytest.fixture(scope="module")
def data(run: Run) -> FeatureData:
    return FeatureData(run, feature=HELIX)


@pytest.mark.parametrize("unit", ["residues", "proteins"])
@pytest.mark.parametrize("share", [False, True])
def test_bars_are_the_counts(data: FeatureData, unit: str, share: bool) -> None:
    data.selection.feature = HELIX
    axes = ActivationHistogram(data, unit=unit, share=share).figure().axes[0]
    _, arrays = unpack(data.bundle)
    total = arrays[f"{unit}_total"].sum() if share else 1
    patches: Any = axes.patches
    for patch in patches:
        np.testing.assert_array_equal(patch.get_data().edges, arrays["edges"])
    bars = [patch.get_data().values for patch in patches]
    np.testing.assert_allclose(
        bars, [arrays[f"{unit}_total"] / total, arrays[f"{unit}_annotated"] / total]
    )
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        f"all {unit}",
        "with Helix",
    ]
    assert (
        axes.get_ylabel() == (f"share of {unit}" if share else unit)
        and axes.get_yscale() == "linear"
    )
    origin = axes.figure.get_suptitle()  # type: ignore[union-attr]
    assert origin.startswith(f"Run {data.about['run']}: feature {HELIX} of sae on ")
    assert axes.get_xlabel().startswith(
        "activation (" if unit == "residues" else "maximum of a protein ("
    )


def test_a_dead_feature_is_drawn_empty(data: FeatureData) -> None:
    data.selection.feature = SILENT
    figure = ActivationHistogram(data).figure()
    figure.canvas.draw()
    assert figure.axes[0].get_title(loc="left") == f"Feature {SILENT}: 0 residues active"


def test_a_name_is_no_formula(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {
            "accession": [f"A{i}" for i in range(60)],
            "sequence": ["MKVLAAGIVG"] * 60,
            "protein_name": [""] * 60,
        }
    )
    kinds = {
        "concept": f"Domain_$\\broken{'x' * 300}",
        "category": "Domain",
        "level": "instance",
        "start": 1,
        "end": 9,
    }
    segments = pl.DataFrame([{"accession": f"A{i}", **kinds, "instance": i} for i in range(60)])
    data = FeatureData(simple_run(tmp_path / "run", table, segments), structures={})
    assert unpack(data.bundle)[0]["best"]["concept"] == kinds["concept"]
    ActivationHistogram(data).figure().canvas.draw()


def test_settings(data: FeatureData) -> None:
    with pytest.raises(
        TypeError,
        match="ActivationHistogram has no setting bins; its settings are: scale, share, unit",
    ):
        ActivationHistogram(data, bins=3)
    with pytest.raises(t.TraitError, match="unit"):
        ActivationHistogram(data, unit="atoms")
    with pytest.raises(
        TypeError,
        match=r"ActivationHistogram shows a FeatureData, such as FeatureData\(run\) or "
        r"workbench.data, not str",
    ):
        ActivationHistogram("runs/demo")  # type: ignore[arg-type]


def test_there_is_a_picture_where_no_widget_can_be_drawn(data: FeatureData) -> None:
    data.selection.feature = HELIX
    content, _ = ActivationHistogram(data)._repr_mimebundle_()
    assert base64.b64decode(content["image/png"])[1:4] == b"PNG"
    assert "application/vnd.jupyter.widget-view+json" in content
