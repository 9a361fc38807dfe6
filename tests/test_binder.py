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

import nbformat
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
NOTEBOOKS = [
    path
    for path in (ROOT / "notebooks").rglob("*.ipynb")
    if not {".ipynb_checkpoints", "exports", "runs"} & set(path.parts)
]
ADDRESS = "https://mybinder.org/v2/gh/someone/a-repository/binder-full"
ON_BINDER = {
    "BINDER_LAUNCH_HOST": "https://mybinder.org/",
    "BINDER_REQUEST": "v2/gh/someone/a-repository/HEAD",
}


def of_binder(name: str) -> ModuleType:
    """A module of `binder/`, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "binder" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def absent() -> ModuleType:
    return of_binder("absent")


@pytest.fixture(scope="module")
def lessons() -> ModuleType:
    return of_binder("lessons")


@pytest.fixture(scope="module")
def arranged(lessons: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of notebooks as postBuild leaves it."""
    folder = tmp_path_factory.mktemp("binder") / "notebooks"
    ignored = shutil.ignore_patterns(".ipynb_checkpoints", "exports", "runs")
    shutil.copytree(ROOT / "notebooks", folder, ignore=ignored)
    lessons.arrange(folder, ADDRESS)
    return folder


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


def test_a_lesson_that_needs_another_run_links_there_too(
    absent: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = (
        "from interplm_nb.pipeline.nearest_run import EMBEDDINGS, open_run\n"
        "import os; os.chdir('/')\n"
        "open_run('', EMBEDDINGS)"
    )
    said = shown(cell, monkeypatch)
    assert said == absent.sentence("a run with embeddings", ON_BINDER)
    assert said.startswith("This lesson needs a run with embeddings, which") and ADDRESS in said


def test_another_error_of_the_package_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = "from interplm_nb.pipeline.run import Run\nRun.open('no_such_run')"
    said = shown(cell, monkeypatch)
    assert "no_such_run" in said and "larger Binder" not in said


def links(notebook: Path) -> list[tuple[str, Path]]:
    """Links of a notebook to others: as written, and where they lead."""
    cells = nbformat.read(notebook, 4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    found = re.findall(r"""(?:\]\(|href=")((?!http)[^)"#]+\.ipynb)""", text)
    return [(link, (notebook.parent / link).resolve()) for link in found]


def test_the_opening_folder_has_only_what_runs_there(lessons: ModuleType, arranged: Path) -> None:
    before = {path.relative_to(ROOT / "notebooks") for path in NOTEBOOKS}
    moved = {Path(name) for name in lessons.ELSEWHERE}
    assert moved < before
    after = {path.relative_to(arranged) for path in arranged.rglob("*.ipynb")}
    assert after == before - moved | {"larger_binder" / path for path in moved}


def test_every_other_lesson_begins_with_a_link_to_where_it_runs(
    lessons: ModuleType, arranged: Path
) -> None:
    for name, needs in lessons.ELSEWHERE.items():
        notebook = nbformat.read(arranged / "larger_binder" / name, 4)
        nbformat.validate(notebook)
        first, *rest = notebook.cells
        assert first.source.startswith(f"> **This lesson does not run here.** It needs {needs}")
        assert f"]({ADDRESS}?urlpath=lab/tree/notebooks/{name})" in first.source
        assert ("interplm-nb run" in first.source) == needs.startswith("a run")
        before = nbformat.read(ROOT / "notebooks" / name, 4).cells
        assert [c.id for c in rest] == [c.id for c in before]


def test_links_between_lessons_follow(arranged: Path) -> None:
    found = {path: links(path) for path in arranged.rglob("*.ipynb")}
    assert sum(map(len, found.values())) > 20
    for path, there in found.items():
        for link, target in there:
            assert target.is_file(), f"{path.name}: {link}"
    ahead = dict(links(arranged / "01_proteins.ipynb"))
    assert ahead["larger_binder/02_embed.ipynb"] == arranged / "larger_binder/02_embed.ipynb"


def test_nothing_else_of_a_lesson_changes(arranged: Path) -> None:
    for name in ("00_explore.ipynb", "09_gallery.ipynb"):
        before, after = (nbformat.read(place / name, 4) for place in (ROOT / "notebooks", arranged))
        if not any("larger_binder" in link for link, _ in links(arranged / name)):
            assert after == before


def test_the_badge_opens_what_chromium_opens() -> None:
    pytest.importorskip("playwright.sync_api")
    from scripts import binder_browser

    assert f"urlpath={binder_browser.OPENS}" == fill_badges.FIRST
    notebook = ROOT / binder_browser.OPENS.removeprefix("lab/tree/")
    cells = nbformat.read(notebook, 4).cells
    assert "Workbench(" in cells[binder_browser.cells_to_workbench(notebook) - 1].source


def test_the_image_leaves_out_what_nothing_in_it_reads() -> None:
    names = binder_steps.ignored()
    assert ".git" in names and names == sorted(names)
    for name in names:
        assert (ROOT / name).exists() and not set(name) & set("*?!["), name
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]
    needed = ["interplm_nb", "notebooks", "scripts", "widgets", "binder", "README.md"]
    needed += wheel["build"]["targets"]["wheel"]["force-include"]
    assert not [path for path in needed for name in names if f"{path}/".startswith(f"{name}/")]


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
    (python,) = [
        s["with"]["python-version"] for s in steps if "python-version" in s.get("with", {})
    ]
    assert python == conda("binder/environment.yml")[0]["python"]
    assert jobs["binder"]["strategy"]["matrix"]["environment"] == ["binder", "binder/full"]
    (run,) = [step["run"] for step in steps if "scripts.binder_steps" in step.get("run", "")]
    assert run.endswith(" --browser")


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
