"""The site's pages before Sphinx sees them: what they list, and how links are followed."""

import re
from pathlib import Path

import nbformat
import pytest

import interplm_nb
from interplm_nb.pipeline.errors import PipelineError
from scripts import build_docs as built


def test_every_public_name_has_a_page() -> None:
    page = (built.DOCS / "api.md").read_text(encoding="utf-8")
    names = re.findall(r"^   (\w+)$", page, re.MULTILINE)
    assert sorted(names) == sorted(interplm_nb.__all__)


def test_every_page_and_lesson_is_in_one_section() -> None:
    listed = [
        (built.DOCS / entry).resolve()
        for name in built.SECTIONS
        for entry in built.ENTRY.findall((built.DOCS / f"{name}.md").read_text(encoding="utf-8"))
    ]
    pages = {p for p in built.DOCS.rglob("*.md") if built.BUILD not in p.parents}
    lessons = set((built.ROOT / "notebooks").glob("*.ipynb"))
    assert len(listed) == len(set(listed))
    assert pages | lessons <= {*listed, built.DOCS / "index.md"}


@pytest.mark.parametrize(
    ("page", "written", "laid_out"),
    [
        ("docs/steering.md", "[a](../notebooks/08_steer.ipynb)", "[a](notebooks/08_steer.ipynb)"),
        ("docs/steering/dose.md", "[a](../proteomes.md#time)", "[a](../proteomes.md#time)"),
        ("notebooks/08_steer.ipynb", "[a](../docs/steering.md)", "[a](../steering.md)"),
        ("notebooks/09_gallery.ipynb", "[a](#Feature-1:-no-X)", "[a](#feature-1-no-x)"),
        ("README.md", "[a](docs/run.md#columns)", "[a](run.md#columns)"),
        ("docs/run.md", "[a](https://x.org/y#Z)", "[a](https://x.org/y#Z)"),
        ("docs/run.md", "[a](absent.md)", "[a](absent.md)"),
    ],
)
def test_links_follow_their_targets(page: str, written: str, laid_out: str) -> None:
    assert built.followed(written, built.ROOT / page)[0] == laid_out


def test_a_section_lists_its_contents() -> None:
    text = "Text [x](x.md).\n\n- [A](a.md): one.\n- [B](b.md#part), [C](c.md)\n"
    assert re.findall(r"^\w+\.md$", built.contents(text), re.MULTILINE) == ["a.md"]


@pytest.fixture
def lesson() -> nbformat.NotebookNode:
    code = nbformat.v4.new_code_cell
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("# Title\n\nText."), code("print(1 + 1)")]
    )


def test_a_lesson_is_executed_where_there_is_no_run(lesson: nbformat.NotebookNode) -> None:
    lesson.cells[1].source = "from pathlib import Path\n[p for p in Path().iterdir() if p.is_dir()]"
    built.fill(lesson)
    assert lesson.cells[1].outputs[0].data["text/plain"] == "[]"


def test_a_lesson_that_lacks_its_data_says_so(lesson: nbformat.NotebookNode) -> None:
    error = f"{PipelineError.__module__} import {PipelineError.__name__}"
    raising = nbformat.v4.new_code_cell(f"from {error}\nraise PipelineError('no embeddings here')")
    lesson.cells.append(raising)
    built.fill(lesson)
    assert lesson.cells[0].source == (
        f"# Title\n\n{built.NOT_RUN.format(why='no embeddings here')}\nText."
    )
    assert not any(cell.get("outputs") for cell in lesson.cells)


def test_a_lesson_that_fails_stops_the_build(lesson: nbformat.NotebookNode) -> None:
    lesson.cells[1].source = "1 / 0"
    with pytest.raises(built.CellExecutionError, match="ZeroDivisionError"):
        built.fill(lesson)


def test_outputs_need_no_kernel() -> None:
    output = nbformat.v4.new_output("display_data", {built.WIDGET: {}, "text/plain": "Label()"})
    built.still(output)
    assert output.data == {"text/plain": "Label()", "text/html": built.ALIVE}
    picture = {built.WIDGET: {}, built.PLOTLY: {}, "image/png": "x"}
    output = nbformat.v4.new_output("display_data", picture)
    built.still(output)
    assert output.data == {"image/png": "x"}


def test_an_executed_lesson_is_kept_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "lesson.ipynb"
    path.write_text("a", encoding="utf-8")
    before = built.state(path)
    assert built.state(path) == before
    path.write_text("b", encoding="utf-8")
    assert built.state(path) != before
