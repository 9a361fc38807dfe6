"""Activations of some residues in a file, until they are joined with others."""

from pathlib import Path

import numpy as np
import polars as pl
from scipy import sparse

from interplm_nb.activations_writer import shape_of
from interplm_nb.saving import read_parquet, write_parquet

_KIND, _VERSION = "EncodedResidues", 1


def write_encoded(block: sparse.csr_array, path: Path) -> None:
    """Write a csr block, float32 [n, n_features], atomically."""
    rows = np.arange(shape_of(block)[0], dtype=np.uint32)
    columns = {
        "row": np.repeat(rows, np.diff(block.indptr)),
        "feature": block.indices.astype(np.uint32),
        "value": block.data,
    }
    write_parquet(pl.DataFrame(columns), path, {"type": _KIND, "version": _VERSION})


def read_encoded(path: Path, shape: tuple[int, int]) -> sparse.csr_array:
    """Read what `write_encoded` wrote, of this shape. DamagedFileError for other bytes."""
    table, _ = read_parquet(path, _KIND, _VERSION)
    rows, features, values = (table[name].to_numpy() for name in ("row", "feature", "value"))
    ends = np.searchsorted(rows, np.arange(shape[0] + 1, dtype=np.uint32))
    return sparse.csr_array((values, features.astype(np.int32), ends.astype(np.int32)), shape)
