"""Commands that end with this process, however it ends.

Python cannot end a child after it was killed itself. So this file, run as a script, starts the
command and keeps it: it reads a pipe that nobody writes to, whose other end this process holds.
When that end is closed, by the block or by the system, the keeper ends the command.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

SAFE_PATH = {"PYTHONSAFEPATH": "1"}
"""For a Python that works in a run's folder, and its children: no file there shadows a module."""

_PATIENCE = 10.0
"""Seconds that a command has to end by itself where it is asked to, before it is killed."""


@contextmanager
def background(
    command: Sequence[str],
    env: Mapping[str, str] | None = None,
    *,
    asked: bool = False,
    **streams: Any,
) -> Iterator[subprocess.Popen]:
    """Run a command, with all that it starts, for the block at most; yield its process.

    `streams` (stdin, stdout, stderr) are `subprocess.Popen`'s. `asked`: the command is asked to end
    before it is killed, as one must be whose children lead groups of their own.
    """
    with _kept("asked" if asked else "group", command, env=env, **streams) as process:
        yield process


def foreground(command: Sequence[str], cwd: Path | None = None) -> int:
    """Run a command that has the terminal until it ends; return its exit code.

    Ctrl-C is the command's to answer. Its Python, and those that it starts, import nothing from the
    folder that they work in.
    """
    with _kept("terminal", command, env={**os.environ, **SAFE_PATH}, cwd=cwd) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the command has heard it too
                continue


@contextmanager
def _kept(how: str, command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen]:
    end, held = os.pipe()
    try:
        try:
            # -I: the keeper reads nothing from the folder or the environment that it starts in
            words = [sys.executable, "-I", __file__, how, str(end), *command]
            # In its own group: Jupyter kills a kernel's whole group, and nobody would be left.
            process = subprocess.Popen(
                words, pass_fds=(end,), process_group=None if how == "terminal" else 0, **options
            )
        finally:
            os.close(end)
        with process:
            try:
                yield process
            finally:
                os.close(held)
                held = -1
    finally:
        if held >= 0:
            os.close(held)


def _keep(how: str, end: int, command: Sequence[str]) -> int:
    """The keeper: run `command` until it ends or until `end` has no other end; its exit code."""
    # A handler, because a signal that is ignored would be ignored by the command as well.
    signal.signal(signal.SIGINT, lambda *_: None)
    child = subprocess.Popen(command, process_group=None if how == "terminal" else 0)
    close = {"terminal": _close, "group": _close_group, "asked": _close_asked}[how]
    signal.signal(signal.SIGTERM, lambda *_: close(child))

    def watch() -> None:
        """Close the child once `end` has no other end."""
        os.read(end, 1)
        close(child)

    threading.Thread(target=watch, daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


def _close_group(child: subprocess.Popen) -> None:
    # It leads its group, whose id stays taken for as long as one of its children lives.
    os.killpg(child.pid, signal.SIGKILL)


def _close_asked(child: subprocess.Popen) -> None:
    _close(child)
    with suppress(ProcessLookupError):
        _close_group(child)


def _close(child: subprocess.Popen) -> None:
    child.terminate()
    try:
        child.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(_keep(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
