"""Where features fire along sequences: stretches of consecutive residues above a threshold."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csc_array


class Spans(NamedTuple):
    """Stretches on which a feature is above a threshold: n stretches of m residues in all.

    Sorted by item, then along the residue axis.
    """

    item: np.ndarray
    """int64 [n]: index of the feature and threshold, from 0."""
    protein: np.ndarray
    """int64 [n]: index of the protein, from 0."""
    start: np.ndarray
    """int64 [n]: first position, from 1."""
    end: np.ndarray
    """int64 [n]: last position, from 1, included."""
    position: np.ndarray
    """int64 [n]: position of the maximum, the first of equals."""
    maximum: np.ndarray
    """float32 [n]"""
    values: np.ndarray
    """float32 [m]: the values of all stretches, one after another."""
    first: np.ndarray
    """int64 [n]: index of each stretch's first value in `values`."""

    def largest(self, values: np.ndarray) -> np.ndarray:
        """[n]: the maximum over each stretch of any values [m] aligned to `values`."""
        return np.maximum.reduceat(values, self.first) if len(self.first) else values[:0]

    def mean(self, values: np.ndarray) -> np.ndarray:
        """float64 [n]: the mean over each stretch of such values."""
        sums = (
            np.add.reduceat(values, self.first, dtype=np.float64)
            if len(self.first)
            else np.empty(0)
        )
        return sums / (self.end - self.start + 1)


def spans(
    activations: csc_array, features: np.ndarray, thresholds: np.ndarray, offsets: np.ndarray
) -> Spans:
    """Find the stretches strictly above each threshold.

    `activations` float32 [n_residues, n_features], rows ascending in each column; `features` int64
    [k] and `thresholds` [k], the items; `offsets` int64 [n_proteins + 1] as in `Proteins`.
    """
    bounds = [
        (int(activations.indptr[f]), int(activations.indptr[f + 1])) for f in features.tolist()
    ]
    places = np.concatenate([np.arange(a, b) for a, b in bounds] or [np.empty(0, np.int64)])
    item = np.repeat(np.arange(len(features)), [b - a for a, b in bounds])
    on = activations.data[places] > np.asarray(thresholds, np.float32)[item]
    item, rows, values = (
        item[on],
        activations.indices[places[on]].astype(np.int64),
        activations.data[places[on]],
    )
    protein = np.searchsorted(offsets, rows, side="right") - 1
    breaks = (
        (np.diff(item, prepend=-1) != 0)
        | (np.diff(protein, prepend=-1) != 0)
        | (np.diff(rows, prepend=-2) != 1)
    )
    first = np.flatnonzero(breaks)
    position = rows - offsets[protein] + 1
    last = np.append(first[1:], len(rows))[: len(first)] - 1
    peak = _peaks(values, breaks)
    return Spans(
        item[first],
        protein[first],
        position[first],
        position[last],
        position[peak],
        values[peak],
        values,
        first,
    )


def _peaks(values: np.ndarray, breaks: np.ndarray) -> np.ndarray:
    """int64 [n]: where each stretch has its maximum, the first of equals."""
    stretch = np.cumsum(breaks) - 1
    order = np.lexsort((-values, stretch))  # stable: of equals the first stays first
    return order[np.flatnonzero(np.diff(stretch[order], prepend=-1))]
