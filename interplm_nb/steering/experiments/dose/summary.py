"""Tables of the dose-response experiment: means over proteins, with intervals over homology
clusters."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from interplm_nb.concepts.intervals import draws_of_clusters, middle
from interplm_nb.steering.experiments.dose.measure import FEATURE, KINDS, MATCHED, Dose, Measured
from interplm_nb.steering.experiments.dose.settings import DoseSettings
from interplm_nb.steering.experiments.dose.sites import Site

LEAST_CLUSTERS = 5
"""With fewer homology clusters there is no interval."""

DOSES: dict[str, Any] = {
    "feature": pl.Int64,
    "kind": pl.String,
    "strength": pl.Float64,
    "n_changes": pl.Int64,
    "step": pl.Float64,
    "effect": pl.Float64,
    "effect_low": pl.Float64,
    "effect_high": pl.Float64,
    "least_change": pl.Float64,
    "most_change": pl.Float64,
    "probability": pl.Float64,
    "kl": pl.Float64,
    "kl_of_target": pl.Float64,
    "kl_far": pl.Float64,
}
"""Columns of `DoseResult.doses`. effect: mean change of the target's log odds over residues within
reach, nats, over n_changes controls and all proteins, with its 95 % interval over homology clusters
(null below `LEAST_CLUSTERS`). least_change and most_change: the middle 95 % of the controls.
step: how far the edited residue's state moves, as a share of its length. kl: nats per residue
within reach, kl_of_target the part that is the target against the other letters, kl_far beyond."""

LOCALITY: dict[str, Any] = {
    "feature": pl.Int64,
    "kind": pl.String,
    "distance": pl.Int64,
    "n_proteins": pl.Int64,
    "effect": pl.Float64,
    "effect_low": pl.Float64,
    "effect_high": pl.Float64,
}
"""Columns of `DoseResult.locality`, at the tested strength: the effect on the predicted residue at
each distance from the edited one."""

BY_PROTEIN: dict[str, Any] = {
    "feature": pl.Int64,
    "accession": pl.String,
    "cluster": pl.Int64,
    "position": pl.Int64,
    "step": pl.Float64,
    "effect": pl.Float64,
    "matched_effect": pl.Float64,
}
"""Columns of `DoseResult.by_protein`, at the tested strength."""


class Read(NamedTuple):
    """A feature on all its proteins."""

    feature: int
    letters: str
    rows: Sequence[Dose]
    sites: Sequence[Site]
    cluster: np.ndarray
    """int64 [proteins], numbered from 0."""
    values: Measured
    """As `Measured`, with proteins as the last axis: [rows, proteins]; along [rows, n,
    proteins]."""

    @classmethod
    def of(
        cls,
        feature: int,
        letters: str,
        rows: Sequence[Dose],
        sites: Sequence[Site],
        cluster_of: Mapping[str, int],
        measured: Sequence[Measured],
    ) -> "Read":
        """From each protein's own figures."""
        clusters = [cluster_of[site.accession] for site in sites]
        return cls(
            feature,
            letters,
            rows,
            sites,
            np.unique(clusters, return_inverse=True)[1],
            Measured(*(np.stack(parts, axis=-1) for parts in zip(*measured, strict=True))),
        )

    def chosen(self, kind: str, strength: float) -> np.ndarray:
        """int64: the rows of a kind at a strength."""
        return np.array(
            [i for i, row in enumerate(self.rows) if row[0] == kind and row.strength == strength]
        )


class Spread(NamedTuple):
    """A mean over proteins with its 95 % interval over homology clusters."""

    mean: float
    low: float | None
    high: float | None


def spread(values: np.ndarray, cluster: np.ndarray, settings: DoseSettings) -> Spread:
    """Of values [proteins], without those that are NaN."""
    there = np.isfinite(values)
    if not there.any():
        return Spread(float("nan"), None, None)
    values = values[there]
    own = np.unique(cluster[there], return_inverse=True)[1]
    n = int(own.max()) + 1
    if n < LEAST_CLUSTERS:
        return Spread(float(values.mean()), None, None)
    total, size = np.bincount(own, values, n), np.bincount(own, minlength=n)
    weights = draws_of_clusters(n, settings.n_resamples, settings.seed)
    low, high = middle((weights @ total) / (weights @ size))
    return Spread(float(values.mean()), float(low), float(high))


def doses_of(read: Read, settings: DoseSettings) -> pl.DataFrame:
    """Columns of `DOSES`."""
    found = []
    for kind in KINDS:
        for strength in settings.strengths:
            rows = read.chosen(kind, strength)
            effect = read.values.effect[rows]
            own = spread(effect.mean(axis=0), read.cluster, settings)
            across = middle(effect.mean(axis=1))
            means = {
                name: float(np.nanmean(values)) if np.isfinite(values).any() else None
                for name in ("step", "probability", "kl", "kl_of_target", "kl_far")
                for values in [getattr(read.values, name)[rows]]
            }
            found.append(
                {
                    "feature": read.feature,
                    "kind": kind,
                    "strength": strength,
                    "n_changes": len(rows),
                    "effect": own.mean,
                    "effect_low": own.low,
                    "effect_high": own.high,
                    "least_change": float(across[0]),
                    "most_change": float(across[1]),
                    **means,
                }
            )
    return pl.DataFrame(found, schema=DOSES)


def locality_of(read: Read, where: np.ndarray, settings: DoseSettings) -> pl.DataFrame:
    """Columns of `LOCALITY`."""
    found = []
    for kind in KINDS:
        along = read.values.along[read.chosen(kind, settings.tested)].mean(axis=0)
        for distance, values in zip(where.tolist(), along, strict=True):
            own = spread(values, read.cluster, settings)
            found.append(
                {
                    "feature": read.feature,
                    "kind": kind,
                    "distance": distance,
                    "n_proteins": int(np.isfinite(values).sum()),
                    "effect": None if np.isnan(own.mean) else own.mean,
                    "effect_low": own.low,
                    "effect_high": own.high,
                }
            )
    return pl.DataFrame(found, schema=LOCALITY)


def by_protein_of(read: Read, settings: DoseSettings) -> pl.DataFrame:
    """Columns of `BY_PROTEIN`."""
    own = read.chosen(FEATURE, settings.tested)[0]
    matched = read.values.effect[read.chosen(MATCHED, settings.tested)].mean(axis=0)
    columns = {
        "feature": [read.feature] * len(read.sites),
        "accession": [site.accession for site in read.sites],
        "cluster": read.cluster,
        "position": [site.position for site in read.sites],
        "step": read.values.step[own],
        "effect": read.values.effect[own],
        "matched_effect": matched,
    }
    return pl.DataFrame(columns, schema=BY_PROTEIN).with_columns(pl.col("step").fill_nan(None))
