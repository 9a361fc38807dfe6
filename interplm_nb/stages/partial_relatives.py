"""The headline once more, on test proteins that have no partial relative in train."""

from collections.abc import Collection, Mapping

import numpy as np
import polars as pl

from interplm_nb.concepts.intervals import ClusterCounts
from interplm_nb.readers.separation import without_partial_relatives

COLUMN = "mean_f1_per_domain_no_partial_relatives"
"""Name in the table of sources."""

NOT_COUNTED = "means on test proteins without partial relatives in train were not counted"
"""What a table says that lacks them."""


def with_mean_apart(
    comparison: pl.DataFrame,
    counts: Mapping[str, ClusterCounts],
    related: Collection[int] | None,
) -> pl.DataFrame:
    """The table of sources with the column `COLUMN`: `mean_apart` of each source.

    Null for other conventions than `strict`, without counts (no resamples were requested), and
    where partial relatives are not known (`related` is None).
    """
    known = counts if related is not None else {}
    means = {source: mean_apart(found, related or ()) for source, found in known.items()}
    mean = pl.col("source").replace_strict(means, default=None, return_dtype=pl.Float64)
    return comparison.with_columns(
        pl.when(pl.col("convention") == "strict").then(mean).alias(COLUMN)
    )


def mean_apart(counts: ClusterCounts, related: Collection[int]) -> float | None:
    """The mean best F1 (f1_per_domain) on the clusters that are not `related`.

    Pairs stay as chosen on validation. A concept without an instance there is left out of the mean,
    as in a resample; None where no concept is left.

    Examples
    --------
    >>> one = np.array([[1, 1, 1]])  # one pair, three clusters of one residue each
    >>> counts = ClusterCounts(
    ...     ("Helix",), (0,), (7, 8, 9), np.array([True]), 0 * one + [0, 1, 1], one, 0 * one, one,
    ...     0 * one,
    ... )
    >>> mean_apart(counts, {7}), mean_apart(counts, {7, 8, 9})
    (1.0, None)
    """
    weights = ~np.isin(counts.clusters, list(related))[None]
    if not counts.resampled(weights)[1].any():
        return None
    return float(counts.mean_f1_per_domain(weights)[0])


def related_clusters(splits: pl.DataFrame, partial_relatives: pl.DataFrame) -> set[int]:
    """Clusters of test of which a protein has a partial relative in train; as `Run.splits` and
    `Run.partial_relatives`."""
    apart = without_partial_relatives(splits, partial_relatives, "test")
    test = splits.filter(split="test")
    return set(test.filter(~pl.col("accession").is_in(apart))["cluster"])
