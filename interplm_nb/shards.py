"""Shards: safetensors files of one matrix each, memory-mapped, that split a residue axis.

Besides the matrix a shard has the crc32 of each block of its bytes, which reads compare (see
`checksums`).
"""

import errno
import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

from interplm_nb.checksums import CheckedBytes, DamagedFileError, block_sums, n_blocks

Stored = Literal["float32", "bfloat16"]
"""Type on disk; values are read as float32 either way."""

STAGE = "embed"
"""The stage that writes shards, for messages."""

_TENSOR, _SUMS = "embeddings", "crc32"
_NAMES: dict[Stored, str] = {"float32": "F32", "bfloat16": "BF16"}


def item_size(stored: Stored) -> int:
    """Bytes per value. ValueError for any other type."""
    if stored not in get_args(Stored):
        raise ValueError(f"embeddings are stored as float32 or bfloat16, not {stored!r}")
    return 4 if stored == "float32" else 2


def shard_name(shard: int) -> str:
    """File name of a shard, counted from 0: `shard_00000.safetensors`."""
    return f"shard_{shard:05d}.safetensors"


def draft_of(path: Path) -> Path:
    """A path for a shard until its last row is written; no other process has the same."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def shard_bounds(offsets: np.ndarray, rows: int) -> np.ndarray:
    """int64: the first row of each shard, then the end of the axis.

    A shard holds whole proteins: at most `rows` rows, or one longer protein.
    """
    bounds = [0]
    while bounds[-1] < offsets[-1]:
        fits = int(np.searchsorted(offsets, bounds[-1] + rows, side="right")) - 1
        after = int(np.searchsorted(offsets, bounds[-1], side="right"))
        bounds.append(int(offsets[max(fits, after)]))
    return np.asarray(bounds, np.int64)


def expect_room(folder: Path, size: int) -> None:
    """Raise OSError (no space) if the disk of `folder` has less than `size` bytes free.

    Called before the work starts, not after hours of it.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OSError(
            errno.ENOSPC,
            f"{size / 2**30:.1f} GiB are needed, {free / 2**30:.1f} GiB are free; free some space "
            "or write to another disk",
            str(folder),
        )


class Shard(NamedTuple):
    """A safetensors file of a tensor [n, d] named "embeddings", float32 or bfloat16, and of its
    blocks' sums, named "crc32".

    Its maps are float32, or bfloat16 as uint16 (see `bfloat16`), which numpy lacks.
    """

    path: Path
    n: int
    d: int
    stored: Stored = "float32"

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return item_size(self.stored) * self.d

    @property
    def held(self) -> type[np.float32] | type[np.uint16]:
        """numpy's type of the values."""
        return np.float32 if self.stored == "float32" else np.uint16

    @property
    def _header(self) -> bytes:
        """The length of the header, the header, and its padding: data starts at a multiple of 8."""
        size, start = self.n * self.row_bytes, 4 * n_blocks(self.n * self.row_bytes)
        entries = {
            _SUMS: {"dtype": "U32", "shape": [start // 4], "data_offsets": [0, start]},
            _TENSOR: {
                "dtype": _NAMES[self.stored],
                "shape": [self.n, self.d],
                "data_offsets": [start, start + size],
            },
        }
        header = json.dumps(entries).encode()
        header += b" " * (-len(header) % 8)
        return len(header).to_bytes(8, "little") + header

    @property
    def _size(self) -> int:
        """Bytes of the whole file."""
        return self._start + self.n * self.row_bytes

    @property
    def _start(self) -> int:
        """Where the matrix starts in the file."""
        return len(self._header) + 4 * n_blocks(self.n * self.row_bytes)

    def create(self) -> np.ndarray:
        """A writable memory map of a new file of zeros. Raises OSError if the disk is full."""
        with self.path.open("wb") as stream:
            stream.write(self._header)
            stream.flush()
            _allocate(stream.fileno(), stream.tell(), self._size - stream.tell())
        return np.memmap(self.path, self.held, "r+", self._start, (self.n, self.d))

    def seal(self, final: Path) -> None:
        """Add the sums to the written file, flush it to disk and rename it."""
        sums = block_sums(np.memmap(self.path, np.uint8, "r", self._start).view(np.ndarray))
        with self.path.open("rb+") as stream:
            stream.seek(len(self._header))
            stream.write(sums.tobytes())
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(self.path, final)

    def read(self) -> "CheckedShard":
        """The rows of a sealed file. DamagedFileError if it is not the expected matrix."""
        if not self.path.is_file():
            raise DamagedFileError(self.path, "this shard is missing", STAGE)
        with self.path.open("rb") as stream:
            header = stream.read(len(self._header))
        if header != self._header:
            wanted, found = (h[8:].decode("ascii", "replace") for h in (self._header, header))
            raise DamagedFileError(
                self.path, f"expected the header {wanted.strip()}, found {found.strip()!r}", STAGE
            )
        if (size := self.path.stat().st_size) != self._size:
            raise DamagedFileError(self.path, f"it has {size:,} bytes, not {self._size:,}", STAGE)
        data = np.memmap(self.path, np.uint8, "c", len(self._header)).view(np.ndarray)
        return CheckedShard(self, *np.split(data, [self._start - len(self._header)]))


class CheckedShard:
    """Rows of a shard, read-only, each compared with its sum before it is first returned.

    The map itself is copy-on-write, so that torch takes rows of float32 without a copy.
    """

    def __init__(self, shard: Shard, sums: np.ndarray, data: np.ndarray) -> None:
        self._values = data.view(shard.held).reshape(shard.n, shard.d)
        self._values.flags.writeable = False
        self._bytes = CheckedBytes(shard.path, data, sums.view("<u4"), STAGE)
        self._row_bytes = shard.row_bytes

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """[n, d]: a slice of rows, or int64 rows of 0 or more; a slice is the map itself."""
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self._values))
            self._bytes.check(start * self._row_bytes, (stop - start) * self._row_bytes)
        else:
            self._bytes.check(rows * self._row_bytes, self._row_bytes)
        return self._values[rows]

    def check(self) -> None:
        """Compare all rows with their sums."""
        self._bytes.check(0, self._values.nbytes)


def _allocate(descriptor: int, start: int, size: int) -> None:
    # Allocated now: a write to a mapped hole on a full disk would kill the process (SIGBUS).
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, start, size)
    else:
        os.truncate(descriptor, start + size)
