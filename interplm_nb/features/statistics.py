"""How often and how strongly features fire."""

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations


def feature_statistics(activations: FeatureActivations) -> pl.DataFrame:
    """How often and how strongly each feature fires, dead features included.

    Parameters
    ----------
    activations : FeatureActivations
        In either unit.

    Returns
    -------
    pl.DataFrame
        One row per feature: feature (u32); n_active (i64), residues above 0; density (f64), their
        share of all residues; n_proteins (i64) with at least one; maximum (f32) and mean_active
        (f64, 0 for a dead feature), in the unit of the activations.

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
    offsets = activations.proteins.offsets
    for block in activations.blocks():
        values = block.values.tocsc()
        n_active += np.diff(values.indptr)
        total += np.asarray(values.sum(axis=0, dtype=np.float64)).ravel()
        maximum = np.maximum(maximum, values.max(axis=0).toarray().ravel())
        n_proteins += _distinct_proteins(
            values.indices,
            values.indptr,
            np.searchsorted(offsets - block.first_row, values.indices, side="right"),
        )
    return pl.DataFrame(
        {
            "feature": np.arange(n_features, dtype=np.uint32),
            "n_active": n_active,
            "density": n_active / max(1, activations.n_residues),
            "n_proteins": n_proteins,
            "maximum": maximum,
            "mean_active": np.divide(total, n_active, out=np.zeros(n_features), where=n_active > 0),
        }
    )


def _distinct_proteins(rows: np.ndarray, indptr: np.ndarray, protein: np.ndarray) -> np.ndarray:
    """int64 [n_features]: distinct proteins in each column of a block with sorted rows."""
    first = np.ones(len(rows), dtype=bool)
    first[1:] = protein[1:] != protein[:-1]
    first[indptr[:-1][indptr[:-1] < len(rows)]] = True
    return np.add.reduceat(np.append(first, False).astype(np.int64), indptr[:-1]) * (
        np.diff(indptr) > 0
    )
