"""Active residues by feature, protein and row: what statistics and patterns count on."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from interplm_nb.activations import FeatureActivations


class Entries(NamedTuple):
    """Active residues of consecutive features, by feature, then row: n of them."""

    first_feature: int
    n_features: int
    feature: np.ndarray
    """int64 [n]: counted from `first_feature`."""
    protein: np.ndarray
    """int64 [n]: index of the protein."""
    row: np.ndarray
    """int64 [n]"""
    value: np.ndarray
    """float32 [n]"""

    def take(self, kept: np.ndarray) -> "Entries":
        """The entries where `kept`, bool [n], is true."""
        places = np.flatnonzero(kept)  # a gather is faster than a mask
        columns = (self.feature, self.protein, self.row, self.value)
        return Entries(self.first_feature, self.n_features, *(column[places] for column in columns))

    def firsts(self) -> np.ndarray:
        """int64: where each track begins: one feature on one protein in which it is active."""
        return np.flatnonzero(
            np.diff(self.feature, prepend=-1).astype(bool)
            | np.diff(self.protein, prepend=-1).astype(bool)
        )

    def peaks(self, firsts: np.ndarray) -> np.ndarray:
        """int64: the entry of each track's maximum, the first of equals."""
        if not len(firsts):
            return firsts
        sizes = np.diff(firsts, append=len(self.value))
        highest = np.repeat(np.maximum.reduceat(self.value, firsts), sizes)
        at = np.flatnonzero(self.value == highest)
        return at[np.searchsorted(at, firsts)]

    def stretches(self, firsts: np.ndarray) -> "Stretches":
        """The unbroken stretches of the tracks that begin at `firsts`."""
        begins = np.diff(self.row, prepend=-2) != 1
        begins[firsts] = True
        entry = np.flatnonzero(begins)
        last = self.row[np.append(entry[1:], len(self.row))[: len(entry)] - 1]
        return Stretches(entry, self.feature[entry], self.protein[entry], self.row[entry], last)


class Stretches(NamedTuple):
    """Unbroken stretches of active residues; int64 [n]."""

    entry: np.ndarray
    """Index of its first entry."""
    feature: np.ndarray
    protein: np.ndarray
    first: np.ndarray
    last: np.ndarray


def active_entries(
    activations: FeatureActivations,
    threshold: float,
    accessions: Iterable[str] | None = None,
    features: range | None = None,
) -> Iterator[Entries]:
    """Yield the residues of these proteins (None: all) on which features are above `threshold`.

    One pass over the store, by feature; a feature is never cut in two. `features`: see
    `FeatureActivations.by_feature`.
    """
    offsets = activations.proteins.offsets
    protein_of = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))
    for block in activations.by_feature(accessions, features=features):
        columns = block.values
        ends, rows, values = columns.indptr, columns.indices, columns.data
        if threshold > 0:
            on = np.flatnonzero(values > np.float32(threshold))
            ends, rows, values = np.searchsorted(on, ends), rows[on], values[on]
        n = len(ends) - 1
        feature = np.repeat(np.arange(n, dtype=np.int64), np.diff(ends))
        protein, rows = protein_of[rows].astype(np.int64), rows.astype(np.int64)
        yield Entries(block.first_feature, n, feature, protein, rows, values)
