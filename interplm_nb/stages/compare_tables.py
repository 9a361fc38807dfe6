"""The tables of stage `compare`: one row per SAE and control, per pair of seeds, per logged
step."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from interplm_nb.sae.evaluation.measures import COLUMNS, FIGURES
from interplm_nb.stages import sweep

if TYPE_CHECKING:
    from interplm_nb.sae.config import SAEConfig

COMPARISON: dict[str, Any] = {
    "label": pl.String,
    "kind": pl.String,
    "recipe": pl.String,
    "layer": pl.Int64,
    "sparsity": pl.String,
    "lr": pl.Float64,
    "seed": pl.Int64,
    "d_sae": pl.Int64,
    "fvu": pl.Float64,
    "variance_explained": pl.Float64,
    "l0": pl.Float64,
    "silent": pl.Int64,
    "rare": pl.Int64,
    "effective": pl.Float64,
    "moved": pl.Float64,
    "fidelity_measure": pl.String,
    **{f"{figure}_{end}": pl.Float64 for figure in FIGURES for end in COLUMNS.values()},
    "concepts_tuning": pl.Int64,
    "f1_tuning": pl.Float64,
    "concepts_above_tuning": pl.Int64,
    "concepts_test": pl.Int64,
    "mean_f1_per_domain": pl.Float64,
    "f1_low": pl.Float64,
    "f1_high": pl.Float64,
    "mean_f1": pl.Float64,
    "concepts_found": pl.Int64,
    "seconds": pl.Float64,
    "tokens_per_second": pl.Float64,
    "control": pl.String,
    "chosen": pl.Boolean,
}
"""Columns of `comparison.parquet`.

kind: sae, random or neurons. sparsity: k32 (k), t32 (target L0), l0.1 (weight of L1). fvu,
variance_explained, l0: on residues of the tuning part of validation. silent, rare, effective: as
`sae.feature_use` defines them, on the train residues on which maxima are measured; moved: share of
the atoms, null for controls.
fidelity_measure: the headline of the row's layer, one of `sae.evaluation.measures.Measure`; null
where fidelity is absent. loss_recovered, its 95 % interval over proteins (loss_recovered_low,
loss_recovered_high), kl, ce_original, ce_sae, ce_zero (nats per residue): on validation proteins,
by each measure: masked (strict; including_masked) and not (published), next residue with the output
or the recurrence replaced; null for a measure that the model does not have. loss_recovered is null
too where zeros cost under 0.01 nats per residue. concepts_tuning, f1_tuning,
concepts_above_tuning: concepts that are scored on the tuning part, the mean of their best F1 there,
those with one above 0.5. concepts_test, mean_f1_per_domain, mean_f1: the same features and
thresholds on test, F1 with recall by instances and by residues; f1_low, f1_high: the 95 % interval
of mean_f1_per_domain over test clusters (`concepts.intervals`). concepts_found: concepts with a
pair that has F1 above 0.5 on both. seconds: of training, an equal share of the pass that trains all
SAEs at once; tokens_per_second: residues per second of that pass. control: label of the random SAE
with the nearest L0. chosen: the best of its layer by f1_tuning."""

STABILITY: dict[str, Any] = {
    "label": pl.String,
    "other": pl.String,
    "recipe": pl.String,
    "layer": pl.Int64,
    "sparsity": pl.String,
    "lr": pl.Float64,
    "seed": pl.Int64,
    "other_seed": pl.Int64,
    "n_alive": pl.Int64,
    "n_alive_other": pl.Int64,
    "recur": pl.Float64,
    "mean_cosine": pl.Float64,
    "recur_random": pl.Float64,
    "mean_cosine_random": pl.Float64,
    "recur_rotated": pl.Float64,
    "mean_cosine_rotated": pl.Float64,
}
"""Columns of `stability.parquet`; figures as in `sae.evaluation.stability.Stability`."""


def comparison_table(
    found: Sequence[Mapping[str, Any]], seconds: Mapping[str, tuple[float, float]]
) -> pl.DataFrame:
    """The evaluations as a table; `seconds`: label -> (seconds, tokens per second).

    A control has neither a training time nor a control.
    """
    ks = {
        layer: [_k(row) for row in found if row["kind"] == "random" and row["layer"] == layer]
        for layer in {row["layer"] for row in found}
    }
    rows = []
    for row in found:
        trained = row["kind"] == "sae"
        control = (
            f"layer_{row['layer']:02d}-random-k{sweep.nearest_k(row['l0'], ks[row['layer']])}"
            if trained and ks[row["layer"]]
            else None
        )
        took = seconds.get(row["label"], (None, None))
        rows.append(
            {
                **row,
                "control": control,
                "seconds": took[0],
                "tokens_per_second": took[1],
                "chosen": False,
            }
        )
    table = pl.DataFrame(
        [{name: row.get(name) for name in COMPARISON} for row in rows], schema=COMPARISON
    )
    return table.with_columns(
        pl.col("label").is_in(sweep.choose(table)["label"].to_list()).alias("chosen")
    )


def stability_table(
    configs: "Sequence[SAEConfig]", folders: Mapping[str, Path], alive: Mapping[str, np.ndarray]
) -> pl.DataFrame:
    """Every ordered pair of SAEs that differ only in their seed; folders, alive (bool [d_sae]): by
    label."""
    groups: dict[tuple[Any, ...], list[SAEConfig]] = {}
    for config in configs:
        groups.setdefault(
            (config.layer, config.recipe_name, config.sparsity_label, config.lr), []
        ).append(config)
    rows = [
        _pair(one, other, folders, alive)
        for group in groups.values()
        for one, other in permutations(group, 2)
    ]
    return pl.DataFrame(rows, schema=STABILITY)


def metrics_table(logged: Mapping[str, Sequence[Mapping[str, Any]]]) -> pl.DataFrame:
    """label, step, and every number that training logged there; null where a recipe has no such
    number. logged: the lines of metrics by label."""
    lines = [{"label": label, **line} for label, own in logged.items() for line in own]
    return pl.DataFrame(lines, infer_schema_length=None)


def seconds_of(metrics: pl.DataFrame, batch_size: int, n: int) -> dict[str, tuple[float, float]]:
    """label -> (seconds, tokens per second) of n SAEs that were trained at once: an equal share of
    the pass for each, and the speed of the pass."""
    found = {}
    for (label,), lines in (
        metrics.drop_nulls("tokens_per_second").sort("step").group_by("label", maintain_order=True)
    ):
        tokens = batch_size * lines["step"].diff().fill_null(lines["step"][0])
        seconds = float((tokens / lines["tokens_per_second"]).sum())
        found[str(label)] = (seconds / n, float(tokens.sum()) / seconds)
    return found


def _k(row: Mapping[str, Any]) -> int:
    return int(str(row["sparsity"]).removeprefix("k"))


def _pair(
    one: "SAEConfig",
    other: "SAEConfig",
    folders: Mapping[str, Path],
    alive: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    from interplm_nb.sae import checkpoint
    from interplm_nb.sae.evaluation.stability import stability

    first, second = (checkpoint.load(folders[config.label]) for config in (one, other))
    about = {
        "label": one.label,
        "other": other.label,
        "recipe": one.recipe_name,
        "layer": one.layer,
        "sparsity": one.sparsity_label,
    }
    return {
        **about,
        "lr": one.lr,
        "seed": one.seed,
        "other_seed": other.seed,
        **asdict(stability(first, second, alive[one.label], alive[other.label])),
    }
