"""One row per feature, for the table and the map."""

from typing import Any

import numpy as np
import polars as pl

from interplm_nb.pipeline.errors import DamagedRunError, PipelineError
from interplm_nb.pipeline.looked import Looked
from interplm_nb.widgets.feature_page import FeaturePages

_COUNTS = ("n_active", "density", "n_proteins")

NOTE = {
    "note": "description",
    "comment": "comment",
    "note_author": "author",
    "note_date": "date",
}
"""Columns of people's notes in a list, and in `Run.notes`."""


def feature_list(pages: FeaturePages) -> pl.DataFrame:
    """One row per feature, silent ones included, by number.

    Columns: feature (u32); n_active (i64), residues above 0, and density, their share; maximum
    (f32, raw, on train); concept, category, validation_f1_per_domain and f1_per_domain of the best
    pair on validation, null where it matches none. With a run's atlas also n_proteins, mean_active,
    share_near_ends, near_ends_by_chance, x, y and cluster, null where the feature is silent except
    for n_proteins. Of looked-at proteins, those of `_compared` too, and of the atlas only the place
    on the map and what is near ends, in the SAE's own run. Where the run has them, the columns of
    `FeatureTables.columns`. A column that the run cannot fill is absent, and cluster where clusters
    do not recur.
    """
    maxima = pages.run.maxima(pages.source)
    n_active = pages.activations.n_active()
    table = pl.DataFrame(
        {
            "feature": np.arange(len(maxima), dtype=np.uint32),
            "maximum": maxima.train,
            "n_active": n_active,
            "density": n_active / max(1, pages.activations.n_residues),
        }
    )
    try:
        atlas = pages.named_by.atlas(pages.source).drop("maximum")
        if pages.looked:
            table = table.join(atlas.drop(*_COUNTS, "mean_active"), on="feature", how="left")
        else:
            table = table.drop("n_active", "density").join(atlas, on="feature", how="left")
            table = table.with_columns(pl.col(_COUNTS).fill_null(0))  # silent: not on the map
        if pages.why_no_clusters:
            table = table.drop("cluster")
    except DamagedRunError:
        raise
    except PipelineError:  # a control has none
        pass
    best = pages.ranked.unique("feature", keep="first", maintain_order=True).select(
        "feature", "concept", "category", "validation_f1_per_domain", "f1_per_domain"
    )
    table = table.join(best, on="feature", how="left")
    if pages.looked:
        table = table.join(_compared(pages.looked), on="feature", how="left")
    return table.join(pages.tables.columns, on="feature", how="left").sort("feature")


def named_notes(notes: pl.DataFrame) -> pl.DataFrame:
    """`Run.notes` as columns of a feature list, `NOTE`: null for what is empty, dates as text."""
    empty_is_none = [pl.col(name).replace("", None) for name in ("note", "comment", "note_author")]
    return notes.select("feature", **NOTE).with_columns(
        *empty_is_none, pl.col("note_date").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    )


def _compared(looked: Looked) -> pl.DataFrame:
    """What these proteins have more than the background, a row per feature that fires in either.

    Columns: feature; enrichment (u32), the feature's rank from 1; share_here and share_background,
    of proteins in which it is above the threshold; q_enrichment. Without a background feature and
    share_here alone.
    """
    found = looked.enrichment
    if not looked.about["background"]:
        return found.select("feature", share_here="share")
    return found.select(
        "feature",
        enrichment=pl.int_range(1, pl.len() + 1, dtype=pl.UInt32),
        share_here="share",
        share_background="background_share",
        q_enrichment="q_count",
    )


def packed_list(table: pl.DataFrame) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Record and arrays of `packing.pack`.

    Numbers are float32 (missing: NaN), names int32 (missing: -1) into the record's lists of
    distinct names, which are in the order of the column.
    """
    record: dict[str, Any] = {"columns": table.columns}
    arrays = {}
    for name, kind in table.schema.items():
        if kind in (pl.String, pl.Enum):
            record[name] = table[name].drop_nulls().unique().sort().to_list()
            place = {value: i for i, value in enumerate(record[name])}
            arrays[name] = np.array([place.get(value, -1) for value in table[name]], np.int32)
        elif name in ("feature", "cluster"):
            arrays[name] = table[name].cast(pl.Int32).fill_null(-1).to_numpy()
        else:
            arrays[name] = table[name].cast(pl.Float32).fill_null(float("nan")).to_numpy()
    return record, arrays
