"""Which shards are tried again, and where."""

from collections import Counter
from collections.abc import Collection

MOST_TRIES = 3
"""Times that a shard is tried whose file could not be read or written, or that was lost with its
scheduler; also the failures after which a worker gets no shards while others are there."""

PAUSE = 10.0
"""Seconds before a shard is tried once more on the worker where it failed; then twice as long."""


def may_pass(error: Exception) -> bool:
    """Whether another try may go well: a disk or a network may recover, other errors come again."""
    return isinstance(error, OSError) and not isinstance(error, FileNotFoundError)


class Tries:
    """The failures of one call that another try may mend.

    A worker whose disk is full fails at once and is idle at once, so it would take every shard.
    A shard is therefore tried again elsewhere, and a worker that fails again and again is left out.

    >>> tries = Tries()
    >>> tries.failed(7, "tcp://b")
    >>> sorted(tries.allowed(7, ["tcp://a", "tcp://b"])), tries.allowed(8, ["tcp://a", "tcp://b"])
    (['tcp://a'], frozenset())
    """

    def __init__(self) -> None:
        self._of_shard: dict[int, list[str]] = {}
        self._of_worker = Counter[str]()

    def failed(self, shard: int, worker: str = "") -> None:
        """A try of a shard failed on a worker; "" where it was lost with the scheduler."""
        self._of_shard.setdefault(shard, []).append(worker)
        self._of_worker[worker] += bool(worker)

    def over(self, shard: int) -> bool:
        """Whether a shard has had its last try."""
        return len(self._of_shard.get(shard, ())) >= MOST_TRIES

    def allowed(self, shard: int, workers: Collection[str]) -> frozenset[str]:
        """The workers on which the shard may run; empty for any of them."""
        bad = {w for w, n in self._of_worker.items() if n >= MOST_TRIES}
        left = frozenset(workers) - bad - set(self._of_shard.get(shard, ()))
        return left if len(left) < len(workers) else frozenset()

    def pause(self, shard: int, allowed: frozenset[str]) -> float:
        """Seconds to wait before the shard is tried on one of `allowed`: none elsewhere."""
        failed = [worker for worker in self._of_shard.get(shard, ()) if worker]
        return 0.0 if allowed or not failed else PAUSE * 2 ** (len(failed) - 1)
