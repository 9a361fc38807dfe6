"""The same workbench in Notebook 7, a Voila app, marimo, and the HTML of nbconvert."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.workbench import Workbench
from tests.browser.conftest import RESTORED, RUN_ALL, VIEWPORT, free_port, is_foreign, serving
from tests.browser.workbench import (
    brush_upper_end,
    expect,
    said,
    shown_feature,
    step,
    wait_until_drawn,
)

pytestmark = pytest.mark.browser

CELL = """from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.workbench import Workbench

bench = Workbench(Run.shipped())
bench"""

MARIMO = f"""import marimo

app = marimo.App(width="full")


@app.cell
def _():
{chr(10).join("    " + line if line else "" for line in CELL.splitlines())}
    return


if __name__ == "__main__":
    app.run()
"""


def test_a_static_workbench_is_alive_after_nbconvert(chromium: Any, tmp_path: Path) -> None:
    bench = Workbench(Run.shipped())
    output = nbformat.v4.new_output("display_data", {"text/html": bench.static(n_proteins=5).data})
    cells = [nbformat.v4.new_code_cell("bench.static()", outputs=[output])]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "shared.ipynb")
    subprocess.run(
        [sys.executable, "-m", "nbconvert", "--to", "html", "shared.ipynb"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    page = chromium.new_page(viewport=VIEWPORT)
    page.set_default_timeout(20_000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    # nbconvert's own page asks for MathJax and require.js, in vain; the workbench's frame asks for
    # nothing.
    page.route(
        is_foreign,
        lambda route: (
            wrong.append(route.request.url) if route.request.frame != page.main_frame else None,
            route.abort(),
        ),
    )
    page.goto((tmp_path / "shared.html").as_uri())
    frame = page.frame_locator("iframe")
    wait_until_drawn(frame)
    brush_upper_end(page, frame)
    assert shown_feature(frame) == bench.selection.feature
    page.close()
    assert wrong == []


@pytest.mark.slow
def test_it_works_in_notebook_7(visit: Callable, lab_server: tuple[str, Path]) -> None:
    address, root = lab_server
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    nbformat.write(notebook, root / "notebook_7.ipynb")
    # Notebook 7.6 stumbles over its own shortcuts and over what JupyterLab has left, also without a
    # cell.
    page = visit(f"{address}/notebooks/notebook_7.ipynb", views_alone=True)
    page.wait_for_function(RESTORED)
    page.locator(".jp-Notebook").wait_for()
    page.evaluate(RUN_ALL)
    wait_until_drawn(page)
    brush_upper_end(page, page)
    step(page, page)


@pytest.mark.slow
def test_it_works_in_marimo(visit: Callable, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(MARIMO, encoding="utf-8")
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "marimo",
        "run",
        "app.py",
        "--headless",
        "--no-token",
        "--port",
        str(port),
    ]
    with serving(command, f":{port}", tmp_path):
        page = visit(f"http://127.0.0.1:{port}")
        wait_until_drawn(page)
        brush_upper_end(page, page)
        step(page, page)


@pytest.mark.slow
def test_it_is_an_app_without_code(visit: Callable, app: str) -> None:
    page = visit(app)
    wait_until_drawn(page)
    brush_upper_end(page, page)
    step(page, page)
    assert "Workbench(" not in page.content()
    note = page.locator(".iplm-limits summary")
    expect(note).to_contain_text("It is not ESM-2")
    assert note.is_visible()


def seen(page: Any) -> dict[str, Any]:
    """What a person sees of a workbench's selection."""
    return {
        "feature": shown_feature(page),
        "says": {kind: said(page, kind) for kind in ("histogram", "tracks", "structure")},
        "search": page.get_by_role("searchbox").input_value(),
        "threshold": page.locator(".iplm-structure input").first.input_value(),
        "pinned": page.locator(".iplm-pin[aria-pressed=true]").evaluate_all(
            "pins => pins.map(pin => pin.closest('tr').dataset.feature)"
        ),
        "in front": page.locator("[role=tab][aria-selected=true]").all_inner_texts(),
    }


@pytest.mark.slow
def test_the_apps_address_restores_what_is_seen(visit: Callable, app: str) -> None:
    page = visit(app)
    wait_until_drawn(page)
    default = seen(page)
    search = page.get_by_role("searchbox")
    search.fill("zinc finger")
    search.press("Enter")
    expect(page.locator(".iplm-tracks canvas")).to_be_visible()
    page.wait_for_function("() => location.hash.includes('search=zinc')")
    page.locator(".iplm-pin").nth(1).click()
    threshold = page.get_by_role("spinbutton", name="threshold")
    threshold.fill("0.25")
    threshold.press("Tab")
    brush_upper_end(page, page)
    tracks = page.locator(".iplm-tracks canvas").first
    tracks.focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    page.get_by_role("tab", name="Logo").click()
    for part in ("brush=", "position=", "accession=", "pinned=", "threshold=0.25", "tab=logo"):
        page.wait_for_function("part => location.hash.includes(part)", arg=part)
    wanted = seen(page)
    assert wanted["feature"] != default["feature"] and wanted["says"] != default["says"]
    other = visit(page.url)
    restored(other, wanted)
    page.reload()
    restored(page, wanted)
    page.get_by_role("tab", name="Histogram").click()
    step(page, page)  # and the kernel of the new page answers


@pytest.mark.slow
def test_an_address_that_cannot_be_leaves_the_app_as_it_is(visit: Callable, app: str) -> None:
    page = visit(f"{app}#feature=9999&pinned=9999&category=none&brush=2,1&threshold=-1")
    wait_until_drawn(page)
    assert shown_feature(page) == Workbench(Run.shipped()).selection.feature
    step(page, page)


def restored(page: Any, wanted: dict[str, Any]) -> None:
    """A page shows what was seen, once it has come to it."""
    for kind, words in wanted["says"].items():
        expect(page.locator(f".iplm-{kind} .iplm-say").first).to_have_text(words, timeout=30_000)
    assert seen(page) == wanted
