"""The concept table's links lead to the features, in a real JupyterLab."""

from collections.abc import Callable
from pathlib import Path

import pytest

from interplm_nb.pipeline.runner import Request
from interplm_nb.pipeline.runner import run as run_profile

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LESSON = Path(__file__).resolve().parents[2] / "notebooks" / "05_concepts.ipynb"

IN_VIEW = """target => { const place = document.getElementById(target)?.getBoundingClientRect();
  return !!place && place.top >= 0 && place.bottom <= window.innerHeight }"""


def test_a_number_in_the_table_leads_to_its_feature(open_and_run: Callable, tmp_path: Path) -> None:
    small = [
        "embed.plm=esm2-mini",
        "proteins.max_proteins=150",
        "train.steps=20",
        "train.d_sae=64",
        "train.k=4",
        "concepts.min_instances=2",
        "concepts.min_clusters=1",
        "concepts.bootstrap=10",
    ]
    run = run_profile(Request("demo", tmp_path / "run", small), say=lambda line: None)
    page = open_and_run(
        LESSON,
        parameters={"run": str(run.folder), "min_instances": 2, "min_clusters": 1, "bootstrap": 10},
    ).page
    page.set_viewport_size({"width": 1300, "height": 700})
    link = page.locator('a[href^="#feature-"]').last
    link.scroll_into_view_if_needed()
    target = link.get_attribute("href").removeprefix("#")
    assert not page.evaluate(IN_VIEW, target)
    link.click()
    page.wait_for_function(IN_VIEW, arg=target)
