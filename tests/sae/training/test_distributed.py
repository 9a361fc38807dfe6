"""Two processes (gloo) on half of each batch: what one process gets from the whole of it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from interplm_nb.sae.checkpoint import load
from interplm_nb.sae.training.distributed import joined
from interplm_nb.sae.training.progress import read_metrics
from interplm_nb.sae.training.train import train_on
from tests.sae.gaussian_training import CONFIGS, on_cpu
from tests.sae.residue_batches import JoinedBatches, residue_batches

_CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
from dataclasses import replace
from pathlib import Path
from tests.sae.fake_plm import FakePLM
from tests.sae.gaussian_training import CONFIGS, on_cpu
from tests.sae.residue_batches import PROTEINS, residue_batches
from interplm_nb.sae.training.distributed import rank_and_size
from interplm_nb.sae.training.train import train, train_on
folder, steps, precision, spread = Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
if spread == "layers":
    configs = [replace(CONFIGS["topk"], layer=layer) for layer in (0, 1)]
    found = train(FakePLM(), PROTEINS, configs, folder, steps, 32,
        on_cpu(spread="layers"), seed=3, buffer_residues=150)
    print("trained", rank_and_size()[0], *found)
else:
    plan = {folder / name: config for name, config in CONFIGS.items()}
    batches = residue_batches("streamed", folder, 32)
    train_on(batches, plan, steps, on_cpu(precision=precision, log_every=5, checkpoint_every=7))
"""


def two_processes(folder: Path, steps: int, precision: str, spread: str = "residues") -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = folder.parent / "child.py"
    script.write_text(_CHILD)
    here = str(Path(__file__).parents[3])
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node=2",
        f"--master-port={port}",
        str(script),
        here,
        str(folder),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(steps), precision, spread],
        capture_output=True,
        text=True,
        timeout=200,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def one_process(folder: Path, steps: int, precision: str) -> None:
    batches = JoinedBatches(
        [residue_batches("streamed", folder, 32, (rank, 2)) for rank in range(2)]
    )
    plan = {folder / name: config for name, config in CONFIGS.items()}
    train_on(batches, plan, steps, on_cpu(precision=precision, log_every=5))


@pytest.mark.slow
def test_two_processes_give_the_single_process_result_in_float64(tmp_path):
    two_processes(tmp_path / "two", 20, "float64")
    one_process(tmp_path / "one", 20, "float64")
    for name in CONFIGS:
        lines = [
            read_metrics(tmp_path / which / name / "metrics.jsonl") for which in ("one", "two")
        ]
        for one, two in zip(*lines, strict=True):
            assert one["density"] == two["density"], name
            for metric in set(one) - {"tokens_per_second", "density"}:
                assert one[metric] == pytest.approx(two[metric], abs=1e-9, rel=1e-9), (name, metric)
        saes = [load(tmp_path / which / name).weights() for which in ("one", "two")]
        for weight, value in saes[0].items():  # saved as float32
            torch.testing.assert_close(value, saes[1][weight], rtol=2e-7, atol=1e-9)


@pytest.mark.slow
def test_two_processes_end_with_the_same_loss_in_float32(tmp_path):
    two_processes(tmp_path / "two", 60, "float32")
    one_process(tmp_path / "one", 60, "float32")
    for name in CONFIGS:
        last = [
            read_metrics(tmp_path / which / name / "metrics.jsonl")[-1]["loss"]
            for which in ("one", "two")
        ]
        assert last[0] == pytest.approx(last[1], rel=0.01), name


@pytest.mark.slow
def test_layers_can_be_spread_over_processes(tmp_path):
    said = two_processes(tmp_path / "two", 10, "float32", "layers")
    assert (
        "trained 0 layer_00-topk-k3-d24-s3" in said and "trained 1 layer_01-topk-k3-d24-s3" in said
    )
    assert load(tmp_path / "two" / "layer_01-topk-k3-d24-s3", layer=1).about is not None


def test_processes_that_would_wait_for_those_that_ended_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As torchrun --max-restarts=1 starts them again; the way out is tested with Slurm."""
    torchrun = {"WORLD_SIZE": "2", "RANK": "1", "TORCHELASTIC_USE_AGENT_STORE": "True"}
    for name, value in torchrun.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    wanted = r"with TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 set in its environment, or with --max-res"
    with pytest.raises(RuntimeError, match=wanted), joined(torch.device("cpu")):
        pass
