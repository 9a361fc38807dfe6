"""The playground with a kernel and the shipped run's own model in a real JupyterLab.

A sequence is read, a residue changed, and both halves say the same.
"""

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from interplm_nb.pipeline.run import Run
from interplm_nb.plm import fetching

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHOW = """
import sys
from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.playground.sequence_playground import SequencePlayground

playground = SequencePlayground(FeatureData(Run.shipped()))
assert "torch" not in sys.modules
playground
"""
CHECK = """
effects = playground.effects()
print("largest", effects["feature"][0], "of", effects.height, playground.mutations,
      playground.sequence[:6])
"""
RUN_NEXT = "() => window.jupyterapp.commands.execute('notebook:run-cell')"


def test_a_sequence_is_read_and_mutated(open_and_run: Callable, tmp_path: Path) -> None:
    model = Run.shipped().model()
    assert model is not None
    if fetching.to_fetch(model.weights):
        pytest.skip(
            f"the weights of {model.name} are not here: plm.load({model.name!r}) fetches them"
        )
    cells = [
        nbformat.v4.new_code_cell("seed: int = 0", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(SHOW),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "playground.ipynb")
    lab = open_and_run(tmp_path / "playground.ipynb")
    page = lab.page
    view = page.locator(".iplm-playground")
    view.get_by_label("Protein sequence").fill("not a sequence!")
    view.get_by_role("button", name="Read", exact=True).click()
    view.get_by_text("This cannot be read: letter that is not a residue").wait_for()
    use = view.get_by_role("button", name="Use ")
    name = use.inner_text().removeprefix("Use ")
    use.click()
    view.locator(".iplm-sub").get_by_text(f"{name}, ").wait_for()
    letters = view.locator("canvas[aria-label^='Sequence of']")
    letters.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    here = view.locator(".iplm-here")
    assert here.inner_text().startswith("Residue 5: ")
    present = view.locator(".iplm-group button[aria-pressed='true']").inner_text()
    after = "W" if present != "W" else "A"
    page.keyboard.press(after.lower())
    effect = view.locator(".iplm-effect")
    effect.get_by_text(f"{present}5{after}: ").wait_for()
    view.locator(".iplm-sub").get_by_text("answered in").wait_for()
    view.get_by_role("button", name="Scan this residue").click()
    view.get_by_role("heading", name=f"All substitutions of {present}5 in the reference").wait_for()
    lab.screenshot("playground")
    view.get_by_role("button", name="Back to reference").click()
    effect.wait_for(state="hidden")
    letters.screenshot(path=tmp_path / "letters.png")
