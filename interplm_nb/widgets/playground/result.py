"""What features do along a sequence and its mutant: tables, and what the playground is sent."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from scipy.sparse import csc_array, csr_array

N_FEATURES = 30
"""Features that are shown: the strongest, or with mutations those that change most."""

N_CONCEPTS = 8
"""Concepts whose stretches are shown, the surest first."""

CHANGED = 0.05
"""A feature counts as changed if it changes by more than this share of its training maximum, at any
residue."""

EFFECTS: dict[str, Any] = {
    "feature": pl.UInt32,
    "label": pl.String,
    "reference": pl.Float32,
    "mutant": pl.Float32,
    "change": pl.Float32,
    "position": pl.Int64,
}
"""Columns of `effects`."""


class Reading(NamedTuple):
    """What the model says of one sequence."""

    values: csr_array
    """float32 [length, n_features], unit `max`."""
    concepts: pl.DataFrame
    """Named stretches, the surest first: concept, category, feature, start, end, confidence, ..."""


class Peaks(NamedTuple):
    """The features that are not 0 everywhere, ascending, and where each is largest in size."""

    features: np.ndarray
    """int64 [n]."""
    rows: np.ndarray
    """int64 [n], from 0; the first of equals."""
    values: np.ndarray
    """float32 [n], with their signs."""


def peaks(values: csr_array) -> Peaks:
    """The largest value in size of each column [length, n_features]; zero columns are left out."""
    columns = csc_array(values)
    columns.eliminate_zeros()
    feature = np.repeat(np.arange(len(columns.indptr) - 1), np.diff(columns.indptr))
    order = np.lexsort((columns.indices, -np.abs(columns.data), feature))
    alive, first = np.unique(feature[order], return_index=True)
    chosen = order[first]
    return Peaks(alive, columns.indices[chosen].astype(np.int64), columns.data[chosen])


def at(values: csr_array, rows: np.ndarray, features: np.ndarray) -> np.ndarray:
    """float32 [n]: the values at these rows and features."""
    line = np.repeat(np.arange(len(values.indptr) - 1), np.diff(values.indptr))
    wide = max(int(features.max(initial=0)), int(values.indices.max(initial=0))) + 1
    keys, wanted = line * wide + values.indices, rows * wide + features
    order = np.argsort(keys)
    places = np.searchsorted(keys, wanted, sorter=order)
    found = np.zeros(len(wanted), np.float32)
    inside = places < len(keys)
    entries = order[places[inside]]
    found[inside] = np.where(keys[entries] == wanted[inside], values.data[entries], 0)
    return found


def effects(reference: csr_array, mutant: csr_array, labels: Mapping[int, str]) -> pl.DataFrame:
    """The features that differ between two sequences of equal length, the largest change first.

    Columns of `EFFECTS`: position (from 1) is where a feature changes most, the first of equals;
    reference and mutant are its activations there (unit `max`), change is mutant - reference; label
    is the feature's best concept on validation, null where it matches none.
    """
    found = peaks(csr_array(mutant - reference))
    columns = {
        "feature": found.features,
        "label": [labels.get(int(f)) for f in found.features],
        "reference": at(reference, found.rows, found.features),
        "mutant": at(mutant, found.rows, found.features),
        "change": found.values,
        "position": found.rows + 1,
    }
    table = pl.DataFrame(columns, schema_overrides={"label": pl.String}).select(
        pl.col(name).cast(kind) for name, kind in EFFECTS.items()
    )
    return table.sort(pl.col("change").abs(), -pl.col("feature").cast(pl.Int64), descending=True)


def strongest(values: csr_array) -> np.ndarray:
    """int64: the features that fire, by their maximum, the largest first."""
    found = peaks(values)
    return found.features[np.lexsort((found.features, -found.values))]


def packed_result(
    readings: Sequence[Reading],
    best: Mapping[int, Mapping[str, Any]],
    selected: int,
    changes: pl.DataFrame,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Record and arrays of `packing.pack` for a reference, and for a mutant where there is one.

    rows: the first `N_FEATURES` features and the selected one, each with its best concept, maxima
    and positions, and its row of `changes`. Arrays `<which>_index` (u2, from 0) and `<which>_value`
    (f4) hold their activations end to end; `<which>_bounds` (u4) says where each row begins.
    """
    names = ("reference", "mutant")[: len(readings)]
    order = (
        changes["feature"].to_list()
        if len(readings) == 2
        else strongest(readings[0].values).tolist()
    )
    shown = order[:N_FEATURES]
    rows = [
        {"feature": f, "best": best.get(f), "chosen": f in shown}
        for f in dict.fromkeys([*shown, selected])
    ]
    arrays: dict[str, np.ndarray] = {}
    for name, reading in zip(names, readings, strict=True):
        arrays |= _along(name, reading.values, rows)
    for row in rows:
        change = (
            changes.filter(pl.col("feature") == row["feature"]).drop("feature", "label").to_dicts()
        )
        row["change"] = change[0] if change else None
    record = {
        "rows": rows,
        "n_features": len(order),
        "n_changed": changes.filter(pl.col("change").abs() > CHANGED).height,
        "largest": max((abs(change) for change in changes["change"]), default=0.0),
        **_concepts(names, readings),
    }
    return record, arrays


def _along(name: str, values: csr_array, rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """The rows' activations; each row also gets `<name>`: maximum and position (null: silent)."""
    columns = csc_array(csc_array(values)[:, [row["feature"] for row in rows]])
    columns.sort_indices()
    for row, first, last in zip(rows, columns.indptr, columns.indptr[1:], strict=False):
        own = columns.data[first:last]
        top = int(own.argmax()) if len(own) else 0
        row[name] = (
            {"maximum": float(own[top]), "position": int(columns.indices[first + top]) + 1}
            if len(own)
            else {"maximum": 0.0, "position": None}
        )
    return {
        f"{name}_bounds": columns.indptr.astype(np.uint32),
        f"{name}_index": columns.indices.astype(np.uint16),
        f"{name}_value": columns.data.astype(np.float32),
    }


def _concepts(names: Sequence[str], readings: Sequence[Reading]) -> dict[str, Any]:
    """Stretches of the `N_CONCEPTS` surest concepts of all readings, and the number of concepts."""
    wanted = ("which", "concept", "category", "feature", "start", "end", "confidence")
    tables = [
        r.concepts.with_columns(which=pl.lit(n)).select(wanted)
        for n, r in zip(names, readings, strict=True)
    ]
    table = pl.concat(tables).sort(pl.col("confidence"), descending=True, maintain_order=True)
    order = table["concept"].unique(maintain_order=True)
    return {
        "stretches": table.filter(
            pl.col("concept").is_in(order.head(N_CONCEPTS).to_list())
        ).to_dicts(),
        "n_concepts": len(order),
    }
