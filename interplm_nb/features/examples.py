"""Where a feature fires: its values, its proteins, the residues around its maxima."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

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


EXAMPLES: dict[str, Any] = {
    "kind": pl.String,
    "accession": pl.String,
    "maximum": pl.Float32,
    "share": pl.Float64,
    "n_active": pl.UInt32,
    "length": pl.Int64,
    "position": pl.Int64,
}
"""Columns of `example_proteins`."""

BINS = (0.0, 0.4, 0.8, 1.0)
"""Edges of InterPLM's bins of proteins by their maximum, as a fraction of the feature's."""


def example_proteins(
    activations: FeatureActivations,
    feature: int,
    n: int = 10,
    edges: Sequence[float] = BINS,
    clusters: Mapping[str, int] | None = None,
    seed: int = 0,
) -> pl.DataFrame:
    """Proteins that show what a feature is: where it is strong, medium, weak, nearly, and silent.

    Kinds, in this order, of at most `n` proteins each:

    - "maximum" and "share": the highest maximum, and the highest active share of the protein.
    - "(0, 0.4]" and so on, by `edges`: random among those whose maximum, as a fraction of the
      largest, is in the bin; a bin includes its upper edge, so the last has the strongest.
    - "near miss", with clusters: silent proteins in a homology cluster where the feature fires,
      those of the strongest clusters first.
    - "silent": random among those in which it is never active.

    Parameters
    ----------
    activations : FeatureActivations
        In either unit.
    feature : int
        The feature.
    n : int
        Proteins of a kind, 0 or more.
    edges : sequence of float
        Ascending, from 0 to 1.
    clusters : mapping of str to int, optional
        Homology cluster of each accession. With them a kind has one protein of each cluster, so
        that no family fills it.
    seed : int
        Of the random kinds. A kind's draw depends on nothing else.

    Returns
    -------
    pl.DataFrame
        Columns of `EXAMPLES`: maximum in the unit of the activations; position (from 1) of the
        maximum, 0 where the feature is silent. A protein may be of several kinds.

    Raises
    ------
    ValueError
        For a negative n, or edges that do not ascend from 0 to 1.

    Examples
    --------
    >>> from interplm_nb.proteins import Proteins
    >>> proteins = Proteins.from_sequences({"P1": "MKV", "P2": "GAVL", "P3": "MK"})
    >>> values = np.array([0, 2, 0, 1, 1, 0, 0, 0, 0])[:, None]
    >>> found = example_proteins(FeatureActivations.from_dense(values, proteins), 0)
    >>> found.select("kind", "accession").rows()
    [('maximum', 'P1'), ('maximum', 'P2'), ('share', 'P2'), ('share', 'P1'), ('(0.4, 0.8]', 'P2'), \
('(0.8, 1]', 'P1'), ('silent', 'P3')]
    """
    ascend = all(a < b for a, b in pairwise(edges))
    if n < 0 or len(edges) < 2 or not ascend or (edges[0], edges[-1]) != (0, 1):
        raise ValueError(
            f"n must be 0 or more, and edges ascend from 0 to 1, not {n} and {tuple(edges)}"
        )
    firing = proteins_of(activations, feature).with_columns(
        share=pl.col("n_active") / pl.col("length")
    )
    silent = _silent(activations, firing["accession"])
    kinds = [
        ("maximum", firing),
        ("share", firing.sort("share", descending=True, maintain_order=True)),
    ]
    fraction = firing["maximum"].cast(pl.Float64) / (firing["maximum"].max() or 1.0)
    for low, high in pairwise(edges):
        some = firing.filter((fraction > low) & (fraction <= high))
        kinds.append((f"({low:g}, {high:g}]", _shuffled(some, seed)))
    if clusters is not None:
        kinds.append(("near miss", _near_misses(firing, silent, clusters)))
    kinds.append(("silent", _shuffled(silent, seed)))
    parts = [pl.DataFrame(schema=EXAMPLES)]
    for kind, table in kinds:
        if clusters is not None:
            own = [clusters[a] for a in table["accession"]]
            table = table.filter(pl.Series(own, dtype=pl.Int64).is_first_distinct())
        columns = [pl.lit(kind).alias("kind"), *list(EXAMPLES)[1:]]
        typed = [pl.col(name).cast(kind) for name, kind in EXAMPLES.items()]
        parts.append(table.head(n).select(columns).select(typed))
    return pl.concat(parts)


def _silent(activations: FeatureActivations, firing: pl.Series) -> pl.DataFrame:
    """The proteins without an activation, with the columns of those that have some."""
    proteins = activations.proteins
    table = pl.DataFrame({"accession": proteins.accessions, "length": proteins.lengths})
    zero = [pl.lit(0).alias(name) for name in ("maximum", "share", "n_active", "position")]
    return table.filter(~pl.col("accession").is_in(firing.to_list())).with_columns(zero)


def _near_misses(
    firing: pl.DataFrame, silent: pl.DataFrame, clusters: Mapping[str, int]
) -> pl.DataFrame:
    """Silent proteins of clusters that fire, those of the strongest clusters first."""
    strength: dict[int, float] = {}
    for accession, maximum in firing.select("accession", "maximum").iter_rows():
        strength.setdefault(clusters[accession], maximum)  # the strongest comes first
    near = [strength.get(clusters[a], 0.0) for a in silent["accession"]]
    by_strength = pl.Series(near, dtype=pl.Float64)
    order = by_strength.arg_sort(descending=True)[: int((by_strength > 0).sum())]
    return silent[order]


def _shuffled(table: pl.DataFrame, seed: int) -> pl.DataFrame:
    return table[np.random.default_rng(seed).permutation(table.height)]


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
