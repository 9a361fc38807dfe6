"""Shards on the workers of a Dask cluster."""

import logging
import pickle
import secrets
from collections import deque
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from distributed import Client, Future
from distributed.scheduler import KilledWorker

from interplm_nb.scale.cluster_watch import ClusterWatch
from interplm_nb.scale.errors import ClusterError
from interplm_nb.scale.installed import installed
from interplm_nb.scale.on_worker import ShardError, on_worker, opened
from interplm_nb.scale.scheduler_memory import EVERY, forget_ended
from interplm_nb.scale.shard_task import ShardTask, Update, failed
from interplm_nb.scale.tries import MOST_TRIES, Tries
from interplm_nb.scale.worker_output import last_lines

AHEAD = 2
"""Shards per worker that are with the scheduler at once, so that its memory does not
grow with their number."""

_KEPT = "The other shards are kept; the same command goes on from them."
_LOG_LINES, _QUIET = 20, ("DEBUG", "INFO")
_log = logging.getLogger(__name__)


class _Sent(NamedTuple):
    """A shard that is with the scheduler, and the only workers that may compute it; empty: any."""

    shard: int
    allowed: frozenset[str]


class DaskWorkers:
    """Computes shards on the workers of a connected client.

    The scheduler gets a task's name for its files and a shard's number, and gives back nothing:
    results are files in a folder that all workers and this process see. Shards are independent, so
    any number of workers may join and leave. A scheduler that is started anew at its address is
    found again for as long as the client tries (its `timeout`); what it had is sent again.

    Parameters
    ----------
    client
        Connected.
    printed
        The file of what its workers print, if it is on this machine.
    """

    def __init__(self, client: Client, printed: Path | None = None) -> None:
        self.client: Any = client  # its methods are typed as coroutines too, which they are not
        self._printed = printed

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
            and the worker's log), and where no scheduler or worker is left.
        """
        waiting, running = deque(task.missing()), dict[Future, _Sent]()
        if not waiting:
            return
        ended, n_ended, tries = SimpleQueue[Future](), 0, Tries()
        watch, taken_back = ClusterWatch(self.client), set[Future]()
        # As bytes: the scheduler unpickles what it can, and would load a PLM.
        pickled, here = pickle.dumps(task), installed()
        try:
            while waiting or running:
                while waiting and len(running) < AHEAD * max(1, len(watch.workers)):
                    shard = waiting.popleft()
                    allowed = tries.allowed(shard, watch.workers)
                    pause = tries.pause(shard, allowed)
                    future = self.client.submit(
                        _computed,
                        pickled,
                        shard,
                        here,
                        pause,
                        pure=False,
                        key=_key(task, shard),
                        workers=sorted(allowed) or None,
                    )
                    running[future] = _Sent(shard, allowed)
                    future.add_done_callback(ended.put)
                future = self._next(ended, running, watch, taken_back)
                shard = running.pop(future).shard
                if future.status == "finished":
                    update(task.residues(shard))
                else:
                    if future not in taken_back:  # no try: nobody was there who could make it
                        self._again(task, shard, future, tries)
                    waiting.appendleft(shard)  # so that what fails for good ends the call soon
                future.release()
                n_ended += 1
                if n_ended % EVERY == 0:
                    forget_ended(self.client)
        finally:
            if running and self.client.status == "running":
                self.client.cancel(list(running))

    def _next(
        self,
        ended: SimpleQueue[Future],
        running: dict[Future, _Sent],
        watch: ClusterWatch,
        taken_back: set[Future],
    ) -> Future:
        """The next future that ends, while somebody is there to end it."""
        while True:
            if watch.look():
                taken_back |= self._free(running, watch)
            try:
                future = ended.get(timeout=watch.every)
            except Empty:
                continue
            watch.something_ended()
            return future

    def _free(self, running: dict[Future, _Sent], watch: ClusterWatch) -> set[Future]:
        """Take back shards whose workers have all gone; they end as cancelled."""
        left = {
            future
            for future, sent in running.items()
            if sent.allowed
            and sent.allowed.isdisjoint(watch.workers)
            and future.status == "pending"
        }
        if left:
            self.client.cancel(list(left))
        return left

    def _again(self, task: ShardTask, shard: int, future: Future, tries: Tries) -> None:
        """Note a failure that another try may mend; ClusterError for any other."""
        if future.status in ("cancelled", "lost"):  # also where the scheduler started anew
            may_pass, worker = True, ""
        else:
            error = future.exception()
            may_pass, worker = isinstance(error, ShardError) and error.may_pass, _worker_of(error)
        tries.failed(shard, worker)
        if not may_pass or tries.over(shard):
            raise ClusterError(self._why(task, shard, future))
        _log.warning("shard %d of %s is tried again", shard, task.label)

    def _why(self, task: ShardTask, shard: int, future: Future) -> str:
        which = failed(task, shard)
        if future.status in ("cancelled", "lost"):
            return f"{which}: its scheduler lost it {MOST_TRIES} times. {_KEPT}"
        error: Any = future.exception()
        if isinstance(error, KilledWorker):
            return (
                f"{which}: {error.allowed_failures + 1} workers died while they computed it, the "
                f"last one at {error.last_worker.address}. It may need more memory than a worker "
                f"has.\n{self._log_of('')}{_KEPT}"
            )
        if not isinstance(error, ShardError):
            error = (
                f"{type(error).__name__}: {error}. The scheduler and its workers need the same "
                "version of interplm-nb as this process"
            )
        return f"{which}: {error}\n{self._log_of(_worker_of(error))}{_KEPT}"

    def _log_of(self, worker: str) -> str:
        """The last lines that a worker wrote, if they can still be had."""
        if self._printed is not None:
            lines = last_lines(self._printed, _LOG_LINES)
        else:
            lines = self._told_by(worker) if worker else []
        return (
            "\n  ".join([f"Log of worker {worker}:" if worker else "Log of the workers:", *lines])
            + "\n"
            if lines
            else ""
        )

    def _told_by(self, worker: str) -> list[str]:
        try:
            logs = self.client.get_worker_logs(workers=[worker])
        except OSError:  # it is gone
            return []
        log = reversed(logs.get(worker, ()))
        told: list[str] = [str(line) for level, line in log if level not in _QUIET]
        return "\n".join(told).splitlines()[-_LOG_LINES:]


def _worker_of(error: object) -> str:
    return getattr(error, "worker", "")


def _computed(pickled: bytes, shard: int, wanted: dict[str, str], pause: float) -> None:
    """Runs on a worker."""
    with on_worker(wanted, pause):
        opened(pickled).compute(shard, _ignored)


def _ignored(_: int) -> None:
    """A worker reports no part of a shard."""


def _key(task: ShardTask, shard: int) -> str:
    """As Dask's dashboard shows it: keys of one kind share what is before the first hyphen."""
    return f"{task.label.replace(' ', '_')}-{shard}-{secrets.token_hex(4)}"
