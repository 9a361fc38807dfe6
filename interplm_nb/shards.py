"""Shards: safetensors files of one matrix each, memory-mapped, that split a residue axis."""

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

Stored = Literal["float32", "bfloat16"]
"""Type on disk; values are read as float32 either way."""

_TENSOR = "embeddings"
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
    """Path of a shard until its last row is written."""
    return path.with_name(f".{path.name}.tmp")


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
    """A safetensors file of one tensor [n, d] named "embeddings", float32 or bfloat16.

    Its maps are float32, or bfloat16 as uint16 (see `bfloat16`), which numpy lacks.
    """

    path: Path
    n: int
    d: int
    stored: Stored = "float32"

    @property
    def _size(self) -> int:
        return item_size(self.stored) * self.n * self.d

    @property
    def _held(self) -> type[np.float32] | type[np.uint16]:
        return np.float32 if self.stored == "float32" else np.uint16

    def create(self) -> np.ndarray:
        """A writable memory map of a new file of zeros. Raises OSError if the disk is full."""
        entry = {
            "dtype": _NAMES[self.stored],
            "shape": [self.n, self.d],
            "data_offsets": [0, self._size],
        }
        header = json.dumps({_TENSOR: entry}).encode()
        header += b" " * (-len(header) % 8)  # the format's padding: data starts at a multiple of 8
        with self.path.open("wb") as stream:
            stream.write(len(header).to_bytes(8, "little") + header)
            _allocate(stream.fileno(), 8 + len(header), self._size)
        return np.memmap(self.path, self._held, "r+", 8 + len(header), (self.n, self.d))

    def seal(self, final: Path) -> None:
        """Flush the written file to disk and rename it."""
        with self.path.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(self.path, final)

    def read(self) -> np.ndarray:
        """A read-only view of a memory map. ValueError if the file is not the expected matrix.

        The map itself is copy-on-write, so that torch takes rows of float32 without a copy.
        """
        if not self.path.is_file():
            raise FileNotFoundError(f"{self.path}: this shard is missing; run stage 'embed' again")
        with self.path.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            header = stream.read(min(size, 10_000))
        try:
            entry = json.loads(header)[_TENSOR]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.path}: not a shard of embeddings; run stage 'embed' again"
            ) from error
        found = (entry.get("dtype"), entry.get("shape"), self.path.stat().st_size)
        wanted = (_NAMES[self.stored], [self.n, self.d], 8 + size + self._size)
        if found != wanted:
            raise ValueError(
                f"{self.path}: expected dtype, shape and bytes {wanted}, found {found}; "
                "run stage 'embed' again"
            )
        view = np.memmap(self.path, self._held, "c", 8 + size, (self.n, self.d)).view(np.ndarray)
        view.flags.writeable = False
        return view


def _allocate(descriptor: int, start: int, size: int) -> None:
    # Allocated now: a write to a mapped hole on a full disk would kill the process (SIGBUS).
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, start, size)
    else:
        os.truncate(descriptor, start + size)
