"""InterPLM's test of a feature in space: permuted activations, a paired t-test, Bonferroni."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.features.spatial.fired import fired
from interplm_nb.features.spatial.neighbours import Neighbours
from interplm_nb.features.spatial.scores import figures, gathered
from interplm_nb.readers.residue_coordinates import ResidueCoordinates

PERMUTATIONS = 5
MOST_PROTEINS = 100
"""A feature is tested on at most this number of proteins, drawn at random."""


def published(
    activations: FeatureActivations,
    coordinates: ResidueCoordinates,
    kinds: Sequence[Neighbours],
    features: np.ndarray,
    fires: float,
    min_proteins: int,
    seed: int,
) -> list[pl.DataFrame]:
    """One table per kind of neighbours: columns of `SPATIAL`.

    The permutations of a protein are the same for all features and kinds.
    """
    found: list[list[tuple[np.ndarray, ...]]] = [[] for _ in kinds]
    where = coordinates.complete
    for protein, placed, some, values, peak in fired(
        activations, coordinates, where, fires, features
    ):
        draw = np.random.default_rng([seed, protein])
        orders = np.array([draw.permutation(len(placed.index)) for _ in range(PERMUTATIONS)])
        for kind, rows in zip(kinds, found, strict=True):
            around = kind.weights(placed)[peak]
            there = np.diff(around.indptr) > 0
            score = gathered(around, values)
            null = np.mean([gathered(around, values[order]) for order in orders], axis=0)
            rows.append((some[there], np.full(there.sum(), protein), score[there], null[there]))
    return [
        _tested(kind.name, rows, features, min_proteins, seed)
        for kind, rows in zip(kinds, found, strict=True)
    ]


def _tested(
    name: str,
    rows: list[tuple[np.ndarray, ...]],
    features: np.ndarray,
    min_proteins: int,
    seed: int,
) -> pl.DataFrame:
    from scipy.stats import t as student

    columns = [np.concatenate(c) for c in zip(*rows, strict=True)] or [np.empty(0, int)] * 4
    table = pl.DataFrame(dict(zip(("feature", "protein", "score", "null"), columns, strict=True)))
    table, n_proteins = _sampled(table.sort("feature", "protein"), seed)
    found = figures(table, features, n_proteins, min_proteins)
    n = table.group_by("feature").len()
    found = found.join(n, on="feature", how="left", maintain_order="left")
    statistic = (pl.col("cohen_d") * pl.col("len").sqrt()).alias("t")
    degrees = found.select(statistic, pl.col("len") - 1)
    p = 2 * student.sf(np.abs(degrees["t"].to_numpy()), degrees["len"].to_numpy())
    p_value = pl.Series("p_value", p, nan_to_null=True)
    tested = (found["n_proteins"] >= min_proteins).sum()
    return found.with_columns(
        p_value, neighbours=pl.lit(name), p_adjusted=(p_value * tested).clip(upper_bound=1)
    )


def _sampled(table: pl.DataFrame, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """At most `MOST_PROTEINS` rows of each feature, and how many there were."""
    counts = table.group_by("feature").len("n_proteins")
    parts = [
        table.filter(feature=feature)[
            np.sort(np.random.default_rng([seed, feature]).choice(n, MOST_PROTEINS, replace=False))
        ]
        for feature, n in counts.filter(pl.col("n_proteins") > MOST_PROTEINS).rows()
    ]
    few = table.join(counts.filter(pl.col("n_proteins") <= MOST_PROTEINS), on="feature", how="semi")
    return pl.concat([few, *parts]), counts
