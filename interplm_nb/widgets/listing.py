"""Which features are listed, and the pair with a concept for which each of them is.

`widgets/feature_data/listing.js` does the same in the browser, where it must be fast.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from interplm_nb.widgets.concept_names import concept_name
from interplm_nb.widgets.feature_page import FeaturePages

PAIR = ("concept", "category", "validation_f1_per_domain", "f1_per_domain", "rank")
"""What a listed feature has of its pair."""

TEXTS = ("description", "motif_pattern", "note", "comment")
"""Texts of a feature that a search reads, where a list has them."""


def concept_pairs(pages: FeaturePages) -> pl.DataFrame:
    """Every scored pair of a feature and a concept, best on validation first.

    Columns: feature (u32), concept, category, validation_f1_per_domain, f1_per_domain (f64, on
    test), rank (i64): the feature's place among all for this concept, by F1 on validation.
    """
    return pages.ranked.select(
        "feature", *PAIR[:-1], rank=pl.int_range(1, pl.len() + 1).over("concept")
    )


def packed_pairs(pairs: pl.DataFrame) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Record and arrays of `packing.pack`: 10 or 12 bytes per pair, and each concept's names once.

    Pairs keep their order, from which the browser counts ranks.
    """
    concepts = pairs.select("concept", "category").unique(maintain_order=True)
    place = {name: i for i, name in enumerate(concepts["concept"])}
    return concepts.to_dict(as_series=False), {
        "feature": _narrow(pairs["feature"].to_numpy()),
        "concept": _narrow(np.array([place[name] for name in pairs["concept"]], np.uint32)),
        "validation_f1_per_domain": pairs["validation_f1_per_domain"].to_numpy().astype(np.float32),
        "f1_per_domain": pairs["f1_per_domain"].to_numpy().astype(np.float32),
    }


def _narrow(numbers: np.ndarray) -> np.ndarray:
    """Numbers from 0 in two bytes where these are enough, else in four."""
    return numbers.astype(np.uint16 if numbers.max(initial=0) < 2**16 else np.uint32)


def matching(
    pairs: pl.DataFrame, features: pl.DataFrame, listed: Mapping[str, Any]
) -> pl.DataFrame:
    """The pairs that pass `Selection.listed`'s search, category and minimum F1.

    A word is in the names of a pair, begins the feature's number, or is in a text of the feature
    (`TEXTS`). A pair whose names and number have every word goes before the others of its feature.
    If there are none, number and texts have every word, and nothing but a search is requested,
    the feature has its own row, with nulls: the words say nothing about its pairs. So does a
    feature without a pair.
    """
    texts = [name for name in TEXTS if name in features.columns]
    every = features.select("feature", *texts).join(
        pairs, on="feature", how="left", maintain_order="left"
    )
    words = listed.get("search", "").lower().split()
    names = [_in_names(word, every) for word in words]
    number = [pl.col("feature").cast(pl.String).str.starts_with(word) for word in words]
    told = [_in_texts(word, texts) for word in words]
    wanted = []
    if category := listed.get("category"):
        wanted.append(pl.col("category") == category)
    if least := listed.get("least_f1"):  # the browser holds float32
        wanted.append(pl.col("f1_per_domain").cast(pl.Float32) >= pl.lit(least, pl.Float32))
    found = every.with_columns(
        by_pair=_all(n | i for n, i in zip(names, number, strict=True)),
        by_text=_all(i | t for i, t in zip(number, told, strict=True)),
    ).filter(_all(n | i | t for n, i, t in zip(names, number, told, strict=True)), *wanted)
    found = found.filter(pl.col("by_pair") | ~pl.col("by_pair").any().over("feature"))
    if not wanted:
        alone = pl.col("by_text") & ~pl.col("by_pair")
        found = found.with_columns(pl.when(~alone).then(pl.col(name)).alias(name) for name in PAIR)
    return found.select("feature", *PAIR)


def _all(tests: Iterable[pl.Expr]) -> pl.Expr:
    return pl.all_horizontal(pl.lit(True), *tests)


def _in_names(word: str, every: pl.DataFrame) -> pl.Expr:
    """Is a word within a name of the pair's concept?"""
    names = every.select("concept", "category").unique().drop_nulls().rows()
    hit = {
        concept
        for concept, category in names
        if any(word in t.lower() for t in (concept, category, concept_name(concept, category)))
    }
    return pl.col("concept").is_in(hit).fill_null(False)


def _in_texts(word: str, texts: list[str]) -> pl.Expr:
    within = (pl.col(t).str.to_lowercase().str.contains(word, literal=True) for t in texts)
    return pl.any_horizontal(pl.lit(False), *(found.fill_null(False) for found in within))


def listing(
    features: pl.DataFrame,
    pairs: pl.DataFrame,
    listed: Mapping[str, Any],
    common: pl.DataFrame | None = None,
    by_rank: bool = False,
) -> pl.DataFrame:
    """The listed features by number, each with the best of its pairs that match.

    Parameters
    ----------
    features
        A `feature_list`.
    pairs
        `concept_pairs`.
    listed
        `Selection.listed`.
    common
        `in_common` of the chosen proteins; its features alone are listed, with its columns.
    by_rank
        The best pair is that of the lowest rank, not of the highest F1 on validation.

    Returns
    -------
    pl.DataFrame
        The columns of `features`, `PAIR` among them, and those of `common`.
    """
    found = matching(pairs, features, listed)
    if by_rank:
        found = found.sort("rank", nulls_last=True, maintain_order=True)
    best = found.unique("feature", keep="first", maintain_order=True)
    rows = features.drop(PAIR[:-1]).join(best, on="feature", how="inner")
    if not listed.get("silent"):
        rows = rows.filter(pl.col("maximum") > 0)
    if among := listed.get("among"):
        rows = rows.filter(pl.col("feature").is_in(among))
    if common is not None:
        rows = rows.join(common, on="feature", how="inner")
    also = [] if common is None else common.columns[1:]
    return rows.select(*features.columns, "rank", *also).sort("feature")
