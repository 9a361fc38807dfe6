"""The lessons as files: the parameters of the models, no outputs, stable ids, prose first."""

import re
from typing import Annotated, Any, Literal, get_args, get_origin

import nbformat
import papermill
import pytest

from interplm_nb.pipeline.notebooks import lessons
from interplm_nb.pipeline.stage_table import STAGES

IDS = [stage.folder for stage in STAGES.values()]


@pytest.fixture(params=STAGES, ids=IDS)
def stage(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def notebook(stage: str) -> Any:
    return nbformat.read(lessons() / f"{STAGES[stage].folder}.ipynb", as_version=4)


def test_the_parameters_cell_is_the_model(stage):
    found = papermill.inspect_notebook(str(lessons() / f"{STAGES[stage].folder}.ipynb"))
    fields = STAGES[stage].parameters.model_fields
    assert list(found) == list(fields)
    for name, field in fields.items():
        assert found[name]["inferred_type_name"] == type_name(field.annotation)
        namespace: dict[str, Any] = {}
        exec(f"value = {found[name]['default']}", namespace)
        assert namespace["value"] == field.default
        assert found[name]["help"] == field.description


def type_name(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:  # with bounds
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is list:
        return f"list[{type_name(get_args(annotation)[0])}]"
    return "str" if get_origin(annotation) is Literal else annotation.__name__


def test_cell_two_checks_the_parameters(stage, notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code[0].metadata["tags"] == ["parameters"]
    assert f"open_lesson({STAGES[stage].parameters.__name__}, globals()" in code[1].source


def test_it_is_committed_clean(notebook):
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"}
        assert len(cell.id) > 2
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"


def test_it_reads_as_a_lesson(notebook):
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert notebook.cells[0].source.startswith("# ")
    assert sum("## Try" in text for text in prose) == 1
    assert any(
        re.search(r"\bfigures\w*\.\w+\(", cell.source)
        for cell in notebook.cells
        if cell.cell_type == "code"
    )


def test_what_rests_on_the_embedded_model_says_so(stage, notebook):
    shows = any("model_note" in cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert shows == (stage != "proteins")
