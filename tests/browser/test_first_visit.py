"""The path of a first visitor, which the film of the README follows: what each step shows."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.workbench import Workbench
from scripts import first_visit
from tests.browser.workbench import expect, said, shown_feature, wait_until_drawn

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TOGETHER = ("features", "histogram", "tracks", "structure")


FITS = "() => document.querySelector('.iplm-bench').getBoundingClientRect().bottom <= innerHeight"


def done(step: Iterator[Any]) -> None:
    """A step to its end."""
    assert len(list(step)) >= 1


def test_a_first_visitor_finds_a_zinc_finger_and_sees_it_on_a_structure(
    visit: Callable, app: str
) -> None:
    page = visit(app)
    page.set_viewport_size({"width": 1200, "height": 800})
    wait_until_drawn(page)
    arrive, search, select, choose, lower, turn = first_visit.PATH

    done(arrive(page))
    page.wait_for_function(FITS)
    bench = Workbench(Run.shipped())
    assert shown_feature(page) == bench.selection.feature
    for kind in TOGETHER:
        box = page.locator(f".iplm-{kind}").bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 800, kind

    done(search(page))
    rows = page.locator(".iplm-features tbody tr[data-feature]")
    expect(rows.first).to_contain_text("Zinc finger")
    bench.selection.listed = {"search": first_visit.SEARCH}
    listed = bench.table.rows()["feature"].to_list()
    assert int(rows.first.get_attribute("data-feature")) == listed[0] != bench.selection.feature
    assert all("Zinc finger" in text for text in rows.all_inner_texts())

    done(select(page))
    assert shown_feature(page) == listed[0]
    bench.selection.feature = listed[0]
    assert bench.structure.accession in page.locator(".iplm-structure .iplm-sub").inner_text()

    done(choose(page))
    bench.selection.accession = first_visit.PROTEIN
    sub = page.locator(".iplm-structure .iplm-sub").inner_text()
    assert first_visit.PROTEIN in sub and bench.structure.accession == first_visit.PROTEIN
    strongest = int(bench.structure.values().argmax()) + 1
    letter = bench.data.pages.proteins.sequence(first_visit.PROTEIN)[strongest - 1]
    assert letter == "C" and f"C{strongest}" in said(page, "tracks")

    done(lower(page))
    words = said(page, "structure")
    found = re.search(r"(\d+) at or above 0\.2 of the maximum", words)
    # residues of the whole protein; the structure may lack some
    least = float(first_visit.THRESHOLD)
    assert found and 0 < int(found[1]) <= (bench.structure.values() >= least).sum(), words

    scene = page.locator(".iplm-structure .iplm-stage")
    before = scene.screenshot()
    done(turn(page))
    page.mouse.move(5, 5)
    assert scene.screenshot() != before
    assert said(page, "structure") == words
