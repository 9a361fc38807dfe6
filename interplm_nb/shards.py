"""Safetensors files of one matrix, written and read through a memory map, and where a residue axis
is cut into such files."""

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

Stored = Literal["float32", "bfloat16"]
"""How values are held on disk; they are read as float32 either way."""

_TENSOR = "embeddings"
_NAMES: dict[Stored, str] = {"float32": "F32", "bfloat16": "BF16"}


def item_size(stored: Stored) -> int:
    """Bytes of one value. ValueError for a type that values are not stored in."""
    if stored not in get_args(Stored):
        raise ValueError(f"embeddings are stored as float32 or bfloat16, not {stored!r}")
    return 4 if stored == "float32" else 2


def shard_name(shard: int) -> str:
    """File name of a shard, counted from 0: `shard_00000.safetensors`."""
    return f"shard_{shard:05d}.safetensors"


def draft_of(path: Path) -> Path:
    """Where a shard is until its last row is written."""
    return path.with_name(f".{path.name}.tmp")


def shard_bounds(offsets: np.ndarray, rows: int) -> np.ndarray:
    """int64: first rows of the shards and the end.

    A shard ends where a protein ends and has at most `rows` rows, or one longer protein.
    """
    bounds = [0]
    while bounds[-1] < offsets[-1]:
        fits = int(np.searchsorted(offsets, bounds[-1] + rows, side="right")) - 1
        after = int(np.searchsorted(offsets, bounds[-1], side="right"))
        bounds.append(int(offsets[max(fits, after)]))
    return np.asarray(bounds, np.int64)


def expect_room(folder: Path, size: int) -> None:
    """Raise OSError (no space) where a folder's disk has less than `size` bytes free.

    That is said before the work, not after hours of it.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OSError(
            errno.ENOSPC,
            f"{size / 2**30:.1f} GiB are needed and {free / 2**30:.1f} GiB are free; make room, "
            "or write to another disk",
            str(folder),
        )


class Shard(NamedTuple):
    """A safetensors file of one tensor [n, d] named "embeddings", float32 or bfloat16.

    Its maps are float32, or uint16 that hold bfloat16 (see `bfloat16`): numpy has no such type.
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
        """A writable memory map of a new file of zeros. Raises OSError where the disk is full."""
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
        """Make the written file durable and give it its name."""
        with self.path.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(self.path, final)

    def read(self) -> np.ndarray:
        """A read-only view of a memory map. ValueError where the file is not the expected matrix.

        The map itself may be written to and keeps that to this process, so that torch takes rows of
        float32 without a copy.
        """
        if not self.path.is_file():
            raise FileNotFoundError(
                f"{self.path}: this shard is missing; make the embeddings again (stage 'embed')"
            )
        with self.path.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            header = stream.read(min(size, 10_000))
        try:
            entry = json.loads(header)[_TENSOR]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.path}: not a shard of embeddings; make the embeddings again (stage 'embed')"
            ) from error
        found = (entry.get("dtype"), entry.get("shape"), self.path.stat().st_size)
        wanted = (_NAMES[self.stored], [self.n, self.d], 8 + size + self._size)
        if found != wanted:
            raise ValueError(
                f"{self.path}: wanted dtype, shape and bytes {wanted}, found {found}; "
                "make the embeddings again (stage 'embed')"
            )
        view = np.memmap(self.path, self._held, "c", 8 + size, (self.n, self.d)).view(np.ndarray)
        view.flags.writeable = False
        return view


def _allocate(descriptor: int, start: int, size: int) -> None:
    # Blocks are claimed now: a write to a mapped hole on a full disk would kill the process without
    # a word (SIGBUS).
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, start, size)
    else:
        os.truncate(descriptor, start + size)
