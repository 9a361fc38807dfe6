"""The tracks' Python half.

Settings, the printed figure, and that its cells are the store's activations.
"""

from typing import Any

import numpy as np
import polars as pl
import pytest
import traitlets as t
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.colours import BEYOND, PALETTE
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.residue_tracks import AROUND, PRINTED, ResidueTracks, _pooled
from tests.widgets.conftest import HELIX, SILENT
from tests.widgets.small_run import simple_run

NO_CHOICE: dict[str, Any] = {
    "brush": [],
    "accession": "",
    "position": None,
    "accessions": [],
    "pinned": [],
}


@pytest.fixture(scope="module")
def data(run: Run) -> FeatureData:
    return FeatureData(run, structures={})


@pytest.fixture(autouse=True)
def no_choice(data: FeatureData) -> None:
    data.selection.update({"feature": HELIX, **NO_CHOICE})


def labels(view: ResidueTracks) -> list[str]:
    return [text.get_text() for text in view.figure().axes[0].get_yticklabels()]


def cells(view: ResidueTracks) -> list[np.ndarray]:
    """The activations that the rows show, NaN if absent."""
    _, image = view.figure().axes[0].images
    lines = np.ma.filled(np.ma.asarray(image.get_array(), float), np.nan)
    for line in (1, 2):  # a row is a stripe of three lines above two empty ones
        np.testing.assert_array_equal(lines[line::5], lines[::5])
    assert np.isnan(lines[3::5]).all() and np.isnan(lines[4::5]).all()
    return list(lines[::5])


def test_settings_outside_what_is_allowed_are_refused(data: FeatureData) -> None:
    with pytest.raises(t.TraitError, match="160 to 4,000 pixels high"):
        ResidueTracks(data, height=20)
    with pytest.raises(t.TraitError, match="order"):
        ResidueTracks(data, order="name")
    with pytest.raises(TypeError, match="its settings are: height, order"):
        ResidueTracks(data, sort="mean")


def test_the_strongest_are_printed_in_the_order_asked_for(data: FeatureData) -> None:
    top = data.pages.top(HELIX, PRINTED)
    assert labels(ResidueTracks(data)) == top["accession"].to_list()
    assert (
        labels(ResidueTracks(data, order="mean"))
        == top.sort("mean", descending=True, maintain_order=True)["accession"].to_list()
    )
    assert (
        labels(ResidueTracks(data, order="position"))
        == top.sort("position", maintain_order=True)["accession"].to_list()
    )


@pytest.mark.parametrize("brush", [[], [0.7, 0.9]])
def test_cells_are_the_activations_around_the_maximum(
    data: FeatureData, brush: list[float]
) -> None:
    data.selection.brush = brush
    shown = cells(ResidueTracks(data, order="aligned"))
    top = data.pages.top(HELIX, PRINTED)
    assert len(shown) == top.height
    low, high = brush or (0, np.inf)
    for row, accession, peak in zip(shown, top["accession"], top["position"], strict=True):
        values = data.pages.activations.along(accession, HELIX)
        near = range(peak - 1 - AROUND, peak + AROUND)
        expected = [
            float(values[i]) if 0 <= i < len(values) and low <= values[i] <= high else np.nan
            for i in near
        ]
        np.testing.assert_allclose(row, np.array(expected), rtol=1e-6)


def test_chosen_proteins_alone_are_printed(data: FeatureData) -> None:
    chosen = data.pages.top(HELIX, 5)["accession"].to_list()[3:]
    data.selection.accessions = chosen
    assert labels(ResidueTracks(data)) == chosen


def test_a_feature_that_never_fires_is_said_to(data: FeatureData) -> None:
    data.selection.feature = SILENT
    [text] = ResidueTracks(data).figure().texts
    assert (
        text.get_text()
        == f"Feature {SILENT} fires on no training protein, so its activations on others count as "
        "0."
    )
    few = FeatureData(
        Run.shipped(), structures={}
    )  # a few proteins of a run, on which not every living feature fires
    silent = next(f for f in few.pages.alive.tolist() if few.pages.top(f).is_empty())
    few.selection.feature = silent
    [text] = ResidueTracks(few).figure().texts
    assert text.get_text() == f"Feature {silent} fires on none of the run's proteins."


def test_the_notebook_has_a_picture_for_where_no_widget_can_be_drawn(data: FeatureData) -> None:
    bundle, _ = ResidueTracks(data)._repr_mimebundle_()
    assert bundle["image/png"].startswith("iVBOR")


def test_names_are_text_not_formulas(tmp_path: Any) -> None:
    table = pl.DataFrame(
        {
            "accession": ["$x_{", "P2", "P3"],
            "sequence": ["MKV" * 400, "M", "MKVLLL"],
            "protein_name": ["$\\frac{", "", ""],
        }
    )
    kinds = {"concept": ["Domain_$\\a{"] * 3, "category": ["$\\a{"] * 3, "level": ["instance"] * 3}
    segments = pl.DataFrame(
        {
            "accession": table["accession"],
            **kinds,
            "start": [1] * 3,
            "end": [1] * 3,
            "instance": [0, 1, 2],
        }
    )
    view = ResidueTracks(FeatureData(simple_run(tmp_path / "run", table, segments), structures={}))
    figure = view.figure()
    figure.canvas.draw()  # a formula would be parsed now
    assert "$x_{" in labels(view)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["$\\a{"]
    assert "a cell is the strongest of 2 residues" in figure.axes[0].get_title(loc="left")


def test_the_printed_key_says_grey_categories_as_one(tmp_path: Any) -> None:
    table = pl.DataFrame(
        {"accession": ["P1", "P2", "P3"], "sequence": ["MKVLLL"] * 3, "protein_name": [""] * 3}
    )
    names = ["a", "b", "c"]
    kinds = {"concept": names, "category": names, "level": ["instance"] * 3}
    segments = pl.DataFrame(
        {
            "accession": ["P1"] * 3,
            **kinds,
            "start": [1, 2, 3],
            "end": [1, 2, 3],
            "instance": [0, 1, 2],
        }
    )
    data = FeatureData(simple_run(tmp_path / "run", table, segments), structures={})
    data.about = data.about | {"categories": {"a": PALETTE[0], "b": BEYOND, "c": BEYOND}}
    assert [text.get_text() for text in ResidueTracks(data).figure().legends[0].get_texts()] == [
        "a",
        "other categories",
    ]


@settings(max_examples=60, deadline=None)
@given(
    row=arrays(
        np.float32, st.integers(1, 40), elements=st.floats(0, 1, width=32) | st.just(np.nan)
    ),
    width=st.integers(1, 7),
)
def test_pooling_keeps_the_largest_that_is_known(row: np.ndarray, width: int) -> None:
    parts = [[v for v in row[i : i + width] if not np.isnan(v)] for i in range(0, len(row), width)]
    np.testing.assert_array_equal(
        _pooled(row, width), [max(part) if part else np.nan for part in parts]
    )
