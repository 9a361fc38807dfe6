"""Binder and Colab: what their files say of each other, and what a cell says of what is absent."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts import binder_steps, fill_badges
from tests.test_packaging import conda, pins

ROOT = Path(__file__).resolve().parents[1]
DEPENDENCIES = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "dependencies"
]
MODULES = {"fair-esm": "esm", "scikit-learn": "sklearn", "umap-learn": "umap"}
"""Where a module has another name than its package."""
ON_BINDER = {
    "BINDER_LAUNCH_HOST": "https://mybinder.org/",
    "BINDER_REQUEST": "v2/gh/someone/a-repository/HEAD",
}


@pytest.fixture(scope="module")
def absent() -> ModuleType:
    spec = importlib.util.spec_from_file_location("absent", ROOT / "binder" / "absent.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_knows_every_package_that_the_small_binder_leaves_out(absent: ModuleType) -> None:
    packages, lines = conda("binder/environment.yml")
    there = {*packages, *(canonicalize_name(Requirement(line).name) for line in lines)}
    names = {canonicalize_name(Requirement(text).name) for text in DEPENDENCIES} - there
    assert {MODULES.get(name, name.replace("-", "_")) for name in names} == absent.LEFT_OUT


def test_the_sentence_links_to_the_larger_binder_of_the_same_repository(absent: ModuleType) -> None:
    assert absent.sentence("torch", ON_BINDER) == (
        "This lesson needs torch, which this small Binder leaves out so that it starts fast. It "
        "runs on the larger Binder: "
        "https://mybinder.org/v2/gh/someone/a-repository/binder-full?urlpath=lab/tree/notebooks"
    )


@pytest.mark.parametrize("environ", [{}, {**ON_BINDER, "BINDER_REQUEST": "v2/zenodo/10.1"}])
def test_without_a_repository_the_sentence_says_how_to_install(
    absent: ModuleType, environ: dict[str, str]
) -> None:
    assert absent.sentence("torch", environ).endswith("whole: pip install interplm-nb")


def shown(cell: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What IPython prints for a cell, with `binder/absent.py` run at its start."""
    start = (ROOT / "binder" / "absent.py").read_text(encoding="utf-8")
    program = (
        "from IPython.core.interactiveshell import InteractiveShell as Shell\n"
        "shell = Shell.instance(colors='nocolor')\n"
        f"shell.run_cell({start!r})\nshell.run_cell({cell!r})\n"
    )
    for name, value in ON_BINDER.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    return (done.stdout + done.stderr).strip()


def test_a_cell_that_lacks_a_package_shows_the_sentence_alone(
    absent: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = shown("import sys\nsys.modules['torch'] = None\nimport torch.nn", monkeypatch)
    assert said == absent.sentence("torch", ON_BINDER)


def test_another_missing_module_shows_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    said = shown("import no_such_module", monkeypatch)
    assert "ModuleNotFoundError: No module named 'no_such_module'" in said
    assert "This lesson needs" not in said


def test_the_larger_environment_has_everything_at_the_same_versions() -> None:
    packages, lines = conda("binder/full/environment.yml")
    index, *rest = lines
    assert index == "--extra-index-url https://download.pytorch.org/whl/cpu"
    light_packages, light = conda("binder/environment.yml")
    assert packages == light_packages and set(light) <= set(rest)
    expected = pins(packages["python"])
    for line in rest:
        requirement = Requirement(line)
        assert requirement.specifier.contains(expected[canonicalize_name(requirement.name)]), line
    named = {canonicalize_name(Requirement(line).name) for line in rest} | {"numpy"}
    assert named == {canonicalize_name(Requirement(text).name) for text in DEPENDENCIES}
    for name in ("postBuild", "start"):
        path = ROOT / "binder" / "full" / name
        assert path.stat().st_mode & 0o111, f"{name} must be executable"
    assert (ROOT / "binder/full/start").read_text() == (ROOT / "binder/start").read_text()
    post = (ROOT / "binder/full/postBuild").read_text(encoding="utf-8")
    assert "set -euo pipefail" in post and "unirep_weights import fetch" in post


@pytest.mark.parametrize(("python", "is_same"), [("3.12", True), ("3.11", False)])
def test_pip_takes_the_place_of_conda(python: str, is_same: bool) -> None:
    path = ROOT / "binder" / "environment.yml"
    lines, same = binder_steps.requirements(path, python)
    packages, listed = conda("binder/environment.yml")
    whole = [f"numpy=={packages['numpy']}", *listed]
    assert (lines, same) == (
        (whole, True) if is_same else ([line.partition("==")[0] for line in whole], False)
    )


def test_ci_repeats_the_steps_on_the_python_of_binder() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    steps = jobs["binder"]["steps"]
    (python,) = [s["with"]["python-version"] for s in steps if "with" in s]
    assert python == conda("binder/environment.yml")[0]["python"]
    assert jobs["binder"]["strategy"]["matrix"]["environment"] == ["binder", "binder/full"]
    assert "scripts.binder_steps" in steps[-1]["run"]


def test_the_branch_has_the_larger_environment_as_its_binder(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    (clone / "binder" / "full").mkdir(parents=True)
    for name, text in (("binder/start", "small"), ("binder/full/start", "large"), ("a", "b")):
        (clone / name).write_text(text)
    shutil.copy(ROOT / "scripts" / "binder_full_branch.sh", tmp_path / "make")
    who = {
        f"GIT_{role}_{what}": "x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }

    def git(*words: str) -> str:
        done = subprocess.run(
            words, cwd=clone, check=True, capture_output=True, text=True, env={**os.environ, **who}
        )
        return done.stdout.strip()

    git("git", "init", "--quiet")
    git("git", "add", ".")
    git("git", "commit", "--quiet", "-m", "x")
    assert "push it" in git("bash", str(tmp_path / "make"))
    assert git("git", "show", "binder-full:binder/start") == "large"
    assert git("git", "ls-tree", "-r", "--name-only", "binder-full").split() == [
        "a",
        "binder/start",
    ]
    assert git("git", "status", "--porcelain") == "", "what is checked out is as it was"


def repository() -> str:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.search(r"^REPOSITORY \?= (\S+)$", makefile, re.MULTILINE)
    assert found
    return found[1]


def test_the_address_is_the_one_of_the_makefile_everywhere() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert fill_badges.filled(readme, repository()) == readme, "run make badges"
    colab = (ROOT / fill_badges.COLAB).read_text(encoding="utf-8")
    assert fill_badges.filled_colab(colab, repository()) == colab, "run make badges"
    assert repository() in colab


def test_one_address_fills_every_badge() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = fill_badges.filled(readme, "someone/else")
    assert fill_badges.filled(found, repository()) == readme
    block = fill_badges.badges("someone/else")
    assert block.count("someone/else") >= 4 and fill_badges.PLACEHOLDER not in found
    assert "binder-full" in block
    with pytest.raises(ValueError, match="no <!-- badges -->"):
        fill_badges.filled("# a readme without them", "someone/else")


def test_colab_installs_what_the_package_asks_for_and_says_that_it_is_not_tested() -> None:
    cells: list[dict[str, Any]] = json.loads(
        (ROOT / fill_badges.COLAB).read_text(encoding="utf-8")
    )["cells"]
    wanted = {Requirement(text).name: str(Requirement(text).specifier) for text in DEPENDENCIES}
    asked = [
        Requirement(text) for text in re.findall(r'"([a-z]+[<>=][^"]+)"', str(cells[1]["source"]))
    ]
    assert len(asked) == 6
    for requirement in asked:
        assert wanted[requirement.name] == str(requirement.specifier), requirement
    assert "Not tested on Colab" in "".join(cells[0]["source"])
