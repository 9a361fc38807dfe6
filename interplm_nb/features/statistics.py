"""How often and how strongly features fire, and where along proteins."""

from typing import NamedTuple

import numpy as np
import polars as pl
from scipy.sparse import csc_array

from interplm_nb.activations import FeatureActivations

NEAR_END = 5
"""Residues at each end of a protein that count as near an end."""
MARKED_NEAR_ENDS = 0.5
"""Share of maxima near an end above which views mark a feature."""


def feature_statistics(activations: FeatureActivations) -> pl.DataFrame:
    """How often, how strongly and how close to the ends of proteins each feature fires.

    Dead features are included, with 0 everywhere.

    Parameters
    ----------
    activations : FeatureActivations
        In either unit.

    Returns
    -------
    pl.DataFrame
        One row per feature: feature (u32); n_active (i64), residues above 0; density (f64), their
        share of all residues; n_proteins (i64) with at least one; maximum (f32) and mean_active
        (f64), in the unit of the activations; share_near_ends (f64): of its maxima (one per
        protein in which it fires, the first of equals), the share that lies on the first or last
        `NEAR_END` residues of the protein; near_ends_by_chance (f64): the same for places drawn at
        random in these proteins, which is the mean of 2 `NEAR_END` / length.

    Examples
    --------
    >>> from interplm_nb.proteins import Proteins
    >>> proteins = Proteins.from_sequences({"P1": "MKV", "P2": "G"})
    >>> values = np.array([[0, 2], [0, 4], [0, 0], [0, 3]])
    >>> activations = FeatureActivations.from_dense(values, proteins)
    >>> feature_statistics(activations).select("n_active", "n_proteins", "maximum").rows()
    [(0, 0, 0.0), (3, 2, 4.0)]
    """
    n_features = activations.n_features
    n_active, n_proteins = np.zeros(n_features, np.int64), np.zeros(n_features, np.int64)
    total, maximum = np.zeros(n_features), np.zeros(n_features, np.float32)
    n_near, expected = np.zeros(n_features), np.zeros(n_features)
    lengths, offsets = activations.proteins.lengths, activations.proteins.offsets
    by_chance = np.minimum(1, 2 * NEAR_END / np.maximum(1, lengths))
    for block in activations.blocks():
        values = block.values.tocsc()
        n_active += np.diff(values.indptr)
        total += np.asarray(values.sum(axis=0, dtype=np.float64)).ravel()
        maximum = np.maximum(maximum, values.max(axis=0).toarray().ravel())
        peaks = _peaks(values, offsets - block.first_row)
        near = (peaks.before < NEAR_END) | (lengths[peaks.protein] - peaks.before <= NEAR_END)
        n_proteins += np.bincount(peaks.feature, minlength=n_features)
        n_near += np.bincount(peaks.feature, near, n_features)
        expected += np.bincount(peaks.feature, by_chance[peaks.protein], n_features)

    def share(counted: np.ndarray, of: np.ndarray) -> np.ndarray:
        return np.divide(counted, of, out=np.zeros(n_features), where=of > 0)

    return pl.DataFrame(
        {
            "feature": np.arange(n_features, dtype=np.uint32),
            "n_active": n_active,
            "density": n_active / max(1, activations.n_residues),
            "n_proteins": n_proteins,
            "maximum": maximum,
            "mean_active": share(total, n_active),
            "share_near_ends": share(n_near, n_proteins),
            "near_ends_by_chance": share(expected, n_proteins),
        }
    )


class _Peaks(NamedTuple):
    """The maximum of each feature in each protein in which it fires, the first of equals."""

    feature: np.ndarray
    """int64"""
    protein: np.ndarray
    """int64: index of the protein."""
    before: np.ndarray
    """int64: residues of the protein before the maximum."""


def _peaks(values: csc_array, offsets: np.ndarray) -> _Peaks:
    """`values` of whole proteins, rows ascending in each column; `offsets` counted as its rows."""
    rows, data = values.indices, values.data
    feature = np.repeat(np.arange(len(values.indptr) - 1), np.diff(values.indptr))
    protein = np.searchsorted(offsets, rows, side="right") - 1
    first = np.flatnonzero(np.diff(feature, prepend=-1) | np.diff(protein, prepend=-1))
    if not len(first):
        return _Peaks(first, first, first)
    highest = np.repeat(np.maximum.reduceat(data, first), np.diff(first, append=len(data)))
    at = np.flatnonzero(data == highest)
    at = at[np.searchsorted(at, first)]
    return _Peaks(feature[at], protein[at], rows[at] - offsets[protein[at]])
