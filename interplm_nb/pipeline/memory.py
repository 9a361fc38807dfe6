"""Peak anonymous memory of a process and its children: RssAnon summed over the process tree,
sampled.

Memory-mapped files and shared libraries are not counted, because the system takes them back when
it needs to.
"""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

MEASURE = (
    "RssAnon summed over the process tree, sampled"
    if Path("/proc/self/status").exists()
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
        seen: set[int] = {this.pid}
        while True:
            processes = _tree(this)
            self.peak = max(self.peak, sum(_anonymous(p) for p in processes if p.pid in seen))
            # Until it starts its own program, a child shares its parent's memory, which would be
            # counted twice: a process counts from the second sample that finds it.
            seen.update(p.pid for p in processes)
            if self._done.wait(self._every):
                return


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _anonymous(process: psutil.Process) -> int:
    status = Path(f"/proc/{process.pid}/status")
    try:
        if status.exists():
            for line in status.read_text(encoding="ascii", errors="replace").splitlines():
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
            return 0  # a process that is ending has no memory lines
        return process.memory_info().rss
    except (OSError, psutil.Error):
        return 0  # it ended between two lines
