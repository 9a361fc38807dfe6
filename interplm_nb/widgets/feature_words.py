"""What the panel tells of one feature beyond its concepts, as JSON: null where the run lacks it."""

import math
from statistics import median
from typing import Any

import polars as pl

from interplm_nb.features.hierarchy import with_parent
from interplm_nb.questions.feature_tables import FeatureTables

NEAREST = 5
"""Features alike of each kind, and known motifs, at most."""

_NULLS = ("another description", "no description")
"""What a judge is given instead of the description."""
_STATISTICS = (
    *("density", "density_class", "protein_frequency", "share_when_present", "protein_entropy"),
    *("quantile_50", "quantile_95", "amino_acid_information", "top_amino_acid"),
    *("top_amino_acid_share", "shape", "mean_run", "longest_run", "period", "period_strength"),
    *("mean_position", "position_bias", "position_bias_by_chance"),
)


def feature_words(tables: FeatureTables, feature: int) -> dict[str, Any]:
    """Everything that the tables hold of one feature.

    - descriptions: summary, description, describer, sees, n_examples; `score` (judge, sees, n,
      pearson, pearson_low, pearson_high); `nulls`, those of `_NULLS` by name (`_null`); `told`, the
      scores of detection, fuzzing and intruder with their chance. Language models first.
    - described: how many features have a description.
    - statistics and motif: one per row; tested: whether motifs were looked for at all.
    - known: known motifs, the likest first. nearest: by kind, numbers and similarities. matches:
      the same feature in other SAEs. family: its parent and children in the prefixes of a
      Matryoshka SAE (`_family`).
    """
    t = tables
    return {
        "descriptions": _descriptions(t, feature),
        "described": 0 if t.descriptions is None else t.descriptions["feature"].n_unique(),
        "statistics": _row(t.statistics, feature, _STATISTICS),
        "motif": _row(t.motifs, feature),
        "tested": t.motifs is not None,
        "known": _known(t.known, feature),
        "nearest": _nearest(t.neighbours, feature),
        "matches": _rows(t.matches, feature),
        "family": _family(t.hierarchy, feature),
    }


def _descriptions(tables: FeatureTables, feature: int) -> list[dict[str, Any]]:
    said = []
    names = ("describer", "sees", "summary", "description", "n_examples", "failed", "kept")
    for row in _rows(tables.descriptions, feature, names):
        kept = row.pop("kept")
        judged = [given for given in _rows(tables.judged, feature) if given["kept"] == kept]
        own = [g for g in judged if g["describer"] == row["describer"]]
        score = next((_score(g) for g in own if g["given"] == "description"), None)
        nulls = {name: _null([g for g in judged if g["given"] == name]) for name in _NULLS}
        told = [
            {name: r[name] for name in ("score", "n", "accuracy", "balanced_accuracy", "chance")}
            for r in _rows(tables.recognised, feature)
            if r["kept"] == kept and r["failed"] is None
        ]
        said.append(row | {"score": score, "nulls": nulls, "told": told})
    return said


def _score(judged: dict[str, Any]) -> dict[str, Any]:
    names = ("judge", "sees", "n", "pearson", "pearson_low", "pearson_high", "failed")
    return {name: judged[name] for name in names}


def _null(judged: list[dict[str, Any]]) -> dict[str, Any] | None:
    """pearson, pearson_low, pearson_high, and of how many: the median of several, and their range.

    A regression is judged with the statements of several other features. Predictions that are all
    equal count as 0 in a median; a failed answer is left out.
    """
    answered = [given for given in judged if given["failed"] is None]
    if len(answered) < 2:
        return next(({**_score(given), "of": 1} for given in answered), None)
    values = [given["pearson"] or 0.0 for given in answered]
    middle = float(f"{median(values):.6g}")
    spread = {"pearson_low": min(values), "pearson_high": max(values)}
    return {"pearson": middle, **spread, "of": len(values)}


def _known(table: pl.DataFrame | None, feature: int) -> list[dict[str, Any]]:
    rows = _rows(table, feature, ("known", "kind", "similarity", "e_value"))
    return sorted(rows, key=lambda row: row["e_value"])[:NEAREST]


def _nearest(table: pl.DataFrame | None, feature: int) -> dict[str, list[list[float]]] | None:
    """[number, similarity] of the nearest features, by kind; None: the run has no such table."""
    if table is None:
        return None
    kinds = table["kind"].unique(maintain_order=True).to_list()
    near: dict[str, list[list[float]]] = {kind: [] for kind in kinds}
    for row in _rows(table.filter(pl.col("rank") <= NEAREST), feature):
        near[row["kind"]].append([row["neighbour"], row["similarity"]])
    return near


def _family(table: pl.DataFrame | None, feature: int) -> dict[str, list[list[float]]]:
    """[number, P(parent active | child active)] of the parent and of every child, the highest
    first; of those that `hierarchy.with_parent` counts. Empty without prefixes."""
    if table is None or table.is_empty():
        return {}
    sure = with_parent(table).sort("share", "feature", descending=[True, False])
    sides = {"parent": sure.filter(feature=feature), "children": sure.filter(parent=feature)}
    other = {"parent": "parent", "children": "feature"}
    return {
        side: [
            [number, _json(share)] for number, share in found.select(other[side], "share").rows()
        ]
        for side, found in sides.items()
    }


def _row(
    table: pl.DataFrame | None, feature: int, names: tuple[str, ...] = ()
) -> dict[str, Any] | None:
    return next(iter(_rows(table, feature, names)), None)


def _rows(
    table: pl.DataFrame | None, feature: int, names: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """The rows of a feature as JSON; numbers to six digits, as views show fewer."""
    if table is None:
        return []
    rows = table.filter(pl.col("feature") == feature).select(names or table.columns)
    return [{name: _json(value) for name, value in row.items()} for row in rows.to_dicts()]


def _json(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
