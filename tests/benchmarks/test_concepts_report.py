"""The benchmark of the report runs on the shipped run, and is left out without a named run."""

import pytest

from benchmarks import concepts_report
from interplm_nb.pipeline.run import Run


def test_the_report_of_the_shipped_run_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(concepts_report.VARIABLE, str(Run.shipped().folder))
    monkeypatch.setattr(concepts_report, "DRAWS", 3)
    report, tests = concepts_report.run()
    assert (report.name, tests.name) == ("concepts: strict report", "concepts: two nulls")
    assert report.ours > 0
    assert tests.ours > 0


def test_without_a_run_it_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(concepts_report.VARIABLE, raising=False)
    assert concepts_report.run() == []
    assert (
        "left out; name the folder of a finished run in INTERPLM_NB_RUN" in capsys.readouterr().out
    )
