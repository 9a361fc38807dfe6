"""What is said of the time that a run still takes."""

import io
import re

import pytest

from interplm_nb.pipeline import runner, time_left
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stage_table import REQUIRED
from interplm_nb.pipeline.time_left import TimeLeft, every_minute, rounded
from interplm_nb.stages.estimate import expected
from tests.pipeline.fakes import OF_DEMO, work_like
from tests.pipeline.tiny import tiny_parameters

N = len(REQUIRED)
HOUR = {"embed": 1200.0, "train": 1200.0, "activations": 600.0, "concepts": 600.0}


def test_the_time_left_is_the_rest_of_this_stage_and_all_that_follow():
    left = TimeLeft(REQUIRED, HOUR)
    assert (
        left.place("proteins") == f"stage 1 of {N}" and left.place("concepts") == f"stage 5 of {N}"
    )
    assert left.words("proteins") == ""  # not estimated
    assert left.words("embed") == "about 1 h left in all"
    assert left.words("embed", 600) == "about 50 min left in all"
    assert left.words("concepts", 590) == "under a minute left in all"


def test_what_the_stages_took_corrects_the_rest():
    left = TimeLeft(REQUIRED, HOUR)
    left.took("proteins", 1000.0)  # was not estimated
    assert left.words("train") == "about 40 min left in all"
    left.took("embed", 600.0)
    assert left.words("train") == "about 20 min left in all"
    left.took("train", 1800.0)
    assert left.words("activations") == "about 20 min left in all"


def test_a_stage_that_takes_longer_gets_no_made_up_time():
    left = TimeLeft(REQUIRED, HOUR)
    assert left.words("embed", 1300) == "longer than estimated, then about 40 min more"
    assert left.words("concepts", 700) == "longer than estimated"


def test_no_time_is_more_exact_than_an_estimate():
    assert [rounded(60 * m) for m in (0.2, 1.2, 9.4, 12, 58, 100, 200, 400)] == [
        "under a minute",
        "about 1 min",
        "about 9 min",
        "about 10 min",
        "about 1 h",
        "about 1.5 h",
        "about 3.5 h",
        "about 7 h",
    ]


def test_something_is_said_once_a_minute_and_nothing_after_the_end(monkeypatch):
    monkeypatch.setattr(time_left, "MINUTE", 0.01)
    passed = []
    with every_minute(passed.append):
        while len(passed) < 3:
            pass
    n = len(passed)
    assert passed == sorted(passed) and passed[0] >= 0.01
    assert len(passed) == n


@pytest.mark.parametrize("progress", [None, io.StringIO()], ids=["piped", "on a terminal"])
def test_the_runner_says_where_it_is_and_how_long_it_takes(tmp_path, monkeypatch, progress):
    waited = []

    def execute(run, params, source, descriptor, progress):
        if params.stage == "train":
            n = len(said)
            while progress is None and len(said) < n + 2:
                waited.append(0)
        work_like(params.stage, run, f"{params.stage} {params.made()}")

    said = []
    monkeypatch.setattr(runner, "execute", execute)
    monkeypatch.setattr(time_left, "MINUTE", 0.05)
    settings = ["embed.plm=esm2-mini"]
    request = runner.Request("demo", tmp_path / "run", settings, notebooks=tmp_path)
    runner.run(request, said.append, progress, lambda model, n_residues, stages: HOUR)
    starts, n = [line for line in said if "; running " in line], len(OF_DEMO)
    assert starts[0].startswith(f"01_proteins: stage 1 of {n}; running ")
    assert starts[1].startswith(f"02_embed: stage 2 of {n}, about 1 h left in all; running ")
    assert re.match(rf"03_train: stage 3 of {n}, .+ left in all; running ", starts[2])
    still = [line for line in said if " min passed" in line and line.startswith("03_train")]
    assert bool(still) == (progress is None)
    assert all(line.startswith(f"03_train: stage 3 of {n}, 0 min passed") for line in still)


def test_what_is_expected_has_every_stage_after_the_first(tiny_run: Run):
    model = tiny_run.model()
    assert model is not None
    found = expected(model, tiny_run.proteins().n_residues, tiny_parameters(tiny_run.folder))
    assert list(found) == list(REQUIRED[1:]) and min(found.values()) > 0
