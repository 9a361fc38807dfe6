"""The workbench as a person uses it.

What is done in one view is seen in the others, by mouse and by keyboard, on every width.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from interplm_nb.annotations import Annotations
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.workbench import Comparison, Workbench
from tests.browser.views.conftest import Shown
from tests.browser.workbench import brush_upper_end, said, shown_feature, wait_until_drawn
from tests.widgets.small_run import make_run

pytestmark = pytest.mark.browser


@dataclass
class Features:
    """Features of the shipped run: the best, the next, and one that the page does not hold.

    And the best one's strongest protein.
    """

    best: int
    second: int
    absent: int
    accession: str
    sequence: str
    peak: int
    """Position of the maximum on that protein."""


@pytest.fixture(scope="module")
def bench() -> Workbench:
    """Of the shipped run; its page holds the two best features."""
    bench = Workbench(Run.shipped())
    bench.data.keep(ranked(bench)[:2], 20)
    bench.structure.threshold = float(bench.structure.values().max()) / 3
    return bench


def ranked(bench: Workbench) -> list[int]:
    return bench.data.pages.ranked["feature"].unique(maintain_order=True).to_list()


@pytest.fixture(scope="module")
def known(bench: Workbench) -> Features:
    accession = bench.structure.accession
    best, second, absent = ranked(bench)[:3]
    return Features(
        best,
        second,
        absent,
        accession,
        bench.data.pages.proteins.sequence(accession),
        int(bench.structure.values().argmax()) + 1,
    )


@pytest.fixture
def shown(show: Callable, bench: Workbench) -> Shown:
    shown = show(bench, width=1900, height=1300)  # room for all views
    wait_until_drawn(shown.page)
    shown.page.locator(".iplm-structure .iplm-say").filter(has_text="residues").wait_for()
    return shown


def says(page: Any, kind: str, words: str) -> None:
    """Waits until a view says so."""
    page.locator(f".iplm-{kind} .iplm-say").first.filter(has_text=words).wait_for()


def click_residue(shown: Shown, accession: str, position: int) -> int:
    """With one protein alone in the tracks, click as near to a residue as a cell allows.

    Gives the one that was hit.
    """
    shown.select(accessions=[accession])
    shown.page.locator(".iplm-tracks .iplm-sub").filter(has_text="1 chosen protein").wait_for()
    shown.settled()
    box = shown.page.locator(".iplm-tracks canvas").bounding_box()
    hit = {}
    for x in (0.27, 0.4):
        shown.page.mouse.click(box["x"] + x * box["width"], box["y"] + 28)
        hit[x] = shown.selected("position")
    (x1, p1), (x2, p2) = hit.items()
    shown.page.mouse.click(
        box["x"] + (x1 + (position - p1) * (x2 - x1) / (p2 - p1)) * box["width"], box["y"] + 28
    )
    shown.select(accessions=[])
    return shown.selected("position")


def overflow(page: Any) -> int:
    return page.evaluate("() => document.documentElement.scrollWidth - innerWidth")


def test_a_brush_is_followed_by_tracks_logo_and_structure(shown: Shown) -> None:
    page = shown.page
    before = said(page, "structure")
    brush_upper_end(page, page)
    low, high = shown.selected("brush")
    says(page, "tracks", f"in the brush {low:.2f} to {high:.2f}")
    says(page, "logo", f"Brushed {low:.2f} to {high:.2f}")
    page.locator(".iplm-structure .iplm-say").filter(has_not_text=before).wait_for()
    # Keys in another view clear it for all.
    page.locator(".iplm-tracks canvas").focus()
    page.keyboard.press("Escape")
    says(page, "histogram", "Drag to brush")
    says(page, "structure", before)
    assert "Brushed" not in said(page, "logo")


def test_a_residue_clicked_in_the_tracks_is_followed_by_structure_logo_and_concepts(
    shown: Shown, known: Features
) -> None:
    page = shown.page
    hit = click_residue(shown, known.accession, known.peak)
    assert shown.selected("accession") == known.accession
    assert abs(hit - known.peak) <= 3
    says(page, "structure", f"Selected: {known.sequence[hit - 1]}{hit}")
    says(
        page,
        "logo",
        f"Selected: {known.accession} {hit}, in column {hit - known.peak:+d}".replace("+0", "0"),
    )
    page.locator(".iplm-concepts").get_by_text(f"Selected protein: {known.accession}").wait_for()


def test_a_residue_of_the_structure_is_followed_by_the_tracks(
    shown: Shown, known: Features
) -> None:
    page = shown.page
    page.locator(".iplm-stage").focus()
    page.keyboard.press("n")
    first = shown.selected("position")
    says(page, "tracks", f"{known.accession} {known.sequence[first - 1]}{first}: activation")
    page.keyboard.press("n")
    assert shown.selected("position") > first


def test_brackets_slash_and_escape_work_from_every_view(shown: Shown, known: Features) -> None:
    page = shown.page
    for kind in ("atlas", "histogram", "logo", "tracks"):
        page.locator(f".iplm-{kind} canvas").first.focus()
        before = shown.selected("feature")
        page.keyboard.press("]")
        assert shown.selected("feature") != before, kind
        page.keyboard.press("[")
        assert shown.selected("feature") == before, kind
        shown.select(brush=[0.2, 0.9], accession=known.accession, position=3)
        page.keyboard.press("Escape")
        assert (shown.selected("brush"), shown.selected("position")) == ([], None), kind
        page.keyboard.press("/")
        assert page.evaluate("() => document.activeElement.type") == "search", kind


def test_brackets_step_through_the_table_as_it_is(shown: Shown, known: Features) -> None:
    page = shown.page
    page.get_by_role("button", name="Show only features in this page").click()
    page.locator(".iplm-features").get_by_role("searchbox").fill(str(known.best)[:1])
    page.locator(f".iplm-features tbody tr[data-feature='{known.best}']").wait_for()
    order = page.locator(".iplm-features tbody tr[data-feature]").evaluate_all(
        "rows => rows.map(r => Number(r.dataset.feature))"
    )
    page.locator(".iplm-tracks canvas").focus()
    page.keyboard.press("]")
    assert shown.selected("feature") == order[(order.index(known.best) + 1) % len(order)]


def test_a_kept_feature_is_drawn_and_another_is_words(shown: Shown, known: Features) -> None:
    page = shown.page
    shown.select(feature=known.second)
    page.locator(".iplm-histogram .iplm-sub").filter(has_text=f"feature {known.second}:").wait_for()
    number = page.get_by_label("Feature, 0 to 1023")
    number.fill(str(known.absent))
    number.press("Enter")
    held = f"{min(known.best, known.second)}, {max(known.best, known.second)}"
    page.locator(".iplm-lack").filter(
        has_text=f"This page was saved without feature {known.absent}. It holds features {held}."
    ).wait_for()
    assert shown_feature(page) == known.second  # the old picture stays
    number.fill("4096")
    number.press("Enter")
    assert shown.selected("feature") == known.absent
    assert number.input_value() == str(known.absent)


def test_reset_clears_all_but_the_feature(shown: Shown, known: Features) -> None:
    listed = {"search": "zinc", "among": [1, 2]}
    shown.select(brush=[0.2, 0.9], accession=known.accession, position=3, pinned=[known.second])
    shown.select(listed=listed, accessions=[known.accession])
    shown.page.get_by_role("button", name="Reset: clear").click()
    found = {
        name: shown.selected(name)
        for name in ("feature", "brush", "accession", "position", "pinned", "listed", "accessions")
    }
    assert found == {
        "feature": known.best,
        "brush": [],
        "accession": "",
        "position": None,
        "pinned": [],
        "listed": {},
        "accessions": [],
    }


def test_the_address_restores_the_selection_and_follows_it(shown: Shown, known: Features) -> None:
    page = shown.page
    address = page.url.split("#")[0]
    fragment = (
        f"source=sae&feature={known.second}&accession={known.accession}&position=20&brush=0.25,0.75"
    )
    page.goto("about:blank")
    page.goto(f"{address}#{fragment}")
    page.locator(".iplm-histogram .iplm-sub").filter(has_text=f"feature {known.second}:").wait_for()
    says(page, "histogram", "0.25 to 0.75")
    assert (shown.selected("accession"), shown.selected("position")) == (known.accession, 20)
    shown.select(position=33)
    page.wait_for_function("() => location.hash.includes('position=33')")


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (800, "light"), (1600, "dark")])
def test_nothing_runs_out_of_the_page(
    show: Callable, bench: Workbench, width: int, scheme: str
) -> None:
    shown = show(bench, width=width, height=1600, scheme=scheme)
    wait_until_drawn(shown.page)
    assert overflow(shown.page) <= 0
    wide = """els => els
        .filter(e => e.offsetParent && !e.closest('.iplm-scroll'))
        .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
      .map(e => e.outerHTML.slice(0, 80))"""
    assert (
        shown.page.locator(
            ".iplm-view, .iplm-view header, .iplm-tools, canvas:visible"
        ).evaluate_all(wide)
        == []
    )


def test_hostile_names_stay_text_everywhere(show: Callable, hostile_data: FeatureData) -> None:
    bench = Workbench(hostile_data.pages.run, structures={})
    shown = show(bench, width=1900, height=1300)  # room for all views
    wait_until_drawn(shown.page)
    for fields in (
        {"accession": "P00000", "position": 1},
        {"accession": "P00001", "position": 1999},
        {"brush": [0.5, 1]},
        {"feature": 2},
    ):
        shown.select(**fields)
        shown.settled()
    assert shown.page.locator("img[src=x]").count() == 0
    assert overflow(shown.page) <= 0


def test_a_run_without_proteins_that_fire_is_words(show: Callable, tmp_path: Path) -> None:
    proteins = Proteins(
        pl.DataFrame(
            {"accession": ["P00000", "P00001", "P00002"], "sequence": ["MKV", "MKL", "MKI"]}
        )
    )
    kinds = {
        "accession": pl.String,
        "concept": pl.String,
        "category": pl.String,
        "level": pl.String,
    }
    none = Annotations(
        pl.DataFrame(schema=kinds | {"start": pl.Int64, "end": pl.Int64, "instance": pl.Int64}),
        proteins,
    )
    run = make_run(tmp_path / "run", proteins, none, np.zeros((9, 2), np.float32))
    page = show(Workbench(run, structures={}), width=1900, height=1300).page
    page.locator(".iplm-tracks").get_by_text("fires on no training protein").wait_for()
    page.locator(".iplm-concepts").get_by_text("matches no concept").wait_for()
    page.locator(".iplm-structure").get_by_text(
        re.compile("structure", re.IGNORECASE)
    ).first.wait_for()
    page.locator(".iplm-logo").get_by_text(
        "A logo needs windows of 2 or more proteins"
    ).first.wait_for()


def test_in_a_comparison_brush_and_residue_are_shared_and_features_are_not(
    show: Callable, bench: Workbench, known: Features
) -> None:
    other = Workbench(Run.shipped(), feature=known.absent)
    shown = show(Comparison(bench, other), width=1600, height=2400)
    page = shown.page
    sides = [page.locator(f".iplm-{side}") for side in ("left", "right")]
    for side in sides:
        side.locator(".iplm-tracks canvas[data-drawn]").wait_for()
    brush_upper_end(page, sides[0])
    for side in sides:
        side.locator(".iplm-histogram .iplm-say").filter(has_text="Brushed").wait_for()
    sides[1].locator(".iplm-tracks canvas").focus()
    page.keyboard.press("Escape")
    for side in sides:
        side.locator(".iplm-histogram .iplm-say").filter(has_text="Drag to brush").wait_for()
    number = sides[0].get_by_label("Feature, 0 to 1023")
    number.fill(str(known.second))
    number.press("Enter")
    sides[0].locator(".iplm-histogram .iplm-sub").filter(
        has_text=f"feature {known.second}:"
    ).wait_for()
    assert shown_feature(sides[1]) == known.absent
