"""One process at a time in a run folder.

The lock is the operating system's (`flock`), on an open file: it ends with the process that holds
it, however that process ends. A notebook kernel inherits the open file, so that a kernel which
briefly outlives a killed runner still holds the folder.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

from interplm_nb.pipeline.errors import RunLockedError

log = logging.getLogger(__name__)


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the lock file `path`; yield its descriptor, for child processes to inherit.

    RunLockedError with the holder's pid where another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _take(descriptor, path)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path) -> None:
    if fcntl is None:
        log.warning("this system has no flock: start no second run in %s", path.parent)
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        raise RunLockedError(
            f"{path.parent} is in use by another run (process {pid}); wait until it ends, stop it, "
            "or give another folder with --out"
        ) from None
