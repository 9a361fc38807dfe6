"""Which runs the benchmark of `annotate` measures, and that it fetches nothing for them."""

from pathlib import Path

import polars as pl
import pytest

from benchmarks import annotate
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.run_model import RunModel
from interplm_nb.plm import inspect
from interplm_nb.plm.fetching import Fetch
from tests.widgets.small_run import simple_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    table = pl.DataFrame(
        {"accession": ["P1", "P2", "P3"], "sequence": ["MKTW"] * 3, "protein_name": [""] * 3}
    )
    return simple_run(tmp_path / "run", table)


def left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert list(annotate._with_model(str(folder))) == []
    return capsys.readouterr().out


def test_what_cannot_be_asked_is_left_out_with_a_word(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "is left out" in left_out(run.folder / "elsewhere", capsys)
    assert "is left out; it has no model to ask" in left_out(run.folder, capsys)
    run.note_model(RunModel("arrays mine.npz", "mine", None))
    assert "is left out; it has no model to ask" in left_out(run.folder, capsys)
    run.note_model(RunModel("auto", "esm2-mini", inspect("esm2-mini")))
    assert list(annotate._with_model(str(run.folder))) == [run]
    monkeypatch.setattr(annotate, "to_fetch", lambda name: Fetch(name, 77_000_000, "by pip", ""))
    assert "is left out; esm2-mini is not here" in left_out(run.folder, capsys)


def test_a_mutant_differs_in_its_middle() -> None:
    assert annotate._mutant("MKTAV") == "MKWAV"
    assert annotate._mutant("MKWAV") == "MKAAV"
