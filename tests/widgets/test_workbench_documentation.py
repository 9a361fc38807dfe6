"""docs/workbench.md says what is so.

Its examples run, the tests that it names exist, its pictures are there.
"""

import re
from pathlib import Path

import pytest

from interplm_nb.pipeline.run import Run
from interplm_nb.plm import fetching
from interplm_nb.readers import demo

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "workbench.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_the_examples_of_the_documentation_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "demo").symlink_to(Run.shipped().folder)
    (tmp_path / "structures").symlink_to(demo.folder() / "structures")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    model = Run.shipped().model()
    assert model is not None
    blocks = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    if elsewhere := fetching.to_fetch(model.weights):
        runs = ("SequencePlayground", ".steer()")
        blocks = [block for block in blocks if not any(name in block for name in runs)]
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
    assert {p.name for p in tmp_path.iterdir()} >= {
        "features.html",
        "tracks.pdf",
        "logo.svg",
        "residues.csv",
        "molecules",
    }
    if elsewhere:
        pytest.skip(f"examples that run the model were left out: {model.name} is not here")
    assert names["play"].effects().height > 0  # type: ignore[attr-defined]


def test_every_test_that_it_names_is_there() -> None:
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.M)
    }
    rows = [line for line in TEXT.splitlines() if line.startswith("|") and "test_" in line]
    assert len(rows) > 20
    assert [
        name for row in rows for name in re.findall(r"`(test_\w+)`", row) if name not in there
    ] == []


def test_its_pictures_and_links_are_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
    images = {path.name for path in (PAGE.parent / "images").iterdir()} - {"architecture.svg"}
    assert {Path(link).name for link in links if link.startswith("images/")} == images
