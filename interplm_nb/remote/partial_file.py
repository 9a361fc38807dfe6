"""A large file of which only the blocks are here that were read: the rest stays in the store."""

import threading
import zlib
from pathlib import Path

import numpy as np

from interplm_nb.checksums import BLOCK, CheckedBytes, n_blocks
from interplm_nb.remote.errors import StoreError
from interplm_nb.remote.index import Entry, object_of
from interplm_nb.remote.pull import replaced
from interplm_nb.remote.store import PART, Store
from interplm_nb.saving import atomic_path

_NEAR = 16
"""Blocks that are not needed and lie between two that are: fetched with them, up to this many."""


class PartialFile:
    """Blocks of 64 KiB of one file, fetched when they are first needed and kept on disk.

    The file on disk has the whole size and holes; a map beside it, one byte per block, says which
    blocks are there. A block is compared with its crc32 before it is kept. Several processes may
    use the same files: what they write is equal.
    """

    def __init__(self, store: Store, name: str, entry: Entry, path: Path, sums: np.ndarray) -> None:
        self.path = path
        self._store, self._name, self._entry, self._sums = store, name, entry, sums
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            stream.truncate(entry.bytes)
        here, size = path.with_name(f"{path.name}.blocks"), n_blocks(entry.bytes)
        if not here.exists() or here.stat().st_size != size:
            # Another process may have mapped the one that is there.
            with atomic_path(here) as draft:
                draft.write_bytes(bytes(size))  # no holes: a full disk is an error, not a signal
        self._here = np.memmap(here, np.uint8, "r+")
        self._lock = threading.Lock()

    def fetch(self, blocks: np.ndarray) -> None:
        """Bring these blocks (int64, ascending) where they are not here yet.

        Neighbouring blocks come in one request, of at most `PART` bytes.
        """
        with self._lock:
            missing = blocks[self._here[blocks] == 0]
            if not len(missing):
                return
            cuts = np.flatnonzero(np.diff(missing) > _NEAR) + 1
            for run in np.split(missing, cuts):
                step = PART // BLOCK
                for first in range(int(run[0]), int(run[-1]) + 1, step):
                    self._fetch(first, min(first + step, int(run[-1]) + 1))

    def forget(self, blocks: np.ndarray) -> None:
        """Blocks that the disk has changed: they are fetched again when they are needed."""
        self._here[blocks] = 0

    def _fetch(self, first: int, last: int) -> None:
        start, stop = first * BLOCK, min(last * BLOCK, self._entry.bytes)
        for attempt in (1, 2):
            try:
                data = self._store.part(object_of(self._name, self._entry), start, stop)
            except FileNotFoundError as error:
                raise replaced(self._store, self._name) from error
            wrong = [
                i
                for i in range(first, last)
                if zlib.crc32(data[(i - first) * BLOCK : (i - first + 1) * BLOCK]) != self._sums[i]
            ]
            if not wrong:
                break
            if attempt == 2:
                raise StoreError(
                    f"{self._store.url}: {self._name} is damaged there, near byte "
                    f"{wrong[0] * BLOCK:,}; push the run again from where it is whole"
                )
        with self.path.open("r+b") as stream:
            stream.seek(start)
            stream.write(data)
        self._here[first:last] = 1


class FetchedBytes(CheckedBytes):
    """`CheckedBytes` of a `PartialFile`: blocks come from the store before they are compared."""

    def __init__(self, file: PartialFile, sums: np.ndarray, stage: str | None = None) -> None:
        self._file = file
        data = np.memmap(file.path, np.uint8, "r").view(np.ndarray)
        super().__init__(file.path, data, sums, stage)

    def _compare(self, blocks: np.ndarray) -> None:
        assert self._sums is not None
        self._file.fetch(blocks)
        spoilt = [
            i
            for i in blocks.tolist()
            if zlib.crc32(self.data[i * BLOCK : (i + 1) * BLOCK].data) != self._sums[i]
        ]
        if spoilt:
            self._file.forget(np.asarray(spoilt))
            self._file.fetch(np.asarray(spoilt))
        super()._compare(blocks)
