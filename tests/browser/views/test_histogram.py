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

from interplm_nb.widgets.concept_names import concept_name
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.histogram import ActivationHistogram
from interplm_nb.widgets.packing import unpack
from tests import shipped
from tests.browser.views.conftest import save

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


def counted(data: FeatureData, unit: str = "residues") -> list[tuple[float, bool]]:
    """Activation of each residue, or maximum of each protein, and whether it carries the concept.

    One after the other, over the whole store.
    """
    pages = data.pages
    carried = pages.carried(pages.best[shipped.spread()]["concept"])
    found = []
    for accession in pages.proteins.accessions:
        track = pages.activations.along(accession, shipped.spread())
        first = pages.proteins.offsets[pages.proteins.index(accession)]
        carries = carried[first : first + len(track)]
        if unit == "residues":
            found += [(float(v), bool(c)) for v, c in zip(track, carries, strict=True)]
        else:
            found.append((float(track.max()), bool(carries.any())))
    return found


def percent(n: int, of: int) -> str:
    """Two digits."""
    return f"{float(f'{100 * n / of:.2g}'):g} %"


def sentence(data: FeatureData, unit: str, low: float, what: str) -> str:
    """What a brush from `low` to the end is to say, from one residue or protein after the other."""
    found = counted(data, unit)
    held = [carries for value, carries in found if value > 0 and value >= low]
    others = [carries for value, carries in found if not (value > 0 and value >= low)]
    active = sum(value > 0 for value, _ in found)
    best = data.pages.best[shipped.spread()]
    concept = concept_name(best["concept"], best["category"])
    return (
        f"Brushed {low:.2f} to 1.00: {len(held):,} of {active:,} {what}. "
        f"{percent(sum(held), len(held))} of these ({sum(held):,} of {len(held):,}) carry "
        f"{concept}, and {percent(sum(others), len(others))} of the others "
        f"({sum(others):,} of {len(others):,})."
    )


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
    values = [v for v, _ in counted(demo_data) if v > 0]
    assert high == 1
    words = said(shown)
    said_held = re.search(r": (?:between ([\d,]+) and )?([\d,]+)", words)
    assert said_held
    least, most = (int((n or said_held[2]).replace(",", "")) for n in said_held.groups())
    assert least <= sum(low <= v <= high for v in values) <= most
    assert (least < most) == ("which cuts bins" in words)
    assert f" of {len(values):,} active residues. " in words
    shown.select(brush=[0.5, 1])
    shown.settled()
    assert said(shown) == sentence(demo_data, "residues", 0.5, "active residues")


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
    maxima = [v for v, _ in counted(demo_data, "proteins")]
    assert said(shown) == sentence(demo_data, "proteins", 0.8, "proteins, by their maximum")
    with shown.page.expect_download() as download:
        save(shown.page, "Save Activations as CSV")
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
        (320, 0, "708 active residues. The feature matches no concept. Drag to brush."),
        (1600, 3, "0 active residues. The feature matches no concept."),
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
    assert said(shown) == words
    shown.select(feature=2)  # not in this page
    shown.settled()
    assert "saved without feature 2" in shown.page.locator(".iplm-words").inner_text()
