"""What homology says of a missing label: the nearest relative that carries it, by MMseqs2. The yardstick of `discovery_evaluation`."""

from collections.abc import Collection
from typing import Any

import polars as pl

from interplm_nb.annotations import Annotations
from interplm_nb.readers.mmseqs import SENSITIVITY, alignments

E_VALUE = 10.0
"""Hits up to here are ranked: BLAST's own default."""

RELATIVES: dict[str, Any] = {
    "accession": pl.String,
    "concept": pl.String,
    "relative": pl.String,
    "identity": pl.Float64,
    "e_value": pl.Float64,
}
"""Columns of `nearest_relatives`."""


def nearest_relatives(
    annotations: Annotations,
    concepts: Collection[str],
    among: Collection[str],
    e_value: float = E_VALUE,
    sensitivity: float = SENSITIVITY,
) -> pl.DataFrame:
    """For each protein of `among` and each concept, its best hit among all other proteins that carry the concept; no row where there is none.

    Best is the lowest E-value, the highest identity among equals (MMseqs2 writes very low ones as 0). Columns of `RELATIVES`, sorted by both, best
    first. Needs MMseqs2, as `readers.mmseqs.binary` says.
    """
    proteins = annotations.proteins
    queries = proteins.select(among)
    hits = alignments(queries, proteins, 0.0, e_value, sensitivity)
    names = hits.select(
        pl.Series(queries.accessions, dtype=pl.String).gather(hits["query"]).alias("accession"),
        pl.Series(proteins.accessions, dtype=pl.String).gather(hits["target"]).alias("relative"),
        "identity",
        "e_value",
    ).filter(pl.col("accession") != pl.col("relative"))
    carriers = (
        annotations.only(concepts)
        .table.select("concept", pl.col("accession").alias("relative"))
        .unique()
    )
    order = ["e_value", "identity", "relative", "accession", "concept"]
    found = names.join(carriers, on="relative").sort(
        order, descending=[False, True, False, False, False]
    )
    return found.unique(["accession", "concept"], keep="first", maintain_order=True).select(
        RELATIVES.keys()
    )
