"""Write the workshop's notebooks, for students and for teachers, from one source each.

    python scripts/build_workshop.py

A source, `notebooks/workshop/source/NAME.md`, is a list of parts, each below a line of its own:

    <!-- prose ID -->       text in both notebooks
    <!-- teacher ID -->     text in the teacher's alone
    <!-- code ID -->        a block of code in both
    <!-- exercise ID -->    two blocks of code, the student's and the solution, and the check after
                            them

An exercise is a cell of the student's notebook with dots where code is asked for, and its check.
The solution is in the next cell, folded: what follows uses its result, solved or not. The teacher
reads the solution in the exercise's own cell, and all answers unfolded.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from interplm_nb.saving import atomic_path

WORKSHOP = Path(__file__).resolve().parents[1] / "notebooks" / "workshop"
SOURCES = sorted((WORKSHOP / "source").glob("*.md"))
Version = Literal["student", "teacher"]
FOLDERS: dict[Version, Path] = {"student": WORKSHOP, "teacher": WORKSHOP / "teacher"}
CATCH_UP = (
    "*Solved, stuck, or out of time: run the folded cell below. It holds a solution, and what "
    "follows uses its result.*"
)
FOLDED = "# A solution. Run this cell, folded as it is, to go on."
"""JupyterLab shows the first line of a folded cell."""
_PART = re.compile(r"^<!-- (prose|teacher|code|exercise) ([\w-]+) -->\n", re.MULTILINE)
_BLOCK = re.compile(r"```python\n(.*?)\n```", re.DOTALL)
_CODE_BLOCKS = {"prose": 0, "teacher": 0, "code": 1, "exercise": 3}


class Part(NamedTuple):
    """A part of a source: its kind, its id, its text, and its blocks of code."""

    kind: str
    name: str
    text: str
    blocks: list[str]


def main() -> None:
    for source in SOURCES:
        for version in FOLDERS:
            path = target(source, version)
            path.parent.mkdir(exist_ok=True)
            with atomic_path(path) as draft:
                nbformat.write(notebook(source, version), draft)
            print(path.relative_to(WORKSHOP.parent))


def target(source: Path, version: Version) -> Path:
    """Where a version of a source is written."""
    return FOLDERS[version] / f"{source.stem}.ipynb"


def parts(source: Path) -> list[Part]:
    """The parts of a source; ValueError for text before the first, or another number of blocks."""
    before, *found = _PART.split(source.read_text(encoding="utf-8"))
    if before.strip():
        raise ValueError(f"{source.name}: text before the first part")
    listed = []
    for kind, name, text in zip(found[::3], found[1::3], found[2::3], strict=True):
        blocks = _BLOCK.findall(text) if _CODE_BLOCKS[kind] else []
        if len(blocks) != _CODE_BLOCKS[kind]:
            raise ValueError(
                f"{source.name}: {kind} {name} has {len(blocks)} blocks of code, not "
                f"{_CODE_BLOCKS[kind]}"
            )
        listed.append(Part(kind, name, text.strip(), blocks))
    return listed


def notebook(source: Path, version: Version) -> nbformat.NotebookNode:
    """One version of a source, without outputs."""
    made = new_notebook(cells=[cell for part in parts(source) for cell in _cells(part, version)])
    made.metadata["kernelspec"] = {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    }
    made.metadata["language_info"] = {"name": "python"}
    return made


def _cells(part: Part, version: Version) -> Iterator[nbformat.NotebookNode]:
    if part.kind == "code":
        yield new_code_cell(part.blocks[0], id=part.name)
    elif part.kind == "exercise":
        yield from _exercise(part, version)
    elif part.kind == "prose":
        text = part.text
        if version == "teacher":
            text = text.replace("<details>", "<details open>")
            text = text.replace("](../", "](../../").replace('href="../', 'href="../../')
        yield new_markdown_cell(text, id=part.name)
    elif version == "teacher":
        quoted = "\n".join(f"> {line}".rstrip() for line in part.text.splitlines())
        yield new_markdown_cell(f"> **For the teacher**\n>\n{quoted}", id=part.name)


def _exercise(part: Part, version: Version) -> Iterator[nbformat.NotebookNode]:
    asked, solution, check = part.blocks
    if version == "teacher":
        yield new_code_cell(f"{solution}\n\n{check}", id=part.name)
        return
    yield new_code_cell(f"{asked}\n\n{check}", id=part.name)
    yield new_markdown_cell(CATCH_UP, id=f"{part.name}-catch-up-text")
    folded = {"tags": ["catch-up"], "jupyter": {"source_hidden": True}}
    yield new_code_cell(f"{FOLDED}\n{solution}", id=f"{part.name}-catch-up", metadata=folded)


if __name__ == "__main__":
    main()
