"""The tracks as a person uses them.

Clicks and keys select, the wheel scrolls and zooms, the brush leaves out, other views are followed.
"""

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest

from interplm_nb.widgets import assets
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.page import write_page
from interplm_nb.widgets.residue_tracks import ResidueTracks
from tests import shipped
from tests.browser.views.conftest import HOSTILE, Shown, save
from tests.widgets.small_run import simple_run

pytestmark = pytest.mark.browser

N, LENGTH = 30, 20
"""Proteins and residues of the run made here.

Protein i has its maximum, (N - i) / N, at position i % LENGTH + 1, and is silent elsewhere.
"""

CELL, ROW, TOP, KEY = 20, 28, 20, 43
"""Points: the widest cell, one row without pinned features, the ruler, the legend of one line."""

VIEW = ".iplm-shown:nth-of-type(1) .iplm-tracks"
CANVAS, SCROLLER = f"{VIEW} canvas", f"{VIEW} .iplm-scroller"
NO_CHOICE = {"brush": [], "accession": "", "position": None, "accessions": [], "pinned": []}
AXE = assets.CLONE / "node_modules" / "axe-core" / "axe.min.js"
FAULTS = """async () => (await axe.run(document.querySelector('main'))).violations
  .filter(v => ['serious', 'critical'].includes(v.impact))
  .map(v => `${v.id}: ${v.nodes.map(n => n.html.slice(0, 120)).join(' | ')}`)"""


@pytest.fixture(scope="module")
def peptides(tmp_path_factory: pytest.TempPathFactory) -> FeatureData:
    accessions = [f"P{i:05d}" for i in range(N)]
    table = pl.DataFrame(
        {
            "accession": accessions,
            "sequence": ["ACDEFGHIKLMNPQRSTVWY"] * N,
            "protein_name": ["peptide"] * N,
        }
    )
    names = {
        "accession": accessions,
        "concept": ["Helix"] * N,
        "category": ["Helix"] * N,
        "level": ["instance"] * N,
    }
    segments = pl.DataFrame(names | {"start": [2] * N, "end": [5] * N, "instance": range(N)})
    run = simple_run(
        tmp_path_factory.mktemp("peptides") / "run", table, segments, lambda row, _: fire(row)
    )
    return FeatureData(run, structures={})


def fire(row: int) -> float:
    protein, residue = divmod(row, LENGTH)
    return (N - protein) / N if residue == protein % LENGTH else 0.0


@pytest.fixture(scope="module")
def page(
    chromium: Any, peptides: FeatureData, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shown]:
    """Two views on one page, which the tests share: `shown` puts it back to where it began."""
    peptides.selection.update({"feature": 0, **NO_CHOICE})
    path = write_page(
        [ResidueTracks(peptides), ResidueTracks(peptides, height=200)],
        tmp_path_factory.mktemp("page") / "page.html",
        "Test",
    )
    opened = chromium.new_page(viewport={"width": 900, "height": 700})
    opened.set_default_timeout(30_000)
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.goto(path.as_uri())
    opened.locator(f"{CANVAS}[data-drawn]").wait_for()
    yield Shown(opened)
    opened.close()
    assert wrong == []


@pytest.fixture
def shown(page: Shown) -> Shown:
    page.page.evaluate("scrollTo(0, 0)")
    page.page.mouse.move(1, 1)
    page.page.get_by_label("rows by").first.select_option("maximum")
    page.select(**NO_CHOICE)
    page.page.locator(SCROLLER).evaluate("e => { e.scrollTop = 0 }")
    page.settled()
    return page


def residue(shown: Shown, row: int, position: int) -> tuple[float, float]:
    """The middle of a cell on the page: whole sequences, the first row at the top."""
    box = shown.page.locator(CANVAS).bounding_box()
    left = min(230, max(90, box["width"] * 0.24))
    return box["x"] + left + (position - 0.5) * CELL, box["y"] + TOP + row * ROW + 6


def said(shown: Shown) -> str:
    shown.settled()
    return shown.page.locator(f"{VIEW} .iplm-say").inner_text()


def head(shown: Shown) -> str:
    shown.settled()
    return shown.page.locator(f"{VIEW} .iplm-sub").inner_text()


def label(shown: Shown) -> str:
    return shown.page.locator(f"{VIEW} .iplm-tip").inner_text()


def selected(shown: Shown) -> tuple[str, int | None]:
    return shown.selected("accession"), shown.selected("position")


def scrolled(shown: Shown) -> float:
    shown.settled()
    return shown.page.locator(SCROLLER).evaluate("e => e.scrollTop")


def press(shown: Shown, *keys: str) -> None:
    shown.page.locator(CANVAS).focus()
    for key in keys:
        shown.page.keyboard.press(key)


def colour(shown: Shown, row: int, position: int) -> list[int]:
    """Of a pixel in the upper left of a cell, next to the letter."""
    shown.settled()
    x, y = residue(shown, row, position)
    box = shown.page.locator(CANVAS).bounding_box()
    pixel = "(c, [x, y]) => [...c.getContext('2d').getImageData(x, y, 1, 1).data]"
    return shown.page.locator(CANVAS).evaluate(pixel, [x - box["x"] - 8, y - box["y"] - 4])


def test_a_click_selects_the_residue_under_it_and_a_name_its_maximum(shown: Shown) -> None:
    shown.page.mouse.click(*residue(shown, 3, 17))
    assert selected(shown) == ("P00003", 17)
    assert said(shown) == "P00003 T17: activation 0.00."
    shown.page.mouse.click(
        shown.page.locator(CANVAS).bounding_box()["x"] + 20, residue(shown, 6, 1)[1]
    )
    assert selected(shown) == ("P00006", 7)
    assert said(shown) == "P00006 H7: activation 0.80."


def test_the_pointer_says_what_is_under_it_and_leaves_nothing_behind(shown: Shown) -> None:
    x, y = residue(shown, 1, 4)
    shown.page.mouse.move(x, y)
    assert label(shown).splitlines() == ["P00001 peptide", "E4: activation 0.00", "Helix 2–5"]
    shown.page.mouse.move(x, y - ROW - TOP)
    assert not shown.page.locator(f"{VIEW} .iplm-tip").is_visible()
    assert selected(shown) == ("", None)


def test_keys_move_by_residue_and_protein_and_the_row_comes_into_sight(shown: Shown) -> None:
    press(shown, "ArrowRight")
    assert selected(shown) == ("P00000", 1)
    press(shown, "ArrowRight", "ArrowRight", "ArrowDown")
    assert selected(shown) == ("P00001", 3)
    press(shown, "Enter")
    assert selected(shown) == ("P00001", 2)
    press(shown, "End", "ArrowRight")
    assert selected(shown) == ("P00001", LENGTH)
    press(shown, "Home", "PageDown")
    accession, position = selected(shown)
    assert accession > "P00008" and position == 1
    press(shown, "PageDown", "PageDown", "PageDown", "ArrowDown")
    assert selected(shown) == (f"P{N - 1:05d}", 1)
    assert scrolled(shown) > 200
    press(shown, "Escape")
    assert shown.selected("position") is None


def test_a_selection_from_elsewhere_is_scrolled_to(shown: Shown) -> None:
    shown.select(accession="P00025", position=4)
    assert said(shown) == "P00025 E4: activation 0.00; Helix 2–5."
    top = scrolled(shown)
    room = shown.page.locator(CANVAS).bounding_box()["height"] - TOP - KEY
    assert 26 * ROW - room <= top <= 25 * ROW


def test_the_brush_leaves_out_proteins_and_fades_residues(shown: Shown) -> None:
    assert head(shown) == f"feature 0: showing {N} of {N} proteins in which it fires"
    before = [colour(shown, 0, 1), colour(shown, 0, 2)]
    shown.select(brush=[0.8, 1])
    assert (
        head(shown)
        == f"feature 0: showing 7 of {N} proteins, with residues in the brush 0.80 to 1.00; "
        f"it fires in {N} of the run"
    )
    assert "7 of 30 active residues" in said(shown)
    after = [colour(shown, 0, 1), colour(shown, 0, 2)]
    assert after[0] == before[0] and after[1] != before[1]
    shown.select(accession="P00020")  # outside, and kept all the same
    assert "no active residue in the brush" in said(shown)
    press(shown, "Enter")
    assert selected(shown) == ("P00020", 1)
    shown.select(accession="", brush=[1.5, 2])
    assert f"showing 0 of {N} proteins" in head(shown)
    press(shown, "Enter", "Escape")
    assert selected(shown) == ("", None) and shown.selected("brush") == []


def test_the_wheel_scrolls_rows_and_at_their_end_the_page(shown: Shown) -> None:
    shown.page.mouse.move(*residue(shown, 1, 3))
    shown.page.mouse.wheel(0, 120)
    shown.page.wait_for_function("s => document.querySelector(s).scrollTop > 100", arg=SCROLLER)
    assert shown.page.evaluate("scrollY") == 0
    shown.page.locator(SCROLLER).evaluate("e => { e.scrollTop = 1e6 }")
    shown.page.set_viewport_size({"width": 900, "height": 300})
    shown.settled()
    shown.page.wait_for_timeout(300)  # a new gesture: the browser keeps one with what it began on
    shown.page.mouse.wheel(0, 120)
    shown.page.wait_for_function("() => scrollY > 0")
    shown.page.set_viewport_size({"width": 900, "height": 700})


def test_rows_are_ordered_and_aligned(shown: Shown) -> None:
    shown.page.get_by_label("rows by").first.select_option("position")
    press(shown, "ArrowRight", "ArrowDown")
    assert (
        shown.selected("accession") == "P00020"
    )  # its maximum is at position 1, as that of P00000 is
    shown.page.get_by_label("rows by").first.select_option("aligned")
    shown.select(accession="P00000", position=1)
    press(shown, "ArrowDown", "ArrowDown", "ArrowDown")
    assert selected(shown) == ("P00003", 4)


def test_hover_in_one_view_is_marked_in_another(shown: Shown) -> None:
    second = shown.page.locator(CANVAS.replace("(1)", "(2)"))
    before = second.evaluate("c => c.toDataURL()")
    shown.page.mouse.move(*residue(shown, 1, 4))
    shown.settled()
    assert second.evaluate("c => c.toDataURL()") != before
    shown.page.mouse.move(2, 2)
    shown.settled()
    assert second.evaluate("c => c.toDataURL()") == before


def test_table_and_picture_are_saved(shown: Shown) -> None:
    shown.select(brush=[0.95, 1])
    shown.settled()
    with shown.page.expect_download() as download:
        save(shown.page, "Save Residue tracks as CSV")
    rows = list(
        csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8")))
    )
    assert [(r["accession"], r["position"], r["letter"], r["annotations"]) for r in rows] == [
        ("P00000", "1", "A", ""),
        ("P00001", "2", "C", "Helix"),
    ]
    assert float(rows[1]["activation"]) == pytest.approx(29 / 30, abs=1e-6)
    with shown.page.expect_download() as download:
        save(shown.page, "Save Residue tracks as SVG")
    svg = ElementTree.fromstring(Path(download.value.path()).read_text(encoding="utf-8"))
    texts = {e.text for e in svg.iter("{http://www.w3.org/2000/svg}text")}
    assert {"P00001", "0.97", "1 × maximum on training proteins"} <= texts
    assert "P00002" not in texts
    origin = next(text for text in texts if text and text.startswith("Run "))
    assert origin.startswith("Run run: feature 0 of sae on ") and ", layer " in origin


def test_zoom_and_pan_stay_within_the_sequences(show: Callable, demo_data: FeatureData) -> None:
    demo_data.selection.update({"feature": shipped.spread(), **NO_CHOICE})
    shown = show(ResidueTracks(demo_data))
    shown.page.locator(f"{CANVAS}[data-drawn]").wait_for()
    box = shown.page.locator(CANVAS).bounding_box()
    x, y = box["x"] + round(0.24 * box["width"]) + 2.5 * CELL, box["y"] + TOP + 6

    def position() -> int:
        shown.page.mouse.move(x, y - 30)
        shown.page.mouse.move(x, y)
        return int(label(shown).splitlines()[1].split(":")[0][1:])

    assert "strongest of the residues that share it" in said(shown)
    there = position()
    shown.page.keyboard.down("Control")
    for _ in range(12):
        shown.page.mouse.wheel(0, -200)
    shown.page.keyboard.up("Control")
    assert said(shown) == "Click a residue to select it."
    near = position()
    assert abs(near - there) <= 3  # what was under the pointer stays there
    shown.page.mouse.down()
    shown.page.mouse.move(x - 5 * CELL, y, steps=4)
    shown.page.mouse.up()
    assert shown.selected("accession") == ""  # a drag is no click
    assert position() == near + 5
    press(shown, "Shift+ArrowRight")
    assert position() > near + 5
    press(shown, *["Shift+ArrowLeft"] * 20)
    assert position() == 3
    press(shown, "0")
    assert "strongest of the residues that share it" in said(shown)


def test_pinned_features_and_chosen_proteins_are_shown_and_can_be_taken_away(
    show: Callable, peptides: FeatureData
) -> None:
    peptides.selection.update(
        {"feature": 0, **NO_CHOICE, "pinned": [1, 2], "accessions": ["P00004", "P00002"]}
    )
    shown = show(ResidueTracks(peptides))
    shown.page.locator(f"{CANVAS}[data-drawn]").wait_for()
    assert (
        head(shown)
        == f"feature 0: showing 2 chosen proteins; it fires in 2 of these, and in {N} of the run"
    )
    shown.page.mouse.move(*residue(shown, 0, 4))
    assert label(shown).splitlines()[1:] == [
        "E4: activation 0.00",
        "feature 1: activation 0.00",
        "feature 2: activation 0.00",
        "Helix 2–5",
    ]
    for scheme in ("light", "dark"):
        shown.page.emulate_media(color_scheme=scheme)
        assert faults(shown) == []
    shown.page.get_by_role("button", name="Remove feature 1").click()
    assert shown.selected("pinned") == [2]
    shown.page.get_by_role("button", name="Remove 2 chosen proteins").click()
    assert shown.selected("accessions") == []
    shown.settled()
    assert (
        shown.page.locator(".iplm-chips button").get_attribute("aria-label") == "Remove feature 2"
    )
    assert shown.page.locator(CANVAS).evaluate("c => c === document.activeElement")


def faults(shown: Shown) -> list[str]:
    """What axe-core finds, and targets that are too small.

    It comes with `npm ci` in widgets/.
    """
    small = (
        "bs => bs.map(b => b.getBoundingClientRect()).filter(r => r.width < 24 || r.height < 24)"
        ".map(String)"
    )
    found = shown.page.locator(f"{VIEW} button, {VIEW} select").evaluate_all(small)
    if not AXE.is_file():
        return found
    shown.page.evaluate(AXE.read_text(encoding="utf-8"))
    return found + shown.page.evaluate(FAULTS)


def test_hostile_names_and_a_feature_that_fires_nowhere(
    show: Callable, hostile_data: FeatureData
) -> None:
    hostile_data.selection.update({"feature": 0, **NO_CHOICE})
    hostile_data.keep([0, 3])
    shown = show(ResidueTracks(hostile_data), width=320)
    shown.page.locator(f"{CANVAS}[data-drawn]").wait_for()
    press(shown, "Enter", "ArrowUp")
    shown.select(accession="P00000", position=1)
    shown.page.locator(CANVAS).hover(position={"x": 20, "y": TOP + 5 * ROW + 6})
    assert label(shown).startswith(f"P00000 {HOSTILE}"[:40])
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 320
    shown.select(accession="", position=None, feature=3)
    words = shown.page.locator(f"{VIEW} .iplm-words")
    words.wait_for()
    assert (
        words.inner_text()
        == "This feature fires on no training protein, so its activations on others count as 0."
    )
    assert not shown.page.locator(CANVAS).is_visible()
