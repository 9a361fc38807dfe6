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
    cells, counts, end = [], [], 0
    for array in sums.counts():
        flat = array.reshape(-1)
        at = np.flatnonzero(flat)
        cells.append(at + end)
        counts.append(flat[at].astype(np.int32))
        end += len(flat)
    table = pl.DataFrame(
        {
            "distance": np.diff(np.concatenate(cells), prepend=0),
            "count": np.concatenate(counts),
        },
        schema={"distance": pl.UInt32, "count": pl.Int32},
    )
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
