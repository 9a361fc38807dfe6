"""Counts of some proteins in a file, small where few features meet few concepts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from interplm_nb.checksums import DamagedFileError
from interplm_nb.concepts.count import Sums
from interplm_nb.saving import read_parquet, write_parquet

_KIND, _VERSION = "ConceptSums", 1


def save_sums(sums: Sums, path: Path, **about: Any) -> None:
    """Write the cells that are not 0, atomically.

    The arrays of `Counts` lie one after another, flat; a cell is written as its distance from the
    one before, because small numbers compress well.
    """
    arrays = [array.reshape(-1) for array in sums.counts()]
    narrow = np.uint32 if sum(map(len, arrays)) < 2**32 else np.uint64
    distances, counts, start, last = [], [], 0, 0
    for flat in arrays:
        at = np.flatnonzero(flat)
        counts.append(flat[at].astype(np.int32))
        # Narrowed array by array: there may be many millions.
        distances.append(np.diff(at, prepend=last - start).astype(narrow))
        last = start + int(at[-1]) if len(at) else last
        start += len(flat)
    table = pl.DataFrame({"distance": np.concatenate(distances), "count": np.concatenate(counts)})
    write_parquet(table, path, {"type": _KIND, "version": _VERSION, **about})


def include_sums(path: Path, sums: Sums, sizes: Sequence[int]) -> dict[str, Any] | None:
    """Add what `save_sums` wrote, and return what it said about it. `sizes`: cells of each array
    of `Counts`. None, and nothing is added, where the file is missing or damaged."""
    try:
        table, about = read_parquet(path, _KIND, _VERSION)
    except (FileNotFoundError, DamagedFileError):
        return None
    cells = np.cumsum(table["distance"].to_numpy(), dtype=np.int64)
    starts = np.cumsum([0, *sizes[:-1]])
    cuts = np.searchsorted(cells, starts[1:])
    parts = zip(np.split(cells, cuts), starts.tolist(), strict=True)
    sums.include([part - start for part, start in parts], np.split(table["count"].to_numpy(), cuts))
    return about
