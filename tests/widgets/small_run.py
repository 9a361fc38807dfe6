"""A run of a few proteins and features, made without a model: what views are tested on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from interplm_nb.annotations import Annotations
from interplm_nb.features.atlas_quality import AtlasQuality
from interplm_nb.features.statistics import feature_statistics
from interplm_nb.pipeline.own_activations import run_from_parts
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins


def make_run(
    folder: Path,
    proteins: Proteins,
    annotations: Annotations,
    values: np.ndarray,
    splits: tuple[str, ...] = ("train", "validation", "test"),
) -> Run:
    """A run with source `sae`; `values` float32 [n_residues, n_features], raw.

    Proteins go to the splits in turn.
    """
    split = np.resize(splits, len(proteins))
    table = pl.DataFrame({"accession": proteins.accessions, "split": split})
    return run_from_parts(
        folder, proteins, annotations, values, splits=table, plm="esm2-mini", layer=2
    )


def simple_run(
    folder: Path,
    table: pl.DataFrame,
    segments: pl.DataFrame | None = None,
    fire: Callable[[int, int], float] | None = None,
) -> Run:
    """A run of a table's proteins (accession, sequence, protein_name).

    Feature 0 fires by `fire(row, length)`, by default on every third residue.
    """
    proteins = Proteins(table)
    rows = np.arange(proteins.n_residues)
    values = np.zeros((proteins.n_residues, 4), np.float32)
    values[:, 0] = (
        np.where(rows % 3 == 0, (rows % 11 + 1) / 11, 0)
        if fire is None
        else [fire(int(r), proteins.n_residues) for r in rows]
    )
    values[:, 1] = (rows % 7 == 0) * 0.5
    kinds = {
        "accession": pl.String,
        "concept": pl.String,
        "category": pl.String,
        "level": pl.String,
    }
    schema = kinds | {"start": pl.Int64, "end": pl.Int64, "instance": pl.Int64}
    annotations = Annotations(
        segments if segments is not None else pl.DataFrame(schema=schema), proteins
    )
    return make_run(folder, proteins, annotations, values)


def write_map(run: Run, quality: AtlasQuality) -> None:
    """A map of such a run: living feature i at (i, -i), the first half in cluster 0."""
    statistics = feature_statistics(run.activations("sae"))
    alive = statistics.filter(pl.col("n_active") > 0)["feature"]
    places = pl.DataFrame(
        {
            "feature": alive,
            "x": alive.cast(pl.Float32),
            "y": -alive.cast(pl.Float32),
            "cluster": pl.Series(np.where(alive < statistics.height // 2, 0, -1), dtype=pl.Int32),
        }
    )
    run.write_atlas(places, statistics, quality, {})
