"""The shape of a feature's activations along proteins: point, motif, domain, periodic, ..."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.features.tracks import Entries, Stretches, active_entries
from interplm_nb.proteins import Proteins

STRONG = 0.5
"""A protein counts for a feature if its maximum is above this fraction of the feature's own."""
MIN_PROTEINS = 5
"""Fewer such proteins are too few to classify a feature (InterProt's value)."""
POINT = 2
"""Longest run of a point, in residues."""
DOMAIN = 30
"""Shortest run of a domain, in residues; runs in between are motifs."""
WHOLE = 0.8
"""Minimum share of active residues for a whole protein (InterProt's value)."""
AGREEMENT = 0.5
"""Minimum share of proteins that show the commonest shape; below it a feature is mixed."""
LAGS = 50
"""Longest period tested, in residues; the shortest is 2."""
PERIODIC = 0.3
"""Minimum strength of a period."""
MIN_ONSETS = 4
"""Minimum median number of onsets per protein for a period."""

SHAPES = ("point", "motif", "domain", "whole protein")
"""Shapes of a feature on one protein."""

PATTERNS: dict[str, Any] = {
    "feature": pl.UInt32,
    "pattern": pl.String,
    "n_proteins": pl.Int64,
    "run_length": pl.Float64,
    "coverage": pl.Float64,
    "agreement": pl.Float64,
    "onsets": pl.Float64,
    "period": pl.Int64,
    "period_strength": pl.Float64,
}
"""Columns of `activation_patterns`."""


def activation_patterns(
    activations: FeatureActivations,
    accessions: Iterable[str] | None = None,
    threshold: float = 0.15,
    features: range | None = None,
) -> pl.DataFrame:
    """Classify each feature by the shape of its activations along proteins.

    Only the proteins on which the feature is above `STRONG` count: n_proteins of them. Consecutive
    active residues are a stretch; two stretches are one run if the silence between them is shorter
    than both, so that a domain may flicker while neighbouring points stay apart. Medians over
    proteins: run_length, of the run with the protein's maximum (residues, including silence);
    coverage, the active share of the protein; onsets, stretches in the protein.

    period, period_strength: R(p) is the share of onsets followed by another at exactly p residues,
    among the onsets whose protein is long enough (or among half of all onsets, if those are
    fewer), over all proteins. The strength is (max R - mean R) / (1 - mean R) for p = 2 to `LAGS`:
    1 for a strict period, about 0 for random onsets. The period is the smallest p with 0.9 of
    max R.

    pattern, by the first rule that holds:

    - "too few": fewer than `MIN_PROTEINS` proteins.
    - "periodic": strength of `PERIODIC` or more and onsets of `MIN_ONSETS` or more.
    - "mixed": agreement below `AGREEMENT`.
    - The shape of most proteins (agreement is their share; ties go to the larger shape): "whole
      protein" for a coverage of `WHOLE` or more; else "point" for a run_length up to `POINT`,
      "motif" below `DOMAIN`, "domain" from there on.

    The classes are InterProt's (`analyze_viz_files`), which splits motifs at 20 and 50 residues
    and derives periods from intervals between runs.

    Parameters
    ----------
    activations : FeatureActivations
        In unit "max".
    accessions : iterable of str, optional
        Proteins to look at (None: all).
    threshold : float
        A residue is active strictly above it.
    features : range, optional
        Blocks of the store that begin there (None: all), see `FeatureActivations.by_feature`.

    Returns
    -------
    pl.DataFrame
        Columns of `PATTERNS`, one row per feature, in order.

    Raises
    ------
    ValueError
        For another unit than "max".

    Examples
    --------
    >>> from interplm_nb.proteins import Proteins
    >>> proteins = Proteins.from_sequences({f"P{i}": "A" * 50 for i in range(5)})
    >>> values = np.zeros((250, 1))
    >>> values[[7, 57, 107, 157, 207]] = 1.0  # position 8 of each protein
    >>> activations = FeatureActivations.from_dense(values, proteins, unit="max")
    >>> activation_patterns(activations).select("pattern", "n_proteins", "run_length").rows()
    [('point', 5, 1.0)]
    """
    if activations.unit != "max":
        raise ValueError(
            f"patterns need fractions of each feature's maximum (unit 'max'), not unit "
            f"{activations.unit!r}; use relative_to"
        )
    found = [
        _of_block(entries, activations.proteins)
        for entries in active_entries(activations, threshold, accessions, features)
    ]
    return pl.concat([pl.DataFrame(schema=PATTERNS), *found])


_TRACKS = {"feature": pl.UInt32, "run_length": pl.Int64, "coverage": pl.Float64, "onsets": pl.Int64}


def _of_block(entries: Entries, proteins: Proteins) -> pl.DataFrame:
    """Columns of `PATTERNS` for the features of a block."""
    entries = _strong(entries)
    firsts = entries.firsts()
    stretches = entries.stretches(firsts)
    period, strength = _periods(*_lags(stretches, entries.n_features, proteins.offsets))
    numbers = entries.first_feature + np.arange(entries.n_features)
    features = pl.DataFrame(
        {
            "feature": numbers.astype(np.uint32),
            "period": period,
            "period_strength": strength,
        }
    )
    tracks = _tracks(entries, firsts, stretches, proteins.lengths)
    medians = _medians(tracks).with_columns(pl.col("feature") + entries.first_feature)
    return _classified(features.join(medians, on="feature", how="left", maintain_order="left"))


def _strong(entries: Entries) -> Entries:
    """The tracks that rise above `STRONG`."""
    firsts = entries.firsts()
    if not len(firsts):
        return entries
    strong = np.maximum.reduceat(entries.value, firsts) > STRONG
    return entries.take(np.repeat(strong, np.diff(firsts, append=len(entries.row))))


def _tracks(
    entries: Entries, firsts: np.ndarray, stretches: Stretches, lengths: np.ndarray
) -> pl.DataFrame:
    """One row per feature, counted from the block's first, and protein."""
    sizes = np.diff(firsts, append=len(entries.row))
    track = np.repeat(np.arange(len(firsts)), sizes)
    run = _run_lengths(stretches, track[stretches.entry])
    peak = entries.peaks(firsts)
    return pl.DataFrame(
        {
            "feature": entries.feature[firsts],
            "run_length": run[np.searchsorted(stretches.entry, peak, side="right") - 1],
            "coverage": sizes / lengths[entries.protein[firsts]],
            "onsets": np.bincount(track[stretches.entry], minlength=len(firsts)),
        }
    ).select(pl.col(name).cast(kind) for name, kind in _TRACKS.items())


def _run_lengths(stretches: Stretches, track: np.ndarray) -> np.ndarray:
    """int64: for each stretch, the length of the run that it belongs to."""
    if not len(track):
        return track
    size = stretches.last - stretches.first + 1
    silence = stretches.first[1:] - stretches.last[:-1] - 1
    same_run = (track[1:] == track[:-1]) & (silence < np.minimum(size[1:], size[:-1]))
    begins = np.append(True, ~same_run)
    run = begins.cumsum() - 1
    ends = np.append(np.flatnonzero(begins)[1:], len(begins)) - 1
    return (stretches.last[ends] - stretches.first[begins] + 1)[run]


def _lags(
    stretches: Stretches, n_features: int, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Onsets followed by another, and onsets with enough protein left, by feature and lag.

    int64 [n_features, LAGS + 1] each. Lag 0 counts all onsets.
    """
    pairs, room = (np.zeros((n_features, LAGS + 1), np.int64) for _ in range(2))
    left = np.minimum(offsets[stretches.protein + 1] - 1 - stretches.first, LAGS)
    ends = np.bincount(stretches.feature * (LAGS + 1) + left, minlength=room.size).reshape(
        room.shape
    )
    room += ends[:, ::-1].cumsum(axis=1)[:, ::-1]
    onset, step = np.arange(len(stretches.first)), 0
    while len(onset):
        # The onset after next can be near only if the next is.
        step += 1
        onset = onset[onset + step < len(stretches.first)]
        other = onset + step
        lag = stretches.first[other] - stretches.first[onset]
        near = (
            (stretches.protein[other] == stretches.protein[onset])
            & (stretches.feature[other] == stretches.feature[onset])
            & (lag <= LAGS)
        )
        onset = onset[near]
        pairs += np.bincount(
            stretches.feature[onset] * (LAGS + 1) + lag[near], minlength=pairs.size
        ).reshape(pairs.shape)
    return pairs, room


def _periods(pairs: np.ndarray, room: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Period (int64, 0: no period) and strength (float64) of each feature."""
    followed = 2 * pairs[:, 2:] / np.maximum(np.maximum(2 * room[:, 2:], room[:, :1]), 1)
    top, mean = followed.max(axis=1), followed.mean(axis=1)
    strength = np.divide(top - mean, 1 - mean, out=np.zeros(len(top)), where=mean < 1)
    return np.where(top > 0, (followed >= 0.9 * top[:, None]).argmax(axis=1) + 2, 0), strength


def _medians(tracks: pl.DataFrame) -> pl.DataFrame:
    """One row per feature with a strong protein: n_proteins, medians, the commonest shape and its
    share.
    """
    length = pl.col("run_length")
    shape = (
        pl.when(pl.col("coverage") >= WHOLE)
        .then(3)
        .when(length >= DOMAIN)
        .then(2)
        .when(length > POINT)
        .then(1)
        .otherwise(0)
    )
    votes = tracks.select("feature", shape.alias("shape")).group_by("feature", "shape").len("votes")
    commonest = votes.sort("votes", "shape").group_by("feature", maintain_order=True).last()
    names = pl.col("shape").replace_strict(range(len(SHAPES)), SHAPES, return_dtype=pl.String)
    medians = tracks.group_by("feature").agg(
        pl.len().cast(pl.Int64).alias("n_proteins"), pl.median("run_length", "coverage", "onsets")
    )
    return medians.join(commonest.with_columns(names), on="feature").with_columns(
        (pl.col("votes") / pl.col("n_proteins")).alias("agreement")
    )


def _classified(table: pl.DataFrame) -> pl.DataFrame:
    pattern = (
        pl.when(pl.col("n_proteins").fill_null(0) < MIN_PROTEINS)
        .then(pl.lit("too few"))
        .when((pl.col("period_strength") >= PERIODIC) & (pl.col("onsets") >= MIN_ONSETS))
        .then(pl.lit("periodic"))
        .when(pl.col("agreement") < AGREEMENT)
        .then(pl.lit("mixed"))
        .otherwise(pl.col("shape"))
    )
    table = table.with_columns(pattern.alias("pattern"))
    return table.select(
        pl.col(name).cast(kind) if kind == pl.String else pl.col(name).fill_null(0).cast(kind)
        for name, kind in PATTERNS.items()
    )
