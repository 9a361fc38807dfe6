"""Lesson `11_discover`: committed clean, and every cell runs on a finished run, also where nothing can be evaluated."""

import ast
from typing import Any

import nbformat
import pytest

from interplm_nb.pipeline.missing import refound, store_refound
from interplm_nb.pipeline.notebooks import lessons
from interplm_nb.pipeline.run import Run
from tests.pipeline.asked import with_links
from tests.pipeline.conftest import tiny_run as tiny_run

PICTURES = ("precision", "calibration")


@pytest.fixture
def notebook() -> Any:
    return nbformat.read(lessons() / "11_discover.ipynb", as_version=4)


@pytest.fixture(scope="module")
def run(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return with_links(tiny_run, tmp_path_factory.mktemp("lesson") / "run")


def values_of(notebook: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Run the code cells, the parameters changed; the value of each cell's last expression."""
    names: dict[str, Any] = {}
    values = {}
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        tree = ast.parse(cell.source)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, cell.id, "exec"), names)
        values[cell.id] = eval(compile(ast.Expression(last.value), cell.id, "eval"), names) if isinstance(last, ast.Expr) else None
        if "parameters" in cell.metadata.get("tags", []):
            assert set(given) <= set(names)
            names |= given
    return values


def test_it_is_committed_clean_and_reads_as_a_lesson(notebook: Any) -> None:
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"} and len(cell.id) > 2
        assert cell.cell_type != "code" or (not cell.outputs and cell.execution_count is None)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert notebook.cells[0].source.startswith("# ") and sum("## Try" in text for text in prose) == 1
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code[0].metadata["tags"] == ["parameters"] and any("model_note" in cell.source for cell in code)


def test_every_cell_runs(notebook: Any, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    values = values_of(notebook, {"run": str(run.folder), "min_confidence": 0.05, "min_instances": 1})
    for name in PICTURES:
        assert values[name]._repr_mimebundle_()[0]["image/png"].startswith(b"\x89PNG")
    assert "candidates of confidence 0.05 or more" in repr(values["candidates"])
    assert "random SAE" in repr(values["precision-table"]) and "Average precision of the SAE" in values["evaluation"].data
    assert "iplm-seq" in values["residues"].data and "|" in capsys.readouterr().out
    assert "average precision, by concept" in repr(values["by-concept"])


def test_what_cannot_be_evaluated_or_found_is_words(notebook: Any, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    values = values_of(notebook, {"run": str(run.folder), "min_confidence": 1.0, "min_instances": 10_000})
    assert all(str(values[name]).startswith("Not evaluated: no feature reaches") for name in (*PICTURES, "precision-table", "by-concept"))
    assert "no candidate of confidence 1 or more" in values["residues"].data and "no candidate" in capsys.readouterr().out


def test_without_evaluating_it_shows_what_the_run_has_kept(notebook: Any, run: Run) -> None:
    given = {"run": str(run.folder), "evaluate": False}
    assert values_of(notebook, given)["evaluation"].data.startswith("No control yet")
    store_refound(run, refound(run, min_instances=1, n_resamples=10))
    assert "Average precision of the SAE" in values_of(notebook, given)["evaluation"].data
