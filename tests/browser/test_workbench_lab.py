"""00_explore in JupyterLab as a person meets it.

Look, brush, step, click; and again from the saved file, with no kernel behind it.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
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
TOGETHER = ("features", "histogram", "tracks", "structure")
CELL = """from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.workbench import Workbench

bench = Workbench(Run.shipped())
bench"""
FILLED = """() => {
  const height = selector => document.querySelector(selector).clientHeight;
  return Math.abs(height('.iplm-bench') - height('.jp-WindowedPanel-outer')) < 20;
}"""
OUTPUT_VIEW = """async () => {
  const app = window.jupyterapp;
  const notebook = app.shell.currentWidget;
  app.shell.mode = 'multiple-document';
  app.shell.activateById(notebook.id);
  notebook.content.activeCellIndex = 1;
  await app.commands.execute('notebook:create-output-view');
}"""
OUTPUT_FILLED = """() => {
  const own = document.querySelector('.jp-LinkedOutputView');
  const left = own.clientHeight - own.querySelector('.iplm-bench').clientHeight;
  return left >= 0 && left < 40;
}"""
BACK_TO_THE_NOTEBOOK = """() => {
  const { shell } = window.jupyterapp;
  shell.activateById([...shell.widgets('main')].find(widget => widget.context).id);
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


def inside(place: Any, around: Any) -> None:
    """Four views of a workbench are seen together."""
    outer = around.bounding_box()
    for kind in TOGETHER:
        box = place.locator(f".iplm-{kind}").bounding_box()
        assert outer["x"] <= box["x"], kind
        assert outer["y"] <= box["y"], kind
        assert box["x"] + box["width"] <= outer["x"] + outer["width"], kind
        assert box["y"] + box["height"] <= outer["y"] + outer["height"], kind


def test_four_views_fill_the_panel_and_a_view_of_the_output_is_linked(
    open_and_run: Callable, tmp_path: Path
) -> None:
    cells = [nbformat.v4.new_markdown_cell("# A notebook"), nbformat.v4.new_code_cell(CELL)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "one.ipynb")
    page = open_and_run(tmp_path / "one.ipynb").page
    page.set_viewport_size({"width": 1440, "height": 900})
    wait_until_drawn(page)
    page.wait_for_function(FILLED)
    bench = page.locator(".iplm-bench").first
    bench.evaluate("e => e.scrollIntoView()")
    inside(bench, page.locator(".jp-WindowedPanel-outer").first)
    page.evaluate(OUTPUT_VIEW)
    own = page.locator(".jp-LinkedOutputView, .jp-OutputArea:not(.jp-Cell-outputArea)").last
    own.locator(".iplm-tracks canvas[data-drawn]").wait_for()
    # Below the notebook, it has half of the height.
    page.set_viewport_size({"width": 1440, "height": 1500})
    page.wait_for_function(OUTPUT_FILLED)
    page.screenshot(path=tmp_path / "tab.png")
    inside(own, own)
    brush_upper_end(page, own)
    assert said(page.locator(".jp-Cell-outputArea"), "histogram") == said(own, "histogram")
    page.evaluate(BACK_TO_THE_NOTEBOOK)  # whose cells `open_and_run` checks at the end
    page.wait_for_function("() => window.jupyterapp.shell.currentWidget.content?.model?.cells")


def test_a_note_is_saved_by_the_kernel_and_found(open_and_run: Callable, tmp_path: Path) -> None:
    shutil.copytree(Run.shipped().folder, tmp_path / "own")
    code = CELL.replace("Run.shipped()", repr(str(tmp_path / "own")))
    cells = [nbformat.v4.new_code_cell(code)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "note.ipynb")
    page = open_and_run(tmp_path / "note.ipynb").page
    wait_until_drawn(page)
    feature = shown_feature(page)
    page.get_by_role("tab", name="Concepts").click()
    page.get_by_role("button", name="Write a note").click()
    form = page.get_by_role("group", name=f"Note on feature {feature}")
    form.get_by_label("Description").fill("turns helices")
    form.get_by_label("Comment").fill("seen [twice]")  # brackets would step to another feature
    form.get_by_label("Author").fill("Ada")
    page.get_by_role("button", name="Save note").click()
    said = page.locator(".iplm-note-said")
    said.filter(has_text="turns helices").wait_for()
    assert said.inner_text().startswith("A person's note by Ada, ")
    assert Run.open(tmp_path / "own").notes().drop("date").rows() == [
        (feature, "turns helices", "seen [twice]", "Ada")
    ]
    page.get_by_role("searchbox").fill("turns helices")
    rows = page.locator(".iplm-features tbody tr[data-feature]")
    assert rows.evaluate_all("rows => rows.map(row => row.dataset.feature)") == [str(feature)]


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
    again.locator(".iplm-lack").filter(has_text=NO_KERNEL).wait_for()
