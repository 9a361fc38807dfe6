"""The histogram as a person uses it.

A drag brushes, keys move the brush, Escape clears it; bars never move with it.
"""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.histogram import ActivationHistogram
from interplm_nb.widgets.packing import unpack
from tests import shipped

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[3] / "widgets" / "node_modules" / "axe-core" / "axe.min.js"
INK = (
    "a => document.querySelector('.iplm-histogram canvas')"
    ".getContext('2d').getImageData(...a).data.join()"
)


@pytest.fixture
def shown(show: Callable, demo_data: FeatureData) -> Any:
    demo_data.selection.update(
        {"feature": shipped.spread(), "brush": [], "accession": "", "position": None}
    )
    shown = show(ActivationHistogram(demo_data), width=700)
    shown.page.locator(".iplm-histogram canvas[data-drawn]").wait_for()
    return shown


def drag(page: Any, start: float, end: float) -> None:
    """From one share of the picture's width to another."""
    box = page.locator(".iplm-histogram canvas").bounding_box()
    page.mouse.move(box["x"] + start * box["width"], box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], box["y"] + 60, steps=5)
    page.mouse.up()


def test_a_drag_brushes_the_range_under_it(shown: Any) -> None:
    drag(shown.page, 0.5, 0.9)
    low, high = shown.selected("brush")
    width = shown.page.locator(".iplm-histogram canvas").bounding_box()["width"]
    # Margins of 52 and 10 points; the axis ends at 1, since the feature stays below.
    assert low == pytest.approx((0.5 * width - 52) / (width - 62), abs=0.005)
    assert high == pytest.approx((0.9 * width - 52) / (width - 62), abs=0.005)
    assert said(shown).startswith("Brushed ")


def said(shown: Any) -> str:
    return shown.page.locator(".iplm-say").inner_text()


def n_proteins() -> int:
    return len(shipped.pages().proteins)


def counted(data: FeatureData, unit: str = "residues") -> list[float]:
    """What the axis counts, over the whole store."""
    tracks = [
        data.pages.activations.along(a, shipped.spread()) for a in data.pages.proteins.accessions
    ]
    return [float(v) for track in tracks for v in (track if unit == "residues" else [track.max()])]


def test_a_drag_to_the_left_is_the_same(shown: Any) -> None:
    drag(shown.page, 0.9, 0.5)
    low, high = shown.selected("brush")
    assert low < high


def test_keys_move_and_clear_the_brush(shown: Any) -> None:
    shown.page.locator(".iplm-histogram canvas").focus()
    shown.page.keyboard.press("ArrowRight")
    assert shown.selected("brush") == [0.52, 1]
    shown.page.keyboard.press("Shift+ArrowLeft")
    assert shown.selected("brush") == [0.52, 0.98]
    shown.page.keyboard.press("Escape")
    assert shown.selected("brush") == []


def test_the_brush_reaches_the_maximum_and_says_what_it_holds(
    shown: Any, demo_data: FeatureData
) -> None:
    drag(shown.page, 0.5, 1.2)  # beyond the canvas
    low, high = shown.selected("brush")
    values = [v for v in counted(demo_data) if v > 0]
    assert high == 1
    words = said(shown)
    said_held = re.search(r": (?:between ([\d,]+) and )?([\d,]+)", words)
    assert said_held
    least, most = (int((n or said_held[2]).replace(",", "")) for n in said_held.groups())
    assert least <= sum(low <= v <= high for v in values) <= most
    assert (least < most) == ("as it cuts bins" in words)
    assert words.endswith(f" of {len(values):,} active residues of all {n_proteins()} proteins")
    shown.select(brush=[0.5, 1])
    shown.settled()
    assert (
        said(shown)
        == f"Brushed 0.50 to 1.00: {sum(v >= 0.5 for v in values):,} of {len(values):,} "
        f"active residues of all {n_proteins()} proteins"
    )


def test_bars_never_move_with_the_brush(shown: Any) -> None:
    shown.settled()
    left = [0, 0, 300, 190]
    before = shown.page.evaluate(INK, left)
    shown.select(brush=[0.8, 1])
    shown.settled()
    assert shown.page.evaluate(INK, left) == before
    shown.page.locator(".iplm-histogram canvas").dblclick(position={"x": 300, "y": 60})
    assert shown.selected("brush") == []


def test_proteins_by_their_maximum(shown: Any, demo_data: FeatureData) -> None:
    bars = [60, 20, 500, 128]
    shown.settled()
    before = shown.page.evaluate(INK, bars)
    shown.page.get_by_role("combobox", name="count").select_option("proteins")
    shown.select(brush=[0.8, 1])
    shown.settled()
    assert shown.page.evaluate(INK, bars) != before
    maxima = counted(demo_data, "proteins")
    firing = sum(v > 0 for v in maxima)
    assert (
        said(shown)
        == f"Brushed 0.80 to 1.00: {sum(v >= 0.8 for v in maxima)} of {firing} proteins in "
        "which it fires, by their maximum"
    )
    with shown.page.expect_download() as download:
        shown.page.get_by_role("button", name="Save Activations as CSV").click()
    rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
    _, arrays = unpack(demo_data.bundle)
    assert rows[0] == ["lower", "upper", "total", "annotated"]
    assert [int(row[2]) for row in rows[1:]] == [maxima.count(0), *arrays["proteins_total"]]
    assert [int(row[3]) for row in rows[2:]] == arrays["proteins_annotated"].tolist()
    np.testing.assert_allclose([float(row[0]) for row in rows[2:]], np.linspace(0, 1, 51)[:-1])


def test_the_scales_and_axe(shown: Any) -> None:
    axis = [14, 0, 38, 150]
    shown.settled()
    seen = [shown.page.evaluate(INK, axis)]
    for name in ("Counts on a log scale", "The share of all instead of counts"):
        button = shown.page.get_by_role("button", name=name)
        pressed = button.get_attribute("aria-pressed")
        button.click()
        shown.settled()
        assert button.get_attribute("aria-pressed") != pressed
        seen.append(shown.page.evaluate(INK, axis))
    assert len(set(seen)) == 3
    if AXE.is_file():  # from npm
        shown.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = shown.page.evaluate(
            "async () => (await axe.run('.iplm-view')).violations.map(v => [v.id, "
            "v.impact, v.nodes[0].html])"
        )
        assert [fault for fault in found if fault[1] in ("serious", "critical")] == []


def test_the_selected_residue_is_marked_at_its_activation(
    shown: Any, demo_data: FeatureData
) -> None:
    top = demo_data.pages.top(shipped.spread(), 1).row(0, named=True)
    width = shown.page.locator(".iplm-histogram canvas").bounding_box()["width"]
    x = 52 + top["maximum"] * (width - 62)
    foot = [round(x) - 5, 140, 10, 9]
    shown.settled()
    before = shown.page.evaluate(INK, foot)
    shown.select(accession=top["accession"], position=top["position"])
    shown.settled()
    assert shown.page.evaluate(INK, foot) != before


@pytest.mark.parametrize(
    ("width", "feature", "words"),
    [
        (320, 0, "708 active residues of all 6 proteins"),
        (1600, 3, "0 active residues of all 6 proteins"),
    ],
)
def test_hostile_names_and_a_dead_feature_at_any_width(
    show: Callable, hostile_data: FeatureData, width: int, feature: int, words: str
) -> None:
    hostile_data.selection.update(
        {"feature": feature, "brush": [], "accession": "", "position": None}
    )
    shown = show(ActivationHistogram(hostile_data), width=width, scheme="dark")
    shown.page.locator(".iplm-histogram canvas[data-drawn]").wait_for()
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
    assert said(shown) == f"{words}; drag to brush a range"
    shown.select(feature=2)  # not in this page
    shown.settled()
    assert "feature 2 cannot be read" in shown.page.locator(".iplm-words").inner_text()
