"""Numbered repeats as one concept: "Sushi 1", "Sushi 2" are the first and second of their kind in a protein, not two kinds.

This merges annotations as they are stored, so that both ways can be counted. Readers can merge earlier, as they read (`merge_numbered` of
`readers.entries`): every number of a name goes, whatever it counts, and numbers that are too rare to be a concept are kept, in the merged one.
"""

import polars as pl

from interplm_nb.annotations import Annotations


def numbered_repeats(annotations: Annotations) -> dict[str, str]:
    """Concepts whose number counts within a protein, and the name without it: `{"Domain_Sushi 2": "Domain_Sushi"}`.

    A name ends in a space and a whole number from 1. Its number counts where at least one protein carries the same name both with 1 and with another
    number. So "Cytochrome b5", or "Annexin 7" alone, keeps its number.
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
    """The same segments with each of `numbered_repeats` under its name without the number, joined to a concept that has that name already.

    Segments of one instance stay so; the instances of a merged concept are numbered anew from 0. Other concepts keep theirs. To count both ways,
    count with these annotations and with those given. ValueError (`Annotations`) where joined concepts differ in category or level.
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
