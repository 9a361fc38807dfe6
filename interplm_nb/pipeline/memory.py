"""Peak anonymous memory of a process and its children: the proportional share of each (Pss_Anon on
Linux), summed over the process tree, sampled.

A page that a forked child still shares with its parent counts once. Memory-mapped files and shared
libraries are not counted, because the system takes them back when it needs to.
"""

import re
import threading
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
            self.peak = max(self.peak, sum(_anonymous(process) for process in _tree(this)))
            if self._done.wait(self._every):
                return


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _anonymous(process: psutil.Process) -> int:
    try:
        if MEASURE.startswith("RSS"):
            return process.memory_info().rss
        shares = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
        found = re.search(r"^Pss_Anon: +(\d+) kB$", shares, re.MULTILINE)
        return int(found[1]) * 1024 if found else 0  # a process that is ending has no memory
    except (OSError, psutil.Error):
        return 0  # it ended between two lines
