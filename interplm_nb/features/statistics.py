"""How often and how strongly features fire, on which residues, and where along proteins."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.features.logos import AMINO_ACIDS, amino_acid_of, composition
from interplm_nb.features.tracks import Entries, active_entries

NEAR_END = 5
"""Residues at each end of a protein that count as near an end."""
MARKED_NEAR_ENDS = 0.5
"""Share of maxima near an end above which views mark a feature."""
QUANTILES = (25, 50, 75, 95)
"""Percentiles of the activations of active residues."""
PUBLISHED_THRESHOLD = 0.05
"""Fraction of a feature's maximum above which InterPLM counts a residue as active."""
DENSITY_CLASSES = (("rare", 1e-4), ("sparse", 1e-2), ("frequent", 1e-1), ("dense", np.inf))
"""A feature has the first class whose upper bound of the density (excluded) it is below, and
"silent" if it never fires. 1 % and 10 % are SAEBench's bounds (`freq_over_1_percent`, ...)."""

STATISTICS: dict[str, Any] = {
    "feature": pl.UInt32,
    "n_active": pl.Int64,
    "density": pl.Float64,
    "density_class": pl.String,
    "n_proteins": pl.Int64,
    "protein_frequency": pl.Float64,
    "share_when_present": pl.Float64,
    "maximum": pl.Float32,
    "mean_active": pl.Float64,
    **{f"quantile_{q}": pl.Float64 for q in QUANTILES},
    "protein_entropy": pl.Float64,
    "amino_acid_entropy": pl.Float64,
    "amino_acid_information": pl.Float64,
    "top_amino_acid": pl.String,
    "top_amino_acid_share": pl.Float64,
    "share_near_ends": pl.Float64,
    "near_ends_by_chance": pl.Float64,
    "mean_position": pl.Float64,
    "position_bias": pl.Float64,
    "position_bias_by_chance": pl.Float64,
    "n_runs": pl.Int64,
    "mean_run": pl.Float64,
    "longest_run": pl.Int64,
}
"""Columns of `feature_statistics`."""

ON_THE_MAP = (
    "feature",
    "n_active",
    "density",
    "n_proteins",
    "maximum",
    "mean_active",
    "share_near_ends",
    "near_ends_by_chance",
)
"""Columns that a run keeps next to the map of features, counted in unit "raw" above 0."""

_UNIFORM_BIAS = np.sqrt(np.pi / 2) * np.log(2)
"""Mean of the Kolmogorov distribution."""


def feature_statistics(
    activations: FeatureActivations,
    threshold: float = 0.0,
    accessions: Iterable[str] | None = None,
    features: range | None = None,
) -> pl.DataFrame:
    """How often, how strongly and where each feature fires.

    A residue is active strictly above `threshold`, in the unit of the activations; everything
    counts active residues alone. A feature that is never active has 0 everywhere.

    Parameters
    ----------
    activations : FeatureActivations
        In either unit.
    threshold : float
        0 or more. InterPLM's is `PUBLISHED_THRESHOLD` in unit "max" (0 in its first version).
    accessions : iterable of str, optional
        Proteins to count on (None: all).
    features : range, optional
        Blocks of the store that begin there (None: all), see `FeatureActivations.by_feature`.

    Returns
    -------
    pl.DataFrame
        Columns of `STATISTICS`, one row per feature, in order.

        - n_active: active residues; density: their share of all residues; density_class.
        - n_proteins: proteins with at least one; protein_frequency: their share of all proteins;
          share_when_present: the mean, over these proteins, of the active share of the protein.
        - maximum, mean_active and quantile_25 to quantile_95 (linear between values) of the active
          residues.
        - protein_entropy: bits, of the shares of its activation that fall on each protein; 2 to
          that power is an effective number of proteins. amino_acid_entropy: the same over the 20
          amino acids; amino_acid_information: bits, relative to the composition of all these
          proteins; top_amino_acid ("" for a silent feature) and top_amino_acid_share.
        - Of its maxima (one per protein in which it fires, the first of equals): share_near_ends,
          the share that is on the first or last `NEAR_END` residues of the protein;
          near_ends_by_chance, the same for places drawn at random in these proteins, the mean of
          2 `NEAR_END` / length; mean_position, from 0 (start) to 1 (end); position_bias, the
          Kolmogorov-Smirnov distance of the positions from uniform, and its mean for n uniform
          positions where n is large, 0.869 / sqrt(n): 8 % too high for n = 5, 3 % for 50.
        - n_runs, mean_run and longest_run, of unbroken stretches of active residues.

    Raises
    ------
    ValueError
        For a negative threshold.

    Examples
    --------
    >>> from interplm_nb.proteins import Proteins
    >>> proteins = Proteins.from_sequences({"P1": "MKV", "P2": "G"})
    >>> values = np.array([[0, 2], [0, 4], [0, 0], [0, 3]])
    >>> activations = FeatureActivations.from_dense(values, proteins)
    >>> feature_statistics(activations).select("n_active", "n_proteins", "maximum").rows()
    [(0, 0, 0.0), (3, 2, 4.0)]
    """
    if not threshold >= 0:
        raise ValueError(f"a threshold of activations must be 0 or more, not {threshold}")
    chosen = None if accessions is None else list(accessions)
    proteins = activations.proteins
    counted = proteins if chosen is None else proteins.select(set(chosen))
    scene = _Scene(
        counted.n_proteins,
        counted.n_residues,
        proteins.offsets,
        amino_acid_of(proteins.letters),
        composition(counted),
    )
    found = [_of_block(e, scene) for e in active_entries(activations, threshold, chosen, features)]
    return pl.concat([pl.DataFrame(schema=STATISTICS), *found])


class _Scene:
    """What is the same for all features."""

    def __init__(
        self,
        n_proteins: int,
        n_residues: int,
        offsets: np.ndarray,
        kind: np.ndarray,
        background: np.ndarray,
    ) -> None:
        self.n_proteins, self.n_residues = n_proteins, n_residues
        self.offsets, self.lengths = offsets, np.diff(offsets)
        self.by_chance = np.minimum(1, 2 * NEAR_END / np.maximum(1, self.lengths))
        self.kind, self.background = kind, background


def _of_block(entries: Entries, scene: _Scene) -> pl.DataFrame:
    n = entries.n_features
    firsts = entries.firsts()
    track = entries.feature[firsts]
    n_active = np.bincount(entries.feature, minlength=n)
    n_proteins = np.bincount(track, minlength=n)
    total = np.bincount(entries.feature, entries.value, n)
    shares = np.diff(firsts, append=len(entries.row)) / scene.lengths[entries.protein[firsts]]
    density = n_active / max(1, scene.n_residues)
    columns = {
        "feature": (entries.first_feature + np.arange(n)).astype(np.uint32),
        "n_active": n_active,
        "density": density,
        "density_class": _density_class(density),
        "n_proteins": n_proteins,
        "protein_frequency": n_proteins / max(1, scene.n_proteins),
        "share_when_present": _ratio(np.bincount(track, shares, n), n_proteins),
        "mean_active": _ratio(total, n_active),
        **_ordered(entries.value, n_active),
        "protein_entropy": _protein_entropy(entries, firsts, total),
        **_amino_acids(entries, scene),
        **_positions(entries, firsts, scene),
        **_runs(entries, firsts, n_active),
    }
    return pl.DataFrame(
        {name: pl.Series(columns[name]).cast(kind) for name, kind in STATISTICS.items()}
    )


def _ratio(counted: np.ndarray, of: np.ndarray) -> np.ndarray:
    return np.divide(counted, of, out=np.zeros(len(of)), where=of > 0)


def _sorted(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The values of each feature, `counts` of them one feature after another, in order."""
    values, ends = values.copy(), np.cumsum(counts)
    for first, end in zip((ends - counts).tolist(), ends.tolist(), strict=True):
        values[first:end].sort()
    return values


def _highest(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The highest of each feature's values, `counts` of them one feature after another; else 0."""
    found, some = np.zeros(len(counts), values.dtype), np.flatnonzero(counts)
    if len(some):
        found[some] = np.maximum.reduceat(values, (np.cumsum(counts) - counts)[some])
    return found


def _density_class(density: np.ndarray) -> np.ndarray:
    names, bounds = zip(*DENSITY_CLASSES, strict=True)
    found = np.asarray(names, dtype=object)[np.searchsorted(bounds, density, side="right")]
    return np.where(density > 0, found, "silent")


def _ordered(values: np.ndarray, n_active: np.ndarray) -> dict[str, np.ndarray]:
    """Maximum and quantiles of each feature's values, which lie one feature after another."""
    values, ends = _sorted(values, n_active), np.cumsum(n_active)
    alive = np.flatnonzero(n_active)
    found = {"maximum": np.zeros(len(n_active))}
    found["maximum"][alive] = values[ends[alive] - 1]
    for q in QUANTILES:
        at = (ends - n_active)[alive] + (n_active[alive] - 1) * (q / 100)
        below = np.floor(at).astype(np.int64)
        low = values[below].astype(np.float64)
        above = values[np.minimum(below + 1, ends[alive] - 1)]
        found[f"quantile_{q}"] = np.zeros(len(n_active))
        found[f"quantile_{q}"][alive] = low + (above - low) * (at - below)
    return found


def _protein_entropy(entries: Entries, firsts: np.ndarray, total: np.ndarray) -> np.ndarray:
    if not len(firsts):
        return np.zeros(len(total))
    sums = np.add.reduceat(entries.value, firsts, dtype=np.float64)
    p = sums / total[entries.feature[firsts]]
    bits = np.bincount(entries.feature[firsts], p * np.log2(p), len(total))
    return np.maximum(0.0 - bits, 0)


def _amino_acids(entries: Entries, scene: _Scene) -> dict[str, np.ndarray]:
    kind = scene.kind[entries.row]
    known = kind >= 0
    place = entries.feature[known] * 20 + kind[known]
    mass = np.bincount(place, entries.value[known], 20 * entries.n_features).reshape(-1, 20)
    p = mass / np.maximum(mass.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    log_p = np.log2(p, out=np.zeros_like(p), where=p > 0)
    log_b = np.log2(scene.background, out=np.zeros(20), where=scene.background > 0)
    top, alive = p.argmax(axis=1), mass.any(axis=1)
    return {
        "amino_acid_entropy": np.maximum(0.0 - (p * log_p).sum(axis=1), 0),
        "amino_acid_information": np.maximum(0, (p * (log_p - log_b)).sum(axis=1)),
        "top_amino_acid": np.where(alive, np.asarray(list(AMINO_ACIDS), object)[top], ""),
        "top_amino_acid_share": p[np.arange(len(p)), top],
    }


def _positions(entries: Entries, firsts: np.ndarray, scene: _Scene) -> dict[str, np.ndarray]:
    n, peak = entries.n_features, entries.peaks(firsts)
    feature, protein = entries.feature[peak], entries.protein[peak]
    length = scene.lengths[protein]
    before = entries.row[peak] - scene.offsets[protein]
    near = (before < NEAR_END) | (length - before <= NEAR_END)
    place = (before + 0.5) / np.maximum(1, length)
    count = np.bincount(feature, minlength=n)
    ordered = _sorted(place, count)
    rank = np.arange(len(feature)) - (np.cumsum(count) - count)[feature]
    distance = np.maximum((rank + 1) / count[feature] - ordered, ordered - rank / count[feature])
    return {
        "share_near_ends": _ratio(np.bincount(feature, near, n), count),
        "near_ends_by_chance": _ratio(np.bincount(feature, scene.by_chance[protein], n), count),
        "mean_position": _ratio(np.bincount(feature, place, n), count),
        "position_bias": _highest(distance, count),
        "position_bias_by_chance": _ratio(np.full(n, _UNIFORM_BIAS), np.sqrt(count)),
    }


def _runs(entries: Entries, firsts: np.ndarray, n_active: np.ndarray) -> dict[str, np.ndarray]:
    stretches = entries.stretches(firsts)
    n_runs = np.bincount(stretches.feature, minlength=len(n_active))
    longest = _highest(stretches.last - stretches.first + 1, n_runs)
    return {"n_runs": n_runs, "mean_run": _ratio(n_active, n_runs), "longest_run": longest}
