"""Files of one float array per name: npz, safetensors and HDF5, read one array at a time.

Shapes and types are known without reading a value. UniProt's HDF5 files name datasets by accession;
bio-embeddings numbers them and keeps the accession in the attribute `original_id`.
"""

import json
import math
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from safetensors import SafetensorError, safe_open

from interplm_nb.bfloat16 import widened
from interplm_nb.readers.hdf5 import Hdf5Process
from interplm_nb.readers.report import InputError

WANTED = "one [residues, width] array per accession in an .npz, .safetensors, .h5 or .hdf5 file"
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_MOST_INFLATED = 1032
"""Bytes that one byte of zip's compression (deflate) expands to at most."""
_DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    MemoryError,
    RuntimeError,
    zlib.error,
    zipfile.BadZipFile,
)


class Entry(NamedTuple):
    """An array that a file holds."""

    name: str
    """An accession, as the file has it."""
    key: str
    """Its place in the file."""
    shape: tuple[int, ...]
    dtype: str
    """Its type, as the format names it."""
    floating: bool


class ArrayFile(Protocol):
    """An open file of arrays."""

    @property
    def entries(self) -> Sequence[Entry]:
        """Its arrays, in file order."""
        ...

    def read(self, entry: Entry) -> np.ndarray:
        """float32 of the entry's shape."""
        ...


@contextmanager
def open_arrays(path: Path | str) -> Iterator[ArrayFile]:
    """Open a file of arrays; its suffix gives the format.

    Raises `InputError` if it is missing, has another suffix, is damaged or not what its suffix
    says, then or during a later read.
    """
    path = Path(path)
    kinds = {".npz": _Npz, ".safetensors": _Safetensors, ".h5": _Hdf5, ".hdf5": _Hdf5}
    if not path.is_file():
        what = " is a folder" if path.is_dir() else ": no such file"
        raise InputError(f"{path}{what}; wanted {WANTED}")
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise InputError(
            f"{path}: cannot read arrays from {path.suffix or 'a file without a suffix'}; "
            f"wanted {WANTED}"
        )
    with ExitStack() as files:
        try:
            opened = kind(path, files)
        except (*_DAMAGE, SafetensorError) as error:
            raise _unreadable(path, kind.format, error) from error
        yield _Guarded(opened, path)


def _unreadable(path: Path, kind: str, error: Exception) -> InputError:
    if isinstance(error, InputError):
        return error
    said = " ".join(str(error).split())[:200]
    return InputError(f"{path}: not a readable {kind} file ({said}); copy or download it again")


def _float32(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # overflow becomes infinity, which is refused later
        return np.asarray(values, np.float32)


class _Guarded:
    """Names the file in errors of reading."""

    def __init__(self, opened: "_Npz | _Safetensors | _Hdf5", path: Path) -> None:
        self.entries: Sequence[Entry] = opened.entries
        self._opened, self._path = opened, path

    def read(self, entry: Entry) -> np.ndarray:
        """float32: the values of an entry; InputError that names the file where it is damaged."""
        try:
            return self._opened.read(entry)
        except _DAMAGE as error:
            raise _unreadable(self._path, self._opened.format, error) from error


class _Npz:
    format = "npz"

    def __init__(self, path: Path, files: ExitStack) -> None:
        self._archive = files.enter_context(zipfile.ZipFile(path))
        self.entries = [self._entry(key) for key in self._archive.namelist()]

    def _entry(self, key: str) -> Entry:
        with self._archive.open(key) as stream:
            version = np.lib.format.read_magic(stream)
            header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = header(stream)
            self._check_size(key, math.prod(shape) * dtype.itemsize)
        return Entry(key.removesuffix(".npy"), key, shape, str(dtype), dtype.kind == "f")

    def _check_size(self, key: str, n_bytes: int) -> None:
        """ValueError for more bytes than the archive's member can hold, before they are taken."""
        member = self._archive.getinfo(key)
        most = min(member.file_size, _MOST_INFLATED * (member.compress_size + 1))
        if n_bytes > most:
            raise ValueError(f"{key} declares {n_bytes:,} bytes, and holds at most {most:,}")

    def read(self, entry: Entry) -> np.ndarray:
        """float32: the values of an entry."""
        with self._archive.open(entry.key) as stream:
            return _float32(np.lib.format.read_array(stream, allow_pickle=False))


class _Safetensors:
    format = "safetensors"

    def __init__(self, path: Path, _: ExitStack) -> None:
        with safe_open(path, "numpy"):  # checks the header against the file's size
            pass
        with path.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(size))
        header.pop("__metadata__", None)
        self._path, self._starts = path, {}
        self.entries: list[Entry] = []
        for name, about in header.items():
            self._starts[name] = 8 + size + about["data_offsets"][0]
            dtype = about["dtype"]
            self.entries.append(Entry(name, name, tuple(about["shape"]), dtype, dtype in _TYPES))

    def read(self, entry: Entry) -> np.ndarray:
        """float32: the values of an entry."""
        held = np.fromfile(
            self._path,
            _TYPES[entry.dtype],
            int(np.prod(entry.shape)),
            offset=self._starts[entry.key],
        ).reshape(entry.shape)
        # numpy has no bfloat16.
        return widened(held) if entry.dtype == "BF16" else _float32(held)


class _Hdf5:
    format = "HDF5"

    def __init__(self, path: Path, files: ExitStack) -> None:
        self._file = Hdf5Process(path, files)
        self.entries = [self._entry(found, path) for found in self._file.records()]

    def _entry(self, found: dict[str, Any], path: Path) -> Entry:
        key, kind = found["key"], found["kind"]
        if kind != "dataset":
            raise InputError(
                f"{path}: {key!r} is a {kind}, not a dataset; wanted one [residues, width] dataset "
                "per accession at the top of the file"
            )
        return Entry(found["name"], key, tuple(found["shape"]), found["dtype"], found["floating"])

    def read(self, entry: Entry) -> np.ndarray:
        """float32: the values of an entry."""
        return self._file.read(entry.key, entry.shape)
