"""Learning curves in a real JupyterLab.

They grow while the cell still runs, and their last state stays.
"""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
import pytest

from tests.browser.conftest import ENDED, ERRORS, RESTORED, RUN_ALL, VIEWPORT

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TRAINING = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from tempfile import mkdtemp
from interplm_nb.figures.live import LiveLearning
from interplm_nb.sae.training.train import TrainingOptions, train_on
from tests.sae.gaussian_training import CONFIGS, Gaussian
names = ["topk", "batchtopk", "gated"]
folder = Path(mkdtemp())
configs = {{folder / n: CONFIGS[n] for n in names}}
options = TrainingOptions(log=LiveLearning(400, every_seconds=0.5), log_every=20, progress=False)
train_on(Gaussian(pause=0.06), configs, 400, options)
print("trained")
"""
PICTURE = ".jp-OutputArea-output img"
CHANGED = (
    "before => { const image = document.querySelector('.jp-OutputArea-output img'); "
    "return image && image.src !== before; }"
)


def test_the_curves_grow_while_training_goes_on(
    chromium: Any, lab_server: tuple[str, Path], tmp_path: Path
) -> None:
    address, root = lab_server
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(TRAINING)])
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    nbformat.write(notebook, root / "live.ipynb")
    page = chromium.new_page(viewport=VIEWPORT)
    page.set_default_timeout(120_000)
    page.goto(f"{address}/doc/tree/{quote('live.ipynb')}?reset")
    page.wait_for_function(RESTORED)
    page.locator(".jp-Notebook").wait_for()
    page.evaluate(RUN_ALL)
    seen = set()
    for _ in range(2):
        page.wait_for_function(
            CHANGED, arg=page.locator(PICTURE).get_attribute("src") if seen else ""
        )
        assert not page.evaluate(ENDED), "the cell still runs"
        seen.add(page.locator(PICTURE).get_attribute("src"))
    page.screenshot(path=tmp_path / "growing.png")
    page.wait_for_function(ENDED)
    assert page.evaluate(ERRORS) == []
    assert len(seen) == 2 and page.locator(PICTURE).count() == 1, (
        "one picture, drawn anew in its place"
    )
    assert page.locator(PICTURE).get_attribute("src") not in seen, "the last state is shown"
    page.screenshot(path=tmp_path / "live.png")
    page.close()
