"""00_explore as a person meets it: choose, look, use the keyboard."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from interplm_nb.pipeline.run import Run

pytestmark = [pytest.mark.browser, pytest.mark.slow]

EXPLORE = Path(__file__).resolve().parents[2] / "notebooks" / "00_explore.ipynb"


DRAWN = 0.02
"""A drawn structure covers at least this share of its canvas."""


def wait_for_structure(page: Any) -> None:
    """Until something stands in the middle of the canvas: a structure that is loaded but out of view fails."""
    page.locator("canvas").last.wait_for()
    for _ in range(60):
        place = page.evaluate("() => { const r = [...document.querySelectorAll('canvas')].at(-1)?.getBoundingClientRect(); return r && r.toJSON() }")
        if not place or place["width"] < 100:  # a view is being changed for another
            page.wait_for_timeout(250)
            continue
        picture = imread(io.BytesIO(page.screenshot(clip={side: place[side] for side in ("x", "y", "width", "height")})))[..., :3]
        height, width = picture.shape[:2]
        middle = picture[height // 4 : -height // 4, width // 4 : -width // 4]
        if (np.ptp(middle.reshape(-1, 3), axis=0).max() > 0.3) and (middle.min(axis=2) < 0.9).mean() > DRAWN:
            return
        page.wait_for_timeout(250)
    pytest.fail("no structure is seen in the middle of its canvas")


@pytest.fixture
def folder() -> str:
    return str(Run.shipped().folder)


def test_a_feature_is_seen_in_every_view(open_and_run: Callable, folder: str) -> None:
    lab = open_and_run(EXPLORE, parameters={"run": folder})
    page = lab.page
    page.locator(".js-plotly-plot .bars").first.wait_for()
    wait_for_structure(page)
    page.locator(".iplm-table tbody tr").first.wait_for()
    assert page.locator(".iplm-seq").count() >= 2
    assert "activation (share of the maximum on training proteins)" in page.locator(".js-plotly-plot").first.inner_text()
    lab.screenshot("explore")


def test_choosing_by_keyboard_changes_the_views(open_and_run: Callable, folder: str) -> None:
    page = open_and_run(EXPLORE, parameters={"run": folder}).page
    number = page.get_by_label("Number", exact=True)
    number.wait_for()
    first = page.locator("h3", has_text="Feature").first.inner_text()
    other = 1 if first.endswith(" 0") else 0
    number.fill(str(other))
    number.press("Enter")
    page.locator("h3", has_text=f"Feature {other}").wait_for()


def test_a_concept_leads_to_its_best_feature(open_and_run: Callable, folder: str) -> None:
    page = open_and_run(EXPLORE, parameters={"run": folder}).page
    concept = page.get_by_label("Concept", exact=True)
    concept.wait_for()
    name = concept.locator("option").nth(3).inner_text().replace("\xa0", " ").split("(best F1")[0].strip()
    concept.select_option(index=3)
    page.wait_for_function("name => [...document.querySelectorAll('.iplm-table tbody tr')].some(row => row.innerText.startsWith(name))", arg=name)
    wait_for_structure(page)
