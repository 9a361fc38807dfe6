"""Lesson `13_rank` is clean and runs, with and without your own table."""

from pathlib import Path
from typing import Any

import nbformat
import polars as pl
import pytest

from interplm_nb.concepts.by_protein import controls
from interplm_nb.pipeline.notebooks import lessons
from interplm_nb.pipeline.run import Run
from tests.notebooks.lesson_cells import assert_clean_lesson, values_of


@pytest.fixture
def notebook() -> Any:
    return nbformat.read(lessons() / "13_rank.ipynb", as_version=4)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The classifier goes to its own folder; the search is tested with the ranking."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(controls, "nearest", lambda proteins, splits: {})


def given(run: Run, **more: Any) -> dict[str, Any]:
    """With a concept that some proteins of every split carry, and some do not."""
    carriers = run.annotations().table.select("accession", "concept").unique()
    counts = run.splits().join(carriers, on="accession").group_by("concept", "split").len()
    everywhere = counts.group_by("concept").agg(pl.len().alias("splits"), pl.col("len").min())
    concept = everywhere.filter(splits=3).sort("len", "concept", descending=[True, False])
    return {"run": str(run.folder), "concepts": concept["concept"][:1].to_list(), **more}


def test_it_is_committed_clean_and_reads_as_a_lesson(notebook: Any) -> None:
    assert_clean_lesson(notebook)


def test_it_runs_as_it_is(notebook: Any, tiny_run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    values = values_of(notebook, given(tiny_run, resamples=20))
    assert values["rank"]._repr_mimebundle_()[0]["image/png"].startswith(b"\x89PNG")
    assert "nearest relative" in repr(values["best"]) and "neurons" in repr(values["best"])
    said = capsys.readouterr().out
    assert "nothing was left out" in said and "no table of labels given: left out" in said
    assert "this classifier takes features of SAE" in said and values["own"] is None
    assert values["classify"].columns[:2] == ["accession", "label"]


def test_it_runs_with_numbers_and_without_a_file_that_is_named(
    notebook: Any, tiny_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proteins = tiny_run.proteins()
    lengths = pl.DataFrame({"accession": proteins.accessions, "size": proteins.lengths})
    lengths.write_csv(tmp_path / "own.tsv", separator="\t")
    small = given(tiny_run, resamples=20, column="size", how="mean")
    values = values_of(notebook, small | {"labels": str(tmp_path / "own.tsv")})
    assert "size (rank correlation on" in repr(values["own"])
    assert "shorter" in repr(values["own-table"]) or "longer" in repr(values["own-table"])
    values_of(notebook, small | {"labels": str(tmp_path / "gone.tsv")})
    assert f"no table {str(tmp_path / 'gone.tsv')!r}: left out" in capsys.readouterr().out
