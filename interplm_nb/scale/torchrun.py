"""A training under torchrun on the workers of a Dask cluster, each of which is a node of it."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from interplm_nb.children import background
from interplm_nb.scale.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client

FRESH_STORE = ("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
"""What torchrun needs in its environment to start a training again: processes find one another
through a store, and without this they find the addresses of those that ended, and wait for them."""
_SAID = 4000
"""Characters of the end of a node's output that an error quotes."""


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
        With the end of a node's output, where the training fails.
    """
    connected: Any = client  # its methods are typed as coroutines too, which they are not
    nodes = sorted(connected.nthreads())
    if not nodes:
        raise ClusterError(f"the cluster has no worker to run {script}; start some first")
    first = {"workers": [nodes[0]], "pure": False}
    port = connected.submit(_free_port, **first).result()
    words = [
        "-m",
        "torch.distributed.run",
        f"--nnodes={len(nodes)}",
        f"--nproc-per-node={per_node}",
        "--rdzv-backend=c10d",
        f"--rdzv-id={port}",
        f"--rdzv-endpoint={urlsplit(nodes[0]).hostname}:{port}",
        str(script),
        *arguments,
    ]
    running = [connected.submit(_ran, words, workers=[node], pure=False) for node in nodes]
    try:
        failed = {n: said for n, said in zip(nodes, connected.gather(running), strict=True) if said}
    finally:
        connected.cancel(running)
    if failed:
        node, said = next(iter(failed.items()))
        raise ClusterError(f"{script} failed on worker {node}:\n{said}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("", 0))
        return free.getsockname()[1]


def _ran(words: Sequence[str]) -> str:
    """Runs on a worker, and ends with it; the end of its output if it failed."""
    with tempfile.TemporaryFile() as output:
        streams = {"stdout": output, "stderr": subprocess.STDOUT}
        environment = os.environ | dict([FRESH_STORE])
        with background([sys.executable, *words], env=environment, **streams) as process:
            code = process.wait()
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    return f"exit code {code}\n{said[-_SAID:]}" if code else ""
