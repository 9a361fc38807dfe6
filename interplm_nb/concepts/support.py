"""Which pairs are found: not only a high F1, but one that rests on enough residues and families."""

import polars as pl

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.intervals import by_cluster
from interplm_nb.concepts.source import Source

MIN_TRUE_POSITIVES, MIN_OF_SINGLE_RESIDUES = 20, 10
"""Minimum true positive residues of a found pair on test; the second for concepts of single
residues, of which each is an instance."""

MIN_CLUSTERS = 3
"""Minimum homology clusters of test that hold a true positive residue of a found pair."""

SUPPORT = {"true_positives": pl.Int64, "clusters": pl.Int64, "supported": pl.Boolean}
"""Columns that `with_support` adds."""


def with_support(
    source: Source, annotations: Annotations, candidates: pl.DataFrame, clusters: pl.DataFrame
) -> pl.DataFrame:
    """What the pairs with a high F1 rest on, and whether it is enough: then they are *found*.

    A pair is supported by at least 20 true positive residues, 10 for a concept of single residues,
    in at least 3 homology clusters. A concept is of single residues where the median length of its
    segments is 1: active sites and bonds, but also most binding sites, whose recall counts
    instances.

    Parameters
    ----------
    source : Source
        Values in unit "max".
    annotations : Annotations
        The run's labels.
    candidates : pl.DataFrame
        `BestPairs.candidates`: concept, feature, test_threshold and others.
    clusters : pl.DataFrame
        accession, cluster, of the proteins that the figures are from.

    Returns
    -------
    pl.DataFrame
        `candidates`, in order, with the columns of `SUPPORT`: true_positives (residues of the
        concept on which the feature is above the threshold), clusters (that hold one), supported.

    Examples
    --------
    >>> from interplm_nb.activations import FeatureActivations
    >>> from interplm_nb.proteins import Proteins
    >>> proteins = Proteins.from_sequences({f"P{i}": "M" * 10 for i in range(3)})
    >>> about = {"concept": "Helix", "category": "Helix", "level": "instance", "start": 1, "end": 8}
    >>> rows = [about | {"accession": f"P{i}", "instance": i} for i in range(3)]
    >>> source = FeatureActivations.from_dense([[1.0]] * 30, proteins, "max")
    >>> candidates = pl.DataFrame({"concept": ["Helix"], "feature": [0], "test_threshold": [0.5]})
    >>> clusters = pl.DataFrame({"accession": proteins.accessions, "cluster": [0, 1, 2]})
    >>> annotations = Annotations(pl.DataFrame(rows), proteins)
    >>> with_support(source, annotations, candidates, clusters).row(0)
    ('Helix', 0, 0.5, 24, 3, True)
    """
    if candidates.is_empty():
        return candidates.with_columns(pl.lit(None, k).alias(n) for n, k in SUPPORT.items())
    pairs = candidates.with_row_index("place").sort("concept", maintain_order=True)
    counts = by_cluster(
        source,
        annotations,
        pairs.select("concept", "feature", pl.col("test_threshold").alias("threshold")),
        clusters,
    )
    length = (pl.col("end") - pl.col("start") + 1).median()
    single = (
        annotations.table.filter(pl.col("concept").is_in(pairs["concept"].unique().to_list()))
        .group_by("concept")
        .agg((length == 1).alias("single"))
    )
    least = pl.when("single").then(MIN_OF_SINGLE_RESIDUES).otherwise(MIN_TRUE_POSITIVES)
    return (
        pairs.with_columns(
            pl.Series("true_positives", counts.tp.sum(axis=1)),
            pl.Series("clusters", (counts.tp > 0).sum(axis=1)),
        )
        .join(single, on="concept", how="left")
        .with_columns(
            ((pl.col("true_positives") >= least) & (pl.col("clusters") >= MIN_CLUSTERS)).alias(
                "supported"
            )
        )
        .sort("place")
        .drop("place", "single")
    )
