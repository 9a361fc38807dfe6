"""Whether a cluster can still do its work."""

import time
from typing import Any

from interplm_nb.scale.errors import ClusterError

EVERY = 5.0
"""Seconds between two looks."""
PATIENCE = 300.0
"""Seconds without any worker that takes or computes shards, after which a call gives up."""

SHARDS_KEPT = "The shards that are finished are kept; the same command goes on from them."


class ClusterWatch:
    """Looks at a cluster while its shards are computed.

    Parameters
    ----------
    client
        Connected.
    resume
        The sentence of its errors that says how to go on.

    Attributes
    ----------
    workers
        Addresses, as last seen.
    every
        Seconds between two looks.
    """

    def __init__(self, client: Any, resume: str = SHARDS_KEPT) -> None:
        self.workers: list[str] = []
        self.every = EVERY
        self._client, self._resume = client, resume
        self._address = client.scheduler.address
        self._looked = -float("inf")
        self.something_ended()
        self.look()

    def something_ended(self) -> None:
        """Work goes on. ClusterError where it ended because the client gave its scheduler up.

        A client that closes cancels what was sent, and refuses what is sent after that.
        """
        self._check_scheduler()
        self._alive = time.monotonic()

    def look(self) -> bool:
        """Look again if it is time, and say whether. ClusterError where nobody has worked for
        `PATIENCE`, or the client has given its scheduler up."""
        now = time.monotonic()
        if now - self._looked < self.every:
            return False
        self._check_scheduler()
        try:
            seen = self._client.scheduler_info()["workers"] if self._is_connected() else {}
        except OSError:  # it went while it was asked
            seen = {}
        self._looked, self.workers = time.monotonic(), sorted(seen)
        if any(_takes_shards(worker) for worker in seen.values()):
            self.something_ended()
        elif now - self._alive > PATIENCE:
            raise ClusterError(f"{_sentence(self._address, seen)} {self._resume}")
        return True

    def _check_scheduler(self) -> None:
        if self._client.status in ("closing", "closed"):
            raise ClusterError(
                f"the scheduler at {self._address} went away and did not come back; start it again "
                f"with its workers. {self._resume}"
            )

    def _is_connected(self) -> bool:
        return self._client.status == "running"


def _takes_shards(worker: dict[str, Any]) -> bool:
    return worker["status"] == "running" or worker.get("metrics", {}).get("executing", 0) > 0


def _sentence(address: str, seen: dict[str, Any]) -> str:
    minutes = f"{PATIENCE / 60:.0f} minutes"
    if not seen:
        return (
            f"the scheduler at {address} has had no worker for {minutes}; start some with "
            f"`dask worker {address} --nthreads 1` (one without this package ends at its first "
            "shard, as its own log says)."
        )
    limit = min(worker["memory_limit"] for worker in seen.values()) / 2**30
    return (
        f"all {len(seen)} workers of {address} have been paused for {minutes}: Dask gives a worker "
        f"no more work while it uses over 80 % of its memory limit ({limit:.1f} GiB for the "
        "smallest). Start workers with a higher one (`dask worker --memory-limit`)."
    )
