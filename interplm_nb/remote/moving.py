"""Files on their way between a folder and a store, a few at a time."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import NamedTuple

from interplm_nb.progress import progress_bar
from interplm_nb.remote.index import Entry, Index

AT_ONCE = 4
"""Files on the way at a time: of each, a part or two are in memory."""
Move = Callable[[str, Entry, Callable[[int], object]], None]
"""Moves a file, and says how many of its bytes have arrived since the last call."""


class Moved(NamedTuple):
    """What a push or a pull moved.

    Attributes
    ----------
    files, bytes
        Moved now.
    index
        The index of the store afterwards.
    """

    files: int
    bytes: int
    index: Index


def move_all(wanted: Mapping[str, Entry], move: Move, title: str, progress: bool) -> None:
    """Move files; at the first failure those that wait are given up, and it is raised."""
    with (
        progress_bar(
            total=sum(entry.bytes for entry in wanted.values()),
            desc=title,
            unit="B",
            unit_scale=True,
            disable=not progress or not wanted,
        ) as bar,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        waiting = [pool.submit(move, name, entry, bar.update) for name, entry in wanted.items()]
        try:
            for moving in as_completed(waiting):
                moving.result()
        finally:  # after an error or Ctrl-C, what has not begun is left out
            pool.shutdown(wait=True, cancel_futures=True)
