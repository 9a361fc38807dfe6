"""The picture of the rooms in ARCHITECTURE.md shows the imports as they are; runs are opened where
it says."""

import ast
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
