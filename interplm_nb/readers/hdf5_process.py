"""Reads an HDF5 file, run as a script by `hdf5`: `python hdf5_process.py FILE`.

It lists the top of the file, then answers each line of its input, a dataset's key
as JSON, with the values. Every message is a kind, a length and as many bytes.
"""

import json
import struct
import sys
from collections.abc import Iterator
from typing import Any

HEAD = struct.Struct("<cQ")
"""Kind and length of a message."""
READY, LISTED, VALUES, DONE, FAILED = b"r", b"l", b"v", b"d", b"f"
"""The process started; a list of records, JSON; float32 values; the end of an answer; an error."""

_LISTED_AT_ONCE = 200
_PIECE = 4 << 20
"""Bytes of a dataset that are read at once."""
_DAMAGE = (OSError, ValueError, LookupError, RuntimeError, MemoryError, TypeError, OverflowError)
"""What h5py raises for files that it cannot read."""


def record(file: Any, key: str) -> dict[str, Any]:
    """What is under a key; a dataset's name, shape and type."""
    import h5py

    # A link could lead to another file, and so could a dataset whose values are kept elsewhere.
    linked = not isinstance(file.get(key, getlink=True), h5py.HardLink)
    dataset: Any = None if linked else file[key]
    if not isinstance(dataset, h5py.Dataset):
        return {"key": key, "kind": "link" if linked else "group"}
    if dataset.external or dataset.is_virtual:
        return {"key": key, "kind": "dataset of values in another file"}
    name = dataset.attrs.get("original_id", key)
    return {
        "key": key,
        "kind": "dataset",
        "name": name.decode() if isinstance(name, bytes) else str(name),
        "shape": dataset.shape or (),
        "dtype": str(dataset.dtype),
        "floating": dataset.dtype.kind == "f",
    }


def _pieces(dataset: Any) -> Iterator[Any]:
    """The values of a [rows, width] dataset as float32, some rows at a time."""
    import numpy as np

    rows, width = dataset.shape
    step = max(1, _PIECE // (width * dataset.dtype.itemsize))
    if dataset.chunks:  # whole chunks, so that each is unpacked once
        step = -(-step // dataset.chunks[0]) * dataset.chunks[0]
    for start in range(0, rows, step):
        with np.errstate(over="ignore"):  # overflow becomes infinity, which is refused later
            yield np.ascontiguousarray(dataset[start : start + step], np.float32)


def _send(kind: bytes, content: Any = b"") -> None:
    content = memoryview(content).cast("B")
    sys.stdout.buffer.write(HEAD.pack(kind, len(content)))
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def _serve(path: str) -> None:
    import h5py

    _send(READY)
    with h5py.File(path, "r") as file:
        records: list[dict[str, Any]] = []
        for key in file:
            records.append(record(file, str(key)))
            if len(records) == _LISTED_AT_ONCE:
                _send(LISTED, json.dumps(records).encode())
                records.clear()
        _send(LISTED, json.dumps(records).encode())
        _send(DONE)
        for line in sys.stdin.buffer:
            for values in _pieces(file[json.loads(line)]):
                _send(VALUES, values)
            _send(DONE)


if __name__ == "__main__":
    try:
        _serve(sys.argv[1])
    except _DAMAGE as error:
        _send(FAILED, str(error).encode("utf-8", "replace"))
