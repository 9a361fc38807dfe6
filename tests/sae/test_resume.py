"""Training that is killed or interrupted, and run again: the same bits as an undisturbed one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from interplm_nb.sae.progress import read_metrics
from tests.sae.gaussian_training import PAPER, TOPK, run, same

_CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tests.sae.gaussian_training import Gaussian, PAPER, TOPK, train
config = {"paper": PAPER, "topk": TOPK}[sys.argv[3]]
train(Gaussian(pause=float(sys.argv[4])), config, Path(sys.argv[2]), device="cpu", progress=False, log_every=5, checkpoint_every=7)
"""


def child(folder: Path, name: str, pause: float) -> subprocess.Popen[str]:
    here = str(Path(__file__).parents[2])
    return subprocess.Popen([sys.executable, "-c", _CHILD, here, str(folder), name, str(pause)], stderr=subprocess.PIPE, text=True)


def untimed(folder: Path) -> list[dict[str, float]]:
    return [{name: value for name, value in line.items() if name != "tokens_per_second"} for line in read_metrics(folder / "metrics.jsonl")]


def wait_for_step(folder: Path, step: int) -> None:
    until = time.monotonic() + 60
    while not any(line["step"] >= step for line in read_metrics(folder / "metrics.jsonl")):
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize(("name", "config", "step"), [("paper", PAPER, 30), ("topk", TOPK, 15)])
def test_sigkill_and_again_gives_the_same_bits(tmp_path, name, config, step):
    whole = run(tmp_path / "whole", config, log_every=5)
    process = child(tmp_path / "killed", name, pause=0.02)
    wait_for_step(tmp_path / "killed", step)
    process.kill()
    process.communicate()
    assert not (tmp_path / "killed" / "config.json").exists() and (tmp_path / "killed" / "training.safetensors").exists()
    resumed = run(tmp_path / "killed", config, log_every=5, checkpoint_every=7)
    assert same(whole, resumed)
    untimed = [
        [{k: v for k, v in line.items() if k != "tokens_per_second"} for line in read_metrics(tmp_path / f / "metrics.jsonl")]
        for f in ("whole", "killed")
    ]
    assert untimed[0] == untimed[1]


@pytest.mark.skipif(os.name == "nt", reason="SIGINT to a child is POSIX")
def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    process = child(tmp_path / "run", "topk", pause=0.03)
    wait_for_step(tmp_path / "run", 10)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0 and "and saved; the same call goes on from there" in errors
    assert same(run(tmp_path / "run", TOPK), run(tmp_path / "whole", TOPK))
