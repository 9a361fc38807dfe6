"""The sources side by side: one row each, and how far the SAE lies above each control."""

from collections.abc import Mapping

import polars as pl

from interplm_nb.concepts.best_pairs import BestPairs
from interplm_nb.concepts.intervals import ClusterCounts, difference, interval
from interplm_nb.concepts.scored_concepts import ScoredConcepts
from interplm_nb.pipeline.parameters import ConceptsParameters

SIGNIFICANT = 0.05
"""A pair beats chance where its false discovery rate is below this."""


def summary(
    source: str,
    convention: str,
    selected: BestPairs,
    best: pl.DataFrame,
    found: pl.DataFrame,
    counts: Mapping[str, ClusterCounts],
    params: ConceptsParameters,
    scored: ScoredConcepts | None,
) -> pl.DataFrame:
    """One row: `BestPairs.summary`, the mean's interval, the mean AUPRC, the number of concepts
    whose pair beats chance (null: not tested), and how many of the concepts rest on few homology
    clusters (null in `published`, which has its own rule, not `scored`)."""
    mean = interval(counts[source], params.bootstrap, params.seed) if source in counts else None
    tested = best["q_value"].drop_nulls()
    return selected.summary(source, found).with_columns(
        pl.lit(convention).alias("convention"),
        pl.lit(mean.low if mean else None, pl.Float64).alias("low"),
        pl.lit(mean.high if mean else None, pl.Float64).alias("high"),
        pl.lit(best["auprc"].mean(), pl.Float64).alias("mean_auprc"),
        pl.lit(int((tested < SIGNIFICANT).sum()) if len(tested) else None, pl.Int64).alias(
            "concepts_above_chance"
        ),
        pl.lit(scored.n_few_clusters if scored else None, pl.Int64).alias("n_few_clusters"),
    )


def differences(counts: Mapping[str, ClusterCounts], params: ConceptsParameters) -> pl.DataFrame:
    """The SAE's mean best F1 minus each control's, on the same resamples.

    Columns: control, difference, low, high.
    """
    found = (
        {
            s: difference(counts["sae"], counts[s], params.bootstrap, params.seed)
            for s in counts
            if s != "sae"
        }
        if "sae" in counts
        else {}
    )
    rows = [
        {"control": s, "difference": i.estimate, "low": i.low, "high": i.high}
        for s, i in found.items()
    ]
    return pl.DataFrame(
        rows,
        schema={"control": pl.String} | dict.fromkeys(("difference", "low", "high"), pl.Float64),
    )
