"""Progress of long work: a bar on a terminal and in a notebook, else a line a minute."""

import sys
from typing import Any

import tqdm.auto
from tqdm.std import tqdm as _Text

MINUTE = 60.0
"""Seconds between two lines where nobody watches: in a file or a pipe."""


def progress_bar(*args: Any, **options: Any) -> _Text:
    """tqdm's bar, with its arguments.

    In a file or a pipe a bar would be thousands of states of one line. There, work that takes
    under a minute writes nothing, and longer work a line a minute.
    """
    if in_notebook() or sys.stderr.isatty():
        return tqdm.auto.tqdm(*args, **options)
    lines = {"delay": MINUTE, "mininterval": MINUTE, "maxinterval": MINUTE}
    return _Lines(*args, **options | lines | {"leave": True, "position": 0})


def in_notebook() -> bool:
    """Whether this runs in a notebook's kernel."""
    if "IPython" not in sys.modules:
        return False
    get = getattr(sys.modules["IPython"], "get_ipython", lambda: None)
    return getattr(get(), "kernel", None) is not None


class _Lines(_Text):
    """A bar whose states are lines below one another."""

    @staticmethod
    def status_printer(file: Any) -> Any:
        """A function that writes one state."""

        def write(state: str) -> None:
            """Write a state as a line, unless it is blank."""
            if state.strip():
                file.write(f"{state}\n")
                file.flush()

        return write
