"""HDF5 files of arrays, read by a separate process.

On some damaged files libhdf5 searches its own tables without end, or ends the process that it is
in. So another one reads (`hdf5_process`), and must show signs of progress.
"""

import fcntl
import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from interplm_nb.children import background
from interplm_nb.readers import hdf5_process
from interplm_nb.readers.hdf5_process import DONE, FAILED, HEAD, LISTED, READY, VALUES
from interplm_nb.readers.report import InputError

PATIENCE = 60.0
"""Seconds without a sign of progress after which a file is given up. Signs are some megabytes of
values, or some hundred records."""

_PIPE = 1 << 20
"""Bytes that wait between the processes."""


class Hdf5Process:
    """An HDF5 file, open in another process until `files` are closed.

    Reading raises OSError or EOFError for damage, and `InputError` if no process can be started.
    """

    def __init__(self, path: Path, files: ExitStack) -> None:
        self._path = path
        # -P: a file next to the script, or in the working folder, shadows no module.
        command = [sys.executable, "-P", hdf5_process.__file__, str(path)]
        self._process = files.enter_context(
            background(
                command,
                # It computes nothing, and starts faster with one thread.
                {**os.environ, "OPENBLAS_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
            )
        )
        if hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux: fewer turns between the two
            fcntl.fcntl(self._stream, fcntl.F_SETPIPE_SZ, _PIPE)
        self._signs = files.enter_context(selectors.DefaultSelector())
        self._signs.register(self._stream, selectors.EVENT_READ)
        self._expect_start()

    def records(self) -> Iterator[dict[str, Any]]:
        """The top of the file, as `hdf5_process.record` gives it; once, and first."""
        for length in self._lengths(LISTED):
            content = bytearray(length)
            self._fill(memoryview(content))
            yield from json.loads(content)

    def read(self, key: str, shape: tuple[int, ...]) -> np.ndarray:
        """float32 of this shape: the values of a [rows, width] dataset."""
        stdin: Any = self._process.stdin
        stdin.write(json.dumps(key).encode() + b"\n")
        values: Any = np.empty(shape, np.float32)
        left = memoryview(values).cast("B")
        for length in self._lengths(VALUES):
            self._fill(left[:length])
            left = left[length:]
        return values

    @property
    def _stream(self) -> Any:
        return self._process.stdout

    def _expect_start(self) -> None:
        try:
            kind, _ = self._head()
        except EOFError:
            kind = b""
        if kind != READY:
            raise InputError(
                f"{self._path}: HDF5 files are read by another Python process, which did not "
                f"start; try `{sys.executable} -P -c 'import h5py'`"
            )

    def _lengths(self, wanted: bytes) -> Iterator[int]:
        """Lengths of the messages of an answer, each to be taken before the next."""
        kind, length = self._head()
        while kind == wanted:
            yield length
            kind, length = self._head()
        if kind == FAILED:
            content = bytearray(length)
            self._fill(memoryview(content))
            raise OSError(content.decode())
        assert kind == DONE, kind

    def _head(self) -> tuple[bytes, int]:
        head = bytearray(HEAD.size)
        self._fill(memoryview(head))
        return HEAD.unpack(head)

    def _fill(self, room: memoryview) -> None:
        while room:
            if not self._signs.select(PATIENCE):
                raise TimeoutError(f"nothing could be read for {PATIENCE:g} seconds")
            n = self._stream.readinto(room)
            if not n:
                raise EOFError("the library that reads HDF5 crashed on it")
            room = room[n:]
