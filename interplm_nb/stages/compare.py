"""Stage `compare`, optional: many SAEs from one pass over the PLM, measured alike, and the best of
each layer chosen.

Every SAE sees the same batches, so that a seed changes only the initial weights. SAEs are trained
on `train`, where maxima are measured too; the SAE of a layer and each concept's feature and
threshold are chosen on a part of `validation`, and figures of what was chosen come from `test`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
from tqdm.auto import tqdm

from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.maxima import Maxima
from interplm_nb.pipeline.parameters import CompareParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins
from interplm_nb.stages import sweep
from interplm_nb.stages.compare_tables import (
    comparison_table,
    metrics_table,
    seconds_of,
    stability_table,
)
from interplm_nb.stages.training import Log, for_fidelity, log_every, meanwhile
from interplm_nb.stages.yardstick import Yardstick, parts_of, yardstick

if TYPE_CHECKING:
    from interplm_nb.plm.protocol import PLM
    from interplm_nb.sae.config import SAEConfig
    from interplm_nb.sae.training.stream import Batches


@dataclass(frozen=True)
class CompareStage:
    """What stage `compare` made.

    `comparison`: one row per SAE and control (columns: `compare_tables.COMPARISON`), the best of
    each layer marked `chosen`. `stability`: label, other, and the figures of
    `sae.evaluation.stability`: one row per ordered pair of SAEs that differ only in their seed.
    `metrics`: label, step and what training measured there.
    """

    comparison: pl.DataFrame
    stability: pl.DataFrame
    metrics: pl.DataFrame
    plm: str
    device: str


def compare(run: Run, params: CompareParameters, log: Log | None = None) -> CompareStage:
    """Train the grid, measure every SAE and its controls, choose.

    After a kill it resumes from checkpoints and from what is already measured.
    """
    manifest.begin(run, params)
    proteins = run.proteins()
    plm = run.plm(params.device)
    layers = _layers(run, params, plm)
    configs = sweep.grid(params, layers)
    _train(run, params, proteins, plm, configs, log)
    _measure(run, params, proteins, plm, configs)
    return _result(run, params, configs, str(plm.device))


def _layers(run: Run, params: CompareParameters, plm: "PLM") -> list[int]:
    from interplm_nb.plm.record import check_layer

    layers = sorted(set(params.layers)) or run.layers()
    for layer in layers:
        try:
            check_layer(plm, layer)
        except ValueError as error:
            raise PipelineError(f"compare.layers = {params.layers}: {error}") from None
    if not layers:
        raise PipelineError(
            f"{run.folder} has no layer embedded, and compare.layers names none; "
            "run stage 'embed', or name layers"
        )
    return layers


def _train(
    run: Run,
    params: CompareParameters,
    proteins: Proteins,
    plm: "PLM",
    configs: "Sequence[SAEConfig]",
    log: Log | None,
) -> None:
    from interplm_nb.sae.training.train import TrainingOptions, train_on

    faithful = proteins.select(for_fidelity(run, params.fidelity_proteins))
    train_on(
        _batches(run, params, proteins, plm, sorted({config.layer or 0 for config in configs})),
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


def _batches(
    run: Run, params: CompareParameters, proteins: Proteins, plm: "PLM", layers: list[int]
) -> "Batches":
    """Batches of train residues: stored where the run has every layer, else straight from the
    PLM."""
    from interplm_nb.sae.training.stream import StoredBatches, StreamedBatches

    train, seed = run.accessions("train"), params.seeds[0]
    n = int(proteins.select(train).n_residues)
    if n < params.batch_size:
        raise PipelineError(
            f"compare.batch_size = {params.batch_size}: the train proteins have {n:,} residues in "
            "all; take a smaller batch, or more proteins"
        )
    if set(layers) <= set(run.layers()):
        return StoredBatches(
            {layer: run.embeddings(layer) for layer in layers},
            proteins.rows_of(train),
            params.batch_size,
            seed,
        )
    return StreamedBatches(plm, proteins.select(train), layers, params.batch_size, seed)


def _measure(
    run: Run,
    params: CompareParameters,
    proteins: Proteins,
    plm: "PLM",
    configs: "Sequence[SAEConfig]",
) -> None:
    annotations, parts = run.annotations(), parts_of(run, proteins, params)
    for layer in sorted({config.layer or 0 for config in configs}):
        own = [config for config in configs if config.layer == layer]
        if _measured(run, params, own):
            continue
        with yardstick(run, params, proteins, annotations, parts, plm, layer) as measure:
            for config in tqdm(own, desc=f"measure SAEs of layer {layer}", unit=" SAEs"):
                _sae(run, params, measure, config)
            _controls(run, params, measure, own)


def _measured(run: Run, params: CompareParameters, configs: "Sequence[SAEConfig]") -> bool:
    if not all(run.of_compared(config.label, "evaluation").exists() for config in configs):
        return False
    return all(
        run.of_compared(label, "evaluation").exists()
        for label in _control_labels(run, params, configs)
    )


def _sae(run: Run, params: CompareParameters, measure: Yardstick, config: "SAEConfig") -> None:
    from interplm_nb.sae import checkpoint

    folder = run.compared(config.label)
    if run.of_compared(config.label, "evaluation").exists():
        return
    figures, maxima = measure.of_sae(checkpoint.load(folder).to(measure.plm.device))
    about = {"source": config.label, "sequences": measure.proteins.sequence_hash}
    Maxima(maxima).save(run.of_compared(config.label, "maxima"), about)
    of = {
        "kind": "sae",
        "recipe": config.recipe_name,
        "sparsity": config.sparsity_label,
        "lr": config.lr,
        "seed": config.seed,
        "moved": run.compared_metrics(config.label)[-1]["moved"],
    }
    _write(run, config.label, measure, {**of, "d_sae": config.d_sae, **figures})


def _controls(
    run: Run, params: CompareParameters, measure: Yardstick, configs: "Sequence[SAEConfig]"
) -> None:
    """Measure neurons, and random SAEs with the L0 of the trained ones as their k."""
    for label, k in _control_labels(run, params, configs).items():
        if run.of_compared(label, "evaluation").exists():
            continue
        if k is None:
            of, figures = (
                {"kind": "neurons", "recipe": "neurons", "d_sae": measure.embeddings.d_in},
                measure.of_neurons(),
            )
        else:
            from interplm_nb.sae.random_sae import random_seeds

            (seed,) = random_seeds(params.seeds, 1)
            figures, _ = measure.of_sae(
                measure.random_sae(params.d_sae, k, seed).to(measure.plm.device)
            )
            of = {
                "kind": "random",
                "recipe": "random",
                "sparsity": f"k{k}",
                "seed": seed,
                "d_sae": params.d_sae,
            }
        _write(run, label, measure, {**of, **figures})


def _control_labels(
    run: Run, params: CompareParameters, configs: "Sequence[SAEConfig]"
) -> dict[str, int | None]:
    """Label and k of a layer's random SAEs; None for its neurons. Needs the layer's SAEs
    measured."""
    layer = f"layer_{configs[0].layer or 0:02d}"
    l0s = [run.evaluation(config.label)["l0"] for config in configs]
    return {
        f"{layer}-neurons": None,
        **{f"{layer}-random-k{k}": k for k in sweep.random_ks(l0s, params.d_sae)},
    }


def _write(run: Run, label: str, measure: Yardstick, figures: dict[str, Any]) -> None:
    about = {"layer": measure.layer, "plm": measure.plm.name, "plm_revision": measure.plm.revision}
    run.write_evaluation(label, **about, **figures)


def _result(
    run: Run, params: CompareParameters, configs: "Sequence[SAEConfig]", device: str
) -> CompareStage:
    labels = [config.label for config in configs]
    for layer in sorted({config.layer or 0 for config in configs}):
        labels += _control_labels(
            run, params, [config for config in configs if config.layer == layer]
        )
    found = [run.evaluation(label) for label in labels]
    metrics = metrics_table(run, [config.label for config in configs])
    comparison = comparison_table(found, seconds_of(metrics, params.batch_size, len(configs)))
    tables = {
        "comparison": comparison,
        "stability": stability_table(run, configs),
        "metrics": metrics,
    }
    for name, table in tables.items():
        run.write_table("compare", name, table)
    chosen = comparison.filter(pl.col("chosen"))["label"].to_list()
    run.write_summary(
        "compare", plm=found[0]["plm"], saes=len(configs), chosen=chosen, device=device
    )
    return CompareStage(**tables, plm=found[0]["plm"], device=device)
