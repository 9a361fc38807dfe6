"""A run that another version of the package made says which version reads it."""

import json
import shutil
from pathlib import Path

import pytest

import interplm_nb
from interplm_nb.cli.main import main
from interplm_nb.pipeline.errors import DamagedRunError, PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.saving import write_json

OLDER = "0.0.9"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The record and one summary of the shipped run, with the version of an older package."""
    shipped = Run.shipped().folder
    folder = tmp_path / "run"
    (folder / "04_activations").mkdir(parents=True)
    for name in ("run.json", "04_activations/summary.json"):
        shutil.copy(shipped / name, folder / name)
    rewrite(folder / "run.json", package=OLDER)
    return folder


def rewrite(path: Path, **values: object) -> None:
    write_json(json.loads(path.read_text(encoding="utf-8")) | values, path)


def test_a_newer_package_reads_a_run_whose_files_have_not_changed(folder: Path) -> None:
    assert Run.open(folder).summary("activations")["residues"] > 0


def test_a_run_in_another_format_names_the_version_that_reads_it(folder: Path) -> None:
    rewrite(folder / "run.json", version=0)
    with pytest.raises(PipelineError) as raised:
        Run.open(folder)
    assert str(raised.value) == (
        f"{folder / 'run.json'}: expected Run version 1, found Run version 0; interplm-nb {OLDER} "
        f"made this run and this is {interplm_nb.__version__}: read it with the version that made "
        f"it (pip install interplm-nb=={OLDER}), or make the run again in another folder"
    )


def test_the_command_line_says_the_same_in_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rewrite(folder / "run.json", version=0)
    assert main(["explore", str(folder), "--no-browser"]) == 2
    said = capsys.readouterr().err
    assert f"pip install interplm-nb=={OLDER}" in said
    assert "Traceback" not in said


def test_one_file_in_another_format_names_the_version_and_the_stage(folder: Path) -> None:
    rewrite(folder / "04_activations/summary.json", version=0)
    with pytest.raises(DamagedRunError) as raised:
        Run.open(folder).summary("activations")
    assert f"read it with the version that made it (pip install interplm-nb=={OLDER})" in str(
        raised.value
    )
    assert "run stage 'activations' again" in str(raised.value)


def test_a_record_without_a_package_names_none(folder: Path) -> None:
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    del record["package"]
    write_json(record | {"version": 0}, folder / "run.json")
    with pytest.raises(PipelineError, match="interplm-nb in another version made") as raised:
        Run.open(folder)
    assert "pip install" not in str(raised.value)
