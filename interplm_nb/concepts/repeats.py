"""Numbered repeats as one concept: "Sushi 1" and "Sushi 2" are one kind, not two.

This merges stored annotations, so that both ways can be counted. Readers can merge while they read
(`merge_numbered` of `readers.entries`): then every number is removed, regardless of meaning, and
instances whose numbered name is too rare to be a concept are kept in the merged one.
"""

import polars as pl

from interplm_nb.annotations import Annotations


def numbered_repeats(annotations: Annotations) -> dict[str, str]:
    """Concepts numbered within a protein, and the name without the number.

    Such as `{"Domain_Sushi 2": "Domain_Sushi"}`. The name ends in a space and a whole number from
    1, and at least one protein carries it both with 1 and with another number: "Cytochrome b5", or
    "Annexin 7" alone, keeps its number.
    """
    names = (
        pl.col("concept").str.extract_groups(r"^(?<stem>.*\S) (?<number>[1-9]\d*)$").struct.unnest()
    )
    numbered = annotations.table.select("accession", "concept", names).drop_nulls("stem")
    together = numbered.group_by("accession", "stem").agg(
        ((pl.col("number") == "1").any() & (pl.col("number") != "1").any()).alias("counts")
    )
    stems = together.filter("counts")["stem"].unique().to_list()
    return dict(
        numbered.filter(pl.col("stem").is_in(stems))
        .select("concept", "stem")
        .unique()
        .sort("concept")
        .iter_rows()
    )


def merge_repeats(annotations: Annotations) -> Annotations:
    """The same segments, with `numbered_repeats` under their name without the number.

    They join a concept that already has that name. Segments of one instance stay together; the
    instances of a merged concept are renumbered from 0. To count both ways, count with both
    annotations. ValueError (`Annotations`) if merged concepts differ in category or level.
    """
    merged = numbered_repeats(annotations)
    named = annotations.table.with_columns(pl.col("concept").replace(merged).alias("merged"))
    instances = (
        named.filter(pl.col("merged").is_in(list(merged.values())))
        .select("merged", "concept", "instance")
        .unique()
    )
    numbers = instances.sort("merged", "concept", "instance").with_columns(
        pl.int_range(pl.len()).over("merged").alias("number")
    )
    table = named.join(numbers, on=["merged", "concept", "instance"], how="left").select(
        pl.exclude("concept", "instance", "merged", "number"),
        pl.col("merged").alias("concept"),
        pl.coalesce("number", "instance").alias("instance"),
    )
    return Annotations(table, annotations.proteins)
