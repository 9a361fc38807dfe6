"""A run of a few proteins and features, made without a model: what views are tested on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp

from interplm_nb.activations import FeatureActivations
from interplm_nb.activations_writer import ActivationsWriter
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.best_pairs import strict
from interplm_nb.concepts.count import count
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins
from interplm_nb.saving import write_json, write_parquet
from interplm_nb.stages.concept_statistics import STATISTICS


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
    run = Run.create(folder, "test")
    proteins.save(run.folder / "proteins.parquet")
    annotations.save(run.folder / "annotations.parquet")
    split = np.resize(splits, len(proteins))
    table = pl.DataFrame(
        {
            "accession": proteins.accessions,
            "cluster": range(len(proteins)),
            "split": split,
            "split_published": split,
        }
    )
    write_parquet(table, run.folder / "splits.parquet", {"type": "Splits", "version": 1})
    source = run.folder / "sources" / "sae"
    n_features = values.shape[1]
    with ActivationsWriter(
        source / "activations",
        proteins,
        n_features,
        {"plm": "esm2-mini", "layer": 2, "sae": "sha256:0"},
    ) as writer:
        writer.write(0, sp.csr_array(values.astype(np.float32)))
        writer.finish()
    activations = FeatureActivations.open(source / "activations", proteins)
    maxima = activations.largest(run.accessions("train"))
    columns = {
        "feature": np.arange(n_features, dtype=np.uint32),
        "maximum_train": maxima,
        "maximum_all": activations.largest(),
    }
    write_parquet(
        pl.DataFrame(columns), source / "maxima.parquet", {"type": "Maxima", "version": 1}
    )
    write_json(
        {"type": "Source", "version": 1, "plm": "esm2-mini", "layer": 2}, source / "about.json"
    )
    for part in ("validation", "test"):
        count(activations.relative_to(maxima), annotations, run.accessions(part)).save(
            source, part, "strict"
        )
    _select(run)
    return run


def _select(run: Run) -> None:
    """What stage `concepts` writes of its choices, without intervals and q values."""
    chosen = strict(run.scores("sae", "validation"), run.scores("sae", "test"))
    source = (pl.lit("sae").alias("source"), pl.lit("strict").alias("convention"), pl.all())
    statistics = (pl.lit(None, kind).alias(name) for name, kind in STATISTICS.items())
    run.write_table("concepts", "best", chosen.pairs.select(source).with_columns(statistics))
    run.write_table("concepts", "comparison", chosen.summary("sae"))


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
