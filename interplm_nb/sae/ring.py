"""The buffer between what makes residue embeddings and what trains on them: rows go in by groups, each shuffled, and leave in batches."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Group(NamedTuple):
    """Residues that are shuffled among each other."""

    first: int
    """Place of its first residue in the epoch."""
    n: int
    """Residues."""
    units: np.ndarray
    """int64: what the residues are those of, such as proteins."""


class Ring:
    """A ring of rows per layer, allocated once on one device. Place p of an epoch is kept in slot p % capacity.

    On a CPU rows are moved by numpy, in one thread: torch's threads are busy with the training step, beside which batches are made.
    """

    def __init__(self, capacity: int, widths: Mapping[int, int], device: torch.device) -> None:
        self.capacity = capacity
        self._rows = {layer: torch.empty(capacity, width, device=device) for layer, width in widths.items()}
        self._device = device

    def writer(self, first: int, order: np.ndarray) -> Callable[[int, np.ndarray | slice, np.ndarray | Tensor], None]:
        """A function (layer, rows of the group, values [n, width]) that puts row i of a group at place first + order[i]."""
        slots = (first + order) % self.capacity

        def write(layer: int, rows: np.ndarray | slice, values: np.ndarray | Tensor) -> None:
            if self._device.type == "cpu":
                self._rows[layer].numpy()[slots[rows]] = values
            else:
                at = torch.from_numpy(slots[rows]).to(self._device)
                self._rows[layer].index_copy_(0, at, torch.as_tensor(values).to(self._device, torch.float32))

        return write

    def read(self, first: int, n: int) -> dict[int, Tensor]:
        """A copy of the rows at places first to first + n, float32 [n, width] per layer: what they lie in may be written over at once."""
        start = first % self.capacity
        head = min(n, self.capacity - start)
        return {layer: self._copied(rows, start, head, n - head) for layer, rows in self._rows.items()}

    def _copied(self, rows: Tensor, start: int, head: int, tail: int) -> Tensor:
        if self._device.type != "cpu":
            return torch.cat([rows[start : start + head], rows[:tail]])
        copy = np.empty((head + tail, rows.shape[1]), np.float32)
        copy[:head], copy[head:] = rows.numpy()[start : start + head], rows.numpy()[:tail]
        return torch.from_numpy(copy)


def groups_of(lengths: np.ndarray, order: np.ndarray, residues: int) -> list[Group]:
    """Groups of units in `order`, each closed when it has `residues` or more (the last has what is left)."""
    ends = np.cumsum(lengths[order])
    groups, at, first = [], 0, 0
    while at < len(order):
        stop = min(int(np.searchsorted(ends, first + residues)) + 1, len(order))
        groups.append(Group(first, int(ends[stop - 1]) - first, order[at:stop]))
        at, first = stop, int(ends[stop - 1])
    return groups
