"""Pairs found by category, layer and F1 limit, as in InterPLM's figures 2, 3 and S5a.

`links` is always the table of `links.linked`, with a `min_f1` at or below the lowest limit. A pair
is found at a limit if its f1_per_domain is above it on validation and, at the same threshold, on
test.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

LIMITS = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Limits of f1_per_domain; the last is InterPLM's."""

ALL = "all categories"


def by_category(links: pl.DataFrame, limits: Sequence[float] = LIMITS) -> pl.DataFrame:
    """Count features, concepts and pairs found in each category, at each limit.

    Columns: category, limit, features, concepts, pairs (i64), sorted by category, then limit. The
    category `ALL` pools all: a feature with concepts of two categories counts once there.
    """
    every = pl.concat([links, links.with_columns(pl.lit(ALL).alias("category"))])
    parts = [
        every.group_by("category").agg(pl.lit(float(limit)).alias("limit"), *_counts(above(limit)))
        for limit in limits
    ]
    return pl.concat(parts).sort("category", "limit")


def above(limit: float) -> pl.Expr:
    """Whether a pair of `links.linked` is found at a limit of f1_per_domain."""
    return pl.min_horizontal("validation_f1_per_domain", "f1_per_domain") > limit


def _counts(found: pl.Expr) -> list[pl.Expr]:
    features, concepts = (
        pl.col(name).filter(found).n_unique().cast(pl.Int64).alias(f"{name}s")
        for name in ("feature", "concept")
    )
    return [features, concepts, found.sum().cast(pl.Int64).alias("pairs")]


def unlabelled(
    links: pl.DataFrame, alive: np.ndarray, limits: Sequence[float] = LIMITS
) -> pl.DataFrame:
    """Count the features that match no concept, at each limit.

    `alive` bool [n_features], such as `maxima["maximum_train"] > 0`. Columns: limit, alive,
    labelled (i64), unlabelled (share of the alive features without a pair; 0 if none is alive).
    ValueError if `links` names a feature beyond `alive`.
    """
    if links.height and links["feature"].to_numpy().max() >= len(alive):
        raise ValueError(
            f"the links name feature {links['feature'].max()}, but alive has {len(alive)} "
            "features; "
            "pass both from one source"
        )
    n = int(alive.sum())
    rows = []
    for limit in limits:
        features = links.filter(above(limit))["feature"].unique().to_numpy().astype(np.int64)
        labelled = int(alive[features].sum())
        rows.append(
            {
                "limit": float(limit),
                "alive": n,
                "labelled": labelled,
                "unlabelled": (n - labelled) / max(n, 1),
            }
        )
    return pl.DataFrame(
        rows,
        schema={
            "limit": pl.Float64,
            "alive": pl.Int64,
            "labelled": pl.Int64,
            "unlabelled": pl.Float64,
        },
    )


def best_of_feature(links: pl.DataFrame) -> pl.DataFrame:
    """The best concept of each feature: rows of `links`, sorted by feature.

    The best has the highest validation_f1_per_domain; ties go to the first name.
    """
    best = links.sort(
        "feature", "validation_f1_per_domain", "concept", descending=[False, True, False]
    )
    return best.unique("feature", keep="first", maintain_order=True)


def by_layer(pairs: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The best test F1 of each concept at each layer (or source, or run).

    `pairs` maps labels to `BestPairs.pairs`. Columns: label, concept, category, n_instances,
    f1_per_domain, one row per label and concept that it scores.
    """
    schema = {
        "concept": pl.String,
        "category": pl.String,
        "n_instances": pl.Int64,
        "f1_per_domain": pl.Float64,
    }
    columns = list(schema)
    empty = pl.DataFrame(schema={"label": pl.String, **schema})
    return pl.concat(
        [
            empty,
            *(
                table.select(pl.lit(label).alias("label"), *columns)
                for label, table in pairs.items()
            ),
        ]
    )
