"""The workshop's notebooks are what their sources say, run with right, wrong and no answers, fit
into 45 minutes and into Binder, and say what is true of the run that ships."""

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from interplm_nb.plm.fetching import to_fetch
from interplm_nb.workshop.check import Checked
from interplm_nb.workshop.exercises import EXERCISES
from interplm_nb.workshop.quizzes import QUIZZES
from scripts import build_workshop
from scripts.build_workshop import FOLDERS, SOURCES, Version, notebook, target
from tests.notebooks.lesson_cells import value_of
from tests.test_imports import NOT_IN_BINDER
from tests.test_imports import run as run_without

LESSONS = [source for source in SOURCES if source.stem[0] in "1234"]
MEGABYTES = 500
"""What a lesson's kernel may take on Binder, which guarantees twice as much for all of a session.
"""

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def name_of(source: Path) -> str:
    return source.stem


def cells(source: Path, version: Version) -> list[Any]:
    return notebook(source, version).cells


def prose(source: Path, version: Version = "student") -> str:
    return "\n".join(c.source for c in cells(source, version) if c.cell_type == "markdown")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_notebooks_are_current() -> None:
    again = "run python scripts/build_workshop.py"
    written = {path for folder in FOLDERS.values() for path in folder.glob("*.ipynb")}
    assert written == {target(source, version) for source in SOURCES for version in FOLDERS}
    for source in SOURCES:
        for version in FOLDERS:
            text = target(source, version).read_text(encoding="utf-8")
            assert text == nbformat.writes(notebook(source, version)) + "\n", again


@pytest.mark.parametrize("source", SOURCES, ids=name_of)
@pytest.mark.parametrize("version", FOLDERS)
def test_a_notebook_is_clean(source: Path, version: Version) -> None:
    made = notebook(source, version)
    nbformat.validate(made)
    assert len({cell.id for cell in made.cells}) == len(made.cells)
    assert set(made.metadata) == {"kernelspec", "language_info"}
    for cell in made.cells:
        assert cell.cell_type == "markdown" or not cell.outputs
    folder = target(source, version).parent
    for link in re.findall(r"\]\(([\w./]+\.ipynb)\)", prose(source, version)):
        assert (folder / link).is_file(), link


@pytest.mark.parametrize("source", LESSONS, ids=name_of)
def test_a_lesson_has_all_its_parts_in_45_minutes(source: Path) -> None:
    text = prose(source)
    for start in ("Afterwards you can", "It takes", "You need"):
        assert text.count(f"* **{start}** ") == 1
    (line,) = re.findall(r"\* \*\*It takes\*\* 45 minutes: (.+)\.", text)
    minutes = {part.rpartition(" ")[0]: int(part.rpartition(" ")[2]) for part in line.split(", ")}
    assert sum(minutes.values()) == 45
    headings = [int(n) for n in re.findall(r"^## .*\((\d+) minutes?\)$", text, re.MULTILINE)]
    assert headings == list(minutes.values())[1:], "each part says its time, as the first cell does"
    assert 1 <= len(re.findall(r"^### Exercise \d$", text, re.MULTILINE)) <= 3
    assert text.count("## Discuss") == text.count("## Quiz") == 1
    assert "no right answer" in text and "## What you have learned\n" in text
    number = int(source.stem[0])
    assert re.findall(r"^\*\*(\d)\.\*\*", text, re.MULTILINE) == list("12345")
    assert set(QUIZZES[number]) == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("source", LESSONS, ids=name_of)
def test_a_guess_is_asked_before_each_result_and_answered_after_it(source: Path) -> None:
    """A guess is a question; the next code cell shows the result, and the next prose says it."""
    made = cells(source, "student")
    asking = [i for i, cell in enumerate(made) if "**Guess before" in cell.source]
    assert len(asking) >= 3
    for i in asking:
        assert re.search(r"\*\*Guess before you [^*]+:\*\* [^\n]*\?", made[i].source)
        assert made[i].source.endswith("Your guess:")
        assert made[i + 1].cell_type == "code"
        answer = next(cell for cell in made[i + 1 :] if cell.cell_type == "markdown")
        assert answer.source.startswith("<details><summary><b>Answer</b></summary>\n<p>"), answer.id
        assert "\n\n" not in answer.source and answer.source.endswith("\n</details>")
    shown = [c for c in made if c.cell_type == "code" and "figures." in c.source]
    assert len(shown) <= len(asking), "every picture is guessed before it is seen"


@pytest.mark.parametrize("source", SOURCES, ids=name_of)
def test_the_student_has_solutions_only_folded_and_the_teacher_reads_them(source: Path) -> None:
    student, teacher = cells(source, "student"), cells(source, "teacher")
    for part in build_workshop.parts(source):
        if part.kind != "exercise":
            continue
        (folded,) = (c for c in student if c.id == f"{part.name}-catch-up")
        assert folded.metadata.jupyter.source_hidden
        assert folded.source == f"{build_workshop.FOLDED}\n{part.blocks[1]}"
        (own,) = (c for c in student if c.id == part.name)
        assert part.blocks[1] not in own.source
        (solved,) = (c for c in teacher if c.id == part.name)
        assert solved.source.startswith(part.blocks[1])
    assert "For the teacher" not in prose(source)
    assert "For the teacher" in prose(source, "teacher")
    assert "<details>" not in prose(source, "teacher")


def checks(source: Path, version: Version, answered: str) -> dict[str, Checked]:
    """Run a notebook; what its checks say. Dots are left, replaced by a wrong value, or solved."""
    solutions = {p.name: p.blocks[1] for p in build_workshop.parts(source) if p.kind == "exercise"}
    said, names = {}, {}
    for cell in cells(source, version):
        if cell.cell_type != "code":
            continue
        code = cell.source
        if cell.id in solutions and answered == "wrong":
            code = re.sub(r"= \.\.\.", "= -17.5", code).replace('""', '"z"')
        if cell.id in solutions and answered == "right":
            code = f"{solutions[cell.id]}\n\n{code.rpartition(chr(10) * 2)[2]}"
        value = value_of(code, names)
        if isinstance(value, Checked):
            said[cell.id] = value
    return said


@pytest.mark.parametrize("source", LESSONS, ids=name_of)
@pytest.mark.parametrize("answered", ["right", "wrong", "nothing"])
def test_a_students_notebook_runs_to_its_end(source: Path, answered: str) -> None:
    said = checks(source, "student", answered)
    assert "quiz" in said and len(said) >= 2
    for name, checked in said.items():
        assert checked.right == (answered == "right"), (name, checked)
        if answered == "nothing" and name != "quiz":
            assert "Nothing is filled in" in checked.said


@pytest.mark.parametrize("source", LESSONS, ids=name_of)
def test_a_teachers_notebook_runs_and_all_is_right(source: Path) -> None:
    said = checks(source, "teacher", "")
    assert said and all(checked.right for checked in said.values()), said


def test_every_exercise_is_in_a_lesson_and_its_check_names_it() -> None:
    asked = [
        node.args[0].value
        for source in SOURCES
        for part in build_workshop.parts(source)
        if part.kind == "exercise"
        for node in ast.walk(ast.parse(part.blocks[2]))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "check"
        and isinstance(node.args[0], ast.Constant)
    ]
    assert sorted(asked) == sorted(EXERCISES)


@pytest.mark.parametrize("source", LESSONS, ids=name_of)
def test_a_lesson_fits_into_binder(source: Path, tmp_path: Path) -> None:
    """With all blocked that Binder's image lacks, PyTorch among it, and in its memory.

    VmHWM, not ru_maxrss: the latter starts from that of the process that started this one.
    """
    if not Path("/proc/self/status").exists():
        pytest.skip("this system does not tell a process's peak of memory")
    code = f"""
import os, nbformat
os.chdir({str(tmp_path)!r})
os.environ["MPLBACKEND"] = "agg"
import warnings; warnings.simplefilter("default")
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in nbformat.read({str(target(source, "student"))!r}, 4).cells:
    if cell.cell_type == "code":
        shell.run_cell(cell.source).raise_error()
print("peak", open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
"""
    said = run_without(code, NOT_IN_BINDER)
    peak = int(said.rpartition("peak ")[2].split()[0]) / 1024
    assert 50 < peak < MEGABYTES


@pytest.mark.slow
def test_the_project_runs_as_it_is_and_twice(tmp_path: Path) -> None:
    """With UniRep, where its weights are here; the second time it opens what it made."""
    if to_fetch("unirep-1900"):
        pytest.skip("UniRep's weights are not here")
    (source,) = (source for source in SOURCES if source.stem[0] == "5")
    for _ in range(2):
        names: dict[str, Any] = {}
        for cell in cells(source, "student"):
            if cell.cell_type == "code":
                value_of(cell.source, names)
        assert names["enriched"].height == 10
        mine, mixed = names["strongest"](names["mine"]), names["strongest"](names["other"])
        assert len(mine) == len(mixed) == 4 and sum(mine) > sum(mixed)
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {
        "my_family",
        "my_family_shuffled",
    }
