"""00_explore in JupyterLab as a person meets it.

Look, brush, step, click; and again from the saved file, with no kernel behind it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interplm_nb.pipeline.notebooks import lessons
from interplm_nb.pipeline.run import Run
from tests.browser.workbench import brush_upper_end, said, shown_feature, step, wait_until_drawn

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SAVE_AND_STOP = """async () => {
  const panel = window.jupyterapp.shell.currentWidget;
  await panel.context.save();
  await panel.sessionContext.shutdown();
  return panel.context.path;
}"""
NO_KERNEL = "No kernel answers, so feature 0 cannot be read."


def click_a_residue(page: Any) -> None:
    """In the first row of the tracks.

    The line below the cell `observe`, which Python writes, says which.
    """
    canvas = page.locator(".iplm-tracks canvas").first
    canvas.scroll_into_view_if_needed()
    canvas.focus()
    for key in ("ArrowDown", "Enter"):
        page.keyboard.press(key)
    page.get_by_text("of its maximum", exact=False).and_(page.locator(".widget-label")).wait_for()


def test_explore_runs_links_and_opens_again_without_running(
    open_and_run: Callable, visit: Callable, lab_server: tuple[str, Path]
) -> None:
    lab = open_and_run(
        lessons() / "00_explore.ipynb", parameters={"run": str(Run.shipped().folder)}
    )
    page = lab.page
    wait_until_drawn(page)
    brush_upper_end(page, page)
    step(page, page)
    brush_upper_end(page, page)
    click_a_residue(page)
    feature, tracks = shown_feature(page), said(page, "tracks")
    lab.screenshot("explore")
    address, root = lab_server
    path = page.evaluate(SAVE_AND_STOP)
    assert (root / path).stat().st_size < 3e6
    again = visit(f"{address}/doc/tree/{path}?reset")
    wait_until_drawn(again)
    assert (shown_feature(again), said(again, "tracks")) == (feature, tracks)
    again.locator(".iplm-histogram canvas").first.focus()
    again.keyboard.press("Escape")
    brush_upper_end(again, again)
    number = again.get_by_label("Feature, 0 to 1023").first
    number.fill("0")
    number.press("Enter")
    again.locator(".iplm-histogram").get_by_text(NO_KERNEL).wait_for()
