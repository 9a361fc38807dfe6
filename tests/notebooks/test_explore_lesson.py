"""Lesson `00_explore` is clean and runs, on the shipped run and with a control's activations."""

import shutil
from pathlib import Path
from typing import Any

import nbformat
import polars as pl
import pytest

from interplm_nb.pipeline.notebooks import lessons
from interplm_nb.pipeline.run import Run
from interplm_nb.widgets.workbench import Comparison, Workbench
from tests.notebooks.lesson_cells import assert_clean_lesson, values_of
from tests.widgets.small_run import simple_run


@pytest.fixture
def notebook() -> Any:
    return nbformat.read(lessons() / "00_explore.ipynb", as_version=4)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_it_is_committed_clean_and_reads_as_a_lesson(notebook: Any) -> None:
    assert_clean_lesson(notebook)


def test_the_workbench_is_the_first_thing_after_the_imports(notebook: Any) -> None:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.id for cell in code[:3]] == ["parameters", "imports", "workbench"]
    assert {cell.id for cell in code if "app" in cell.metadata.get("tags", [])} == {
        "imports",
        "workbench",
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_cell_runs_on_the_shipped_run(notebook: Any, tmp_path: Path) -> None:
    values = values_of(notebook, {"run": ""})
    bench = values["workbench"]
    assert isinstance(bench, Workbench)
    assert (
        values["brush"]["activation"].min() >= 0.8
        and values["letters"]["count"].sum() >= values["brush"].height > 0
    )
    assert bench.selection.brush == [] and bench.selection.feature == int(
        values["best"].table["feature"].unique(maintain_order=True)[1]
    )
    beside = values["control"]
    assert isinstance(beside, Comparison)
    assert [side.data.pages.source for side in (beside.left, beside.right)] == ["sae", "random_sae"]
    exports = tmp_path / "exports"
    assert (exports / "feature.html").stat().st_size < 6e6
    assert f"{exports.name}/feature.html#" in values["page"].data
    assert [path.parent for path in values["scripts"]] == [Path("exports")] * 3
    assert list(tmp_path.iterdir()) == [exports], "all that it writes is in one folder"
    assert values["figure"]._repr_mimebundle_()[0]["image/png"].startswith(b"\x89PNG")
    assert sorted(path.suffix for path in values["scripts"]) == [".cxc", ".pdb", ".pml"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_nglview_shows_the_workbenchs_structure_and_follows_its_selection(notebook: Any) -> None:
    values = values_of(notebook, {"run": ""})
    bench, view = values["workbench"], values["nglview"]
    structure = bench.structure.structure()

    def drawn() -> list[dict[str, Any]]:
        messages = view._ngl_msg_archive
        return [m["kwargs"] for m in messages if m["methodName"] == "addRepresentation"]

    assert drawn()[0]["colorScheme"] == "bfactor"
    whole = len(drawn())
    bench.selection.brush = [0.8, 1.0]
    assert len(drawn()) > whole, "residues outside the brush are drawn pale"
    number, position = next(iter(structure.positions.items()))
    view.picked = {"atom1": {"name": f"[ALA]{number}:A.CA"}}
    assert (bench.selection.accession, bench.selection.position) == (structure.accession, position)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_residue_that_is_chosen_is_said(notebook: Any) -> None:
    values = values_of(notebook, {"run": ""})
    bench, label = values["workbench"], values["observe"]
    assert label.value == "no residue is chosen"
    accession = bench.data.pages.top(bench.selection.feature, 1)["accession"][0]
    bench.selection.update({"accession": accession, "position": 1})
    letter = bench.data.pages.proteins.sequence(accession)[0]
    assert label.value.startswith(
        f"{letter}1 of {accession}: feature {bench.selection.feature} is at "
    )


@pytest.fixture
def small(tmp_path: Path) -> Run:
    """A run without concepts and without controls."""
    sequences = ["MKTAYIAKQRQISFVKSHFSRQ" * 3, "MKVLAAGIVALLLAGCSS" * 4, "ACDEFGHIKLMNPQRSTVWY" * 2]
    table = pl.DataFrame(
        {
            "accession": ["P00001", "P00002", "P00003"],
            "sequence": sequences,
            "protein_name": ["one", "two", "three"],
        }
    )
    return simple_run(tmp_path / "run", table)


def test_a_run_without_a_controls_activations_says_so(notebook: Any, small: Run) -> None:
    values = values_of(notebook, {"run": str(small.folder)})
    assert "does not have the activations of `random_sae`" in values["control"].data


def test_a_run_with_a_controls_activations_is_compared_and_no_concept_is_no_error(
    notebook: Any, small: Run
) -> None:
    run = small
    shutil.copytree(run.source("sae"), run.source("random_sae"))
    values = values_of(notebook, {"run": str(run.folder)})
    assert isinstance(values["control"], Comparison)
    assert values["control"].right.data.pages.source == "random_sae"
    assert (
        values["workbench"].selection.feature == 0
        and values["nglview"]
        == values["scripts"]
        == "no protein in which this feature is active has a structure here"
    )
