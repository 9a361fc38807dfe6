"""Feature activations: how strongly each feature of an SAE fires on each residue.

Sparse, aligned to `Proteins`, readable by protein and by feature. Values have a unit: `raw`, as
encoded by the SAE, or `max`, a fraction of the feature's maximum over a stated set of proteins
(`activations.relative_to(activations.largest(train))`). Scores take only `max`.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, Self

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

from interplm_nb.activations_writer import (
    GROUP,
    MAX_L0,
    ORDERS,
    ActivationsWriter,
    canonical,
    check_l0,
    shape_of,
)
from interplm_nb.checksums import CheckedBytes, from_text
from interplm_nb.proteins import Proteins
from interplm_nb.saving import json_hash, read_json, read_parquet

__all__ = [
    "GROUP",
    "MAX_L0",
    "ActivationBlock",
    "ActivationsWriter",
    "FeatureActivations",
    "FeatureBlock",
    "Unit",
    "check_l0",
    "neighbours",
]

Unit = Literal["raw", "max"]


ORIGIN = ("plm", "plm_revision", "layer", "sae")
"""What identifies features: equal numbers of two SAEs are different features."""

BytesOf = Callable[[Path, np.ndarray | None, str | None], CheckedBytes]
"""How a large file is read; as `CheckedBytes.of_file`."""


class ActivationBlock(NamedTuple):
    """The activations of consecutive residues of whole proteins."""

    first_row: int
    """Row of the residue axis of the first line of `values`."""
    values: sparse.csr_array
    """float32 [n, n_features]; features are sorted within a line, zeros are not stored."""


class FeatureBlock(NamedTuple):
    """The activations of consecutive features."""

    first_feature: int
    """Number of the feature of the first column of `values`."""
    values: sparse.csc_array
    """float32 [n_residues, n]; rows ascend within a column, zeros are not stored."""


class FeatureActivations:
    """Feature values on every residue of `proteins`: float32, 0 or more, sparse.

    Make one with `open`, `from_dense`, `from_csr` or `relative_to`.

    Attributes
    ----------
    proteins : Proteins
        The residue axis.
    unit : {"raw", "max"}
        Whether values are as encoded or fractions of each feature's maximum.
    about : dict
        The store's record (plm, layer, sae, ...); empty in memory.

    Examples
    --------
    >>> proteins = Proteins.from_sequences({"P1": "MKV", "P2": "GA"})
    >>> values = np.array([[0, 2], [0, 4], [0, 0], [1, 0], [0, 1]])
    >>> activations = FeatureActivations.from_dense(values, proteins)
    >>> activations
    FeatureActivations(2 features on Proteins(2 proteins, 5 residues), unit 'raw')
    >>> activations.relative_to(activations.largest()).along("P1", 1).tolist()
    [0.5, 1.0, 0.0]
    >>> rows, values = activations.feature(0)
    >>> rows.tolist(), values.tolist()
    ([3], [1.0])
    """

    def __init__(
        self,
        entries: "_Entries",
        proteins: Proteins,
        unit: Unit,
        about: Mapping[str, Any],
        maxima: np.ndarray | None = None,
    ) -> None:
        if unit not in ("raw", "max"):
            raise ValueError(f"the unit of activations must be 'raw' or 'max', not {unit!r}")
        self._entries = entries
        self._maxima = maxima
        self.proteins = proteins
        self.unit: Unit = unit
        self.about = dict(about)

    @classmethod
    def open(
        cls, folder: Path, proteins: Proteins, bytes_of: BytesOf = CheckedBytes.of_file
    ) -> Self:
        """Open a store that `ActivationsWriter` wrote for these proteins; loads no values yet.

        `bytes_of` opens its large files, which may be in an object store.
        """
        if not (folder / "about.json").exists():
            raise FileNotFoundError(
                f"{folder}: no feature activations here; run the stage 'activations'"
            )
        about = read_json(folder / "about.json", "FeatureActivations", 1)
        if about["sequences"] != proteins.sequence_hash:
            raise ValueError(
                f"{folder} holds activations on other proteins ({about['n_residues']} residues, "
                f"{about['sequences'][:19]}) than the given ones ({proteins.n_residues} residues, "
                f"{proteins.sequence_hash[:19]}); open it with the proteins of its own run"
            )
        sums = {name: from_text(text) for name, text in about.pop("sums", {}).items()}
        stored = _Stored(folder, about["n_features"], sums, bytes_of)
        return cls(stored, proteins, about["unit"], about)

    @classmethod
    def from_dense(cls, values: np.ndarray, proteins: Proteins, unit: Unit = "raw") -> Self:
        """Take an array [n_residues, n_features] of finite values, 0 or more; else ValueError."""
        if np.ndim(values) != 2:
            raise ValueError(
                f"activations must be an array [n_residues, n_features], not of shape "
                f"{np.shape(values)}"
            )
        return cls.from_csr(sparse.csr_array(np.asarray(values, np.float32)), proteins, unit)

    @classmethod
    def from_csr(
        cls,
        values: sparse.csr_array | sparse.csr_matrix,
        proteins: Proteins,
        unit: Unit = "raw",
        about: Mapping[str, Any] | None = None,
    ) -> Self:
        """Take a scipy csr [n_residues, n_features] of finite values, 0 or more; else
        ValueError. `about` says what they were made with: plm, plm_revision, layer, sae.
        """
        if shape_of(values)[0] != proteins.n_residues:
            raise ValueError(
                f"activations have {shape_of(values)[0]} rows, the proteins have "
                f"{proteins.n_residues} residues"
            )
        return cls(_InMemory(canonical(values)), proteins, unit, about or {})

    @property
    def n_residues(self) -> int:
        """Number of rows: the residues of all proteins."""
        return self.proteins.n_residues

    @property
    def n_features(self) -> int:
        """Number of features, including those that never fire."""
        return self._entries.n_features

    def __repr__(self) -> str:
        what = f"{self.n_features:,} features on {self.proteins}, unit {self.unit!r}"
        return f"FeatureActivations({what})"

    @property
    def fingerprint(self) -> str:
        """sha256 that identifies the values.

        Of the store's record (PLM, layer, SAE, ...) and the maxima; in memory, of the values.
        """
        return json_hash(
            [
                self.unit,
                self.n_features,
                self.proteins.sequence_hash,
                self.scale,
                self.about or self._digest(),
            ]
        )

    @property
    def scale(self) -> str | None:
        """sha256 of the maxima of `relative_to`; None in unit "raw"."""
        if self._maxima is None:
            return None
        return hashlib.sha256(self._maxima.tobytes()).hexdigest()

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for block in self.blocks():
            for array in (block.values.indptr, block.values.indices, block.values.data):
                digest.update(array.tobytes())
        return digest.hexdigest()

    def mean_l0(self) -> float:
        """Mean number of active features per residue."""
        return float(self.n_active().sum() / max(self.n_residues, 1))

    def n_active(self) -> np.ndarray:
        """int64 [n_features]: residues on which each feature is active; 0 if its maximum is 0."""
        counts = self._entries.counts()
        return counts if self._maxima is None else np.where(self._maxima > 0, counts, 0)

    def of(self, accession: str) -> sparse.csr_array:
        """float32 csr [length, n_features]: all features of one protein."""
        rows = self.proteins.rows(accession)
        return self._scaled(self._entries.rows(rows.start, rows.stop))

    def feature(self, feature: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows (int64, ascending) on which a feature is active, and its values (float32)."""
        rows, values = self._entries.feature(self._checked(feature))
        if self._maxima is None:
            return rows, values
        maximum = self._maxima[feature]
        return (rows, values / maximum) if maximum > 0 else (rows[:0], values[:0])

    def along(self, accession: str, feature: int) -> np.ndarray:
        """float32 [length]: one feature along one protein."""
        return self.of(accession)[:, [self._checked(feature)]].toarray()[:, 0]

    def blocks(
        self, accessions: Iterable[str] | None = None, residues: int = 50_000
    ) -> Iterator[ActivationBlock]:
        """Yield the activations of these proteins (None: all), in the order of the residue axis.

        A block holds consecutive rows of whole proteins: at most `residues`, or one longer protein.
        """
        places = (
            range(len(self.proteins))
            if accessions is None
            else sorted({self.proteins.index(a) for a in accessions})
        )
        for first, last in neighbours(
            np.asarray(places, np.int64), self.proteins.offsets, residues
        ):
            yield ActivationBlock(first, self._scaled(self._entries.rows(first, last)))

    def feature_bounds(self, entries: int = 2**20) -> list[int]:
        """Where the blocks of `by_feature` begin, and n_features."""
        ends = np.concatenate([[0], np.cumsum(self._entries.counts())])
        bounds = [0]
        while bounds[-1] < self.n_features:
            fits = int(np.searchsorted(ends, ends[bounds[-1]] + entries, side="right")) - 1
            bounds.append(min(max(fits, bounds[-1] + 1), self.n_features))
        return bounds

    def by_feature(
        self,
        accessions: Iterable[str] | None = None,
        entries: int = 2**20,
        features: range | None = None,
    ) -> Iterator[FeatureBlock]:
        """Yield the activations of features in order, on the residues of these proteins.

        A block holds at most `entries` values of all proteins, or one feature of more. Without
        `accessions` it has all rows; with them the others are empty. `features`: those of blocks
        that begin in it (None: all).
        """
        kept = None
        if accessions is not None:
            kept = np.zeros(self.n_residues, bool)
            kept[self.proteins.rows_of(accessions)] = True
        for first, last in pairwise(self.feature_bounds(entries)):
            if features is not None and first not in features:
                continue
            rows, numbers, values = self._entries.features(first, last)
            column, on = numbers - numbers.dtype.type(first), None
            if self._maxima is not None:
                maxima = self._maxima[first:last][column]
                on = maxima > 0
                values = np.divide(values, maxima, out=np.zeros_like(values), where=on)
            if kept is not None:
                on = kept[rows] if on is None else on & kept[rows]
            if on is not None and not on.all():
                rows, column, values = rows[on], column[on], values[on]
            starts = np.searchsorted(column, np.arange(last - first + 1, dtype=column.dtype))
            columns = sparse.csc_array(
                (values, rows.astype(np.int32), starts), shape=(self.n_residues, last - first)
            )
            yield FeatureBlock(first, columns)

    def largest(self, accessions: Iterable[str] | None = None) -> np.ndarray:
        """float32 [n_features]: each feature's maximum over these proteins (None: all).

        0 for a feature that never fires.
        """
        if accessions is None and self._maxima is None:
            return self._entries.maxima().copy()
        maxima = np.zeros(self.n_features, np.float32)
        for block in self.blocks(accessions):
            np.maximum.at(maxima, block.values.indices, block.values.data)
        return maxima

    def relative_to(self, maxima: np.ndarray) -> "FeatureActivations":
        """The same activations as fractions of `maxima`: unit "max".

        Parameters
        ----------
        maxima : np.ndarray
            float32 [n_features], 0 or more, such as `largest(train)`. A feature whose maximum is 0
            is 0 everywhere. Proteins outside those of the maxima may exceed 1.

        Raises
        ------
        ValueError
            If the unit is not "raw", or the maxima do not fit.
        """
        if self.unit != "raw":
            raise ValueError(
                f"these activations already have unit {self.unit!r}; relative_to takes unit 'raw'"
            )
        maxima = np.asarray(maxima, np.float32)
        if (
            maxima.shape != (self.n_features,)
            or not np.isfinite(maxima).all()
            or (maxima < 0).any()
        ):
            raise ValueError(
                f"maxima must be one finite value of 0 or more per feature, shape "
                f"({self.n_features},), not {maxima.shape} {maxima[:3]}"
            )
        return FeatureActivations(self._entries, self.proteins, "max", self.about, maxima)

    def _scaled(self, csr: sparse.csr_array) -> sparse.csr_array:
        if self._maxima is None:
            return csr
        maxima = self._maxima[csr.indices]
        dead = maxima == 0
        csr.data = np.where(dead, np.float32(0), csr.data / np.where(dead, np.float32(1), maxima))
        if dead.any():
            csr.eliminate_zeros()
        return csr

    def _checked(self, feature: int) -> int:
        if not 0 <= feature < self.n_features:
            raise ValueError(f"features are numbered 0 to {self.n_features - 1}; got {feature}")
        return int(feature)


class _Entries(Protocol):
    """A store of raw values."""

    n_features: int

    def counts(self) -> np.ndarray:
        """int64 [n_features]: residues on which each feature is active."""
        ...

    def maxima(self) -> np.ndarray:
        """float32 [n_features]: each feature's largest value, 0 where it is never active."""
        ...

    def rows(self, first: int, last: int) -> sparse.csr_array:
        """Rows `first` to `last` (excluded) as a csr that the caller may change."""
        ...

    def feature(self, feature: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows, int64 [n], on which a feature is active, and its values, float32 [n]."""
        ...

    def features(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row, feature and value of each entry of features `first` to `last` (excluded), by
        feature, then row."""
        ...


class _InMemory(_Entries):
    def __init__(self, csr: sparse.csr_array) -> None:
        self._csr = csr
        self.n_features: int = shape_of(csr)[1]

    @cached_property
    def _csc(self) -> sparse.csc_array:
        return self._csr.tocsc()

    def counts(self) -> np.ndarray:
        """int64 [n_features]: entries of each column."""
        return np.bincount(self._csr.indices, minlength=self.n_features)

    def maxima(self) -> np.ndarray:
        """float32 [n_features]: the largest entry of each column, 0 where there is none."""
        maxima = np.zeros(self.n_features, np.float32)
        np.maximum.at(maxima, self._csr.indices, self._csr.data)
        return maxima

    def rows(self, first: int, last: int) -> sparse.csr_array:
        """A copy of rows `first` to `last` (excluded)."""
        return self._csr[first:last].copy()

    def feature(self, feature: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows, int64 [n], and values, float32 [n], of one column, copied."""
        entries = slice(self._csc.indptr[feature], self._csc.indptr[feature + 1])
        return self._csc.indices[entries].astype(np.int64), self._csc.data[entries].copy()

    def features(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row, feature and value of each entry of columns `first` to `last` (excluded)."""
        columns = self._csc[:, first:last]
        features = np.repeat(np.arange(first, last), np.diff(columns.indptr))
        return columns.indices, features, columns.data


class _Stored(_Entries):
    def __init__(
        self, folder: Path, n_features: int, sums: Mapping[str, np.ndarray], bytes_of: BytesOf
    ) -> None:
        self.n_features = n_features
        self._folder, self._sums, self._bytes_of = folder, sums, bytes_of
        self._by_residue, self._by_feature = (
            _SortedTable(folder / f"{name}.parquet", key, sums.get(name), bytes_of)
            for name, key in zip(ORDERS, ("row", "feature"), strict=True)
        )

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        """A pickle names the folder and carries no entry."""
        return type(self), (self._folder.resolve(), self.n_features, self._sums, self._bytes_of)

    @cached_property
    def _summary(self) -> pl.DataFrame:
        return read_parquet(self._folder / "features.parquet", "ActivationSummary", 1)[0]

    def counts(self) -> np.ndarray:
        """int64 [n_features], as counted when the activations were written."""
        return self._summary["n_residues"].to_numpy().astype(np.int64)

    def maxima(self) -> np.ndarray:
        """float32 [n_features], as found when the activations were written."""
        return self._summary["maximum"].to_numpy()

    def rows(self, first: int, last: int) -> sparse.csr_array:
        """Rows `first` to `last` (excluded), read from the table sorted by residue."""
        rows, features, values = self._by_residue.read(first, last)
        offsets = np.searchsorted(rows, np.arange(first, last + 1, dtype=np.uint32))
        return sparse.csr_array(
            (values, features.astype(np.int32), offsets.astype(np.int32)),
            shape=(last - first, self.n_features),
        )

    def feature(self, feature: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows, int64 [n], and values, float32 [n], read from the table sorted by feature."""
        rows, _, values = self._by_feature.read(feature, feature + 1)
        return rows.astype(np.int64), values

    def features(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `_Entries.features`, read from the table sorted by feature."""
        return self._by_feature.read(first, last)


class _SortedTable:
    """A Parquet file sorted by one column; row-group statistics locate a range of it.

    Its footer and each row group are compared with `sums` when first read. Neighbouring groups are
    asked for together, so that a range of keys in an object store is one piece of the file.
    """

    def __init__(self, path: Path, key: str, sums: np.ndarray | None, bytes_of: BytesOf) -> None:
        self._path, self._sums, self._bytes_of = path, sums, bytes_of
        self._column = ("row", "feature", "value").index(key)
        self._last: tuple[int, tuple[np.ndarray, ...]] | None = None

    @cached_property
    def _bytes(self) -> CheckedBytes:
        return self._bytes_of(self._path, self._sums, "activations")

    @cached_property
    def _file(self) -> pq.ParquetFile:
        data = self._bytes.data
        self._bytes.check(max(0, len(data) - 8), 8)
        footer = int.from_bytes(data[-8:-4].tobytes(), "little") + 8
        self._bytes.check(max(0, len(data) - footer), min(footer, len(data)))
        # From the path, not from the bytes here: Arrow's threads may outlive Python's, and must not
        # hold an object of it.
        with self._errors():
            return pq.ParquetFile(self._bytes.path)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            raise self._bytes.damaged(f"not a readable Parquet file ({error})") from error

    @cached_property
    def _edges(self) -> tuple[np.ndarray, np.ndarray]:
        """The smallest and the largest key of each row group."""
        groups = (
            self._file.metadata.row_group(i).column(self._column).statistics
            for i in range(self._file.num_row_groups)
        )
        edges = np.array(
            [(g.min, g.max) if g is not None and g.has_min_max else (1, 0) for g in groups],
            np.int64,
        ).reshape(-1, 2)
        return edges[:, 0], edges[:, 1]

    def read(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Columns row, feature, value of the entries whose key is `first` to `last` (excluded)."""
        least, greatest = self._edges
        groups = np.flatnonzero((least < last) & (greatest >= first))
        self._check(groups)
        parts = [self._cut(self._group(int(i)), first, last) for i in groups]
        if not parts:
            return np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.float32)
        return (
            np.concatenate([p[0] for p in parts]),
            np.concatenate([p[1] for p in parts]),
            np.concatenate([p[2] for p in parts]),
        )

    def _check(self, groups: np.ndarray) -> None:
        """Compare the bytes of neighbouring row groups, which follow one another in the file."""
        if not len(groups) or (len(groups) == 1 and self._last and self._last[0] == groups[0]):
            return
        start = self._file.metadata.row_group(int(groups[0])).column(0).data_page_offset
        end = self._file.metadata.row_group(int(groups[-1])).column(2)
        self._bytes.check(start, end.data_page_offset + end.total_compressed_size - start)

    def _cut(
        self, columns: tuple[np.ndarray, ...], first: int, last: int
    ) -> tuple[np.ndarray, ...]:
        start, stop = np.searchsorted(
            columns[self._column],
            np.array([first, last], np.int64).clip(0, 2**32 - 1).astype(np.uint32),
        )
        return tuple(column[start:stop] for column in columns)

    def _group(self, i: int) -> tuple[np.ndarray, ...]:
        # The last group is kept: proteins read in order, and one feature along several proteins,
        # are in it.
        if self._last is None or self._last[0] != i:
            # By DLPack: pyarrow's `to_numpy` imports pandas if it is installed, which delays the
            # first value by a quarter of a second.
            with self._errors():
                columns = self._file.read_row_group(i).combine_chunks().columns
            self._last = i, tuple(np.from_dlpack(column.chunk(0)) for column in columns)
        return self._last[1]


def neighbours(places: np.ndarray, offsets: np.ndarray, residues: int) -> Iterator[tuple[int, int]]:
    """Yield rows (first, last) of runs of neighbouring proteins.

    `places` int64, ascending. A run has at most `residues` rows, or one longer protein.
    """
    first = last = -1
    for place in places:
        start, stop = int(offsets[place]), int(offsets[place + 1])
        if start == last and stop - first <= residues:
            last = stop
            continue
        if first >= 0:
            yield first, last
        first, last = start, stop
    if first >= 0:
        yield first, last
