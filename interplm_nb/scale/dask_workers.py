"""Shards on the workers of a Dask cluster."""

import gc
import logging
import pickle
import secrets
import threading
from collections import deque
from typing import Any

from distributed import Client, Future, as_completed, get_worker
from distributed.scheduler import KilledWorker

from interplm_nb.scale.errors import ClusterError
from interplm_nb.scale.installed import differences, installed
from interplm_nb.scale.shard_task import ShardTask, Update

AHEAD = 2
"""Shards per worker that are with the scheduler at once, so that its memory does not
grow with their number."""

MOST_TRIES = 3
"""Times that a shard is tried whose file could not be read or written, or whose scheduler went."""

_LOG_LINES = 20
_one_at_a_time = threading.Lock()
_log = logging.getLogger(__name__)


class DaskWorkers:
    """Computes shards on the workers of a connected client.

    The scheduler gets a task's name for its files and a shard's number, and gives back nothing:
    results are files in a folder that all workers and this process see. Shards are independent, so
    any number of workers may join and leave.
    """

    def __init__(self, client: Client) -> None:
        self.client: Any = client  # its methods are typed as coroutines too, which they are not

    @property
    def where(self) -> str:
        """See `Workers`: how many, and the address of the dashboard."""
        n = len(self.client.nthreads())
        return f" on {n} worker{'s' * (n != 1)} (dashboard: {self.client.dashboard_link})"

    def complete(self, task: ShardTask, update: Update) -> None:
        """See `Workers`.

        Raises
        ------
        ClusterError
            For a worker with other versions, for shards whose computation failed (with the proteins
            and the worker's log), and where no worker is left.
        """
        waiting, tries = deque(task.missing()), dict[int, int]()
        if not waiting:
            return
        here, running = installed(), dict[Future, int]()
        # As bytes: the scheduler unpickles what it can, and would load a PLM.
        pickled = pickle.dumps(task)
        done = as_completed(raise_errors=False)
        while waiting or running:
            while waiting and len(running) < self._most_at_once():
                shard = waiting.popleft()
                tries[shard] = tries.get(shard, 0) + 1
                future = self.client.submit(
                    _computed, pickled, shard, here, pure=False, key=_key(task, shard, tries[shard])
                )
                running[future] = shard
                done.add(future)
            future = next(done)
            shard = running.pop(future)
            if future.status == "finished":
                update(task.residues(shard))
            elif tries[shard] < MOST_TRIES and _may_pass(future):
                _log.warning("shard %d of %s is tried again", shard, task.label)
                waiting.append(shard)
            else:
                self.client.cancel(list(running))
                raise ClusterError(self._why(task, shard, future))
            future.release()

    def _most_at_once(self) -> int:
        return AHEAD * max(1, len(self.client.nthreads()))

    def _why(self, task: ShardTask, shard: int, future: Future) -> str:
        names = task.accessions(shard)
        proteins = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        which = f"{task.label}: shard {shard} ({len(names)} proteins, {proteins}) failed"
        kept = "The other shards are kept; the same command goes on from them."
        if future.status in ("cancelled", "lost"):
            return (
                f"{which}: the scheduler {self.client.scheduler_info().get('address', '')} lost it "
                f"{MOST_TRIES} times. {kept}"
            )
        error: Any = future.exception()
        if isinstance(error, KilledWorker):
            return (
                f"{which}: {error.allowed_failures + 1} workers died while they computed it, the "
                f"last one at {error.last_worker.address}. It may need more memory than a worker "
                f"has. {kept}"
            )
        return f"{which}: {error}\n{self._log_of(error)}{kept}"

    def _log_of(self, error: BaseException | None) -> str:
        """The last lines of the log of the worker that raised it."""
        address = getattr(error, "worker", "")
        logs = self.client.get_worker_logs(n=_LOG_LINES, workers=[address]) if address else {}
        lines = [f"  {level} {line}" for level, line in reversed(logs.get(address, ()))]
        return "\n".join([f"Log of worker {address}:", *lines, ""]) if lines else ""


class ShardError(Exception):
    """A shard failed on a worker; says which one, and whether another try may pass."""

    def __init__(self, said: str, worker: str, may_pass: bool) -> None:
        super().__init__(said, worker, may_pass)
        self.worker = worker
        self.may_pass = may_pass

    def __str__(self) -> str:
        return self.args[0]


def _computed(pickled: bytes, shard: int, wanted: dict[str, str]) -> None:
    """Runs on a worker."""
    worker = get_worker()
    if other := differences(wanted, installed()):
        raise ShardError(
            f"worker {worker.address} has {other}; install the same versions there and here, as "
            "others can give other numbers",
            worker.address,
            False,
        )
    # Two at once would need two PLMs' memory and wait for each other's cores.
    with _one_at_a_time, _Said(worker.address):
        _opened(pickled).compute(shard, _ignored)


_held: dict[bytes, ShardTask] = {}
"""The task that is open here: one at most, as it may hold a PLM."""


def _opened(pickled: bytes) -> ShardTask:
    """The task, opened once for all its shards, after the last one and its PLM are gone."""
    if pickled not in _held:
        _held.clear()
        gc.collect()
        _held[pickled] = pickle.loads(pickled)
    return _held[pickled]


class _Said:
    """Gives an error of the block its worker."""

    def __init__(self, worker: str) -> None:
        self._worker = worker

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception):
            # A disk or a network may recover; a ValueError comes again.
            may_pass = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
            said = f"{type(error).__name__}: {error}"
            raise ShardError(said, self._worker, may_pass) from error


def _ignored(_: int) -> None:
    """A worker reports no part of a shard."""


def _key(task: ShardTask, shard: int, attempt: int) -> str:
    """As Dask's dashboard shows it: keys of one kind share what is before the last hyphen."""
    return f"{task.label.replace(' ', '_')}-{shard}-{attempt}-{secrets.token_hex(4)}"


def _may_pass(future: Future) -> bool:
    """Whether another try may succeed; a scheduler that started anew has lost its futures."""
    if future.status in ("cancelled", "lost"):
        return True
    error = future.exception()
    return isinstance(error, ShardError) and error.may_pass
