"""One process at a time in a run folder.

The lock is the operating system's (`flock`), on an open file: it ends with the process that holds
it, however that process ends. A notebook kernel inherits the open file, so that a kernel which
briefly outlives a killed runner still holds the folder.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interplm_nb.pipeline.errors import PipelineError, RunLockedError


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the lock file `path`; yield its descriptor, for child processes to inherit.

    RunLockedError with the holder's pid where another process holds it. PipelineError where `path`
    is not a regular file, and where the file system has no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _opened(path)
    try:
        _take(descriptor, path)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _not_a_file(path) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise PipelineError(
                f"{path.parent} cannot be written to ({error.strerror}); it can be read, but "
                "a stage or an evaluation needs your own folder: give one with --out, or "
                "copy the run"
            ) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_a_file(path)
    return descriptor


def _not_a_file(path: Path) -> PipelineError:
    return PipelineError(
        f"{path} is a link or a special file, and a run's lock is a plain file that the run "
        "overwrites; remove it"
    )


def _take(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        raise RunLockedError(
            f"{path.parent} is in use by another run (process {pid}); wait until it ends, stop it, "
            "or give another folder with --out"
        ) from None
    except OSError as error:
        raise PipelineError(
            f"{path.parent} is on a file system that cannot lock files ({error.strerror}); "
            "give a folder on another one"
        ) from error
