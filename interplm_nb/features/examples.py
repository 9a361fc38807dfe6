"""Where a feature fires: its values, its proteins, the residues around its maxima."""

from typing import NamedTuple

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations


class Distribution(NamedTuple):
    """Histogram of residues, or of proteins, by activation: all, and those that carry a concept."""

    edges: np.ndarray
    """float64 [bins + 1], from 0 to the larger of 1 and the largest activation. A bin includes its
    lower edge, the last bin both edges."""
    counts: np.ndarray
    """int64 [bins]."""
    n_zero: int
    """How many the feature is silent on; they are in no bin."""
    annotated: np.ndarray | None
    """int64 [bins]: those that carry the concept. None without a concept, as is the next."""
    n_zero_annotated: int | None


def distribution(
    rows: np.ndarray,
    values: np.ndarray,
    n_residues: int,
    carried: np.ndarray | None = None,
    bins: int = 50,
) -> Distribution:
    """Histogram of all residues by the activation of one feature.

    Parameters
    ----------
    rows, values : np.ndarray
        int64, ascending, and float32, above 0: the result of `FeatureActivations.feature`.
    n_residues : int
        Length of the residue axis.
    carried : np.ndarray, optional
        bool [n_residues]: the residues that carry a concept (`Annotations.mask`).
    bins : int
        Number of bins.

    Returns
    -------
    Distribution

    Raises
    ------
    ValueError
        For a mask of another length, or fewer than one bin.

    Examples
    --------
    >>> found = distribution(np.array([2, 5]), np.array([0.2, 0.9], np.float32), 10, bins=2)
    >>> found.counts.tolist(), found.n_zero
    ([1, 1], 8)
    """
    _check_mask(carried, n_residues)
    if carried is None:
        return _distribution(values, None, n_residues, None, bins)
    return _distribution(values, carried[rows], n_residues, int(np.count_nonzero(carried)), bins)


def protein_distribution(
    rows: np.ndarray,
    values: np.ndarray,
    offsets: np.ndarray,
    carried: np.ndarray | None = None,
    bins: int = 50,
) -> Distribution:
    """Histogram of all proteins by the maximum of one feature over each.

    A protein carries a concept if any of its residues does. `offsets` int64 [n_proteins + 1] as in
    `Proteins`; other arguments and the edges as in `distribution`.
    """
    _check_mask(carried, int(offsets[-1]))
    tracks = _tracks(rows, values, offsets)
    if carried is None:
        return _distribution(tracks.maximum, None, len(offsets) - 1, None, bins)
    carrying = np.logical_or.reduceat(carried, offsets[:-1])
    return _distribution(
        tracks.maximum,
        carrying[tracks.protein],
        len(carrying),
        int(np.count_nonzero(carrying)),
        bins,
    )


def proteins_of(activations: FeatureActivations, feature: int) -> pl.DataFrame:
    """Every protein in which a feature fires, strongest first.

    Columns: accession; maximum and mean over its active residues (f32, in the unit of the
    activations); n_active (u32); length (i64); position (i64, from 1) of the maximum, the first
    of equals.
    """
    rows, values = activations.feature(feature)
    proteins = activations.proteins
    tracks = _tracks(rows, values, proteins.offsets)
    peaks = np.flatnonzero(values == np.repeat(tracks.maximum, tracks.n_active))
    peak = rows[peaks[np.searchsorted(peaks, tracks.first)]]
    total = np.add.reduceat(values, tracks.first, dtype=np.float64)
    order = np.argsort(-tracks.maximum, kind="stable")
    protein = tracks.protein[order]
    return pl.DataFrame(
        {
            "accession": pl.Series([proteins.accessions[i] for i in protein], dtype=pl.String),
            "maximum": tracks.maximum[order],
            "mean": (total / tracks.n_active)[order].astype(np.float32),
            "n_active": tracks.n_active[order].astype(np.uint32),
            "length": proteins.lengths[protein],
            "position": peak[order] - proteins.offsets[protein] + 1,
        }
    )


def sampled_proteins(
    activations: FeatureActivations, feature: int, n: int = 200, bins: int = 10, seed: int = 0
) -> pl.DataFrame:
    """Sample up to `n` proteins in which a feature fires, across all strengths.

    Proteins are binned by their maximum, in `bins` equal bins from 0 to the feature's largest. The
    bins give one protein each in turn, the strongest bin first, until there are `n`. Within a bin
    the choice is random, by `seed` only, except that the strongest protein is always included. A
    larger `n` keeps the proteins of a smaller one. Columns and order of `proteins_of`. ValueError
    for fewer than one bin or a negative `n`.
    """
    if n < 0 or bins < 1:
        raise ValueError(f"n must be 0 or more and bins 1 or more, not {n} and {bins}")
    table = proteins_of(activations, feature)
    if table.is_empty():
        return table
    maximum = table["maximum"].to_numpy().astype(np.float64)
    place = (maximum / maximum[0] * bins).astype(np.int64).clip(max=bins - 1)
    chance = np.random.default_rng(seed).permutation(len(maximum))
    chance[0] = -1
    by_bin = np.lexsort((chance, place))
    turn = np.empty(len(by_bin), np.int64)
    turn[by_bin] = np.arange(len(by_bin)) - np.searchsorted(place[by_bin], place[by_bin])
    return table[np.sort(np.lexsort((-place, turn))[:n])]


class _Tracks(NamedTuple):
    """One feature on the proteins in which it fires, in the order of the axis."""

    protein: np.ndarray
    """int64: index of the protein."""
    first: np.ndarray
    """int64: index of its first entry."""
    n_active: np.ndarray
    maximum: np.ndarray


def _tracks(rows: np.ndarray, values: np.ndarray, offsets: np.ndarray) -> _Tracks:
    edges = np.searchsorted(rows, offsets)
    n_active = np.diff(edges)
    protein = np.flatnonzero(n_active)
    first = edges[protein]
    return _Tracks(protein, first, n_active[protein], np.maximum.reduceat(values, first))


def _distribution(
    values: np.ndarray, carried: np.ndarray | None, n: int, n_carried: int | None, bins: int
) -> Distribution:
    """`carried` bool, one per value; `n` and `n_carried` count the silent too."""
    values = values.astype(np.float64)  # so that the edges are
    top = max(1.0, float(values.max(initial=0)))
    counts, edges = np.histogram(values, bins, (0.0, top))
    if carried is None or n_carried is None:
        return Distribution(edges, counts, n - len(values), None, None)
    annotated, _ = np.histogram(values[carried], bins, (0.0, top))
    return Distribution(
        edges, counts, n - len(values), annotated, n_carried - int(np.count_nonzero(carried))
    )


def _check_mask(carried: np.ndarray | None, n_residues: int) -> None:
    if carried is not None and (carried.dtype != bool or carried.shape != (n_residues,)):
        raise ValueError(
            f"carried must be bool of shape ({n_residues},), one per residue, not {carried.dtype} "
            "of "
            f"{carried.shape}"
        )
