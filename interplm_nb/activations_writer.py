"""Writing feature activations: from blocks of residues to a folder sorted both ways.

    activations/about.json             unit, PLM, layer, SAE, sequences, counts, and the sums of the
                                       blocks of the next two (see `checksums`)
    activations/by_residue.parquet     row u32, feature u32, value f32, sorted by row, then feature;
                                       row groups hold whole proteins
    activations/by_feature.parquet     the same entries, sorted by feature, then row
    activations/features.parquet       feature u32, n_residues u64 (where active), maximum f32

Only non-zero values are stored. To need little memory, the entries by feature are first split into
files of neighbouring features, which are then sorted one after another.
"""

import errno
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

import interplm_nb
from interplm_nb.checksums import as_text, block_sums
from interplm_nb.proteins import Proteins
from interplm_nb.saving import atomic_path, remove, write_json, write_parquet

SCHEMA = pa.schema([("row", pa.uint32()), ("feature", pa.uint32()), ("value", pa.float32())])
GROUP = 131_072
"""Entries of a Parquet row group by residue (by feature: twice as many), the least that a read
decodes."""
ORDERS = ("by_residue", "by_feature")
"""The tables of the entries."""
MAX_L0 = 256.0
"""Highest mean number of active features per residue. A denser code is not sparse, and its store
would outgrow the embeddings."""

_CHECK_AFTER = 10_000
_PARTITIONS = 64
_BYTES_ON_THE_WAY = 24
"""Bytes per entry: 12 in a partition, 6 in each order."""
_ENTRY = np.dtype([("row", "<u4"), ("feature", "<u4"), ("value", "<f4")])
# Rows as bit-packed differences; features and values byte by byte (all first bytes, all second
# bytes, ...), which zstd makes a fifth smaller. Measured with 64 of 10,240 features per residue:
# 5.0 bytes per entry by residue and 4.5 by feature, read at 85 to 105 million entries per second.
# All as differences and uncompressed: 5.9 and 5.2 bytes, 150 to 160 million. Plain: 12 bytes.
_LAYOUT: dict[str, Any] = {
    "compression": {"row": "none", "feature": "zstd", "value": "zstd"},
    "use_dictionary": False,
    "write_statistics": ["row", "feature"],
    "column_encoding": {
        "row": "DELTA_BINARY_PACKED",
        "feature": "BYTE_STREAM_SPLIT",
        "value": "BYTE_STREAM_SPLIT",
    },
}


class ActivationsWriter:
    """Writes the activations of `n_features` features on every residue of `proteins` to `folder`.

    Use it in a `with` block: call `write` for consecutive rows, then `finish`. Nothing appears
    under `folder` before `finish`; leaving the block without it removes what was written. `about`
    says where the values come from (plm, layer, sae, ...) and may set `unit` (default "raw").
    """

    def __init__(
        self,
        folder: Path,
        proteins: Proteins,
        n_features: int,
        about: Mapping[str, Any],
        max_l0: float = MAX_L0,
    ) -> None:
        self._folder = folder
        self._proteins = proteins
        self._n_features = n_features
        self._about = {"unit": "raw", **about}
        if self._about["unit"] not in ("raw", "max"):
            raise ValueError(
                f"the unit of activations must be 'raw' or 'max', not {self._about['unit']!r}"
            )
        self._max_l0 = max_l0
        self._rows = 0
        self._counts = np.zeros(n_features, np.int64)
        self._maxima = np.zeros(n_features, np.float32)
        self._stack = ExitStack()
        draft = self._stack.enter_context(atomic_path(folder))
        draft.mkdir()
        self._draft = draft
        self._by_residue = _ResidueTable(
            self._stack.enter_context(_writer(draft / "by_residue.parquet")), proteins.offsets
        )
        self._partitions = _Partitions(draft / "partitions", n_features)
        self._stack.callback(self._partitions.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After `finish` the stack is empty. Before it, an exception must reach `atomic_path`, or it
        # would publish half a store.
        self._stack.__exit__(kind or GeneratorExit, error or GeneratorExit(), trace)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            per_residue = int(self._counts.sum()) * _BYTES_ON_THE_WAY / max(self._rows, 1)
            raise OSError(
                errno.ENOSPC,
                f"the disk was full after {self._rows} of {self._proteins.n_residues} residues and "
                "nothing was kept; make room for about "
                f"{per_residue * self._proteins.n_residues / 2**30:.1f} GiB, or write to another "
                "disk",
                str(self._folder),
            ) from error

    @property
    def n_residues(self) -> int:
        """Number of residues written so far."""
        return self._rows

    def write(self, first_row: int, block: sparse.csr_array | sparse.csr_matrix) -> None:
        """Write the residues `first_row`, `first_row + 1`, ...

        `block` is float32 [n, n_features], with finite values of 0 or more.
        """
        if first_row != self._rows:
            raise ValueError(
                f"residues must be written in order: row {self._rows} is next, not {first_row}"
            )
        if (
            shape_of(block)[1] != self._n_features
            or first_row + shape_of(block)[0] > self._proteins.n_residues
        ):
            raise ValueError(
                f"a block of shape {shape_of(block)} at row {first_row} does not fit "
                f"{self._proteins.n_residues} residues x {self._n_features} features"
            )
        csr = canonical(block)
        self._rows += shape_of(csr)[0]
        self._measure(csr)
        self._by_residue.write(_rows_of(csr, first_row), csr, self._rows)
        self._partitions.write(csr.tocsc(), first_row)

    def _measure(self, csr: sparse.csr_array) -> None:
        self._counts += np.bincount(csr.indices, minlength=self._n_features)
        np.maximum.at(self._maxima, csr.indices, csr.data)
        if self._rows >= min(_CHECK_AFTER, self._proteins.n_residues):
            check_l0(int(self._counts.sum()) / max(self._rows, 1), self._max_l0, self._n_features)

    def finish(self) -> None:
        """Sort by feature and move the folder into place. ValueError if residues are missing."""
        if self._rows != self._proteins.n_residues:
            raise ValueError(
                f"{self._rows} of {self._proteins.n_residues} residues were written; write the "
                "rest "
                "before finish()"
            )
        self._by_residue.finish()
        self._partitions.sort_into(self._draft / "by_feature.parquet")
        self._partitions.close()
        remove(self._draft / "partitions")
        write_parquet(
            summary(self._counts, self._maxima),
            self._draft / "features.parquet",
            {"type": "ActivationSummary", "version": 1},
        )
        sums = {name: as_text(_sums(self._draft / f"{name}.parquet")) for name in ORDERS}
        write_json({**self._record(), "sums": sums}, self._draft / "about.json")
        self._stack.close()

    def _record(self) -> dict[str, Any]:
        return {
            **self._about,
            "type": "FeatureActivations",
            "version": 1,
            "package": interplm_nb.__version__,
            "sequences": self._proteins.sequence_hash,
            "n_proteins": self._proteins.n_proteins,
            "n_residues": self._proteins.n_residues,
            "n_features": self._n_features,
            "n_entries": int(self._counts.sum()),
        }


def canonical(block: sparse.csr_array | sparse.csr_matrix) -> sparse.csr_array:
    """A float32 csr copy with sorted int32 features and no stored zeros.

    ValueError for NaN, infinity or negative values.
    """
    csr = sparse.csr_array(block, dtype=np.float32, copy=True)
    csr.sum_duplicates()
    csr.eliminate_zeros()
    if not np.isfinite(csr.data).all():
        raise ValueError(
            "activations contain NaN or infinity; check the embeddings and the SAE's weights "
            "(checkpoint.load refuses NaN)"
        )
    if len(csr.data) and csr.data.min() < 0:
        raise ValueError(
            f"activations must be 0 or more, but {csr.data.min()} is among them; a signed source "
            "needs "
            "DenseSource or a ReLU"
        )
    return csr


def shape_of(block: Any) -> tuple[int, int]:
    """Rows and columns of a scipy array, whose own annotations allow None."""
    return block.shape


def check_l0(l0: float, max_l0: float, n_features: int) -> None:
    """Raise ValueError if a source is too dense for a sparse store."""
    if l0 > max_l0:
        raise ValueError(
            f"on average {l0:.0f} of {n_features} features are active on a residue; the sparse "
            "store "
            f"takes at most {max_l0:g}. Train with a larger l1 ('interplm-paper') or a smaller k "
            "('topk'), or raise max_l0 if the disk has room (10 bytes per entry)"
        )


def summary(counts: np.ndarray, maxima: np.ndarray) -> pl.DataFrame:
    """The table of `features.parquet`."""
    return pl.DataFrame(
        {
            "feature": np.arange(len(counts), dtype=np.uint32),
            "n_residues": counts.astype(np.uint64),
            "maximum": maxima,
        }
    )


class _ResidueTable:
    """Collects entries and writes row groups that end where a protein ends."""

    def __init__(self, writer: pq.ParquetWriter, offsets: np.ndarray) -> None:
        self._writer = writer
        self._offsets = offsets
        self._waiting: list[pa.Table] = []
        self._n_waiting = 0
        self._n_rows = 0

    def write(self, rows: np.ndarray, csr: sparse.csr_array, n_rows: int) -> None:
        """Take the entries of `csr`, each with its row; `n_rows` residues were seen so far."""
        self._waiting.append(_table(rows, csr.indices, csr.data))
        self._n_waiting += len(rows)
        self._n_rows = n_rows
        if self._n_waiting >= GROUP:
            self._flush()

    def finish(self) -> None:
        """Write what waits, and close the file."""
        self._flush()
        for table in self._waiting:
            self._writer.write_table(table, row_group_size=GROUP)
        self._writer.close()

    def _flush(self) -> None:
        """Write whole proteins, at least `GROUP` entries per group; keep the rest waiting."""
        table = pa.concat_tables(self._waiting) if self._waiting else SCHEMA.empty_table()
        first = 0
        for end in self._protein_ends(table):
            if end - first >= GROUP:
                # A protein of more than 1 M entries still makes one group: pyarrow's own limit
                # would cut it elsewhere.
                self._writer.write_table(
                    table.slice(first, end - first), row_group_size=max(GROUP, end - first)
                )
                first = end
        self._waiting = [table.slice(first)] if first < len(table) else []
        self._n_waiting = len(table) - first

    def _protein_ends(self, table: pa.Table) -> list[int]:
        """How many of the waiting entries precede the end of each whole protein among them."""
        rows = table["row"].to_numpy()
        first = np.searchsorted(self._offsets, rows[0] if len(rows) else 0, side="right")
        last = np.searchsorted(self._offsets, self._n_rows, side="right")
        return np.searchsorted(rows, self._offsets[first:last].astype(np.uint32)).tolist()


class _Partitions:
    """Unsorted entries by feature: one file per range of features, small enough to sort in
    memory.
    """

    def __init__(self, folder: Path, n_features: int) -> None:
        folder.mkdir()
        self._edges = np.unique(np.linspace(0, n_features, _PARTITIONS + 1).astype(np.int64))
        self._paths = [folder / f"{first:06d}" for first in self._edges[:-1]]
        self._streams = [path.open("wb") for path in self._paths]

    def write(self, csc: sparse.csc_array, first_row: int) -> None:
        """Append entries, whose rows count from `first_row`, each to its file."""
        entries = np.empty(csc.nnz, _ENTRY)
        entries["row"] = csc.indices
        entries["row"] += np.uint32(first_row)
        entries["feature"] = np.repeat(
            np.arange(shape_of(csc)[1], dtype=np.uint32), np.diff(csc.indptr)
        )
        entries["value"] = csc.data
        cuts = csc.indptr[self._edges]
        for stream, first, last in zip(self._streams, cuts[:-1], cuts[1:], strict=True):
            stream.write(entries[first:last].tobytes())

    def sort_into(self, path: Path) -> None:
        """Write all entries to a Parquet file by feature, then row; the files are removed."""
        with _writer(path) as writer:
            for stream, part, first in zip(self._streams, self._paths, self._edges, strict=False):
                stream.close()
                entries = np.fromfile(part, _ENTRY)
                part.unlink()
                # Rows came in order, so a stable sort by feature is enough; numpy's is a radix sort
                # for 16 bits.
                order = np.argsort(
                    (entries["feature"] - np.uint32(first)).astype(np.uint16), kind="stable"
                )
                entries = entries[order]
                # Larger groups, so fewer: at 20 M residues with 64 features each, 5,000 groups open
                # in 30 ms, before the first feature.
                writer.write_table(
                    _table(entries["row"], entries["feature"], entries["value"]),
                    row_group_size=2 * GROUP,
                )

    def close(self) -> None:
        """Close the files, which stay where they are."""
        for stream in self._streams:
            stream.close()


def _sums(path: Path) -> np.ndarray:
    return block_sums(np.memmap(path, np.uint8, "r").view(np.ndarray))


def _writer(path: Path) -> pq.ParquetWriter:
    return pq.ParquetWriter(path, SCHEMA, **_LAYOUT)


def _rows_of(csr: sparse.csr_array, first_row: int) -> np.ndarray:
    return np.repeat(
        np.arange(first_row, first_row + shape_of(csr)[0], dtype=np.uint32), np.diff(csr.indptr)
    )


def _table(rows: np.ndarray, features: np.ndarray, values: np.ndarray) -> pa.Table:
    columns = (rows, np.uint32), (features, np.uint32), (values, np.float32)
    return pa.table(
        [pa.array(np.ascontiguousarray(values, dtype)) for values, dtype in columns], schema=SCHEMA
    )
