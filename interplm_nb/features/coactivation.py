"""Which features fire together: counts for one feature, correlations for all pairs of a sample."""

from collections.abc import Iterable

import numpy as np
import polars as pl
from scipy import sparse

from interplm_nb.activations import FeatureActivations
from interplm_nb.activations_writer import shape_of
from interplm_nb.features.tracks import active_entries
from interplm_nb.proteins import Proteins

COACTIVE = {
    "feature": pl.UInt32,
    "n_both": pl.Int64,
    "share": pl.Float64,
    "share_of_other": pl.Float64,
    "lift": pl.Float64,
    "phi": pl.Float64,
}
"""Columns of `coactivation`."""


def coactivation(
    activations: FeatureActivations, feature: int, threshold: float = 0.0
) -> pl.DataFrame:
    """The features that fire on the residues on which one feature does.

    A residue is active strictly above `threshold`. With n residues in all, a and b on which each
    of two features is active, and n_both on which both are:

        share = n_both / a        share_of_other = n_both / b        lift = n n_both / (a b)
        phi = (n n_both - a b) / sqrt(a (n - a) b (n - b))

    phi is the correlation of being active: 1 for features that fire on the same residues, 0 for
    independent ones.

    Parameters
    ----------
    activations : FeatureActivations
        In either unit.
    feature : int
        The feature to look at.
    threshold : float
        In the unit of the activations.

    Returns
    -------
    pl.DataFrame
        Columns of `COACTIVE`, one row per other feature that is active on any of the residues,
        the highest phi first, then by number.

    Raises
    ------
    ValueError
        For a feature that does not exist.

    Examples
    --------
    >>> proteins = Proteins.from_sequences({"P1": "MKVL"})
    >>> values = np.array([[1, 1, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]])
    >>> coactivation(FeatureActivations.from_dense(values, proteins), 0).select("feature", "lift")
    shape: (1, 2)
    ┌─────────┬──────────┐
    │ feature ┆ lift     │
    │ ---     ┆ ---      │
    │ u32     ┆ f64      │
    ╞═════════╪══════════╡
    │ 1       ┆ 1.333333 │
    └─────────┴──────────┘
    """
    rows, values = activations.feature(feature)
    rows = rows[values > threshold]
    proteins, both = activations.proteins, np.zeros(activations.n_features, np.int64)
    places = np.unique(np.searchsorted(proteins.offsets, rows, side="right") - 1)
    for block in activations.blocks(proteins.accessions[i] for i in places.tolist()):
        first, last = np.searchsorted(
            rows, [block.first_row, block.first_row + shape_of(block.values)[0]]
        )
        here = block.values[rows[first:last] - block.first_row]
        both += np.bincount(here.indices[here.data > threshold], minlength=len(both))
    other = np.flatnonzero(both)
    other = other[other != feature]
    n, a = float(activations.n_residues), float(len(rows))
    b, n_both = _n_active(activations, threshold)[other].astype(np.float64), both[other]
    spread = np.sqrt(a * (n - a) * b * (n - b))
    table = pl.DataFrame(
        {
            "feature": other.astype(np.uint32),
            "n_both": n_both,
            "share": n_both / a,
            "share_of_other": n_both / b,
            "lift": n * n_both / (a * b),
            "phi": np.divide(n * n_both - a * b, spread, out=np.zeros(len(b)), where=spread > 0),
        },
        schema=COACTIVE,
    )
    return table.sort("phi", "feature", descending=[True, False])


def _n_active(activations: FeatureActivations, threshold: float) -> np.ndarray:
    if threshold == 0:
        return activations.n_active()
    blocks = active_entries(activations, threshold)
    return np.concatenate([np.bincount(e.feature, minlength=e.n_features) for e in blocks])


def sampled(proteins: Proteins, residues: int, seed: int = 0) -> list[str]:
    """Whole proteins drawn at random until they hold `residues` residues, in the order of the
    axis; all of them where they hold no more."""
    drawn = np.random.default_rng(seed).permutation(len(proteins))
    enough = int(np.searchsorted(np.cumsum(proteins.lengths[drawn]), residues)) + 1
    return [proteins.accessions[i] for i in sorted(drawn[:enough].tolist())]


def activation_correlation(
    activations: FeatureActivations,
    other: FeatureActivations | None = None,
    accessions: Iterable[str] | None = None,
    shift: int = 0,
) -> np.ndarray:
    """Pearson correlation of the activations of all pairs of features over residues.

    Residues on which a feature is silent count as 0. Units do not matter. All values of these
    proteins are held in memory: draw them with `sampled`.

    Parameters
    ----------
    activations, other : FeatureActivations
        Two sources on the same proteins; None: the same source twice.
    accessions : iterable of str, optional
        The proteins whose residues count (None: all).
    shift : int
        Residues by which `other` is moved along the axis, around its end: a null that keeps how
        often and in what stretches features fire.

    Returns
    -------
    np.ndarray
        float32 [n_features, n_features of the other]; 0 for a feature that is constant.

    Raises
    ------
    ValueError
        For sources on different proteins.

    Examples
    --------
    >>> proteins = Proteins.from_sequences({"P1": "MKVL"})
    >>> values = np.array([[1, 0], [1, 0], [0, 1], [0, 1]])
    >>> activation_correlation(FeatureActivations.from_dense(values, proteins)).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    other = activations if other is None else other
    if activations.proteins.sequence_hash != other.proteins.sequence_hash:
        raise ValueError(
            f"activations on {activations.proteins} and on {other.proteins} have no common "
            "residues in one order; encode the same proteins with both SAEs"
        )
    chosen = None if accessions is None else list(accessions)
    mine = _stacked(activations, chosen)
    theirs = mine if other is activations else _stacked(other, chosen)
    if shift and (n := shape_of(theirs)[0]):
        theirs = theirs[(np.arange(n) - shift) % n]
    n, columns = max(1, shape_of(mine)[0]), mine.tocsc()
    (mean, spread), (other_mean, other_spread) = _moments(mine), _moments(theirs)
    scale = np.divide(1, other_spread, out=np.zeros(len(other_spread)), where=other_spread > 0)
    found = np.empty((len(mean), len(other_mean)), np.float32)
    step = max(1, 2**22 // max(1, len(other_mean)))
    for first in range(0, len(mean), step):
        rows = slice(first, first + step)
        products = (columns[:, rows].T @ theirs).toarray() / n
        products -= np.outer(mean[rows], other_mean)
        own = spread[rows, None]
        found[rows] = np.divide(products, own, out=np.zeros_like(products), where=own > 0) * scale
    return np.clip(found, -1, 1, out=found)


def _stacked(activations: FeatureActivations, accessions: list[str] | None) -> sparse.csr_array:
    parts = [block.values.astype(np.float64) for block in activations.blocks(accessions)]
    parts = parts or [sparse.csr_array((0, activations.n_features))]
    return sparse.csr_array(sparse.vstack(parts, format="csr"))


def _moments(values: sparse.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column; a spread of rounding error alone is 0."""
    n = max(1, shape_of(values)[0])
    mean = np.bincount(values.indices, values.data, shape_of(values)[1]) / n
    square = np.bincount(values.indices, values.data**2, shape_of(values)[1]) / n
    variance = square - mean**2
    return mean, np.sqrt(np.where(variance > 1e-12 * square, variance, 0))
