"""Training that is killed or interrupted, and run again: the same bits as an undisturbed one, for
every architecture and both data paths."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from interplm_nb.sae.training.progress import read_metrics, states
from interplm_nb.sae.training.train import train_on
from tests.sae.gaussian_training import CONFIGS, STEPS, on_cpu, same
from tests.sae.residue_batches import residue_batches

_CHILD = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tests.sae.gaussian_training import CONFIGS, STEPS, on_cpu
from tests.sae.residue_batches import residue_batches
from interplm_nb.sae.training.train import train_on
folder, path, names = Path(sys.argv[2]), sys.argv[3], sys.argv[4].split(",")
batches = residue_batches(path, folder / "embeddings")
plain = batches.batch
# Slow, so that it is killed in time; the last batch waits for that.
batches.batch = lambda step: (time.sleep(30 if step == STEPS - 1 else 0.02), plain(step))[1]
options = on_cpu(log_every=5, checkpoint_every=7)
train_on(batches, {folder / n: CONFIGS[n] for n in names}, STEPS, options)
"""


def child(folder: Path, path: str, names: list[str]) -> subprocess.Popen[str]:
    here = str(Path(__file__).parents[3])
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD, here, str(folder), path, ",".join(names)],
        stderr=subprocess.PIPE,
        text=True,
    )


def trained(folder: Path, path: str, names: list[str], **options: Any) -> dict[str, Any]:
    plan = {folder / name: CONFIGS[name] for name in names}
    batches = residue_batches(path, folder / "embeddings")
    return dict(
        zip(
            names,
            train_on(batches, plan, STEPS, on_cpu(log_every=5, **options)),
            strict=True,
        )
    )


def untimed(folder: Path) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in line.items() if name != "tokens_per_second"}
        for line in read_metrics(folder / "metrics.jsonl")
    ]


def wait_for_step(folder: Path, step: int) -> None:
    until = time.monotonic() + 60
    while not any(line["step"] >= step for line in read_metrics(folder / "metrics.jsonl")):
        assert time.monotonic() < until
        time.sleep(0.01)


QUICK = {("batchtopk", "stored"), ("jumprelu", "streamed")}
"""What `make test` kills; the slow tests kill every architecture on both data paths."""

KILLED = [
    pytest.param(name, path, marks=() if (name, path) in QUICK else pytest.mark.slow)
    for name in CONFIGS
    for path in ("stored", "streamed")
]


@pytest.mark.parametrize(("name", "path"), KILLED)
def test_sigkill_and_again_gives_the_same_bits(tmp_path, name, path):
    whole = trained(tmp_path / "whole", path, [name])[name]
    process = child(tmp_path / "killed", path, [name])
    wait_for_step(tmp_path / "killed" / name, 30 if CONFIGS[name].resample_every else 15)
    process.kill()
    process.communicate()
    assert not (tmp_path / "killed" / name / "config.json").exists() and states(
        tmp_path / "killed" / name
    )
    resumed = trained(tmp_path / "killed", path, [name], checkpoint_every=7)[name]
    assert same(whole, resumed)
    assert untimed(tmp_path / "whole" / name) == untimed(tmp_path / "killed" / name)


def test_saes_that_were_saved_at_different_steps_meet_again(tmp_path):
    """A kill between two saves leaves one SAE behind; one was never begun."""
    whole = trained(tmp_path / "whole", "streamed", ["topk", "gated", "paper"])
    process = child(tmp_path / "killed", "streamed", ["topk", "gated"])
    wait_for_step(tmp_path / "killed" / "gated", 20)
    process.kill()
    process.communicate()
    for late in states(tmp_path / "killed" / "topk")[1:]:
        late.unlink()
    assert len({states(tmp_path / "killed" / name)[-1].name for name in ("topk", "gated")}) == 2
    resumed = trained(tmp_path / "killed", "streamed", ["topk", "gated", "paper"])
    for name, sae in whole.items():
        assert same(sae, resumed[name]) and untimed(tmp_path / "whole" / name) == untimed(
            tmp_path / "killed" / name
        ), name


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    process = child(tmp_path / "run", "streamed", ["topk"])
    wait_for_step(tmp_path / "run" / "topk", 10)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0 and "and saved; the same call resumes from there" in errors
    assert same(
        trained(tmp_path / "run", "streamed", ["topk"])["topk"],
        trained(tmp_path / "whole", "streamed", ["topk"])["topk"],
    )
