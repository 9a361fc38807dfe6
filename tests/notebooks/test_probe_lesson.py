"""Lesson `12_probe` is clean and runs, also with own labels and if none can be probed."""

from pathlib import Path
from typing import Any

import nbformat
import pytest

from interplm_nb.pipeline.notebooks import lessons
from interplm_nb.pipeline.run import Run
from tests.notebooks.lesson_cells import assert_clean_lesson, values_of
from tests.pipeline.asked import with_links

PICTURES = ("probes", "patterns", "families")


@pytest.fixture
def notebook() -> Any:
    return nbformat.read(lessons() / "12_probe.ipynb", as_version=4)


@pytest.fixture(scope="module")
def run(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return with_links(tiny_run, tmp_path_factory.mktemp("lesson") / "run")


def small(run: Run, **given: Any) -> dict[str, Any]:
    category = run.annotations().table["category"].mode().sort()[0]
    return {"run": str(run.folder), "residues": 1500, "category": category, **given}


def test_it_is_committed_clean_and_reads_as_a_lesson(notebook: Any) -> None:
    assert_clean_lesson(notebook)


def test_every_cell_runs_on_labels_of_ones_own(
    notebook: Any, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proteins = run.proteins()
    rows = [
        f"{a}\t{i}\t{i}\tLysine"
        for a in proteins.accessions
        for i, letter in enumerate(proteins.sequence(a), 1)
        if letter == "K"
    ]
    (tmp_path / "own.tsv").write_text("\n".join(["accession\tstart\tend\tconcept", *rows]) + "\n")
    values = values_of(notebook, small(run, labels=str(tmp_path / "own.tsv")))
    for name in (*PICTURES, "residual"):
        assert values[name]._repr_mimebundle_()[0]["image/png"].startswith(b"\x89PNG")
    assert "random SAE, k = 5" in repr(values["probes-table"]) and "Lysine" in repr(
        values["residual"]
    )
    assert "no label was left out" in capsys.readouterr().out


def test_it_runs_as_it_is_and_where_no_label_can_be_probed(
    notebook: Any, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    lone = run.annotations().summary().sort("n_instances", "concept")["concept"][0]
    values = values_of(notebook, small(run, concepts=[lone], residues=300))
    for name in PICTURES:
        assert values[name]._repr_mimebundle_()[0]["image/png"].startswith(b"\x89PNG")
    assert repr(values["probes"]).startswith("no label could be probed")
    assert values["residual"] == "no label could be probed, so none can be split"
    assert f"left out: {lone}: " in capsys.readouterr().out
    assert "AUPRC on test" in repr(values_of(notebook, small(run, residues=3000))["probes"])
