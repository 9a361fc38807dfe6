"""BinaryCIF files, whose declared sizes are compared with bounds before anything is decoded.

A few bytes can declare a column of billions of rows, or repeat one long text in every row.
"""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from biotite.structure.io import pdbx

from interplm_nb.readers import opening
from interplm_nb.readers.opening import read_whole
from interplm_nb.readers.report import InputError

_SIZED = ("RunLength", "IntegerPacking")
"""Encodings whose result has the size that they declare."""


def read_binary_cif(path: Path) -> Any:
    """biotite's BinaryCIFFile; `InputError` if it declares more than the bounds of `opening`.

    What cannot be read raises what biotite raises, now or when a column is taken.
    """
    file = pdbx.BinaryCIFFile.read(io.BytesIO(read_whole(path)))
    for block in file.serialize()["dataBlocks"]:  # as it was read: nothing is decoded yet
        for category in block["categories"]:
            _check_rows(path, category["name"], category["rowCount"])
            for column in category["columns"]:
                name = f"{category['name']}.{column['name']}"
                for data in (column["data"], column["mask"]):
                    if data is not None:
                        _check_data(path, name, data, category["rowCount"])
    return file


def _check_rows(path: Path, what: str, n: Any) -> None:
    if not isinstance(n, int) or not 0 <= n <= opening.MOST_ROWS:
        raise InputError(
            f"{path}: cannot be read as a structure: {what} declares {n} rows, where at most "
            f"{opening.MOST_ROWS:,} are read; the file is damaged: download it again"
        )


def _check_data(path: Path, name: str, data: Mapping[str, Any], rows: int) -> None:
    for encoding in _encodings(data["encoding"]):
        if encoding["kind"] in _SIZED:
            _check_rows(path, name, encoding["srcSize"])
    for encoding in data["encoding"]:
        if encoding["kind"] == "StringArray":
            _check_texts(path, name, encoding, rows)


def _check_texts(path: Path, name: str, texts: Mapping[str, Any], rows: int) -> None:
    """Memory is the number of texts times the longest."""
    offsets = _offsets(texts)
    declared = [e["srcSize"] for e in texts["dataEncoding"] if e["kind"] in _SIZED]
    number = len(offsets) + max([rows, *declared])
    longest = min(len(texts["stringData"]), int(np.diff(offsets).max(initial=0)))
    if number * longest > opening.LARGEST_TEXT:
        raise InputError(
            f"{path}: cannot be read as a structure: {name} declares {number:,} texts of up to "
            f"{longest:,} letters; the file is damaged: download it again"
        )


def _offsets(texts: Mapping[str, Any]) -> np.ndarray:
    """int64: where each text of a column starts, decoded as any column of numbers is."""
    column = {"data": texts["offsets"], "encoding": texts["offsetEncoding"]}
    return pdbx.BinaryCIFData.deserialize(column).array.astype(np.int64)


def _encodings(encodings: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """These, and those within an encoding of texts."""
    for encoding in encodings:
        yield encoding
        for inner in ("dataEncoding", "offsetEncoding"):
            yield from encoding.get(inner, [])
