"""The picture of the rooms in ARCHITECTURE.md shows the imports as they are; runs are opened where
it says."""

import ast
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from interplm_nb.pipeline.stage_table import STAGES
from scripts import build_architecture_picture as picture

ROOT = Path(__file__).parents[1]


def test_the_picture_is_current() -> None:
    again = f"run python {picture.__name__.replace('.', '/')}.py and look at the picture"
    assert picture.PICTURE.read_text(encoding="utf-8") == picture.drawn(), again


def test_the_picture_is_a_drawing_with_every_room_and_is_shown() -> None:
    root = ElementTree.fromstring(picture.drawn())
    words = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    folders = {path.parent.name for path in (ROOT / "interplm_nb").glob("*/__init__.py")}
    assert {f"{name}/" for name in folders} <= words
    assert "docs/images/architecture.svg" in (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def test_only_the_files_of_stages_open_a_run() -> None:
    functions = {stage.function.partition(":")[0] for stage in STAGES.values()}
    files = {f"{name.removeprefix('interplm_nb.stages.')}.py" for name in functions}
    takes_a_run = {
        path.name
        for path in (ROOT / "interplm_nb" / "stages").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        and any(argument.arg == "run" for argument in node.args.args)
    }
    assert takes_a_run == files


def test_no_function_takes_ten_parameters() -> None:
    """Settings that go together are a record."""
    takes = {
        f"{path.relative_to(ROOT)}: {node.name}": len(
            [a for a in (*of.posonlyargs, *of.args, *of.kwonlyargs) if a.arg not in ("self", "cls")]
        )
        + bool(of.vararg)
        + bool(of.kwarg)
        for path in (ROOT / "interplm_nb").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for of in [node.args]
    }
    assert len(takes) > 1000
    assert {name: n for name, n in takes.items() if n >= 10} == {}


def test_every_public_function_says_what_it_does() -> None:
    """A method without a leading underscore counts in any class; it may take over the words of a
    base class in its file."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {name}"
        for path in sorted((ROOT / "interplm_nb").rglob("*.py"))
        for name, node in _undocumented(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_a_function_without_words_is_found() -> None:
    tree = ast.parse(
        "def said():\n    'Words.'\ndef silent(): ...\ndef _own(): ...\n"
        "class A:\n    def f(self):\n        'Words.'\n    def g(self): ...\n"
        "class _B(A):\n    def f(self): ...\n    def h(self):\n        def inner(): ...\n"
    )
    assert [name for name, _ in _undocumented(tree)] == ["silent", "A.g", "_B.h"]


def _undocumented(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    owners: list[ast.Module | ast.ClassDef] = [tree, *classes.values()]
    for owner in owners:
        for node in owner.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                if isinstance(owner, ast.Module) and not ast.get_docstring(node):
                    yield node.name, node
                if isinstance(owner, ast.ClassDef) and not _said(owner, node.name, classes):
                    yield f"{owner.name}.{node.name}", node


def _said(owner: ast.ClassDef, name: str, classes: dict[str, ast.ClassDef]) -> bool:
    own = [node for node in owner.body if isinstance(node, ast.FunctionDef) and node.name == name]
    bases = [base.id for base in owner.bases if isinstance(base, ast.Name)]
    return any(ast.get_docstring(node) for node in own) or any(
        _said(classes[base], name, classes) for base in bases if base in classes
    )
