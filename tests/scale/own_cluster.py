"""A cluster like a real one: a scheduler on a fixed port, and workers with their nannies, each a
process of its own; and the driver that embeds with it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from distributed import Client

from interplm_nb import plm
from interplm_nb.plm.store import embed_to
from interplm_nb.proteins import Proteins

LAYERS = [1, 3]
SIZES = {"shard_rows": 3000, "tokens_per_batch": 2000, "progress": False}

DRIVER = f"""
import os, sys
from pathlib import Path
from interplm_nb import plm
from interplm_nb.plm.store import embed_to
from interplm_nb.proteins import Proteins
from interplm_nb.scale.address import workers_at
from interplm_nb.scale.errors import ClusterError

if __name__ == "__main__":
    folder, proteins = Path(sys.argv[2]), Proteins.load(Path(sys.argv[3]))
    try:
        with workers_at(sys.argv[1]) as workers:
            embed_to(plm.load("esm2-mini", "cpu"), proteins, {LAYERS}, lambda k: folder / str(k),
                     scale=workers, **{SIZES})
    except ClusterError as error:
        sys.exit(f"ClusterError: {{error}}")
"""


def random_proteins(n: int = 150) -> Proteins:
    """Proteins of 50 to 600 residues."""
    rng = np.random.default_rng(0)
    letters = list("ACDEFGHIKLMNPQRSTVWY")
    lengths = rng.integers(50, 600, n)
    return Proteins.from_sequences(
        {f"P{i}": "".join(rng.choice(letters, length)) for i, length in enumerate(lengths)}
    )


def embedded_here(proteins: Proteins, folder: Path) -> dict[str, bytes]:
    """The files that the driver makes, made in this process."""
    model = plm.load("esm2-mini", "cpu")
    embed_to(model, proteins, LAYERS, lambda layer: folder / str(layer), **SIZES)  # type: ignore
    return files_of(folder)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file in a folder, hidden ones too."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def driver(address: str, folder: Path, proteins: Path) -> subprocess.Popen[str]:
    """A process that embeds into a folder; ends with 0, or 1 and a ClusterError."""
    command = [sys.executable, "-P", "-c", DRIVER, address, str(folder), str(proteins)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def shards_in(folder: Path) -> int:
    """Shards that are complete, in drafts and in finished embeddings."""
    return len(list(folder.rglob("shard_*")))


class OwnCluster:
    """A scheduler and workers, each its own process."""

    def __init__(self, folder: Path, **settings: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.folder = folder
        self.env = os.environ | {f"DASK_DISTRIBUTED__{k}": v for k, v in settings.items()}
        self.env["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
        self.log = (folder / "cluster.log").open("ab")
        self.workers: list[subprocess.Popen[bytes]] = []
        self.start_scheduler()

    def start_scheduler(self) -> None:
        """At the same address each time."""
        at = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        self.scheduler = self._start("dask_scheduler", *at)

    def add_workers(self, n: int, *options: str, **env: str) -> None:
        """Start workers, and wait until the scheduler knows them."""
        here = ["--nthreads", "1", "--host", "127.0.0.1", "--no-dashboard"]
        scratch = ["--local-directory", str(self.folder / "scratch")]
        for _ in range(n):
            process = self._start("dask_worker", self.address, *here, *scratch, *options, **env)
            self.workers.append(process)
        alive = sum(worker.poll() is None for worker in self.workers)
        with Client(self.address, timeout=60) as client:
            client.wait_for_workers(alive, timeout=60)

    def end_worker(self) -> None:
        """End one worker as a queue does."""
        worker = self.workers.pop()
        worker.terminate()
        worker.wait(60)

    def computing(self) -> list[psutil.Process]:
        """The processes that compute: a nanny's child, which it starts again."""
        found = []
        for nanny in self.workers:
            with contextlib.suppress(psutil.Error):
                children = psutil.Process(nanny.pid).children()
                found += [c for c in children if "spawn_main" in " ".join(c.cmdline())]
        return found

    def close(self) -> None:
        """End every process of the cluster."""
        for process in self.computing():
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGCONT)
        for process in (*self.workers, self.scheduler):
            process.terminate()
        for process in (*self.workers, self.scheduler):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.log.close()

    def _start(self, command: str, *words: str, **env: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{command}", *words],
            env=self.env | env,
            cwd=self.folder,  # else -m would take the package from here
            stdout=self.log,
            stderr=self.log,
        )


@contextmanager
def own_cluster(folder: Path, **settings: str) -> Iterator[OwnCluster]:
    """A cluster for the block; settings as SCHEDULER__WORKER_TTL="3s"."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster = OwnCluster(folder, **settings)
    try:
        yield cluster
    finally:
        cluster.close()


def until(true: object, seconds: float = 60.0) -> None:
    """Wait until a function is true."""
    deadline = time.monotonic() + seconds
    assert callable(true)
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)
