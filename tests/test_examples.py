"""Examples run as they are written: docstrings, and the Python of README and of pages in docs/.

Where an example opens runs/demo, the folder that `make demo` makes, it finds a tiny run there.
"""

import doctest
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from interplm_nb.pipeline.run import Run
from interplm_nb.plm import fetching

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/start.md", "docs/run.md", "docs/features.md")
WITH_A_MODEL = ("docs/look.md", "docs/models.md")
"""Their Python reads proteins with the model of the run that ships."""


def modules_with_examples() -> list[str]:
    """Found in the text, so that no module is imported that has none."""
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((ROOT / "interplm_nb").rglob("*.py"))
        if ">>> " in path.read_text(encoding="utf-8")
    ]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an example writes goes to its own folder."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_of_a_module_give_what_they_say(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if "runs/demo" in Path(find_spec(name).origin).read_text(encoding="utf-8"):
        (tmp_path / "runs").mkdir()
        (tmp_path / "runs/demo").symlink_to(request.getfixturevalue("tiny_run").folder)
    said: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    found = [test for test in doctest.DocTestFinder().find(import_module(name)) if test.examples]
    for test in found:
        runner.run(test, out=said.append)
    assert found, f"{name}: its text has >>> outside of docstrings"
    assert not runner.failures, "".join(said)


@pytest.mark.parametrize("page", PAGES + WITH_A_MODEL)
def test_the_python_of_a_page_runs(page: str) -> None:
    model = Run.shipped().model()
    assert model is not None
    if page in WITH_A_MODEL and fetching.to_fetch(model.weights):
        pytest.skip(f"{model.name} is not here")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, page, "exec"), {})
