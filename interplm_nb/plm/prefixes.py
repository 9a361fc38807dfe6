"""States of sequences that a recurrent model has read, to resume from a shared prefix."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from interplm_nb.plm.mlstm import State


class Read(NamedTuple):
    """A sequence that was read, and the states after each residue."""

    ids: np.ndarray
    """uint8 [L]."""
    states: tuple[State, ...]
    """h and c of each layer from 1 on, float32 [L, H]."""

    @property
    def n_bytes(self) -> int:
        """Memory of the states."""
        return sum(s.h.nbytes + s.c.nbytes for s in self.states)


class Prefix(NamedTuple):
    """The first `n` residues of a sequence that was read; `read` is None if `n` is 0."""

    n: int
    read: Read | None


class Prefixes:
    """The last few sequences, within a memory bound."""

    def __init__(self, most: int = 4, most_bytes: int = 64_000_000) -> None:
        self.most, self.most_bytes = most, most_bytes
        self._read: list[Read] = []

    def __len__(self) -> int:
        return len(self._read)

    @property
    def n_bytes(self) -> int:
        """Memory of all states."""
        return sum(read.n_bytes for read in self._read)

    def longest(self, ids: np.ndarray, n_layers: int) -> Prefix:
        """The longest prefix of `ids` with states of at least `n_layers` layers."""
        best = Prefix(0, None)
        for read in self._read:
            n = _shared(read.ids, ids)
            if n > best.n and len(read.states) >= n_layers:
                best = Prefix(n, read)
        return best

    def keep(self, ids: np.ndarray, states: Sequence[State]) -> None:
        """Keep a sequence's states; drop the oldest ones that no longer fit."""
        new = Read(ids, tuple(states))
        same = [read for read in self._read if np.array_equal(read.ids, ids)]
        new = max([new, *same], key=lambda read: len(read.states))
        if new.n_bytes > self.most_bytes:
            return
        others = [read for read in self._read if not any(read is s for s in same)]
        self._read = [*others, new][-self.most :]
        while self.n_bytes > self.most_bytes:
            self._read.pop(0)


def _shared(a: np.ndarray, b: np.ndarray) -> int:
    """Length of the common prefix."""
    n = min(len(a), len(b))
    differ = np.flatnonzero(a[:n] != b[:n])
    return int(differ[0]) if len(differ) else n
