"""Counting concepts on an accelerator: the sums to which `concepts.count.count` adds blocks, kept
and computed on a device.

    count(source, annotations, sums=on_device("cuda"))

A block is taken in slices of features, made dense there. Products of 0 and 1 in float32 are whole
numbers below 2**24, which float32 (and TF32, whose sums are float32) represents exactly, so the
integers equal those of the sparse products.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from threading import Lock
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

_CELLS = 2**26
"""Cells of a dense slice (256 MB in float32)."""
_EXACT = 2**24


def on_device(device: str) -> "partial[DeviceSums]":
    """The `sums` of `concepts.count.count` on a torch device ("cuda", "cpu")."""
    return partial(DeviceSums, device=torch.device(device))


class DeviceSums:
    """Sums on a device for C concepts, F features and T ascending thresholds (float32): 8 bytes per
    cell, and a few dense slices of a block.

    Blocks are added one after another, while other threads read and label the next.
    """

    def __init__(
        self, n_concepts: int, n_features: int, levels: np.ndarray, device: torch.device
    ) -> None:
        shape = (len(levels), n_concepts, n_features)
        self._levels, self._device, self._lock = levels.tolist(), device, Lock()
        self._tp = torch.zeros(shape, dtype=torch.int32, device=device)
        self._hits = torch.zeros(shape, dtype=torch.int32, device=device)
        self._active = torch.zeros((len(levels), n_features), dtype=torch.int64, device=device)

    def add(
        self,
        values: Any,
        carried: sparse.csr_array,
        members: sparse.csr_array,
        concept_of: np.ndarray,
    ) -> None:
        """Add a block of whole proteins.

        `values` float32 [n, F], csr or ndarray; `carried` [C, n] and `members` [instances, n] hold
        0 and 1; `concept_of` int64 [instances]. ValueError for a block of 2**24 residues or more,
        whose counts would not be exact.
        """
        n = int(values.shape[0])
        if n >= _EXACT:
            raise ValueError(
                f"a block has {n:,} residues; counts on a device are exact below {_EXACT:,}: give "
                "smaller blocks"
            )
        with self._lock:
            labels = self._sparse(carried)
            instances = self._sparse(members)
            concepts = torch.as_tensor(concept_of, device=self._device)
            for start, part in self._slices(values, max(1, _CELLS // max(n, 1))):
                self._add(slice(start, start + part.shape[1]), part, labels, instances, concepts)

    def counts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The sums so far, copied to memory: tp and instance_hits int32 [T, C, F], active int64
        [T, F]."""
        return self._tp.cpu().numpy(), self._hits.cpu().numpy(), self._active.cpu().numpy()

    def include(self, cells: Sequence[np.ndarray], counts: Sequence[np.ndarray]) -> None:
        """See `concepts.count.Sums`."""
        arrays = (self._tp, self._hits, self._active)
        for mine, at, given in zip(arrays, cells, counts, strict=True):
            places = torch.tensor(at, device=self._device)
            mine.view(-1)[places] += torch.tensor(given, device=self._device)

    def _add(
        self, columns: slice, part: Tensor, labels: Tensor, instances: Tensor, concepts: Tensor
    ) -> None:
        """part: float32 [n, f], the values of these columns."""
        for t, level in enumerate(self._levels):
            # The level is a float32 in a float64; torch compares in the values' type, float32.
            above = part > level
            on = above.float()
            self._active[t, columns] += above.sum(dim=0)
            self._tp[t, :, columns] += torch.sparse.mm(labels, on).int()
            hit = (torch.sparse.mm(instances, on) > 0).int()
            self._hits[t, :, columns] = self._hits[t, :, columns].index_add(0, concepts, hit)

    def _sparse(self, matrix: sparse.csr_array) -> Tensor:
        coo = matrix.tocoo()
        places = torch.as_tensor(np.stack([coo.row, coo.col]).astype(np.int64))
        ones = torch.ones(places.shape[1], dtype=torch.float32)
        # csr has the order of COO, so there is nothing to coalesce.
        return torch.sparse_coo_tensor(
            places, ones, coo.shape, is_coalesced=True, check_invariants=False
        ).to(self._device)

    def _slices(self, values: Any, width: int) -> Iterator[tuple[int, Tensor]]:
        """First column and dense float32 [n, at most width] on the device, slice by slice."""
        n, n_features = values.shape
        csc = None if isinstance(values, np.ndarray) else values.tocsc()
        for start in range(0, n_features, width):
            stop = min(start + width, n_features)
            if csc is None:
                yield start, torch.tensor(values[:, start:stop], device=self._device)
                continue
            entries = slice(csc.indptr[start], csc.indptr[stop])
            column = np.repeat(np.arange(stop - start), np.diff(csc.indptr[start : stop + 1]))
            places = torch.as_tensor(
                csc.indices[entries].astype(np.int64) * (stop - start) + column
            ).to(self._device)
            dense = torch.zeros(n * (stop - start), dtype=torch.float32, device=self._device)
            dense[places] = torch.tensor(csc.data[entries], device=self._device)
            yield start, dense.view(n, stop - start)
