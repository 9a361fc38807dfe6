"""Who computes shards, from the words that a person types: `--scheduler ADDRESS`."""

import contextlib
import importlib.util
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from interplm_nb.cores import usable_cores
from interplm_nb.scale.allocator import workers_keep_memory
from interplm_nb.scale.errors import ClusterError
from interplm_nb.scale.queue_file import QueueFile
from interplm_nb.scale.shard_task import ThisProcess, Workers
from interplm_nb.scale.worker_output import code_to_redirect, quiet
from interplm_nb.scratch import scratch_folder

if TYPE_CHECKING:
    from distributed import Client

Scale: TypeAlias = "str | Client | Workers"
"""Who computes: an address (empty: this process), a connected client, or workers that are open."""

FORMS = (
    "give local:N for N processes on this machine, the address of a Dask scheduler "
    "(tcp://HOST:PORT or tls://HOST:PORT), or a .toml file that describes a queue "
    "(`interplm-nb slurm example` prints one)"
)
NEEDED = (
    "a cluster needs Dask, which is not installed: pip install 'interplm-nb[scale]', here and on "
    "every worker"
)
CONNECT_SECONDS = 30
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
"""What sets a worker's threads: of torch, and of `usable_cores`."""
_log = logging.getLogger(__name__)


def check_address(address: str) -> None:
    """ClusterError unless `address` has one of `FORMS`; starts nothing and imports no Dask."""
    if is_file(address):
        QueueFile.read(Path(address).expanduser())
        return
    kind, _, rest = address.partition(":")
    if kind == "local":
        if not rest.isdecimal() or not 1 <= int(rest) <= usable_cores():
            raise ClusterError(
                f"--scheduler {address}: local takes a number of processes from 1 to the "
                f"{usable_cores()} cores of this machine, such as local:{usable_cores()}"
            )
    elif address and not (kind in ("tcp", "tls") and _has_host_and_port(address)):
        raise ClusterError(f"--scheduler {address}: {FORMS}")


def _has_host_and_port(address: str) -> bool:
    parts = urlsplit(address)
    try:
        return bool(parts.hostname and parts.port)
    except ValueError:  # no number
        return False


def is_file(address: str) -> bool:
    """Whether an address is that of a file which describes a queue."""
    return address.endswith(".toml")


def absolute(address: str) -> str:
    """The same address for a process that works in another folder."""
    return str(Path(address).expanduser().resolve()) if is_file(address) else address


@contextmanager
def workers_at(address: Scale = "") -> Iterator[Workers]:
    """Workers for the length of a block; those that it started end with it.

    Parameters
    ----------
    address
        Empty: this process. Else see `FORMS`; in Python also a connected `distributed.Client`, or
        workers that the caller has opened and will end.

    Raises
    ------
    ClusterError
        For another address, without Dask, and where no scheduler or worker answers.

    Examples
    --------
    >>> with workers_at() as workers:
    ...     type(workers).__name__
    'ThisProcess'
    """
    if isinstance(address, Workers):
        yield address
        return
    if not address:
        yield ThisProcess()
        return
    if isinstance(address, str):
        check_address(address)
    if importlib.util.find_spec("distributed") is None:
        raise ClusterError(NEEDED)
    from interplm_nb.scale.dask_workers import DaskWorkers

    if not isinstance(address, str):
        yield DaskWorkers(address)
    elif address.startswith("local:"):
        with _local(int(address.removeprefix("local:"))) as (client, printed):
            yield DaskWorkers(client, printed)
    elif is_file(address):
        from interplm_nb.scale.queue_cluster import queued

        with queued(Path(address).expanduser()) as client:
            yield DaskWorkers(client)
    else:
        with _connected(address) as client:
            yield DaskWorkers(client)


@contextmanager
def _local(n: int) -> "Iterator[tuple[Client, Path]]":
    """A cluster of n processes that nobody else on this machine can reach: its connections are
    encrypted with a certificate that lives as long as it does. With it the file of what its workers
    print."""
    from distributed import Client, LocalCluster, Security

    threads = str(max(1, usable_cores() // n))
    with quiet(), workers_keep_memory(), scratch_folder() as folder:
        printed = folder / "printed.log"
        with (
            LocalCluster(
                n_workers=n,
                threads_per_worker=1,  # a worker computes one shard at a time, on `threads` cores
                host="127.0.0.1",
                security=Security.temporary(),
                dashboard_address="127.0.0.1:0",
                local_directory=str(folder),
                env=dict.fromkeys(THREADS, threads),
                preload=[code_to_redirect(printed)],
            ) as cluster,
            _ended_at_once(cluster),
            Client(cluster) as client,
        ):
            _log.info("cluster of %d workers; dashboard: %s", n, client.dashboard_link)
            yield client, printed


@contextmanager
def _ended_at_once(cluster: Any) -> Iterator[None]:
    """After an error or Ctrl-C, end the workers in the middle of their shards: Dask would wait for
    them for seconds, and a shard that was cut off changes nothing."""
    done = False
    try:
        yield
        done = True
    finally:
        for nanny in () if done else cluster.workers.values():
            nanny.close_gracefully()  # it starts no other worker
            if nanny.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(nanny.pid, signal.SIGKILL)


@contextmanager
def _connected(address: str) -> "Iterator[Client]":
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except OSError as error:
        raise ClusterError(
            f"no scheduler answered at {address} within {CONNECT_SECONDS} s ({error}); start one "
            "with `dask scheduler`, and check its address and port"
        ) from error
    except TypeError as error:  # as Dask says that a certificate is missing
        raise ClusterError(
            f"{address} is encrypted, and Dask has no certificate here ({error}); set "
            "distributed.comm.tls in Dask's configuration as its scheduler has it"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError as error:
            raise ClusterError(
                f"the scheduler at {address} has no worker; start some with "
                f"`dask worker {address} --nthreads 1`"
            ) from error
        _log.info("connected to %s; dashboard: %s", address, client.dashboard_link)
        yield client
