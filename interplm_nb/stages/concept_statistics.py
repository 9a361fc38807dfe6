"""What is said of pairs beyond F1: ranking, intervals and chance, read on test for pairs fixed on validation."""

import logging
from typing import TYPE_CHECKING

import polars as pl

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.auprc import average_precision
from interplm_nb.concepts.intervals import ClusterCounts, by_cluster, pair_intervals
from interplm_nb.concepts.links import ConceptLinks, linked
from interplm_nb.concepts.nulls import exchangeable
from interplm_nb.concepts.scores import ConceptScores
from interplm_nb.concepts.significance import significance
from interplm_nb.pipeline.parameters import ConceptsParameters

if TYPE_CHECKING:
    from interplm_nb.concepts.source import Source

_log = logging.getLogger(__name__)

STATISTICS = {
    "low": pl.Float64, "high": pl.Float64, "auprc": pl.Float64, "prevalence": pl.Float64, "shifted_f1_per_domain": pl.Float64,
    "exchanged_f1_per_domain": pl.Float64, "p_shifted": pl.Float64, "p_exchanged": pl.Float64, "q_value": pl.Float64,
}  # fmt: skip
"""Columns that `with_statistics` adds; null where draws or resamples were not asked for. low, high: 95 % interval of f1_per_domain."""


def with_statistics(
    source: "Source",
    annotations: Annotations,
    pairs: pl.DataFrame,
    clusters: pl.DataFrame,
    params: ConceptsParameters,
) -> tuple[pl.DataFrame, ClusterCounts | None]:
    """`pairs` (one per concept, sorted) with the columns of `STATISTICS`, and their counts by cluster; those of no pairs are none."""
    table, counts = (
        pairs.with_columns(pl.lit(None, kind).alias(name) for name, kind in STATISTICS.items()),
        None,
    )
    if pairs.is_empty():
        return table, None
    ranked = average_precision(source, annotations, pairs, clusters["accession"].to_list())
    table = table.with_columns(ranked["auprc"], ranked["prevalence"])
    if params.bootstrap:
        counts = by_cluster(source, annotations, pairs, clusters)
        bounds = pair_intervals(counts, params.bootstrap, params.seed)
        table = table.with_columns(
            bounds["f1_per_domain_low"].alias("low"), bounds["f1_per_domain_high"].alias("high")
        )
    if _testable(clusters, params):
        tested = significance(source, annotations, pairs, clusters, params.null_draws, params.seed)
        table = table.with_columns(
            tested.select(
                "shifted_f1_per_domain",
                "exchanged_f1_per_domain",
                "p_shifted",
                "p_exchanged",
                "q_value",
            )
        )
    return table, counts


def _testable(clusters: pl.DataFrame, params: ConceptsParameters) -> bool:
    """Is a test against chance asked for, and can it be made?"""
    possible = exchangeable(clusters["cluster"].to_numpy())
    if params.null_draws and not possible:
        _log.warning(
            "no q values: one homology cluster holds more than half of the %d test proteins, so labels cannot change places",
            len(clusters),
        )
    return params.null_draws > 0 and possible


def links_of(
    source: "Source",
    annotations: Annotations,
    scores: tuple[ConceptScores, ConceptScores],
    concepts: list[str],
    clusters: pl.DataFrame,
    train: pl.DataFrame,
    params: ConceptsParameters,
) -> ConceptLinks:
    """The features that speak for each concept, by F1 on validation, tested on test against chance as one family, calibrated on train.

    scores: those of validation and of test; concepts: those that are scored; clusters, train: accession and cluster, of test and of train.
    """
    table = linked(*scores, concepts, min_f1=0.0)
    rank = pl.int_range(pl.len()).over("concept")
    strong = (rank < params.links_per_concept) & (
        pl.col("validation_f1_per_domain") >= params.link_f1
    )
    table = table.filter((rank == 0) | strong)
    q_value = pl.lit(None, pl.Float64).alias("q_value")
    if table.height and _testable(clusters, params):
        q_value = significance(
            source, annotations, table, clusters, params.null_draws, params.seed
        )["q_value"]
    return ConceptLinks.fit(table.with_columns(q_value), source, annotations, train)
