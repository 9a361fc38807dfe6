"""torchrun on the workers of a Dask cluster: the weights of torchrun on this machine."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from distributed import Client

from interplm_nb.scale.dask_workers import DaskWorkers
from interplm_nb.scale.errors import ClusterError
from interplm_nb.scale.torchrun import torchrun_on
from tests.scale.own_cluster import own_cluster

TRAINING = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
import torch
torch.set_num_threads(1)
from pathlib import Path
from interplm_nb.sae.training.train import train_on
from tests.sae.gaussian_training import CONFIGS, on_cpu
from tests.sae.residue_batches import residue_batches
folder = Path(sys.argv[1])
train_on(residue_batches("streamed", folder, 32), {{folder: CONFIGS["topk"]}}, 20, on_cpu())
"""

pytestmark = pytest.mark.slow


def test_two_workers_train_as_two_processes_do(workers: DaskWorkers, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(TRAINING)
    torchrun_on(workers.client, script, [str(tmp_path / "dask")])
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*torchrun, script, str(tmp_path / "here")], check=True, env=environment)
    here, dask = (tmp_path / name / "sae.safetensors" for name in ("here", "dask"))
    assert here.read_bytes() == dask.read_bytes()


def test_a_script_that_fails_is_quoted(workers: DaskWorkers, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("raise SystemExit('no proteins')")
    with pytest.raises(ClusterError, match=r"train\.py failed on worker tls://(.|\n)*no proteins"):
        torchrun_on(workers.client, script)


def test_a_worker_that_dies_ends_the_others(tmp_path: Path) -> None:
    script, alive = tmp_path / "train.py", tmp_path / "alive"
    alive.mkdir()
    script.write_text(
        "import os, sys, time, pathlib\n"
        f"pathlib.Path({str(alive)!r}, str(os.getpid())).touch()\n"
        "time.sleep(600)\n"
    )
    with own_cluster(tmp_path) as cluster:
        cluster.add_workers(2, "--no-nanny")
        with Client(cluster.address) as client, ThreadPoolExecutor() as pool:
            training = pool.submit(torchrun_on, client, script)
            until = time.monotonic() + 120
            while len(list(alive.iterdir())) < 2:
                assert time.monotonic() < until and not training.done()
                time.sleep(0.2)
            cluster.end_worker()
            with pytest.raises(ClusterError, match=r"worker tcp://.* is gone\. The same call"):
                training.result(120)
            pids = [int(path.name) for path in alive.iterdir()]
            while any(map(psutil.pid_exists, pids)):
                assert time.monotonic() < until + 60
                time.sleep(0.2)
