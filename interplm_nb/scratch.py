"""Temporary folders that are removed by the next start where their process was killed.

Each holds a locked file for as long as its process lives. The lock is the operating system's, so it
ends with the process, and a folder whose file nobody locks belongs to no one.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "inb-"
"""Short, because the path of a kernel's socket file has at most about 100 characters."""
_HELD = "held"
_YOUNG = 60.0
"""Seconds in which a folder may not be locked yet."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder for the block, after those that killed processes left were removed.

    Examples
    --------
    >>> with scratch_folder() as folder:
    ...     _ = (folder / "note").write_text("x")
    >>> folder.exists()
    False
    """
    remove_left()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        with (folder / _HELD).open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_left() -> None:
    """Remove the folders of this user whose process is gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # another start removes it too, or its process lives
            if not folder.is_symlink() and folder.stat().st_uid == os.geteuid():
                _remove_if_left(folder)


def _remove_if_left(folder: Path) -> None:
    with (folder / _HELD).open("rb") as held:
        if time.time() - os.fstat(held.fileno()).st_mtime < _YOUNG:
            return
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
