"""Where a feature fires: its values, its proteins, the residues around its maxima."""

from typing import NamedTuple

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations


class Histogram(NamedTuple):
    """Counts of residues by activation.

    `counts` int64 [n_bins]; `edges` float64 [n_bins + 1], in the unit of the activations; `n_zero` residues are exactly 0 and in no bin.
    """

    counts: np.ndarray
    edges: np.ndarray
    n_zero: int


def histogram(activations: FeatureActivations, feature: int, bins: int = 50) -> Histogram:
    """The distribution of one feature over all residues; bins cover 0 to the largest value, or 0 to 1 where the feature never fires."""
    _, values = activations.feature(feature)
    top = max(1.0, float(values.max())) if len(values) else 1.0
    counts, edges = np.histogram(values, bins=bins, range=(0.0, top))
    return Histogram(counts, edges, activations.n_residues - len(values))


def proteins_of(activations: FeatureActivations, feature: int) -> pl.DataFrame:
    """Every protein in which a feature fires, strongest first.

    Columns: accession; maximum and mean over its active residues (f32, in the unit of the activations); n_active (u32); length (i64);
    position (i64), counted from 1, of the maximum (the first where several are equal).
    """
    rows, values = activations.feature(feature)
    proteins = activations.proteins
    protein = np.searchsorted(proteins.offsets, rows, side="right") - 1
    table = pl.DataFrame({"protein": protein, "position": rows - proteins.offsets[protein] + 1, "value": values})
    per_protein = table.group_by("protein").agg(
        pl.col("value").max().alias("maximum"),
        pl.col("value").mean().alias("mean"),
        pl.len().alias("n_active"),
        pl.col("position").sort_by(["value", "position"], descending=[True, False]).first(),
    )
    order = per_protein.sort(["maximum", "protein"], descending=[True, False])
    places = order["protein"].to_numpy()
    return order.select(
        pl.Series("accession", [proteins.accessions[i] for i in places], dtype=pl.String),
        "maximum",
        "mean",
        "n_active",
        pl.Series("length", proteins.lengths[places]),
        "position",
    )
