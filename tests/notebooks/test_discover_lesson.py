"""Lesson `11_discover` is clean and runs, also if nothing can be evaluated."""

from typing import Any

import nbformat
import pytest

from interplm_nb.pipeline.notebooks import lessons
from interplm_nb.pipeline.run import Run
from interplm_nb.questions.discover import refound, store_refound, stored_refound, verdict
from tests.notebooks.lesson_cells import assert_clean_lesson, values_of
from tests.pipeline.asked import with_links

PICTURES = ("precision", "calibration")


@pytest.fixture
def notebook() -> Any:
    return nbformat.read(lessons() / "11_discover.ipynb", as_version=4)


@pytest.fixture(scope="module")
def run(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return with_links(tiny_run, tmp_path_factory.mktemp("lesson") / "run")


def test_it_is_committed_clean_and_reads_as_a_lesson(notebook: Any) -> None:
    assert_clean_lesson(notebook)


def test_every_cell_runs(notebook: Any, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    values = values_of(
        notebook, {"run": str(run.folder), "min_confidence": 0.05, "min_instances": 1}
    )
    for name in PICTURES:
        assert values[name]._repr_mimebundle_()[0]["image/png"].startswith(b"\x89PNG")
    assert "candidates with confidence >= 0.05" in repr(values["candidates"])
    assert (
        "random SAE" in repr(values["precision-table"])
        and "Average precision of the SAE" in values["evaluation"].data
    )
    assert "iplm-seq" in values["residues"].data and "|" in capsys.readouterr().out
    assert "average precision, by concept" in repr(values["by-concept"])


def test_what_cannot_be_evaluated_or_found_is_words(
    notebook: Any, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    values = values_of(
        notebook, {"run": str(run.folder), "min_confidence": 1.0, "min_instances": 10_000}
    )
    assert all(
        str(values[name]).startswith("Not evaluated: no feature reaches")
        for name in (*PICTURES, "precision-table", "by-concept")
    )
    assert (
        "no candidate with confidence >= 1" in values["residues"].data
        and "no candidate" in capsys.readouterr().out
    )


def test_without_evaluating_it_shows_what_the_run_has_kept(notebook: Any, run: Run) -> None:
    given = {"run": str(run.folder), "evaluate": False}
    assert values_of(notebook, given)["evaluation"].data.startswith("No control yet")
    store_refound(run, refound(run, min_instances=1, n_resamples=10))
    assert "Average precision of the SAE" in values_of(notebook, given)["evaluation"].data


def test_the_run_that_ships_shows_what_its_whole_run_gave(notebook: Any) -> None:
    values = values_of(notebook, {})
    kept = stored_refound(Run.shipped())
    assert kept is not None and values["evaluation"].data == verdict(kept)
    assert "candidates with confidence >= 0.5" in repr(values["candidates"])
    assert values["precision"]._repr_mimebundle_()[0]["image/png"].startswith(b"\x89PNG")
