"""The lesson `10_annotate` as a file; that it runs is tested beside the pipeline."""

import nbformat
import pytest

from interplm_nb.pipeline.notebooks import lessons


@pytest.fixture
def notebook():
    return nbformat.read(lessons() / "10_annotate.ipynb", as_version=4)


def test_it_is_committed_clean(notebook):
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"} and len(cell.id) > 2
        assert cell.cell_type != "code" or (not cell.outputs and cell.execution_count is None)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


def test_it_reads_as_a_lesson(notebook):
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert notebook.cells[0].source.startswith("# ") and sum("## Try" in text for text in prose) == 1
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code[0].metadata["tags"] == ["parameters"]
    assert any("model_note" in cell.source for cell in code)
