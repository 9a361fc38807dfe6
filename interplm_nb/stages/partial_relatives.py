"""The headline once more, on test proteins that have no partial relative in train."""

import logging
from collections.abc import Collection, Mapping

import numpy as np
import polars as pl

from interplm_nb.concepts.intervals import ClusterCounts
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run

log = logging.getLogger(__name__)

COLUMN = "mean_f1_per_domain_no_partial_relatives"
"""Name in the table of sources."""

NOT_COUNTED = "means on test proteins without partial relatives in train were not counted"
"""What a table says that lacks them."""


def with_mean_apart(
    comparison: pl.DataFrame, counts: Mapping[str, ClusterCounts], run: Run
) -> pl.DataFrame:
    """The table of sources with the column `COLUMN`: `mean_apart` of each source.

    Null for other conventions than `strict`, without counts (no resamples were asked for), and
    where the run does not know partial relatives.
    """
    means = {}
    try:
        related = _related_clusters(run)
        means = {source: mean_apart(found, related) for source, found in counts.items()}
    except PipelineError as error:
        log.warning("no mean without partial relatives: %s", error)
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


def _related_clusters(run: Run) -> set[int]:
    """Clusters of test of which a protein has a partial relative in train."""
    test = run.splits().filter(split="test")
    apart = run.without_partial_relatives()
    return set(test.filter(~pl.col("accession").is_in(apart))["cluster"])
