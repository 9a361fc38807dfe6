"""Sources of features to score: blocks of sparse or dense values, and their comparison."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Protocol, TypeAlias

import numpy as np
from scipy.sparse import csr_array, vstack

from interplm_nb.annotations import Annotations
from interplm_nb.proteins import Proteins

Matrix: TypeAlias = csr_array | np.ndarray

# Blocks are joined up to this many entries: scattered proteins would give thousands of small
# products.
_ENTRIES = 4_000_000


class Block(Protocol):
    """Consecutive rows of the residue axis, from `first_row`."""

    @property
    def first_row(self) -> int:
        """Row of the residue axis of the first line of `values`."""
        ...

    @property
    def values(self) -> Any:
        """float32 [n, n_features], `scipy.sparse.csr_array` or ndarray."""
        ...


class Source(Protocol):
    """Anything that can be scored: `FeatureActivations` or `DenseSource` (neurons, components,
    ...).
    """

    @property
    def unit(self) -> str:
        """ "max": values are fractions of each feature's maximum. `check_source` refuses others."""
        ...

    @property
    def n_features(self) -> int:
        """Number of features: the width of the blocks."""
        ...

    @property
    def proteins(self) -> Proteins:
        """The residue axis of the values."""
        ...

    def blocks(self, accessions: Collection[str] | None = None) -> Iterable[Block]:
        """The values of these proteins (None: all), each protein whole in one block."""
        ...


def check_source(source: Source, annotations: Annotations) -> None:
    """Raise ValueError unless the source has unit "max" and the annotations' proteins."""
    if source.unit != "max":
        raise ValueError(
            "thresholds are fractions of each feature's maximum (unit 'max'), but these "
            "activations "
            f"have unit {source.unit!r}; pass activations.relative_to(maxima)"
        )
    ours, theirs = source.proteins.sequence_hash, annotations.proteins.sequence_hash
    if ours != theirs:
        raise ValueError(
            f"the activations are of {source.proteins} ({ours[:19]}), the annotations of "
            f"{annotations.proteins} ({theirs[:19]})"
        )


def joined(source: Source, accessions: Collection[str]) -> Iterator[tuple[np.ndarray, Matrix]]:
    """Yield rows (int64 [n]) and values (float32 [n, n_features]) of these proteins.

    Blocks hold whole proteins, about `_ENTRIES` entries, in the order of the residue axis.
    ValueError if the source's own blocks do not fit that axis, have another number of features, or
    are not of these proteins, each once; and for NaN and infinity, which no threshold can judge.
    """
    rows: list[np.ndarray] = []
    parts: list[Matrix] = []
    entries = 0
    for block in _checked_blocks(source, accessions):
        part = _float32(block.values)
        if not np.isfinite(part.data if isinstance(part, csr_array) else part).all():
            raise ValueError(
                f"the values in the block at row {block.first_row} contain NaN or infinity; check "
                "the "
                "embeddings and weights they were made with"
            )
        size = part.nnz if isinstance(part, csr_array) else part.size
        if parts and entries + size > _ENTRIES:
            yield np.concatenate(rows), stacked(parts)
            rows, parts, entries = [], [], 0
        rows.append(
            np.arange(block.first_row, block.first_row + np.shape(block.values)[0], dtype=np.int64)
        )
        parts.append(part)
        entries += size
    if parts:
        yield np.concatenate(rows), stacked(parts)


def stacked(parts: list[Matrix]) -> Matrix:
    """Stack one or more blocks of a source, all sparse or all dense."""
    if len(parts) == 1:
        return parts[0]
    dense = [part for part in parts if isinstance(part, np.ndarray)]
    return np.concatenate(dense) if dense else csr_array(vstack(parts, format="csr"))


def above(values: Matrix, threshold: np.float32) -> Matrix:
    """int32 of the same shape and kind: 1 where a value is strictly above the threshold.

    The threshold is 0 or more: what is not stored is not above it.
    """
    if isinstance(values, np.ndarray):
        return (values > threshold).astype(np.int32)
    on = values.data > threshold
    indptr = np.concatenate([[0], np.cumsum(on)])[values.indptr].astype(values.indptr.dtype)
    return csr_array(
        (np.ones(indptr[-1], np.int32), values.indices[on], indptr), shape=values.shape
    )


def kept(values: Matrix, on: Matrix, threshold: np.float32) -> Matrix:
    """The values above a threshold of 0 or more; `on` (from `above`) says where they are.

    Dense values stay dense, and may keep lower values, while at least a tenth are above.
    """
    if isinstance(values, np.ndarray) or isinstance(on, np.ndarray):
        many = 10 * int(on.sum()) >= values.size
        return (
            values
            if many
            else csr_array(np.where(np.asarray(on), np.asarray(values), np.float32(0)))
        )
    return csr_array(
        (values.data[values.data > threshold], on.indices, on.indptr), shape=values.shape
    )


def _checked_blocks(source: Source, accessions: Collection[str]) -> Iterator[Block]:
    """Yield the source's blocks of these proteins; ValueError unless they are as promised.

    Whole proteins, each once, in the order of the axis, with the source's number of features.
    """
    proteins = source.proteins
    waiting = np.zeros(len(proteins), bool)
    waiting[[proteins.index(a) for a in accessions]] = True
    after = 0
    for block in source.blocks(accessions):
        shape = np.shape(block.values)
        if len(shape) != 2 or shape[1] != source.n_features:
            raise ValueError(
                f"a block at row {block.first_row} has shape {shape}; this source's blocks must be "
                f"[n, {source.n_features}], with n residues"
            )
        ends = block.first_row, block.first_row + shape[0]
        first, last = np.searchsorted(proteins.offsets, ends).clip(max=len(proteins))
        whole = (proteins.offsets[first], proteins.offsets[last]) == ends
        if not whole or first < after or not waiting[first:last].all():
            raise ValueError(
                f"a block of rows {ends[0]} to {ends[1]} (excluded) does not hold whole proteins "
                "of "
                f"the requested ones, each once and in order; the source's values are not aligned "
                f"to its {proteins}"
            )
        waiting[first:last] = False
        after = last
        yield block
    if waiting.any():
        lacking = proteins.accessions[int(waiting.argmax())]
        raise ValueError(
            f"the source gave no values for {waiting.sum()} of the {len(accessions)} requested "
            f"proteins, such as {lacking!r}"
        )


def _float32(values: Any) -> Matrix:
    if isinstance(values, np.ndarray):
        return values.astype(np.float32, copy=False)
    matrix = csr_array(values, dtype=np.float32)
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    # Indices of a block fit int32, with which products are 1.5 times as fast.
    parts = (
        matrix.data,
        matrix.indices.astype(np.int32, copy=False),
        matrix.indptr.astype(np.int32, copy=False),
    )
    return csr_array(parts, shape=matrix.shape)
