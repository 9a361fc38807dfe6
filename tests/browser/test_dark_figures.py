"""Figures of the lessons in JupyterLab's light and dark theme, also from the saved file."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from PIL import Image

from tests.browser.test_workbench_lab import SAVE_AND_STOP

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CELLS = {
    "picture": """from interplm_nb.figures.chart import Chart, panels
from interplm_nb.figures.styles import STYLES

figure, (axis,) = panels()
for i, style in enumerate(STYLES.values()):
    axis.plot([0, 1], [i, i], color=style.colour, marker=style.marker, label=style.name)
axis.set(xlabel="step", ylabel="source")
Chart(figure, "A line per source.")""",
    "hover": """from interplm_nb.figures.hover import concepts

by_source = {"sae": {"Helix": (0.5, 7)}, "pca": {"Helix": (0.25, 3)}}
Chart(panels()[0], "Two points.", concepts(["Helix"], by_source))""",
    "letters": """from IPython.display import HTML

from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.feature_page import FeaturePages

HTML(FeaturePages(Run.shipped()).top_html(724, 1))""",
}
BEFORE = ".jp-OutputArea-child:has(+ .jp-OutputArea-child .ipn-below)"
FOUND = {
    "picture": f"{BEFORE} .jp-RenderedImage img",
    "hover": f"{BEFORE} .jp-RenderedPlotly",  # in a saved notebook the picture that plotly left
    "letters": ".iplm-seq",
}
SILENT = ".iplm-seq b[title*=': 0.00 of maximum']"
DARKER = "theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })"
TEXT_CONTRAST = 4.5
"""Of text against its ground, by WCAG 2.2, level AA."""


def shot(place: Any) -> np.ndarray:
    """What is seen of an element, as float [height, width, 3] from 0 to 1."""
    return np.asarray(Image.open(io.BytesIO(place.screenshot())).convert("RGB")) / 255


def luminances(pixels: np.ndarray) -> np.ndarray:
    """Relative luminances, as WCAG defines them."""
    linear = np.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(pixels: np.ndarray) -> float:
    """Of what stands out most from the ground, which is what most pixels are."""
    seen = luminances(pixels) + 0.05
    ground = np.median(seen)
    return max(seen.max() / ground, ground / seen.min())


def turn(page: Any, dark: bool) -> None:
    page.evaluate(DARKER, "JupyterLab Dark" if dark else "JupyterLab Light")
    page.locator(f"body[data-jp-theme-light={str(not dark).lower()}]").wait_for(state="attached")
    page.wait_for_function(
        "dark => (parseInt(getComputedStyle(document.querySelector('.jp-Notebook'))"
        ".backgroundColor.match(/\\d+/)[0]) < 60) === dark",
        arg=dark,
    )


def legible(page: Any, dark: bool, picture: Path) -> None:
    """Every figure has the page's ground, text that stands out, and silent residues that do."""
    turn(page, dark)
    page.screenshot(path=picture)
    for name, selector in FOUND.items():
        pixels = shot(page.locator(selector).first)
        ground = np.median(luminances(pixels))
        assert (ground < 0.02) if dark else (ground > 0.9), f"{name} has another ground"
        assert contrast(pixels) >= TEXT_CONTRAST, name
    silent = luminances(shot(page.locator(SILENT).first))
    levels = np.median(silent[2:-4, 1:-1]) + 0.05, np.median(luminances(pixels)) + 0.05
    assert max(levels) / min(levels) > 1.1, "a silent residue cannot be told from the ground"


def test_figures_follow_the_theme_also_in_the_saved_notebook(
    open_and_run: Callable, visit: Callable, lab_server: tuple[str, Path], tmp_path: Path
) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS.values()]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "figures.ipynb")
    page = open_and_run(tmp_path / "figures.ipynb").page
    page.locator(".js-plotly-plot").wait_for()
    page.locator(".iplm-seq").wait_for()
    legible(page, False, tmp_path / "light.png")
    legible(page, True, tmp_path / "dark.png")
    address, _ = lab_server
    again = visit(f"{address}/doc/tree/{page.evaluate(SAVE_AND_STOP)}?reset")
    again.wait_for_function("() => window.jupyterapp && window.jupyterapp.restored")
    for selector in FOUND.values():
        again.locator(selector).first.wait_for()
    legible(again, True, tmp_path / "dark_saved.png")
    legible(again, False, tmp_path / "light_saved.png")  # as other tests expect it
