"""The scores of one feature, with what the controls reach on the same concepts."""

from typing import Any

import polars as pl

from interplm_nb.widgets.feature_page import FeaturePages

SHOWN = 8


def concept_rows(pages: FeaturePages, feature: int, n: int = SHOWN) -> list[dict[str, Any]]:
    """The concepts that a feature matches best on validation, at most `n`, as JSON.

    Each has concept, category, threshold, validation_f1_per_domain, f1_per_domain, n_instances
    (on test); low, high (95 % interval over homology clusters) and q_value where the feature is the
    concept's best; controls: {source: f1 on test} of the best feature of each other source.
    """
    rows = pages.ranked.filter(pl.col("feature") == feature).head(n)
    best = pages.best_of_sources
    return [
        _row(row, best.filter(pl.col("concept") == row["concept"]), pages.source)
        for row in rows.to_dicts()
    ]


def _row(row: dict[str, Any], best: pl.DataFrame, source: str) -> dict[str, Any]:
    own = best.filter(
        (pl.col("source") == source) & (pl.col("feature") == row["feature"])
    ).to_dicts()
    others = best.filter(pl.col("source") != source)
    controls = {
        name: value
        for name, value in others.select("source", "f1_per_domain").iter_rows()
        if value is not None
    }
    figures = {name: own[0].get(name) if own else None for name in ("low", "high", "q_value")}
    figures = {
        name: value if value is not None and value == value else None
        for name, value in figures.items()
    }
    return {"threshold": row.pop("threshold"), **row, **figures, "controls": controls}
