"""Peak anonymous memory of a process and its children: the proportional share of each (Pss_Anon on
Linux), summed over the process tree, sampled.

A page that a forked child still shares with its parent counts once. Memory-mapped files and shared
libraries are not counted, because the system takes them back when it needs to.

The system walks every mapped page to tell the shares: a second of a core for 12 GB of embeddings.
So they are read only where the sum of RssAnon, which costs nothing and is never below them, exceeds
the peak, and for half of a core at most.
"""

import re
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

_SHARES = Path("/proc/self/smaps_rollup")
MEASURE = (
    "Pss_Anon summed over the process tree, sampled"
    if _SHARES.exists() and "Pss_Anon:" in _SHARES.read_text(encoding="ascii")
    else "RSS summed over the process tree, sampled"
)


class PeakMemory:
    """A context that samples this process and its descendants; `peak` is in bytes."""

    def __init__(self, every: float = 0.2) -> None:
        self.peak = 0
        self._every = every
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        this = psutil.Process()
        while True:
            start = time.thread_time()
            tree = _tree(this)
            if sum(map(_resident, tree)) > self.peak:
                self.peak = max(self.peak, sum(map(_anonymous, tree)))
            took = time.thread_time() - start
            if self._done.wait(max(self._every, took)):
                return


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _resident(process: psutil.Process) -> int:
    """At least `_anonymous`, at once."""
    return _read(process, "status", "RssAnon")


def _anonymous(process: psutil.Process) -> int:
    return _read(process, "smaps_rollup", "Pss_Anon")


def _read(process: psutil.Process, file: str, line: str) -> int:
    try:
        if MEASURE.startswith("RSS"):
            return process.memory_info().rss
        text = Path(f"/proc/{process.pid}/{file}").read_text(encoding="utf-8", errors="replace")
        found = re.search(rf"^{line}:\s+(\d+) kB$", text, re.MULTILINE)
        return int(found[1]) * 1024 if found else 0  # a process that is ending has no memory
    except (OSError, psutil.Error):
        return 0  # it ended between two lines
