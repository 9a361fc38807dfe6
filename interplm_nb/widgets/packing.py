"""Arrays and a small record as bytes for a browser, and back."""

import gzip
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

ALIGNMENT = 8
DTYPES = {
    "float32": "f4",
    "float64": "f8",
    "int32": "i4",
    "uint32": "u4",
    "uint16": "u2",
    "uint8": "u1",
}
"""What JavaScript has a typed array for; anything else is refused rather than rounded."""

WAITED_FOR, KEPT = 1, 6
"""Levels of gzip: of what a person waits for, and of what is kept in files."""


def pack(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray], level: int = 0) -> bytes:
    """A record (JSON) and one-dimensional arrays as bytes.

    u32 length of the header, the header as JSON in UTF-8 (`record` and `arrays`: name, dtype,
    length, offset from the end of the header), then the arrays, little-endian, each at a multiple
    of 8 bytes. A `level` above 0 wraps all of it in gzip. `widgets/kit/bytes.js` reads it.
    """
    places: dict[str, dict[str, Any]] = {}
    parts, at = [], 0
    for name, array in arrays.items():
        if array.ndim != 1 or array.dtype.name not in DTYPES:
            raise ValueError(
                f"{name}: a browser takes one-dimensional arrays of {', '.join(DTYPES)}, "
                f"not {array.dtype} of shape {array.shape}"
            )
        raw = (
            np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        )
        places[name] = {"dtype": DTYPES[array.dtype.name], "length": len(array), "offset": at}
        padding = -len(raw) % ALIGNMENT
        parts += [raw, bytes(padding)]
        at += len(raw) + padding
    header = json.dumps(
        {"record": record, "arrays": places}, separators=(",", ":"), allow_nan=False
    ).encode()
    header += b" " * (-(len(header) + 4) % ALIGNMENT)
    packed = b"".join([len(header).to_bytes(4, "little"), header, *parts])
    # mtime 0: equal content gives equal bytes, so that a saved notebook does not change.
    return gzip.compress(packed, level, mtime=0) if level else packed


def unpack(packed: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What `pack` was given."""
    if packed[:2] == b"\x1f\x8b":
        packed = gzip.decompress(packed)
    start = 4 + int.from_bytes(packed[:4], "little")
    header = json.loads(packed[4:start])
    arrays = {
        name: np.frombuffer(
            packed, np.dtype(f"<{place['dtype']}"), place["length"], start + place["offset"]
        )
        for name, place in header["arrays"].items()
    }
    return header["record"], arrays
