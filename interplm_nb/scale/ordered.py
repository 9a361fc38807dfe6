"""Calls on the workers of a Dask cluster: results in order, a bounded number ahead."""

import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from distributed import Client, Future

from interplm_nb.scale.errors import ClusterError
from interplm_nb.scale.installed import installed
from interplm_nb.scale.on_worker import on_worker, opened

AHEAD = 2
"""Calls per worker that are waited for at once: their results are the most that is held."""


def in_order(client: Client, function: Callable[[Any], Any], parts: Iterable[Any]) -> Iterator[Any]:
    """`function(part)` for each part, computed by the workers and yielded in order.

    `parts` may be endless. Results go from the workers to this process, not through the scheduler.
    `function` is pickled, and opened once on each worker: it names files and carries no weights.
    What is under way ends when the iterator is closed.

    Raises
    ------
    ClusterError
        Where a part fails, with the worker's own words.
    """
    dask: Any = client  # its methods are typed as coroutines too, which they are not
    pickled, wanted, coming = pickle.dumps(function), installed(), iter(parts)
    running: deque[Future] = deque()
    try:
        while True:
            while len(running) < AHEAD * max(1, len(dask.nthreads())):
                part = next(coming, None)
                if part is None:
                    break
                running.append(dask.submit(_called, pickled, part, wanted, pure=False))
            if not running:
                return
            yield _result(dask, running.popleft())
    finally:
        if dask.status == "running":
            dask.cancel(list(running))


def _result(dask: Any, future: Future) -> Any:
    error: Any = future.exception()
    if error is not None:
        raise ClusterError(f"a worker failed: {error}") from error
    return dask.gather(future, direct=True)


def _called(pickled: bytes, part: Any, wanted: dict[str, str]) -> Any:
    """Runs on a worker."""
    with on_worker(wanted):
        return opened(pickled)(part)
