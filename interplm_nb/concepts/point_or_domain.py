"""Coverage: does a feature mark a point of a domain, or all of it (InterPLM, Figure S3c)?"""

from collections.abc import Collection
from typing import Any

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.pairs import ChosenPairs
from interplm_nb.concepts.source import Matrix, Source, joined

POINT, FULL = 0.2, 0.8
"""Shares of an instance's residues: a feature that covers less marks a point, one that covers more
marks all of it."""

COVERAGE: dict[str, Any] = {
    "concept": pl.String,
    "feature": pl.UInt32,
    "threshold": pl.Float64,
    "n_hit": pl.Int64,
    "length": pl.Float64,
    "mean": pl.Float64,
    "low": pl.Float64,
    "median": pl.Float64,
    "high": pl.Float64,
    "point": pl.Float64,
    "full": pl.Float64,
}
"""Columns of `domain_coverage`."""

_HITS: dict[str, Any] = {"pair": pl.UInt32, "length": pl.Int64, "covered": pl.Int64}


def domain_coverage(
    source: Source, annotations: Annotations, pairs: pl.DataFrame, accessions: Collection[str]
) -> pl.DataFrame:
    """The share of each instance's residues where a pair's feature is above its threshold.

        coverage[i] = |{r in i : f(r) > threshold}| / |i|

    over the instances i of the concept with at least one such residue. Residue-level concepts are
    left out: an active site is one residue. One pass over the proteins.

    Parameters
    ----------
    source : Source
        Values in unit "max".
    annotations : Annotations
        The labels, on the source's proteins.
    pairs : pl.DataFrame
        concept, feature, threshold; a threshold of 0 asks where the feature is active at all.
    accessions : collection of str
        The proteins to look at.

    Returns
    -------
    pl.DataFrame
        Columns of `COVERAGE`, one row per pair, in order: n_hit instances, their median length in
        residues, the mean of their coverage, its 10 %, 50 % and 90 % quantiles (low, median,
        high), and the share of them covered by less than 0.2 (point) and more than 0.8 (full). A
        pair that hits nothing has n_hit 0 and nulls.
    """
    asked = pairs.filter(pl.col("feature").is_not_null()).select("concept", "feature", "threshold")
    residue_level = annotations.table.filter(pl.col("level") == "residue")["concept"].unique()
    asked = asked.filter(~pl.col("concept").is_in(residue_level.to_list()))
    chosen = ChosenPairs.of(source, annotations, asked, accessions)
    found = (
        [_covered(chosen, values, rows) for rows, values in joined(source, accessions)]
        if asked.height
        else []
    )
    return _summary(asked, pl.concat([pl.DataFrame(schema=_HITS), *found]))


def _covered(chosen: ChosenPairs, values: Matrix, rows: np.ndarray) -> pl.DataFrame:
    """pair, length, covered: one row per pair and instance of its concept that it hits.

    A protein, and so an instance, is whole in one block.
    """
    _, members, concept_of = chosen.labels.on(rows)
    length = np.diff(members.indptr)
    counts = csr_array(members.astype(np.int32) @ chosen.active(values)).tocoo()
    instance, pair = counts.coords
    # A residue of one concept may also be in instances of others.
    own = concept_of[instance] == chosen.concept[pair]
    return pl.DataFrame(
        {"pair": pair[own], "length": length[instance[own]], "covered": counts.data[own]},
        schema=_HITS,
    )


def _summary(pairs: pl.DataFrame, hits: pl.DataFrame) -> pl.DataFrame:
    share = pl.col("covered") / pl.col("length")
    table = hits.group_by("pair").agg(
        pl.len().cast(pl.Int64).alias("n_hit"),
        pl.col("length").median(),
        share.mean().alias("mean"),
        *(
            share.quantile(q, "linear").alias(name)
            for name, q in (("low", 0.1), ("median", 0.5), ("high", 0.9))
        ),
        (share < POINT).mean().alias("point"),
        (share > FULL).mean().alias("full"),
    )
    joint = (
        pairs.with_row_index("pair")
        .join(table, on="pair", how="left", maintain_order="left")
        .with_columns(pl.col("n_hit").fill_null(0))
    )
    return joint.select(pl.col(name).cast(kind) for name, kind in COVERAGE.items())
