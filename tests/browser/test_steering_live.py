"""The steering panel with a kernel and a model in a real JupyterLab.

A feature is held and the slider moved, by its events and by a key.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from interplm_nb.pipeline.run import Run

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHOW = """
import sys
from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.steering.steering_panel import SteeringPanel

panel = SteeringPanel(FeatureData(Run.open(RUN), structures={}), sequence=SEQUENCE)
assert "torch" not in sys.modules
panel
"""
SEQUENCE = ("MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGT" * 8)[:350]
# Milliseconds from the slider's event to the frame after the answer is on the page.
MOVE = """([slider, words]) => new Promise(done => {
  const effect = document.querySelector('.iplm-steering .iplm-effect');
  const start = performance.now();
  new MutationObserver((_, observer) => {
    if (!effect.textContent.includes(words)) return;
    observer.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
  }).observe(effect, { childList: true, characterData: true, subtree: true });
  slider.value = words.split(' ').find(Number);
  slider.dispatchEvent(new Event('input', { bubbles: true }));
})"""


def test_a_slider_steers_the_model(
    open_and_run: Callable, tiny_run: Run, tmp_path: Path, record_property: Callable
) -> None:
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    given = f"RUN, SEQUENCE = {str(tmp_path / 'run')!r}, {SEQUENCE!r}"
    cells = [
        nbformat.v4.new_code_cell("seed: int = 0", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(f"{given}\n{SHOW}"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "steering.ipynb")
    lab = open_and_run(tmp_path / "steering.ipynb")
    page = lab.page
    view = page.locator(".iplm-steering")
    view.get_by_role("button", name="Steer", exact=True).click()
    effect = view.locator(".iplm-effect")
    effect.get_by_text("set to 1 × its maximum").wait_for()
    slider = view.get_by_role("slider").first
    took = [
        page.evaluate(MOVE, [slider.element_handle(), f"set to {strength} × its maximum"])
        for strength in ("1.5", "0.5", "2", "1.2", "0.7", "1.7", "2.2")
    ]
    record_property("milliseconds", [round(ms) for ms in took])
    slider.focus()  # JupyterLab has a shortcut of its own for the arrow
    page.keyboard.press("ArrowRight")
    effect.get_by_text("set to 2.25 × its maximum").wait_for()
    lab.screenshot("steering")
