"""Calls on the workers of a Dask cluster: results in order, a bounded number ahead."""

import asyncio
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, wait
from typing import Any

from distributed import Client, Future

from interplm_nb.scale.cluster_watch import ClusterWatch
from interplm_nb.scale.errors import ClusterError
from interplm_nb.scale.installed import installed
from interplm_nb.scale.on_worker import ShardError, on_worker, opened
from interplm_nb.scale.tries import MOST_TRIES

AHEAD = 2
"""Calls per worker that are waited for at once: their results are the most that is held."""


def in_order(
    client: Client, function: Callable[[Any], Any], parts: Iterable[Any], resume: str
) -> Iterator[Any]:
    """`function(part)` for each part, computed by the workers and yielded in order.

    `parts` may be endless. Results go from the workers to this process, not through the scheduler.
    `function` is pickled, and opened once on each worker: it names files and carries no weights.
    What is under way ends when the iterator is closed.

    Raises
    ------
    ClusterError
        Where a part fails, with the worker's own words; where no scheduler or worker is left, with
        `resume`: a sentence that says how to go on.
    """
    calls = _Calls(client, function, resume)
    coming, running = iter(parts), deque[_Call]()
    try:
        while True:
            while len(running) < AHEAD * max(1, len(calls.watch.workers)):
                part = next(coming, None)
                if part is None:
                    break
                running.append(calls.begin(part))
            if not running:
                return
            yield calls.result(running[0])
            running.popleft()
    finally:
        calls.cancel(running)


class _Call:
    """A part, and the future of its result: another one each time that it is sent."""

    def __init__(self, part: Any, future: Future) -> None:
        self.part, self.future, self.sent = part, future, 1


class _Calls:
    def __init__(self, client: Client, function: Callable[[Any], Any], resume: str) -> None:
        self.watch = ClusterWatch(client, resume)
        self._dask: Any = client  # its methods are typed as coroutines too, which they are not
        self._pickled, self._wanted, self._resume = pickle.dumps(function), installed(), resume

    def begin(self, part: Any) -> _Call:
        """Sends a part to the workers."""
        return _Call(part, self._sent(part))

    def result(self, call: _Call) -> Any:
        """Waits for a call's result; sends the part again where another try may pass."""
        while True:
            try:
                return self._watched(call.future)
            except CancelledError as lost:
                said, cause = "the scheduler lost a part", lost
            except ShardError as error:
                said, cause = f"a worker failed: {error}", error
                if not error.may_pass:
                    raise ClusterError(f"{said}. {self._resume}") from error
            if call.sent == MOST_TRIES:
                which = f"try {call.sent} of {MOST_TRIES}"
                raise ClusterError(f"{said} ({which}). {self._resume}") from cause
            call.future, call.sent = self._sent(call.part), call.sent + 1

    def cancel(self, calls: Iterable[_Call]) -> None:
        """Ends calls whose results nobody will read, where the scheduler still answers."""
        if self._dask.status == "running":
            self._dask.cancel([call.future for call in calls])

    def _sent(self, part: Any) -> Future:
        return self._dask.submit(_called, self._pickled, part, self._wanted, pure=False)

    def _watched(self, future: Future) -> Any:
        # In the client's loop: it waits without end for a result whose worker has gone.
        gather = self._dask.gather(future, direct=True, asynchronous=True)
        gathered = asyncio.run_coroutine_threadsafe(gather, self._dask.loop.asyncio_loop)
        try:
            while not wait([gathered], timeout=self.watch.every).done:
                self.watch.look()
            self.watch.something_ended()
            return gathered.result()
        except (CancelledError, ClusterError, ShardError):
            raise
        except Exception as error:
            raise ClusterError(f"a worker failed: {error}. {self._resume}") from error
        finally:
            gathered.cancel()


def _called(pickled: bytes, part: Any, wanted: dict[str, str]) -> Any:
    """Runs on a worker."""
    with on_worker(wanted):
        return opened(pickled)(part)
