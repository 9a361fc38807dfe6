"""Stage `compare`, optional: many SAEs from one pass over the PLM, measured alike, and the best of
each layer chosen.

Every SAE sees the same batches, so that a seed changes only the initial weights. SAEs are trained
on `train`, where maxima are measured too; the SAE of a layer and each concept's feature and
threshold are chosen on a part of `validation`, and figures of what was chosen come from `test`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import polars as pl

from interplm_nb.embeddings import Embeddings
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.maxima import Maxima
from interplm_nb.pipeline.model_choice import settled
from interplm_nb.pipeline.nearest_run import RunToRead
from interplm_nb.pipeline.parameters import CompareParameters
from interplm_nb.pipeline.preflight import check_batches
from interplm_nb.pipeline.run import Run
from interplm_nb.progress import progress_bar
from interplm_nb.proteins import Proteins
from interplm_nb.stages import sweep
from interplm_nb.stages.compare_tables import (
    comparison_table,
    metrics_table,
    seconds_of,
    stability_table,
)
from interplm_nb.stages.layers import OpenedLayer, chosen, followed, layers_table
from interplm_nb.stages.training import Log, log_every, meanwhile
from interplm_nb.stages.yardstick import Held, Yardstick, parts_of, yardstick

if TYPE_CHECKING:
    from interplm_nb.features.fates import Across
    from interplm_nb.plm.protocol import PLM
    from interplm_nb.sae.config import SAEConfig
    from interplm_nb.sae.training.stream import Batches


@dataclass(frozen=True)
class CompareStage:
    """What stage `compare` made.

    `comparison`: one row per SAE and control (columns: `compare_tables.COMPARISON`), the best of
    each layer marked `chosen`. `stability`: label, other, and the figures of
    `sae.evaluation.stability`: one row per ordered pair of SAEs that differ only in their seed.
    `metrics`: label, step and what training measured there. `layers`: a row per layer, of its
    chosen SAE (`stages.layers.LAYERS`). `fates`, `steps`: what happens to the features of each
    layer's chosen SAE in the next layer (`features.fates`); empty for one layer.
    """

    comparison: pl.DataFrame
    stability: pl.DataFrame
    metrics: pl.DataFrame
    layers: pl.DataFrame
    fates: pl.DataFrame
    steps: pl.DataFrame
    plm: str
    device: str


def compare(run: Run, params: CompareParameters, log: Log | None = None) -> CompareStage:
    """Train the grid, measure every SAE and its controls, choose.

    After a kill it resumes from checkpoints and from what is already measured.
    """
    from interplm_nb.sae.training.train import TrainingOptions, train_on

    if isinstance(run, RunToRead):
        return _made(run)
    params = settled(run, params)
    manifest.begin(run, params)
    proteins, splits, plm = run.proteins(), run.splits(), run.plm(params.device)
    stored = {layer: run.embeddings(layer) for layer in run.layers()}
    layers = _layers(params, plm, list(stored))
    configs = sweep.grid(params, layers)
    parts = parts_of(proteins, splits, params)
    faithful = proteins.select(parts.fidelity)
    train_on(
        _batches(params, proteins, run.accessions("train"), plm, stored, layers),
        {run.compared(config.label): config for config in configs},
        params.steps,
        TrainingOptions(
            device=params.device,
            log=log,
            log_every=log_every(params.steps),
            checkpoint_every=params.checkpoint_every,
            **meanwhile(plm, faithful, params.fidelity_every, params.steps),
        ),
    )
    for layer in layers:
        own = [config for config in configs if config.layer == layer]
        if not _is_measured(run, own):
            held = Held(proteins, run.annotations(), splits, parts, plm, layer, stored.get(layer))
            with yardstick(held, params, run.work("compare")) as measure:
                _measure(run, own, measure)
    return _result(run, params, configs, plm)


def _layers(params: CompareParameters, plm: "PLM", stored: list[int]) -> list[int]:
    """The layers that are requested, or else the stored ones."""
    from interplm_nb.plm.record import check_layer

    layers = sorted(set(params.layers)) or stored
    for layer in layers:
        try:
            check_layer(plm, layer)
        except ValueError as error:
            raise PipelineError(f"compare.layers = {params.layers}: {error}") from None
    if not layers:
        raise PipelineError(
            "the run has no layer embedded, and compare.layers names none; run stage 'embed', or "
            "name layers"
        )
    return layers


def _batches(
    params: CompareParameters,
    proteins: Proteins,
    train: list[str],
    plm: "PLM",
    stored: Mapping[int, Embeddings],
    layers: list[int],
) -> "Batches":
    """Batches of train residues: stored where the run has every layer, else straight from the
    PLM."""
    from interplm_nb.sae.training.stream import StoredBatches, StreamedBatches

    seed = params.seeds[0]
    check_batches(proteins.select(train).n_residues, {"compare": params})
    if set(layers) <= set(stored):
        return StoredBatches(
            {layer: stored[layer] for layer in layers},
            proteins.rows_of(train),
            params.batch_size,
            seed,
        )
    return StreamedBatches(plm, proteins.select(train), layers, params.batch_size, seed)


def _is_measured(run: Run, configs: "Sequence[SAEConfig]") -> bool:
    if not all(run.of_compared(config.label, "evaluation").exists() for config in configs):
        return False
    return all(run.of_compared(c, "evaluation").exists() for c in _controls_of(run, configs))


def _controls_of(run: Run, configs: "Sequence[SAEConfig]") -> dict[str, int | None]:
    """The controls of a layer whose SAEs are measured: label and k of its random SAEs; None for its
    neurons."""
    layer = f"layer_{configs[0].layer or 0:02d}"
    l0s = [run.evaluation(config.label)["l0"] for config in configs]
    return {
        f"{layer}-neurons": None,
        **{f"{layer}-random-k{k}": k for k in sweep.random_ks(l0s, configs[0].d_sae)},
    }


def _measure(run: Run, configs: "Sequence[SAEConfig]", measure: Yardstick) -> None:
    """Measure what is not measured yet: the SAEs of a layer, then its neurons, and random SAEs with
    the L0 of the trained ones as their k."""
    from interplm_nb.sae import checkpoint

    plm = {"layer": measure.layer, "plm": measure.plm.name, "plm_revision": measure.plm.revision}
    for config in progress_bar(
        configs, desc=f"measure SAEs of layer {measure.layer}", unit=" SAEs"
    ):
        label = config.label
        if run.of_compared(label, "evaluation").exists():
            continue
        figures, maxima = measure.of_sae(checkpoint.load(run.compared(label)))
        about = {"source": label, "sequences": measure.proteins.sequence_hash}
        Maxima(maxima).save(run.of_compared(label, "maxima"), about)
        moved = run.compared_metrics(label)[-1]["moved"]
        run.write_evaluation(label, **plm, **_about(config), moved=moved, **figures)
    seeds = [config.seed for config in configs]
    for label, k in _controls_of(run, configs).items():
        if not run.of_compared(label, "evaluation").exists():
            run.write_evaluation(label, **plm, **_control(measure, k, configs[0].d_sae, seeds))


def _about(config: "SAEConfig") -> dict[str, Any]:
    return {
        "kind": "sae",
        "recipe": config.recipe_name,
        "sparsity": config.sparsity_label,
        "lr": config.lr,
        "seed": config.seed,
        "d_sae": config.d_sae,
    }


def _control(measure: Yardstick, k: int | None, d_sae: int, trained: list[int]) -> dict[str, Any]:
    """What an untrained control is, and its figures: the neurons (k None), or a random SAE."""
    from interplm_nb.sae.random_sae import random_seeds

    if k is None:
        about = {"kind": "neurons", "recipe": "neurons", "d_sae": measure.embeddings.d_in}
        return {**about, **measure.of_neurons()}
    (seed,) = random_seeds(trained, 1)
    about = {"kind": "random", "recipe": "random", "sparsity": f"k{k}", "seed": seed}
    figures, _ = measure.of_sae(measure.random_sae(d_sae, k, seed))
    return {**about, "d_sae": d_sae, **figures}


def _result(
    run: Run, params: CompareParameters, configs: "Sequence[SAEConfig]", plm: "PLM"
) -> CompareStage:
    """Read what was measured, compare layers, and write the tables that the notebook shows."""
    trained = [config.label for config in configs]
    labels = list(trained)
    for layer in sorted({config.layer or 0 for config in configs}):
        labels += _controls_of(run, [config for config in configs if config.layer == layer])
    found = [run.evaluation(label) for label in labels]
    metrics = metrics_table({label: run.compared_metrics(label) for label in trained})
    comparison = comparison_table(found, seconds_of(metrics, params.batch_size, len(configs)))
    stability = stability_table(
        configs,
        {label: run.compared(label) for label in trained},
        {label: run.compared_maxima(label).alive for label in trained},
    )
    across = _followed(run, plm, comparison)
    tables = {
        "comparison": comparison,
        "stability": stability,
        "metrics": metrics,
        "layers": layers_table(comparison, stability),
        "fates": across.features,
        "steps": across.steps,
    }
    for name, table in tables.items():
        run.write_table("compare", name, table)
    best = comparison.filter(pl.col("chosen"))["label"].to_list()
    run.write_summary(
        "compare", plm=found[0]["plm"], saes=len(configs), chosen=best, device=str(plm.device)
    )
    return _made(run)


def _followed(run: Run, plm: "PLM", comparison: pl.DataFrame) -> "Across":
    """What happens to the features of each layer's chosen SAE in the next layer."""
    from interplm_nb.sae import checkpoint

    stored = run.layers()
    opened = [
        OpenedLayer(
            row["layer"],
            checkpoint.load(run.compared(row["label"])),
            run.evaluation(row["control"]),
            run.embeddings(row["layer"]) if row["layer"] in stored else None,
        )
        for row in chosen(comparison)
    ]
    return followed(opened, plm, run.proteins(), run.accessions("test"), run.work("compare"))


def _made(run: Run) -> CompareStage:
    """Read what the stage has made."""
    names = [f.name for f in fields(CompareStage) if f.name not in ("plm", "device")]
    tables = {name: run.table("compare", name) for name in names}
    summary = run.summary("compare")
    return CompareStage(**tables, plm=summary["plm"], device=summary["device"])
