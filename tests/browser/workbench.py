"""What a person does at a workbench, wherever it is shown.

Each waits until the views have answered.
"""

import re
from typing import Any

import pytest

expect = pytest.importorskip(
    "playwright.sync_api", reason="browser tests need playwright (pip install -e '.[dev]')"
).expect

KINDS = (
    *("features", "atlas", "concepts", "histogram", "logo", "steering", "tracks"),
    "structure",
)
"""The class of each view is `iplm-<kind>`."""


def wait_until_drawn(place: Any) -> None:
    """Until every view of the page, or of the frame, has its data, and those in front are drawn."""
    for kind in KINDS:
        place.locator(f".iplm-{kind}[data-state=ready]").first.wait_for(state="attached")
    for kind in ("histogram", "tracks"):
        place.locator(f".iplm-{kind} canvas[data-drawn]").first.wait_for()


def said(place: Any, kind: str) -> str:
    """What a view says of its selection, also behind a tab."""
    return place.locator(f".iplm-{kind} .iplm-say").first.text_content()


def shown_feature(place: Any) -> int:
    """The feature whose histogram is drawn: it changes when a bundle has arrived."""
    found = re.search(
        r"feature (\d+)", place.locator(".iplm-histogram .iplm-sub").first.inner_text()
    )
    assert found
    return int(found[1])


def brush_upper_end(page: Any, place: Any) -> None:
    """Drag over the right part of the histogram; tracks and logo say something else than before."""
    before = {kind: said(place, kind) for kind in ("histogram", "logo", "tracks")}
    canvas = place.locator(".iplm-histogram canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.95 * box["width"], box["y"] + 60, steps=4)
    page.mouse.up()
    for kind, words in before.items():
        expect(place.locator(f".iplm-{kind} .iplm-say").first).not_to_have_text(words)
    assert "Brushed" in said(place, "histogram")


def step(page: Any, place: Any) -> None:
    """The next feature by keyboard: the kernel answers with its bundle."""
    before = shown_feature(place)
    place.locator(".iplm-histogram canvas").first.focus()
    page.keyboard.press("]")
    expect(place.locator(".iplm-histogram .iplm-sub").first).not_to_contain_text(
        f"feature {before}:", timeout=20_000
    )
    place.locator(".iplm-histogram[data-state=ready]").first.wait_for()
