"""The table of rescored SAEs next to the sources that the run itself has scored."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from interplm_nb.concepts.intervals import COVERS
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.model_note import model_note
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.text import text_table

RESCORED: dict[str, Any] = {
    "sae": pl.String,
    "of": pl.String,
    "layer": pl.Int64,
    "convention": pl.String,
    "n_features": pl.Int64,
    "l0": pl.Float64,
    "silent": pl.Int64,
    "n_concepts": pl.Int64,
    "mean_f1_per_domain": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "features_found": pl.Int64,
    "concepts_found": pl.Int64,
    "concepts_found_by_f1_alone": pl.Int64,
    "seconds": pl.Float64,
}
"""Columns of the table of `rescore`.

of: "rescored", or "run" for the run's own sources. l0: active features per residue, over all
proteins; silent: features that are active on no residue of train. mean_f1_per_domain: on test, with
its 95 % interval over test clusters, for one seed (`strict`). features_found, concepts_found: with
F1 above 0.5 on both splits and support on test (`concepts.support`); concepts_found_by_f1_alone:
regardless of support. seconds: of encoding and counting; null for the run's own sources. layer,
n_features: null for a source of the run whose folder is gone.
"""


def own_rows(run: Run) -> list[dict[str, Any]]:
    """Rows of the run's own sources; empty before stage `concepts`."""
    try:
        comparison, sizes = run.table("concepts", "comparison"), run.table("activations", "sources")
    except PipelineError:
        return []
    measured = {row["source"]: row for row in sizes.iter_rows(named=True)}
    rows = []
    for row in comparison.iter_rows(named=True):
        about, size = _about(run, row["source"]), measured.get(row["source"], {})
        of = {
            "sae": row["source"],
            "of": "run",
            "layer": about.get("layer"),
            "n_features": about.get("d_sae"),
        }
        rows.append(row_of(of | {name: size.get(name) for name in ("l0", "silent")}, row))
    return rows


def _about(run: Run, source: str) -> dict[str, Any]:
    """A source's `about.json`; empty if the folder was removed to save space."""
    try:
        return run.about(source)
    except PipelineError:
        return {}


def row_of(of: Mapping[str, Any], summary: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `RESCORED`: the description `of` an SAE, and figures of `BestPairs.summary` with the
    interval of the mean, if there is one."""
    return {name: of.get(name, summary.get(name)) for name in RESCORED}


def rescored_text(table: pl.DataFrame, convention: str, model: str) -> str:
    """One convention of the table as text; `model` is the PLM's name."""
    part = table.filter(pl.col("convention") == convention).drop("convention")
    n = ", ".join(str(k) for k in part["n_concepts"].unique().sort())
    words = (
        f"{convention} convention, {n} concepts; mean best F1 on test, features chosen on "
        f"validation; low, high: {COVERS}; found: F1 > 0.5 on both, with support on test"
    )
    parts = [words, text_table(part), model_note(model)]
    return "\n\n".join(text for text in parts if text)
