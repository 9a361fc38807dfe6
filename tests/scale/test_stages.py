"""A run whose shards a cluster computed equals one of a single process."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from interplm_nb.pipeline.parameters import PLACE
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stage_table import REQUIRED
from tests.pipeline.test_resume import outcome, start
from tests.pipeline.tiny import tiny_parameters
from tests.scale.conftest import THREADS

SHARDED = ("embed", "activations", "concepts", "features")


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_command_with_a_cluster_makes_the_same_run(tmp_path: Path) -> None:
    made = [_command(tmp_path / name, scheduler) for name, scheduler in RUNS.items()]
    for stage in REQUIRED:
        whole, shared = (outcome(run, stage) for run in made)
        assert whole == shared, stage
    for run in made:
        assert not list(run.folder.rglob("*.shards")) and not list(run.folder.rglob("work"))


RUNS = {"alone": "", "cluster": "local:2"}


def _command(folder: Path, scheduler: str) -> Run:
    command = [sys.executable, "-m", "interplm_nb", "run", "demo", "--out", str(folder)]
    for stage, params in tiny_parameters(folder).items():
        values = params.model_dump(exclude_defaults=True, exclude=set(PLACE))
        command += [f"-p{stage}.{name}={json.dumps(value)}" for name, value in values.items()]
    command += ["--device", "cpu", "--scheduler", scheduler]
    env = os.environ | {"OMP_NUM_THREADS": str(THREADS)}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return Run.open(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    "stage", [pytest.param(s, marks=[pytest.mark.long] * (s == "activations")) for s in SHARDED]
)
def test_a_stage_that_is_killed_with_its_workers_ends_in_one_process(
    stage: str, tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(THREADS))
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    run.clear(stage)
    alone = tiny_parameters(run.folder)[stage]
    shared = alone.model_copy(update={"scheduler": "local:2"})
    with start(stage, run, alone) as whole:
        whole.communicate()
    expected = outcome(run, stage)
    assert expected
    run.clear(stage)
    clock = time.perf_counter()
    with start(stage, run, shared) as whole:
        whole.communicate()
    lasts = time.perf_counter() - clock
    assert outcome(run, stage) == expected
    run.clear(stage)
    with start(stage, run, shared) as child:
        time.sleep(random.uniform(0.2, 0.9) * lasts)
        os.killpg(child.pid, signal.SIGKILL)
    run.clear_drafts()  # as the runner does under its lock
    with start(stage, run, alone) as rest:
        rest.communicate()
    assert outcome(run, stage) == expected
