"""What README and docs/ show to be typed: commands that the parser knows, Python whose names exist.

Python that runs on the run that ships is run by tests/test_examples.py and
tests/widgets/test_workbench_documentation.py; here is the rest, which needs a model or a cluster.
"""

import ast
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

import interplm_nb
from interplm_nb.cli.main import parser
from interplm_nb.pipeline.profiles import load

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(p for p in (ROOT / "docs").rglob("*.md") if "_build" not in p.parts)]
COMMAND = re.compile(r"^ {4,}(?:\.venv/bin/)?interplm-nb ((?:.*\\\n)*.*)$", re.MULTILINE)
PYTHON = re.compile(r"^( *)```python\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """The words of each command, without what a shell does with its output."""
    text = page.read_text(encoding="utf-8")
    lines = [re.split(r" [>|] ", line.replace("\\\n", " "))[0] for line in COMMAND.findall(text)]
    return [shlex.split(line, comments=True) for line in lines]


SHOWN = [(page, words) for page in PAGES for words in commands(page)]


@pytest.mark.parametrize(
    ("page", "words"), SHOWN, ids=[f"{page.stem}-{' '.join(words)[:60]}" for page, words in SHOWN]
)
def test_a_command_is_one(page: Path, words: list[str]) -> None:
    try:
        given = parser().parse_args(words)
    except SystemExit as end:
        assert end.code == 0, f"{page.name}: interplm-nb {shlex.join(words)}"
    else:
        if words[0] == "run":
            load(given.profile, [*given.settings, "proteins.path=mine.tsv"])


def blocks(page: Path) -> list[str]:
    """The page's Python, without the indentation of a list."""
    found = PYTHON.findall(page.read_text(encoding="utf-8"))
    return [re.sub(f"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda page: page.stem)
def test_names_that_python_imports_exist(page: Path) -> None:
    for node in ast.walk(ast.parse("\n".join(blocks(page)), page.name)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("interplm_nb"):
            module = import_module(str(node.module))
            for name in node.names:
                if not hasattr(module, name.name):
                    import_module(f"{node.module}.{name.name}")
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "ipn":
            assert node.attr in interplm_nb.__all__, f"{page.name}: ipn.{node.attr}"
