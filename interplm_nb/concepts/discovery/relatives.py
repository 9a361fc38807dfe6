"""The nearest relative that carries a label, by MMseqs2: the baseline of `evaluation`."""

from collections.abc import Collection
from typing import Any

import polars as pl

from interplm_nb.annotations import Annotations
from interplm_nb.readers.mmseqs import SENSITIVITY, alignments

E_VALUE = 10.0
"""Highest E-value that is ranked: BLAST's default."""

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
    """The best hit of each protein of `among` among the other proteins that carry each concept.

    The best has the lowest E-value, then the highest identity (MMseqs2 writes very low E-values as
    0). Columns of `RELATIVES`, best first; no row without a hit. Needs MMseqs2, see
    `readers.mmseqs.binary`.
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
