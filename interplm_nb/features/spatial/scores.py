"""Scores around maxima, and their figures over proteins."""

import numpy as np
import polars as pl
from scipy.sparse import csr_array


def gathered(around: csr_array, values: np.ndarray) -> np.ndarray:
    """float64 [m]: of each feature, the weighted sum of its values.

    Parameters
    ----------
    around
        [m, n]: the weights that each feature's residues have.
    values
        float64 [n, m]
    """
    m = len(around.indptr) - 1
    feature = np.repeat(np.arange(m), np.diff(around.indptr))
    return np.bincount(feature, around.data * values[around.indices, feature], m)


def figures(
    table: pl.DataFrame, features: np.ndarray, n_proteins: pl.DataFrame, min_proteins: int
) -> pl.DataFrame:
    """feature, n_proteins, score, by_chance, cohen_d of every feature, in order.

    Parameters
    ----------
    table
        feature, score, null: a row per feature and protein.
    features
        int64 [n]
    n_proteins
        feature, n_proteins
    min_proteins
        Figures of features with fewer are null.
    """
    difference = pl.col("score") - pl.col("null")
    # A difference of equal values has a rounding error for its standard deviation.
    spread = pl.when(pl.col("spread") > 1e-12).then("spread")
    enough = pl.when(pl.col("n_proteins") >= min_proteins)
    of_feature = table.group_by("feature").agg(
        pl.col("score").mean(),
        pl.col("null").mean().alias("by_chance"),
        difference.mean().alias("mean"),
        difference.std(ddof=1).alias("spread"),
    )
    every = pl.DataFrame({"feature": features.astype(np.int64)})
    return (
        every.join(n_proteins, on="feature", how="left", maintain_order="left")
        .join(of_feature, on="feature", how="left", maintain_order="left")
        .with_columns(pl.col("n_proteins").fill_null(0))
        .with_columns(cohen_d=pl.col("mean") / spread)
        .select(
            "feature",
            "n_proteins",
            *(enough.then(pl.col(c)).alias(c) for c in ("score", "by_chance", "cohen_d")),
        )
    )
