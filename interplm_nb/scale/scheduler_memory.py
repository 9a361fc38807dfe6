"""What a Dask scheduler keeps of tasks that have ended, which grows with their number."""

from contextlib import suppress
from typing import Any

EVERY = 1000
"""Shards after which it is removed: 0.6 MB of them."""


def forget_ended(client: Any) -> None:
    """Remove it, unless the scheduler is away for the moment."""
    if client.status == "running":
        with suppress(OSError):
            client.run_on_scheduler(_forget)


def _forget(dask_scheduler: Any) -> None:
    """Runs on the scheduler. Changes nothing but memory: `key_split` computes the names anew, and
    an entry of a span without more than its type says only that `submit` was called."""
    from dask.utils import key_split

    with suppress(AttributeError, KeyError):  # another version of Dask may keep them elsewhere
        key_split.cache_clear()
        for span in dask_scheduler.extensions["spans"].spans.values():
            if span.metadata:
                calls = span.metadata["collections"]
                calls[:] = [call for call in calls if call != {"type": "Future"}]
