"""The concept table's links lead to the features, in a real JupyterLab."""

from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

from interplm_nb.pipeline.run import Run
from tests.pipeline.tiny import tiny_parameters

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LESSON = Path(__file__).resolve().parents[2] / "notebooks" / "05_concepts.ipynb"

IN_VIEW = """target => { const place = document.getElementById(target)?.getBoundingClientRect();
  return !!place && place.top >= 0 && place.bottom <= window.innerHeight }"""


def test_a_number_in_the_table_leads_to_its_feature(
    open_and_run: Callable, tiny_run: Run, tmp_path: Path
) -> None:
    run = copytree(tiny_run.folder, tmp_path / "run")
    small = tiny_parameters(run)["concepts"].model_dump(
        include={"min_instances", "min_clusters", "bootstrap", "null_draws"}
    )
    page = open_and_run(LESSON, parameters={"run": str(run), "device": "cpu", **small}).page
    page.set_viewport_size({"width": 1300, "height": 700})
    link = page.locator('a[href^="#feature-"]').last
    link.scroll_into_view_if_needed()
    target = link.get_attribute("href").removeprefix("#")
    assert not page.evaluate(IN_VIEW, target)
    link.click()
    page.wait_for_function(IN_VIEW, arg=target)
