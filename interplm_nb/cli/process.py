"""What the command line asks of its process: plain text, an orderly end, a place for caches."""

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from interplm_nb.plain_text import PlainStream
from interplm_nb.scratch import scratch_folder

log = logging.getLogger(__name__)

_CACHES = {
    "IPYTHONDIR": "ipython",
    "JUPYTER_CONFIG_DIR": "jupyter/config",
    "JUPYTER_DATA_DIR": "jupyter/data",
    "JUPYTER_RUNTIME_DIR": "jupyter/runtime",
    "MPLCONFIGDIR": "matplotlib",
    "NUMBA_CACHE_DIR": "numba",
}
"""Variables that name folders which packages write to, else in the home folder or their own."""


def write_plainly() -> None:
    """Let everything that this process prints, tracebacks too, be plain from now on."""
    sys.stdout, sys.stderr = PlainStream(sys.stdout), PlainStream(sys.stderr)  # type: ignore


def end_in_order() -> None:
    """Let SIGTERM and SIGHUP end this process as an exception does.

    So that its children end, and its temporary folders are removed.
    """
    for kind in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(kind) is signal.SIG_DFL:  # under nohup, SIGHUP stays ignored
            signal.signal(kind, _end)


def _end(kind: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + kind)


def is_writable(folder: Path) -> bool:
    """Whether a file can be made there; permissions alone do not tell, as on a full disk."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@contextmanager
def place_for_caches() -> Iterator[None]:
    """Where the home folder cannot be written to, a temporary one takes its caches for the block.

    As for a random user in a container, or on a cluster's nodes. A variable that is set stays.
    """
    home = Path(os.path.expanduser("~"))
    if home.is_absolute() and is_writable(home):
        yield
        return
    with scratch_folder() as folder:
        if home.is_absolute() and home.is_dir():
            names = dict(_CACHES)
            if not os.path.isdir(home / ".cache"):  # one that can be read may hold models
                names["XDG_CACHE_HOME"] = "cache"
            for name, place in names.items():
                os.environ.setdefault(name, str(folder / place))
        else:
            os.environ["HOME"] = str(folder)
            os.environ.setdefault("NUMBA_CACHE_DIR", str(folder / "numba"))
        log.warning(
            "the home folder %s cannot be written to: caches and downloads are in %s until this "
            "command ends; set HOME to a folder of yours to keep them",
            home,
            folder,
        )
        yield
