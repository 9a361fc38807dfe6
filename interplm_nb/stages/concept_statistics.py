"""What pairs have beyond F1: ranking, intervals and tests against chance, on test for pairs that
validation fixed."""

import logging
from typing import TYPE_CHECKING

import polars as pl

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.auprc import average_precision
from interplm_nb.concepts.best_pairs import TESTED, without_statistics
from interplm_nb.concepts.intervals import ClusterCounts, by_cluster, pair_intervals
from interplm_nb.concepts.links import ConceptLinks, linked, strongest
from interplm_nb.concepts.nulls import exchangeable
from interplm_nb.concepts.scores import ConceptScores
from interplm_nb.concepts.significance import significance
from interplm_nb.pipeline.parameters import ConceptsParameters

if TYPE_CHECKING:
    from interplm_nb.concepts.source import Source

_log = logging.getLogger(__name__)


def with_statistics(
    source: "Source",
    annotations: Annotations,
    pairs: pl.DataFrame,
    clusters: pl.DataFrame,
    params: ConceptsParameters,
) -> tuple[pl.DataFrame, ClusterCounts | None]:
    """`pairs` (one per concept, sorted) with the columns of `STATISTICS`, and their counts by
    cluster (None without pairs or resamples)."""
    table, counts = without_statistics(pairs), None
    if pairs.is_empty():
        return table, None
    ranked = average_precision(source, annotations, pairs, clusters["accession"].to_list())
    table = table.with_columns(ranked["auprc"], ranked["prevalence"])
    if params.bootstrap:
        counts = by_cluster(source, annotations, pairs, clusters)
        bounds = pair_intervals(counts, params.bootstrap, params.seed)
        table = table.with_columns(
            bounds["f1_per_domain_low"].alias("low"),
            bounds["f1_per_domain_high"].alias("high"),
            bounds["recall_upper_bound"],
        )
    if _testable(clusters, params):
        tested = significance(source, annotations, pairs, clusters, params.null_draws, params.seed)
        table = table.with_columns(tested.select(TESTED))
    return table, counts


def _testable(clusters: pl.DataFrame, params: ConceptsParameters) -> bool:
    """Whether a test against chance is requested and possible."""
    possible = exchangeable(clusters["cluster"].to_numpy())
    if params.null_draws and not possible:
        _log.warning(
            "no q values: one homology cluster holds more than half of the %d test proteins, "
            "so labels cannot be exchanged",
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
    """The features that are linked to each concept by F1 on validation, tested against chance on
    test as one family, calibrated on train.

    scores: on validation and on test. concepts: the scored ones. clusters, train: accession and
    cluster of the test and of the train proteins.
    """
    pairs = linked(*scores, concepts, min_f1=0.0)
    table = strongest(pairs, params.link_f1, params.links_per_concept)
    q_value = pl.lit(None, pl.Float64).alias("q_value")
    if table.height and _testable(clusters, params):
        q_value = significance(
            source, annotations, table, clusters, params.null_draws, params.seed
        )["q_value"]
    return ConceptLinks.fit(table.with_columns(q_value), source, annotations, train)
