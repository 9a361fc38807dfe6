"""00_explore as a person meets it: choose, look, use the keyboard."""

from collections.abc import Callable
from pathlib import Path

import pytest

from interplm_nb.pipeline.run import Run

pytestmark = [pytest.mark.browser, pytest.mark.slow]

EXPLORE = Path(__file__).resolve().parents[2] / "notebooks" / "00_explore.ipynb"


@pytest.fixture
def folder() -> str:
    return str(Run.shipped().folder)


def test_a_feature_is_seen_in_every_view(open_and_run: Callable, folder: str) -> None:
    lab = open_and_run(EXPLORE, parameters={"run": folder})
    page = lab.page
    page.locator(".js-plotly-plot .bars").first.wait_for()
    page.locator("canvas").first.wait_for()
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
