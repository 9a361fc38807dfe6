"""What runs on a worker of a Dask cluster, around what it is asked to compute."""

import gc
import pickle
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from distributed import get_worker

from interplm_nb.scale.installed import differences, installed
from interplm_nb.scale.tries import may_pass

_one_at_a_time = threading.Lock()
_held: dict[bytes, Any] = {}
"""The task that is open here: one at most, as it may hold a PLM."""


class ShardError(Exception):
    """A shard failed on a worker; says which one, and whether another try may pass."""

    def __init__(self, said: str, worker: str, may_pass: bool) -> None:
        super().__init__(said, worker, may_pass)
        self.worker = worker
        self.may_pass = may_pass

    def __str__(self) -> str:
        return self.args[0]


@contextmanager
def on_worker(wanted: dict[str, str], pause: float = 0.0) -> Iterator[None]:
    """One computation at a time on this worker, `pause` seconds from now.

    ShardError where its versions are not those wanted, and for any error of the block.
    """
    worker = get_worker().address
    if other := differences(wanted, installed()):
        raise ShardError(
            f"worker {worker} has {other}; install the same versions there and here, as others can "
            "give other numbers",
            worker,
            False,
        )
    time.sleep(pause)
    # Two at once would need two PLMs' memory and wait for each other's cores.
    with _one_at_a_time, _Said(worker):
        yield


def opened(pickled: bytes) -> Any:
    """A task, opened once for all its shards, after the last one and its PLM are gone."""
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
            said = f"{type(error).__name__}: {error}"
            raise ShardError(said, self._worker, may_pass(error)) from error
