"""A training under torchrun on the workers of a Dask cluster, each of which is a node of it."""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from interplm_nb.children import background
from interplm_nb.scale.cluster_watch import ClusterWatch
from interplm_nb.scale.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client, Future

FRESH_STORE = ("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
"""What torchrun needs in its environment to start a training again: processes find one another
through a store, and without this they find the addresses of those that ended, and wait for them."""
_SAID = 4000
"""Characters of the end of a node's output that an error quotes."""
_POLL = 0.5
"""Seconds between two looks at a node's torchrun."""
_RESUME = "The same call goes on from the newest checkpoint."


def torchrun_on(
    client: "Client", script: Path, arguments: Sequence[str] = (), *, per_node: int = 1
) -> None:
    """Run a Python script under torchrun on all workers that a client has now.

    The script calls `interplm_nb.train`; its folder must be on a disk that all workers see. If a
    process or a worker dies, all end; the same call again resumes from the newest checkpoint.

    Parameters
    ----------
    client
        Such as `workers.client` of `scale.address.workers_at("slurm.toml")`.
    script, arguments
        As seen by the workers, which run it in their own folder: give an absolute path.
    per_node
        Processes on each worker, one per GPU.

    Raises
    ------
    ClusterError
        With the end of a node's output, where the training fails; where a worker is gone.
    """
    connected: Any = client  # its methods are typed as coroutines too, which they are not
    nodes = sorted(connected.nthreads())
    if not nodes:
        raise ClusterError(f"the cluster has no worker to run {script}; start some first")
    first = {"workers": [nodes[0]], "pure": False}
    port = connected.submit(_free_port, **first).result()
    training = secrets.token_hex(8)
    words = [
        "-m",
        "torch.distributed.run",
        f"--nnodes={len(nodes)}",
        f"--nproc-per-node={per_node}",
        "--rdzv-backend=c10d",
        f"--rdzv-id={training}",
        f"--rdzv-endpoint={urlsplit(nodes[0]).hostname}:{port}",
        str(script),
        *arguments,
    ]
    running = {connected.submit(_ran, words, training, workers=[n], pure=False): n for n in nodes}
    try:
        _wait(connected, running, script)
    finally:
        connected.cancel(list(running))  # what has not begun
        if connected.status == "running":
            connected.run(_end, training)


def _wait(connected: Any, running: "dict[Future, str]", script: Path) -> None:
    """Until all nodes have ended well. ClusterError at the first that fails or is gone."""
    from distributed import wait

    watch, left = ClusterWatch(connected, _RESUME), set(running)
    while left:
        ended: Any = None
        with suppress(TimeoutError):
            ended = wait(left, timeout=watch.every, return_when="FIRST_COMPLETED")
        done = ended.done if ended else set()
        for future in done:
            if said := future.result():
                raise ClusterError(f"{script} failed on worker {running[future]}:\n{said}")
        left -= done
        watch.look()
        gone = {running[future] for future in left}.difference(watch.workers)
        if gone:
            raise ClusterError(f"{script}: worker {min(gone)} is gone. {_RESUME}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("", 0))
        return free.getsockname()[1]


_ending: dict[str, threading.Event] = {}
"""On a worker: what ends a training that runs there, by its id."""


def _ran(words: Sequence[str], training: str) -> str:
    """Runs on a worker, and ends with it; the end of its output if it failed."""
    ending = _ending.setdefault(training, threading.Event())
    try:
        with tempfile.TemporaryFile() as output:
            streams = {"stdout": output, "stderr": subprocess.STDOUT}
            environment = os.environ | dict([FRESH_STORE])
            with background(
                [sys.executable, *words], environment, asked=True, **streams
            ) as process:
                while (code := process.poll()) is None and not ending.wait(_POLL):
                    pass
            output.seek(0)
            said = output.read().decode("utf-8", "replace")
    finally:
        _ending.pop(training, None)
    return f"exit code {code}\n{said[-_SAID:]}" if code else ""


def _end(training: str) -> None:
    """Runs on a worker, beside `_ran`."""
    if training in _ending:
        _ending[training].set()
