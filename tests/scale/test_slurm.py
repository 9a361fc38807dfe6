"""Shards as jobs of Slurm: the same bytes as in this process. Each test runs with a stand-in for
Slurm's commands and, if slow tests are asked for, with Slurm on this machine."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from interplm_nb import plm
from interplm_nb.plm.store import embed_to
from interplm_nb.proteins import Proteins
from interplm_nb.scale.address import workers_at
from interplm_nb.scale.dask_workers import DaskWorkers
from interplm_nb.scale.errors import ClusterError
from interplm_nb.scale.queue_file import QueueFile
from interplm_nb.scale.slurm_jobs import training_job

LETTERS = np.random.default_rng(0).choice(list("ACDEFGHIKLMNPQRSTVWY"), (12, 80))
PROTEINS = Proteins.from_sequences({f"P{i}": "".join(row) for i, row in enumerate(LETTERS)})
ENDS_WITHIN = 240


def queue_file(folder: Path, **entries: object) -> Path:
    path = folder / "slurm.toml"
    values = {"kind": "slurm", "workers": 2, "cores": 1, "memory": "1 GB", **entries}
    lines = [f"{name} = {str(v) if isinstance(v, int) else repr(v)}" for name, v in values.items()]
    path.write_text("\n".join(lines))
    return path


def states() -> str:
    return subprocess.run(["squeue"], capture_output=True, text=True, check=True).stdout


def test_embeddings_by_jobs_have_the_same_bytes(slurm: str, tmp_path: Path) -> None:
    model = plm.load("esm2-mini", "cpu")
    settings = {"shard_rows": 200, "tokens_per_batch": 100, "progress": False}
    one_job = {"workers_per_job": 2, "cores": 2, "gpus": 2}  # Slurm here has two jobs and no GPU
    with workers_at(str(queue_file(tmp_path, **one_job if slurm == "stand-in" else {}))) as workers:
        assert isinstance(workers, DaskWorkers)
        workers.client.wait_for_workers(2)
        devices = workers.client.run(lambda: os.environ.get("CUDA_VISIBLE_DEVICES"))
        assert sorted(map(str, devices.values())) == (
            ["0", "1"] if slurm == "stand-in" else ["None", "None"]
        )
        threads = workers.client.run(lambda: os.environ["OMP_NUM_THREADS"])
        assert set(threads.values()) == {"1"}
        assert set(workers.client.nthreads().values()) == {1}
        assert all(address.startswith("tls://") for address in devices)
        assert "(dashboard: http://127.0.0.1:" in workers.where
        there = embed_to(
            model, PROTEINS, [3], lambda _: tmp_path / "there", scale=workers, **settings
        )
    here = embed_to(model, PROTEINS, [3], lambda _: tmp_path / "here", **settings)
    files = sorted(here[3].path.iterdir())
    assert len(files) > 6
    assert [f.name for f in files] == sorted(f.name for f in there[3].path.iterdir())
    for file in files:
        assert file.read_bytes() == (there[3].path / file.name).read_bytes()
    for _ in range(100):  # cancelled with the block
        if not re.search("RUNNING|PENDING| R | PD ", states()):
            break
        time.sleep(0.1)
    assert not re.search("RUNNING|PENDING| R | PD ", states())
    assert list((tmp_path / "interplm-nb-jobs").glob("tls-*")) == []


def test_a_queue_that_refuses_is_quoted(slurm: str, tmp_path: Path) -> None:
    path = queue_file(tmp_path, queue="refused")
    with (
        pytest.raises(ClusterError, match=r"the queue refused a job: .*nvalid partition name"),
        workers_at(str(path)),
    ):
        pass


def test_jobs_that_end_without_a_worker_show_their_log(
    slurm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interplm_nb.scale.queue_cluster.POLL_SECONDS", 0.5)
    path = queue_file(tmp_path, setup=["echo no such module >&2", "exit 1"])
    with (
        pytest.raises(ClusterError, match=r"2 jobs \(\d+, \d+\) ended and no worker started") as e,
        workers_at(str(path)),
    ):
        pass
    assert str(e.value).endswith("\n  no such module")


def test_a_queue_that_is_full_is_shown(
    slurm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interplm_nb.scale.queue_cluster.POLL_SECONDS", 0.2)
    monkeypatch.setattr("interplm_nb.scale.queue_cluster.MINUTE", 1.0)
    held = {"directives": ["--begin=now+1hour"]} if slurm == "Slurm" else {"queue": "held"}
    path = queue_file(tmp_path, wait_minutes=1, **held)
    with (
        pytest.raises(ClusterError, match=r"no worker of 2 jobs .* has started within 1 min") as e,
        workers_at(str(path)),
    ):
        pass
    assert re.search(
        r"The queue says:\nJOBID STATE NODELIST\(REASON\)\n\d+ PENDING \(", str(e.value)
    )


PROFILE = """
[proteins]
max_proteins = 120
[embed]
plm = "esm2-mini"
tokens_per_batch = 1000
[train]
d_sae = 64
steps = 40
[activations]
[concepts]
min_instances = 1
min_clusters = 1
bootstrap = 5
null_draws = 20
[features]
shuffles = 20
correlated_residues = 2000
[interpret]
features = "random:3"
"""


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_run_by_an_array_job_and_by_workers_has_the_same_bytes(
    slurm: str, tmp_path: Path
) -> None:
    profile = tmp_path / "small.toml"
    profile.write_text(PROFILE)
    here, there = tmp_path / "here", tmp_path / "there"
    interplm = [sys.executable, "-m", "interplm_nb"]
    request = ["run", str(profile), "--device", "cpu", "--out"]
    subprocess.run([*interplm, *request, str(here)], check=True)
    # Two jobs of one worker, or a job of two
    shape = {"workers_per_job": 2, "cores": 2, "memory": "4 GB"} if slurm == "stand-in" else {}
    queue = queue_file(tmp_path, **{"walltime": "00:20:00", "memory": "2 GB", **shape})
    written = subprocess.run(
        [*interplm, "slurm", *request, str(there), "--queue", str(queue)],
        check=True,
        capture_output=True,
        text=True,
    )
    script = tmp_path / "jobs.sh"
    script.write_text(written.stdout)
    subprocess.run(["bash", script], check=True)
    until_ended()
    logs = {p.name: p.read_text() for p in (tmp_path / "interplm-nb-jobs").glob("*.log")}
    begin, finish = (next(t for n, t in logs.items() if n.startswith(w)) for w in ("begin", "fin"))
    assert "02_embed: begun; compute its shards with:" in begin
    assert "all stages are done" in finish
    workers = [text for name, text in logs.items() if name.startswith("work")]
    assert len(workers) == (1 if slurm == "stand-in" else 2)
    for model in ("esm2-mini", "esm2-mini-shuffled-42"):
        computed = [
            int(n.replace(",", ""))
            for text in workers
            for n in re.findall(rf"embedding with {model}: ([\d,]+) residues computed here", text)
        ]
        assert len(computed) == 2 and sum(computed) == residues(here)
    assert bytes_of(here) == bytes_of(there)
    third = tmp_path / "third"
    done = subprocess.run([*interplm, *request, str(third), "--scheduler", str(queue)])
    assert done.returncode == 0
    assert bytes_of(here) == bytes_of(third)


def until_ended() -> None:
    end = time.monotonic() + ENDS_WITHIN * 2
    while len(states().strip().splitlines()) > 1:
        assert time.monotonic() < end, states()
        time.sleep(0.5)


def residues(run: Path) -> int:
    return Proteins.load(run / "proteins.parquet").n_residues


def bytes_of(run: Path) -> dict[str, bytes]:
    """Files of embeddings, and of what is computed from them."""
    folders = ("embeddings", "sae", "activations")
    return {
        str(path.relative_to(run)): path.read_bytes()
        for name in folders
        for path in sorted((run / name).rglob("*"))
        if path.is_file() and path.name not in ("metrics.jsonl", "fidelity.json")
    }


TRAINING = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
import psutil
import torch
torch.set_num_threads(1)
from interplm_nb.sae.training.train import train_on
from tests.sae.gaussian_training import CONFIGS, on_cpu
from tests.sae.residue_batches import residue_batches

folder, dies = Path(sys.argv[1]), sys.argv[2]
marker = folder.parent / (dies + "_died")
rank = int(os.environ["RANK"])
batches = residue_batches("streamed", folder, 32)
own = batches.batch


def batch(step):
    if dies != "nothing" and rank == 1 and step == 17 and not marker.exists():
        marker.write_text("")
        if dies == "node":
            agent = psutil.Process().parent()
            others = [p for p in agent.children(recursive=True) if p.pid != os.getpid()]
            for process in [agent, *others]:
                process.kill()
        os.kill(os.getpid(), signal.SIGKILL)
    return own(step)


batches.batch = batch
options = on_cpu(log_every=5, checkpoint_every=7)
train_on(batches, {{folder / "topk": CONFIGS["topk"]}}, 30, options)
restarts = os.environ["TORCHELASTIC_RESTART_COUNT"], os.environ.get("SLURM_RESTART_COUNT", "0")
line = f"trained {{rank}} {{restarts[0]}} {{restarts[1]}}\\n"
os.write(1, line.encode())  # at once: both processes write to one file
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_training_whose_process_or_node_dies_ends_with_the_same_bits(
    slurm: str, tmp_path: Path
) -> None:
    program = tmp_path / "train.py"
    program.write_text(TRAINING.format(root=str(Path(__file__).parents[2])))
    queue = QueueFile.read(queue_file(tmp_path, workers_per_job=2, cores=2, walltime="00:20:00"))
    Path(queue.shared).mkdir()
    for dies in ("nothing", "process", "node"):
        script = tmp_path / f"{dies}.sh"
        script.write_text(training_job(queue, program, [str(tmp_path / dies), dies]))
        subprocess.run(["sbatch", script], check=True)
        until_ended()
    logs = sorted(Path(queue.shared).glob("train-*.log"), key=lambda p: p.stat().st_mtime)
    # restarts by torchrun, and by the queue
    ended = [re.findall(r"trained \d (\d) (\d)", log.read_text()) for log in logs]
    assert ended == [[("0", "0")] * 2, [("1", "0")] * 2, [("0", "1")] * 2]
    weights = [
        (tmp_path / dies / "topk" / "sae.safetensors").read_bytes()
        for dies in ("nothing", "process", "node")
    ]
    assert weights[0] == weights[1] == weights[2]
