"""What workers on this machine print: kept in a file, for the day when a shard fails."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DASK = "distributed"
"""The logger of everything that Dask says."""


def code_to_redirect(file: Path) -> str:
    """A worker's preload (Dask's word for code that it runs before all else)."""
    return f"from {__name__} import redirect\n\nredirect({str(file)!r})\n"


def redirect(file: str) -> None:
    """Send all that this process prints to the end of a file, also what libraries in C print."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)
    logging.getLogger(_DASK).setLevel(logging.WARNING)


@contextmanager
def quiet() -> Iterator[None]:
    """Dask says nothing in this process for the block: an error of a shard is raised, and its log
    is part of the message."""
    logger = logging.getLogger(_DASK)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def last_lines(file: Path, n: int) -> list[str]:
    """The last lines of such a file; none if nothing was printed."""
    return (
        file.read_text(encoding="utf-8", errors="replace").splitlines()[-n:]
        if file.exists()
        else []
    )
