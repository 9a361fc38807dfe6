"""The histogram as a person uses it: a drag brushes, keys move the brush, Escape clears it; bars never move with it."""

from collections.abc import Callable
from typing import Any

import pytest

from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.histogram import ActivationHistogram

pytestmark = pytest.mark.browser


@pytest.fixture
def shown(show: Callable, demo_data: FeatureData) -> Any:
    demo_data.selection.update({"feature": 761, "brush": [], "accession": "", "position": None})
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
    # Margins of 52 and 10 points; the axis ends at 1, since feature 761 stays below.
    assert low == pytest.approx((0.5 * width - 52) / (width - 62), abs=0.005)
    assert high == pytest.approx((0.9 * width - 52) / (width - 62), abs=0.005)
    assert "Brushed" in shown.page.locator(".iplm-say").inner_text()


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
