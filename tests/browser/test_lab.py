"""The harness itself, on small notebooks: what works is seen, what goes wrong is found."""

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.browser

SLIDER = """
import ipywidgets
slider = ipywidgets.IntSlider(3, max=9, description="k")
label = ipywidgets.Label()
slider.observe(lambda change: setattr(label, "value", f"k is {slider.value} of {run}"), "value")
ipywidgets.VBox([slider, label])
"""
STRUCTURE = """
import numpy as np, nglview
from interplm_nb.readers import demo
from interplm_nb.readers.structures import bfactor_pdb
structure = demo.structure("P00445")
view = nglview.NGLWidget(nglview.TextStructure(bfactor_pdb(structure, np.linspace(0, 1, 154))))
view.clear_representations()
view.add_cartoon(color_scheme="bfactor", color_scale=["#440154", "#21918c", "#fde725"],
                 color_domain=[0, 100])
view
"""


def notebook(folder: Path, *cells: str) -> Path:
    code = [nbformat.v4.new_code_cell(source) for source in cells]
    code[0].metadata["tags"] = ["parameters"]
    path = folder / "small.ipynb"
    nbformat.write(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Small"), *code]), path
    )
    return path


def test_widgets_answer_in_a_real_page(open_and_run: Callable, tmp_path: Path) -> None:
    lab = open_and_run(notebook(tmp_path, 'run = "none"', SLIDER), parameters={"run": "the demo"})
    handle = lab.page.locator(".noUi-handle").first
    handle.wait_for()
    handle.focus()
    lab.page.keyboard.press("ArrowRight")
    lab.page.get_by_text("k is 4 of the demo").wait_for()
    assert lab.screenshot("slider").stat().st_size > 5_000


def test_nglview_draws_a_coloured_structure(open_and_run: Callable, tmp_path: Path) -> None:
    lab = open_and_run(notebook(tmp_path, "run = ''", STRUCTURE))
    lab.page.locator("canvas").first.wait_for()
    lab.screenshot("structure")


@pytest.mark.slow
def test_a_failing_cell_is_found(run_unchecked: Callable, tmp_path: Path) -> None:
    lab = run_unchecked(notebook(tmp_path, "run = ''", "1 / 0", "run"))
    with pytest.raises(AssertionError, match="cell 3: ZeroDivisionError: division by zero"):
        lab.check()


@pytest.mark.slow
def test_a_request_to_elsewhere_is_found(run_unchecked: Callable, tmp_path: Path) -> None:
    source = (
        "from IPython.display import HTML; HTML('<img alt=far src=\"https://example.org/x.png\">')"
    )
    lab = run_unchecked(notebook(tmp_path, "run = ''", source))
    lab.page.get_by_alt_text("far").wait_for(state="attached")
    with pytest.raises(AssertionError, match=r"https://example\.org/x\.png"):
        lab.check()


@pytest.mark.slow
def test_a_failing_script_is_found(run_unchecked: Callable, tmp_path: Path) -> None:
    source = (
        "from IPython.display import HTML; HTML('<script>setTimeout(() => { throw new "
        'Error("broken view") })</script>\')'
    )
    lab = run_unchecked(notebook(tmp_path, "run = ''", source))
    lab.page.wait_for_function("() => true")
    with pytest.raises(AssertionError, match="broken view"):
        lab.check()
