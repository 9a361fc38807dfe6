"""Sums of a file's bytes, in blocks: a read compares the blocks that it takes, and no others.

A disk, a copy or a cable changes bits now and then, and floats with a changed bit are floats. So a
large file keeps the crc32 of each block of 64 KiB. A block is compared once per open file, before
its first value is used.
"""

import base64
import zlib
from pathlib import Path

import numpy as np

BLOCK = 2**16
"""Bytes of a block: few compared with one protein's embeddings, so that reading one protein stays
fast."""


class DamagedFileError(ValueError):
    """A file that is not as it was written: cut off, empty, or changed on the disk.

    Attributes
    ----------
    path, reason
        The file, and how the damage shows.
    """

    def __init__(self, path: Path, reason: str, stage: str | None = None) -> None:
        self.path, self.reason = path, reason
        remedy = f"run stage {stage!r} again" if stage else "make it again"
        super().__init__(f"{path}: damaged, {reason}; {remedy}, or copy it again")


def n_blocks(size: int) -> int:
    """How many blocks `size` bytes have.

    >>> n_blocks(0), n_blocks(1), n_blocks(2**16 + 1)
    (0, 1, 2)
    """
    return -(-size // BLOCK)


def block_sums(data: np.ndarray) -> np.ndarray:
    """uint32 [n_blocks]: the crc32 of each block of uint8 [n]."""
    starts = range(0, len(data), BLOCK)
    return np.fromiter((zlib.crc32(data[i : i + BLOCK].data) for i in starts), "<u4", len(starts))


def as_text(sums: np.ndarray) -> str:
    """Sums as base64, for a JSON record; `from_text` reads it."""
    return base64.b64encode(sums.tobytes()).decode("ascii")


def from_text(text: str) -> np.ndarray:
    """Sums that `as_text` wrote."""
    return np.frombuffer(base64.b64decode(text), "<u4")


class CheckedBytes:
    """Bytes of a file, mapped, whose blocks are compared with their sums when first used.

    Parameters
    ----------
    path
        The file, for messages.
    data
        uint8 [n], such as a memory map.
    sums
        uint32: one per block, as from `block_sums`; None for a file without sums.
    stage
        The stage that makes the file, for messages.
    """

    def __init__(
        self, path: Path, data: np.ndarray, sums: np.ndarray | None, stage: str | None = None
    ) -> None:
        self.path, self.data, self._sums, self._stage = path, data, sums, stage
        if sums is not None and len(sums) != n_blocks(len(data)):
            raise self.damaged(f"it has {len(data):,} bytes, not those of {len(sums)} blocks")
        self._new = np.ones(n_blocks(len(data)) if sums is not None else 0, bool)
        self._left = len(self._new)

    @classmethod
    def of_file(
        cls, path: Path, sums: np.ndarray | None, stage: str | None = None
    ) -> "CheckedBytes":
        """Map a whole file."""
        if not path.is_file():
            raise DamagedFileError(path, "the file is missing", stage)
        if not path.stat().st_size:
            raise DamagedFileError(path, "it is empty", stage)
        return cls(path, np.memmap(path, np.uint8, "r").view(np.ndarray), sums, stage)

    def damaged(self, reason: str) -> DamagedFileError:
        """The error to raise for a fault of this file."""
        return DamagedFileError(self.path, reason, self._stage)

    def check(self, starts: np.ndarray | int, size: int) -> None:
        """Compare the blocks of `size` bytes from a byte, or from each of int64 `starts`.

        DamagedFileError names the file and the first byte of the first block that has changed.
        """
        if not self._left or not size:
            return
        first, last = starts // BLOCK, (starts + (size - 1)) // BLOCK
        if isinstance(first, np.ndarray):
            touched = np.zeros(len(self._new) + 1, np.int32)
            np.add.at(touched, first, 1)
            np.add.at(touched, last + 1, -1)
            self._compare(np.flatnonzero((np.cumsum(touched[:-1]) > 0) & self._new))
        else:
            self._compare(first + np.flatnonzero(self._new[first : last + 1]))

    def _compare(self, blocks: np.ndarray) -> None:
        assert self._sums is not None
        for i in blocks.tolist():
            if zlib.crc32(self.data[i * BLOCK : (i + 1) * BLOCK].data) != self._sums[i]:
                raise self.damaged(f"its bytes changed near byte {i * BLOCK:,}")
            self._new[i] = False
            self._left -= 1
