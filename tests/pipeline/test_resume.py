"""SIGKILL at a random moment, then the same call: the files equal those of an undisturbed run."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from interplm_nb.pipeline import runner
from interplm_nb.pipeline.errors import RunLockedError
from interplm_nb.pipeline.lock import locked
from interplm_nb.pipeline.parameters import PLACE
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stage_table import REQUIRED, STAGES
from interplm_nb.saving import file_hash
from tests.pipeline.fakes import write_fakes
from tests.pipeline.tiny import tiny_parameters

CHILD = """
import sys
from interplm_nb.pipeline.stage_table import STAGES
from interplm_nb.pipeline.parameters import PLACE
from interplm_nb.pipeline.run import Run
stage, folder, params = sys.argv[1:]
import interplm_nb.plm.esm2, interplm_nb.sae.evaluation.fidelity, interplm_nb.sae.training.train
params = STAGES[stage].parameters.model_validate_json(params)
print("begin", flush=True)
STAGES[stage].call(Run.open(folder), params)
print("end", flush=True)
"""

RUNNER = """
import sys
from pathlib import Path
from interplm_nb.pipeline.runner import Request, run
request = Request("demo", Path(sys.argv[1]), ["embed.plm=esm2-mini"], notebooks=Path(sys.argv[2]))
run(request, lambda text: print(text, flush=True))
"""


def start(stage, run, params=None):
    """A process that runs one stage, at the moment when the stage begins."""
    params = params or tiny_parameters(run.folder)[stage]
    command = [sys.executable, "-c", CHILD, stage, str(run.folder), params.model_dump_json()]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"begin\n"
    return child


def outcome(run, stage):
    """The hash of everything a stage made; metrics.jsonl holds times."""
    return {
        str(f.relative_to(run.folder)): file_hash(f)
        for f in run.outputs(stage)
        if f.name != "metrics.jsonl"
    }


@pytest.mark.slow
@pytest.mark.parametrize("stage", REQUIRED)
def test_a_killed_stage_ends_as_an_undisturbed_one(stage, tiny_run, tmp_path):
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    run.clear(stage)
    clock = time.perf_counter()
    with start(stage, run) as whole:
        began = time.perf_counter()
        whole.communicate()
    lasts = time.perf_counter() - began
    assert time.perf_counter() - clock < 120
    assert outcome(run, stage) == outcome(tiny_run, stage)
    run.clear(stage)
    moments = random.Random()
    for _ in range(3):
        with start(stage, run) as child:
            time.sleep(moments.uniform(0, 0.8 * lasts))
            os.killpg(child.pid, signal.SIGKILL)
    run.clear_drafts()  # as the runner does under its lock
    STAGES[stage].call(run, tiny_parameters(run.folder)[stage])
    assert outcome(run, stage) == outcome(tiny_run, stage)


@pytest.mark.slow
def test_a_killed_runner_frees_the_folder_and_goes_on(tmp_path):
    sleepy = write_fakes(tmp_path / "sleepy", broken="train", code="import time; time.sleep(120)")
    command = [sys.executable, "-c", RUNNER, str(tmp_path / "run"), str(sleepy)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        assert process.stdout is not None
        while b"03_train" not in process.stdout.readline():
            pass
        time.sleep(2)
        with pytest.raises(RunLockedError, match=f"process {process.pid}"):
            runner.run(
                runner.Request("demo", tmp_path / "run", ["embed.plm=esm2-mini"], notebooks=sleepy),
                lambda _: None,
            )
        process.send_signal(signal.SIGKILL)  # the runner alone: its kernel finds out by itself
        process.wait()
    said = []
    request = runner.Request(
        "demo", tmp_path / "run", ["embed.plm=esm2-mini"], notebooks=write_fakes(tmp_path / "awake")
    )
    run = once_free(lambda: runner.run(request, said.append))
    assert said[:2] == ["01_proteins: unchanged, skipped", "02_embed: unchanged, skipped"]
    assert run.manifest("concepts")["stage"] == "concepts"


KILLS = 4


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_command_that_is_killed_again_and_again_ends_as_an_undisturbed_one(tmp_path):
    """The command itself, with its kernels, over all stages; KILL_SEED=N draws the moments of an
    earlier time."""
    seed = int(os.environ.get("KILL_SEED") or random.SystemRandom().randrange(10**6))
    moments = random.Random(seed)
    sys.stdout.write(f"KILL_SEED={seed}\n")
    clock = time.perf_counter()
    assert ended(tmp_path / "whole", None)
    lasts = time.perf_counter() - clock
    kills = 0
    for _ in range(KILLS):
        kernel_too, seconds = moments.random() < 0.5, moments.uniform(0.05, 0.5) * lasts
        if ended(tmp_path / "killed", seconds, kernel_too):
            break
        kills += 1
        sys.stdout.write(f"killed after {seconds:.1f} of {lasts:.1f} s\n")
    assert kills, f"KILL_SEED={seed}: it ended before the first moment"
    assert ended(tmp_path / "killed", None), f"KILL_SEED={seed}"
    whole, killed = Run.open(tmp_path / "whole"), Run.open(tmp_path / "killed")
    for stage in REQUIRED:
        assert outcome(killed, stage), stage
        assert outcome(killed, stage) == outcome(whole, stage), f"KILL_SEED={seed}: {stage}"


def ended(folder, seconds, kernel_too=False):
    """Whether `interplm-nb run` ends well within that many seconds; if not it is killed, alone (its
    kernel finds out by itself) or with its kernel."""
    command = [sys.executable, "-m", "interplm_nb", "run", "demo", "--out", str(folder)]
    for stage, params in tiny_parameters(folder).items():
        values = params.model_dump(exclude_defaults=True, exclude=set(PLACE))
        command += [f"-p{stage}.{name}={json.dumps(value)}" for name, value in values.items()]
    once_free(lambda: None if not folder.exists() else free(folder))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            said = process.communicate(timeout=seconds)[0].decode()
        except subprocess.TimeoutExpired:
            children = psutil.Process(process.pid).children(recursive=True) if kernel_too else []
            for one in (process, *children):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            return False
    assert process.returncode == 0, said
    return True


def free(folder):
    """RunLockedError while the kernel of a killed command holds the folder."""
    with locked(folder / ".lock"):
        return


def once_free(work, seconds=30.0):
    """The kernel of a killed runner holds the folder until it notices, within seconds."""
    end = time.monotonic() + seconds
    while True:
        try:
            return work()
        except RunLockedError:
            assert time.monotonic() < end
            time.sleep(0.2)
