"""The workbench on one screen: which views are seen together, and that they stay where they are."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.workbench import Comparison, Workbench
from tests.browser.views.conftest import Shown
from tests.browser.workbench import KINDS, said, wait_until_drawn

pytestmark = pytest.mark.browser

TOGETHER = ("features", "histogram", "tracks", "structure")
BOXES = """() => [...document.querySelectorAll('.iplm-pane')].map(pane => {
  const { left, top, width, height } = pane.getBoundingClientRect();
  return [left, top + scrollY, width, height].map(Math.round);
})"""
CANVAS = "document.querySelector('.iplm-atlas canvas')"


@pytest.fixture(scope="module")
def bench() -> Workbench:
    """Of the shipped run; its page holds the two best features."""
    bench = Workbench(Run.shipped())
    bench.data.keep(bench.data.pages.ranked["feature"].unique(maintain_order=True)[:2], 20)
    return bench


def opened(show: Callable, bench: Workbench, width: int, height: int) -> Shown:
    shown = show(bench, width=width, height=height)
    wait_until_drawn(shown.page)
    shown.page.locator(".iplm-structure .iplm-say").filter(has_text="residues").wait_for()
    return shown


@pytest.mark.parametrize(
    ("width", "height", "kinds"),
    [(1050, 750, TOGETHER), (1440, 900, TOGETHER), (768, 1024, TOGETHER), (2560, 1400, KINDS)],
)
def test_views_are_seen_together_without_scrolling(
    show: Callable, bench: Workbench, width: int, height: int, kinds: tuple[str, ...]
) -> None:
    page = opened(show, bench, width, height).page
    for kind in kinds:
        box = page.locator(f".iplm-{kind}").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width, kind
        assert box["y"] >= 0 and box["y"] + box["height"] <= height, kind
    for picture in (".iplm-histogram canvas", ".iplm-tracks canvas", ".iplm-stage"):
        assert page.locator(picture).first.bounding_box()["height"] >= 110, picture
    assert page.locator(".iplm-features tbody tr[data-feature]:visible").count() >= 2
    assert page.evaluate("document.documentElement.scrollHeight") <= height
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "height"), [(1050, 500), (1440, 520)])
def test_a_low_page_needs_no_scrolling(
    show: Callable, bench: Workbench, width: int, height: int
) -> None:
    page = opened(show, bench, width, height).page
    for kind in TOGETHER:
        box = page.locator(f".iplm-{kind}").bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= height, kind
    assert page.locator(".iplm-histogram canvas").bounding_box()["height"] >= 110
    assert page.locator(".iplm-stage").bounding_box()["height"] >= 40
    assert page.evaluate("document.documentElement.scrollHeight") <= height


def test_on_a_very_high_page_views_are_not_stretched(show: Callable, bench: Workbench) -> None:
    page = opened(show, bench, 1440, 2400).page
    assert page.locator(".iplm-bench").bounding_box()["height"] == 1400


def test_a_narrow_page_is_one_column(show: Callable, bench: Workbench) -> None:
    page = opened(show, bench, 400, 700).page
    boxes = page.evaluate(BOXES)
    assert len({left for left, *_ in boxes}) == 1
    assert all(above[1] + above[3] <= below[1] for above, below in itertools.pairwise(boxes))
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_tabs_by_keyboard_and_the_address_remembers_them(show: Callable, bench: Workbench) -> None:
    page = opened(show, bench, 1050, 750).page
    tabs = page.get_by_role("tablist", name="The selected feature").get_by_role("tab")
    assert tabs.all_inner_texts() == ["Histogram", "Logo", "Concepts", "Steering"]
    page.get_by_role("tab", name="Histogram").focus()
    for key, name, kind in (
        ("ArrowRight", "Logo", "logo"),
        ("ArrowRight", "Concepts", "concepts"),
        ("ArrowRight", "Steering", "steering"),
        ("ArrowRight", "Histogram", "histogram"),
        ("ArrowLeft", "Steering", "steering"),
        ("Home", "Histogram", "histogram"),
        ("End", "Steering", "steering"),
        ("ArrowLeft", "Concepts", "concepts"),
        ("ArrowLeft", "Logo", "logo"),
    ):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.textContent") == name
        page.locator(f".iplm-{kind}").wait_for()
        chosen = tabs.evaluate_all("ts => ts.map(t => [t.ariaSelected, t.tabIndex])")
        assert sorted(chosen) == [*[["false", -1]] * 3, ["true", 0]]
    page.locator(".iplm-logo canvas[data-drawn]").wait_for()
    panel = page.locator(f"#{page.get_by_role('tab', name='Logo').get_attribute('aria-controls')}")
    assert panel.get_attribute("role") == "tabpanel" and panel.is_visible()
    page.wait_for_function("() => location.hash.includes('feature_tab=logo')")
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    page.locator(".iplm-logo canvas[data-drawn]").wait_for()
    assert not page.locator(".iplm-histogram").is_visible()


def test_the_address_holds_brush_threshold_and_pins(show: Callable, bench: Workbench) -> None:
    shown = opened(show, bench, 1050, 750)
    page = shown.page
    shown.select(brush=[0.5, 1.0], pinned=[3])
    threshold = page.get_by_role("spinbutton", name="threshold")
    threshold.fill("0.25")
    threshold.press("Tab")
    page.wait_for_function("() => location.hash.includes('threshold=0.25')")
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    page.locator(".iplm-structure .iplm-say").filter(has_text="within the brush").wait_for()
    assert threshold.input_value() == "0.25"
    assert (shown.selected("brush"), shown.selected("pinned")) == ([0.5, 1], [3])


def test_slash_finds_the_search_behind_its_tab(show: Callable, bench: Workbench) -> None:
    page = opened(show, bench, 1050, 750).page
    page.get_by_role("tab", name="Map").click()
    page.locator(".iplm-tracks canvas").focus()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.type") == "search"
    assert page.get_by_role("tab", name="Table").get_attribute("aria-selected") == "true"


def test_a_map_that_was_behind_fits_its_frame(show: Callable, bench: Workbench) -> None:
    other = int(bench.data.pages.ranked["feature"].unique(maintain_order=True)[1])
    pictures = []
    for first in ("select", "open"):
        shown = opened(show, bench, 1050, 750)
        if first == "select":
            shown.select(feature=other)
        shown.page.get_by_role("tab", name="Map").click()
        shown.select(feature=other)
        shown.page.locator(".iplm-atlas canvas[data-drawn]").wait_for()
        shown.page.locator(".iplm-atlas .iplm-say").filter(has_text=f"Feature {other}").wait_for()
        shown.settled()
        pictures.append(shown.page.evaluate(f"{CANVAS}.toDataURL()"))
        assert shown.page.evaluate(f"{CANVAS}.getBoundingClientRect().bottom") <= 750
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize(("width", "height"), [(1050, 750), (400, 700)])
def test_nothing_jumps(show: Callable, bench: Workbench, width: int, height: int) -> None:
    shown = show(bench, width=width, height=height)
    page = shown.page
    wait_until_drawn(page)
    before = page.evaluate(BOXES)  # before the structure has arrived
    page.locator(".iplm-structure .iplm-say").filter(has_text="residues").wait_for()
    assert page.evaluate(BOXES) == before
    lacking = next(
        a for a in bench.data.pages.proteins.accessions if a not in bench.data.structures
    )
    shown.select(accession=lacking, position=1)
    page.locator(".iplm-structure .iplm-words").filter(has_text="has no structure here").wait_for()
    assert page.evaluate(BOXES) == before
    shown.select(accession="", position=None, brush=[0.31, 0.93])
    page.locator(".iplm-histogram .iplm-say").filter(has_text="Brushed").wait_for()
    assert page.evaluate(BOXES) == before


def test_a_page_that_lacks_a_feature_says_so_once(show: Callable, bench: Workbench) -> None:
    shown = opened(show, bench, 1050, 750)
    held = [bench.selection.feature, *map(int, bench.data.kept)]
    absent = next(f for f in range(1024) if f not in held)
    before = shown.page.evaluate(BOXES)
    shown.select(feature=absent)
    words = f"This page was saved without feature {absent}."
    shown.page.get_by_text(words).and_(shown.page.locator(":visible")).wait_for()
    assert shown.page.get_by_text(words).locator("visible=true").count() == 1
    assert shown.page.evaluate(BOXES) == before
    shown.select(feature=bench.selection.feature)
    shown.page.locator(".iplm-lack").wait_for(state="hidden")


def test_it_fills_the_screen_and_back(show: Callable, bench: Workbench) -> None:
    page = opened(show, bench, 1050, 750).page
    full = "document.fullscreenElement?.className ?? ''"
    page.get_by_role("button", name="Full screen: the workbench").click()
    page.wait_for_function(f"() => ({full}).includes('iplm-bench')")
    page.locator(".iplm-tracks canvas").focus()
    page.keyboard.press("Shift+F")
    page.wait_for_function(f"() => ({full}) === ''")


def test_skip_links_come_first_and_lead_to_the_views(show: Callable, bench: Workbench) -> None:
    page = opened(show, bench, 1050, 750).page
    page.keyboard.press("Tab")
    first = page.locator(":focus")
    assert first.inner_text() == "Skip to table" and first.is_visible()
    page.get_by_role("button", name="Skip to tracks").press("Enter")
    assert page.evaluate("document.activeElement.dataset.view") == "tracks"
    page.get_by_role("button", name="Skip to the end").press("Enter")
    assert page.evaluate("document.activeElement.className") == "iplm-end"


def test_few_chosen_proteins_begin_at_letters(show: Callable, bench: Workbench) -> None:
    shown = opened(show, bench, 1050, 750)
    assert "strongest of the residues that share it" in said(shown.page, "tracks")
    strongest = bench.data.pages.top(bench.selection.feature, 20).sort("length")
    shown.select(accessions=[strongest["accession"][-1]])  # far wider than its place
    says(shown.page, "Click a residue")
    shown.page.get_by_role("button", name="Whole sequences").click()
    says(shown.page, "strongest of the residues that share it")
    shown.page.get_by_role("button", name="Letters").click()
    says(shown.page, "Click a residue")


def says(page: Any, words: str) -> None:
    page.locator(".iplm-tracks .iplm-say").filter(has_text=words).wait_for()


@pytest.mark.parametrize("width", [1050, 1600])
def test_a_comparison_is_side_by_side(show: Callable, bench: Workbench, width: int) -> None:
    other = Workbench(Run.shipped(), feature=0)
    page = show(Comparison(bench, other), width=width, height=900).page
    for kind in ("histogram", "tracks"):
        left, right = (
            page.locator(f".iplm-{side} .iplm-{kind} canvas[data-drawn]")
            for side in ("left", "right")
        )
        left.wait_for()
        right.wait_for()
        a, b = left.bounding_box(), right.bounding_box()
        assert a["x"] + a["width"] <= b["x"]
        assert abs(a["y"] - b["y"]) <= 30, "rows of one view are next to each other"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
