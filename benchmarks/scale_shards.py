"""Shards that do nothing, on a scheduler and four workers: memory and rate, as JSON."""

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from distributed import Client

from benchmarks.scale_nothing import Nothing
from interplm_nb.scale.address import workers_at

N_WORKERS = 4
EVERY = 0.5
"""Seconds between two looks at the memory."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip())
    parser.add_argument("--shards", type=int, required=True)
    n = parser.parse_args().shards
    with _cluster() as (address, scheduler), workers_at(address) as workers:
        workers.complete(Nothing(100), lambda _: None)  # all that is imported on first use
        peaks, looked = {"scheduler": 0.0, "driver": 0.0}, 0.0
        processes = {"scheduler": scheduler, "driver": psutil.Process()}

        def look(_: int) -> None:
            nonlocal looked
            if time.perf_counter() - looked > EVERY:
                looked = time.perf_counter()
                for who, process in processes.items():
                    peaks[who] = max(peaks[who], process.memory_info().rss / 2**20)

        started = time.perf_counter()
        workers.complete(Nothing(n), look)
        taken = time.perf_counter() - started
        looked = 0.0
        look(0)
    sys.stdout.write(f"{json.dumps({**peaks, 'rate': n / taken, 'seconds': taken})}\n")


@contextmanager
def _cluster() -> Iterator[tuple[str, psutil.Process]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, here = f"tcp://127.0.0.1:{port}", ["--host", "127.0.0.1", "--no-dashboard"]
    with tempfile.TemporaryDirectory() as folder:
        worker = ["dask_worker", address, "--nthreads", "1", "--local-directory", folder, *here]
        commands = [["dask_scheduler", "--port", str(port), *here], *[worker] * N_WORKERS]
        started = [
            subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{name}", *words],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for name, *words in commands
        ]
        try:
            with Client(address) as client:
                client.wait_for_workers(N_WORKERS)
            yield address, psutil.Process(started[0].pid)
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main()
