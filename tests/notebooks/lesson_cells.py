"""How tests read and run the lessons that are no stage."""

import ast
from typing import Any

import nbformat


def value_of(source: str, names: dict[str, Any]) -> Any:
    """Run a cell; the value of its last expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return (
        eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        if isinstance(last, ast.Expr)
        else None
    )


def values_of(notebook: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Run the code cells with parameters `given`; each cell's last value, by the cell's id."""
    names: dict[str, Any] = {}
    values = {}
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        values[cell.id] = value_of(cell.source, names)
        if "parameters" in cell.metadata.get("tags", []):
            assert set(given) <= set(names)
            names |= given
    return values


def assert_clean_lesson(notebook: Any) -> None:
    """No outputs, stable ids, prose first, things to try, and the note on the embedded model."""
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"} and len(cell.id) > 2
        assert cell.cell_type != "code" or (not cell.outputs and cell.execution_count is None)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert (
        notebook.cells[0].source.startswith("# ") and sum("## Try" in text for text in prose) == 1
    )
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code[0].metadata["tags"] == ["parameters"] and any(
        "model_note" in cell.source for cell in code
    )
