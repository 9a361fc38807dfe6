"""`09_gallery`, the one notebook that is committed with outputs, agrees with the shipped run."""

import base64
import re
from typing import Any

import nbformat
import polars as pl
import pytest

from interplm_nb.pipeline.notebooks import lessons
from interplm_nb.pipeline.run import Run
from scripts.build_gallery import cells

AGAIN = (
    "the shipped run has changed since the gallery was made: run `python scripts/build_gallery.py`"
)


@pytest.fixture(scope="module")
def notebook() -> Any:
    return nbformat.read(lessons() / "09_gallery.ipynb", as_version=4)


def test_every_word_and_the_run_it_was_made_of_are_those_of_today(notebook: Any) -> None:
    assert [(cell.id, cell.source) for cell in notebook.cells] == [
        (cell.id, cell.source) for cell in cells(Run.shipped())
    ], AGAIN


def test_its_figures_are_the_runs_scores(notebook: Any) -> None:
    """Read from the text, looked up in the counts, without the code that wrote it."""
    run = Run.shipped()
    tables = {split: run.scores("sae", split, "strict").table() for split in ("validation", "test")}
    said = re.compile(
        r"## Feature (\d+): (.+)\n\nF1 ([\d.]+) on validation, "
        r"\*\*([\d.]+) on test\*\* \((\d+) instances, threshold ([\d.]+)\)"
    )
    found = [match.groups() for cell in notebook.cells if (match := said.match(cell.source))]
    assert len(found) == 10
    for feature, concept, validation, test, _, threshold in found:
        pair = (pl.col("feature") == int(feature), pl.col("concept") == concept)
        assert f"{tables['validation'].filter(*pair)['f1_per_domain'].max():.2f}" == validation
        at = tables["test"].filter(*pair, pl.col("threshold") == float(threshold))["f1_per_domain"]
        assert f"{(at.item() if len(at) else None) or 0:.2f}" == test


def test_every_feature_has_its_picture_and_nothing_else_is_stored(notebook: Any) -> None:
    sheets = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.id != "setup"]
    assert len(sheets) == 12
    for cell in sheets:
        (output,) = cell.outputs
        assert (
            set(output.data) == {"image/png", "text/plain"}
            and len(base64.b64decode(output.data["image/png"])) > 10_000
        )
        assert (
            cell.source.splitlines()[0].removeprefix("bench.selection.feature = ")
            in output.data["text/plain"]
        )
    assert set(notebook.metadata) == {
        "kernelspec",
        "language_info",
    } and notebook.metadata.language_info == {"name": "python"}
    assert (lessons() / "09_gallery.ipynb").stat().st_size < 3e6


def test_it_says_how_weak_the_model_is(notebook: Any) -> None:
    assert "It is not ESM-2" in notebook.cells[0].source
