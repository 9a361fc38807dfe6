"""The buffer between the source of residue embeddings and training: a group of residues goes in,
and leaves shuffled in batches."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Group(NamedTuple):
    """Residues that are shuffled among each other."""

    first: int
    """Position of its first residue in the epoch, from 0."""
    n: int
    """Residues."""
    units: np.ndarray
    """int64: the units that hold the residues, such as proteins."""


class ShuffleBuffer:
    """Rows of one group per layer, allocated once on one device: written in order, read in any
    order."""

    def __init__(self, capacity: int, widths: Mapping[int, int], device: torch.device) -> None:
        self._rows = {
            layer: torch.empty(capacity, width, device=device) for layer, width in widths.items()
        }
        self._device = device

    def write(self, layer: int, rows: np.ndarray | slice, values: Tensor) -> None:
        """Put values [n, width] at rows of the group."""
        at = rows if isinstance(rows, slice) else torch.from_numpy(rows).to(self._device)
        self._rows[layer][at] = values.to(self._device, torch.float32)

    def read(self, rows: np.ndarray) -> dict[int, Tensor]:
        """Copies of the rows (int64 [n]), float32 [n, width] per layer, so that the group can be
        overwritten at once."""
        at = torch.from_numpy(rows).to(self._device)
        return {layer: values.index_select(0, at) for layer, values in self._rows.items()}


def groups_of(lengths: np.ndarray, order: np.ndarray, residues: int) -> list[Group]:
    """Groups of units in `order`, each closed when it has `residues` or more (the last has the
    rest)."""
    ends = np.cumsum(lengths[order])
    groups, at, first = [], 0, 0
    while at < len(order):
        stop = min(int(np.searchsorted(ends, first + residues)) + 1, len(order))
        groups.append(Group(first, int(ends[stop - 1]) - first, order[at:stop]))
        at, first = stop, int(ends[stop - 1])
    return groups
