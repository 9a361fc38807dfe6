"""Stage `train`: the SAE, the same recipe on the shuffled PLM, and random SAEs; their quality."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.parameters import L1_RECIPES, TrainParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import SAES, SOURCES, scored_source
from interplm_nb.proteins import Proteins
from interplm_nb.sae.evaluation.measures import FIGURES, why_absent
from interplm_nb.sae.feature_use import FeatureSums
from interplm_nb.stages.training import Log, for_fidelity, log_every, meanwhile

if TYPE_CHECKING:
    from interplm_nb.plm.protocol import PLM
    from interplm_nb.sae.config import SAEConfig
    from interplm_nb.sae.training.stream import StoredBatches

FAITHFUL = tuple(s for s in SAES if not SOURCES[s].shuffled)
"""SAEs whose fidelity is measured: a shuffled PLM has no predictions that could be kept."""

FIDELITY: dict[str, Any] = {
    "source": pl.String,
    "measure": pl.String,
    "layer": pl.Int64,
    "n_proteins": pl.Int64,
    "n_residues": pl.Int64,
    **dict.fromkeys(FIGURES, pl.Float64),
}
"""Columns of `TrainStage.fidelity`; low and high: 95 % over proteins. `loss_recovered` is null
where it is not defined, its interval also where zeros cost too little to bound it."""

_QUALITY_RESIDUES = 65_536


@dataclass(frozen=True)
class TrainStage:
    """What stage `train` made.

    `metrics`: source, step, fvu, l0, silent_in_window, loss: one row per logged step. `quality`:
    source, variance_explained, l0 and more, on residues of validation proteins. `use`: source, the
    figures of `sae.feature_use.FeatureUse` on all residues of train, and moved (share of the atoms;
    null where nothing was trained). `fidelity`: source, measure, and the figures of
    `sae.evaluation.fidelity`: what becomes of the PLM's predictions when the SAE replaces the
    layer; the headline measure first, no row where there is none.
    """

    metrics: pl.DataFrame
    quality: pl.DataFrame
    use: pl.DataFrame
    fidelity: pl.DataFrame
    why_absent: str
    """Why there is no fidelity, in one sentence; else ""."""
    plm: str
    device: str


def train(run: Run, params: TrainParameters, log: Log | None = None) -> TrainStage:
    """Train on the residues of `train` proteins only.

    After a kill it resumes from the last checkpoint. `log` gets the metrics as they come.
    """
    from interplm_nb.plm.devices import choose_device
    from interplm_nb.sae.training.train import TrainingOptions, train_on

    manifest.begin(run, params)
    proteins = run.proteins()
    plm = run.plm(params.device) if _has_model(run) else None
    faithful = proteins.select(for_fidelity(run, params.fidelity_proteins))
    for source in run.possible(("sae", "shuffled_sae")):
        train_on(
            _batches(run, params, proteins, source),
            {run.source(source): _config(params, source)},
            params.steps,
            TrainingOptions(
                device=params.device,
                log=log,
                log_every=log_every(params.steps),
                checkpoint_every=params.checkpoint_every,
                **(
                    meanwhile(plm, faithful, params.fidelity_every, params.steps)
                    if plm and source in FAITHFUL
                    else {}
                ),
            ),
        )
        _describe(run, params, proteins, source)
    _random(run, params, _batches(run, params, proteins, "random_sae"))
    for member in SOURCES["random_sae"].members:
        _describe(run, params, proteins, member)
    if plm:
        _fidelity(run, params, plm, faithful)
    return _result(run, str(choose_device(params.device)))


def _has_model(run: Run) -> bool:
    model = run.model()
    return model is not None and model.record is not None


def _why_absent(run: Run) -> str:
    model = run.model()
    if model is None or model.record is None:
        return (
            "fidelity is absent: the embeddings came from arrays, so there is no model whose "
            "predictions an SAE could keep"
        )
    return why_absent(model.record)


def _config(params: TrainParameters, source: str) -> "SAEConfig":
    from interplm_nb.sae.config import SAEConfig

    changes: dict[str, Any] = {
        "lr_warmup": params.warmup_fraction,
        "dead_after_tokens": params.dead_after_tokens or None,
        "seed": params.seed,
    }
    if params.lr:
        changes["lr"] = params.lr
    if params.l1 and params.recipe in L1_RECIPES:
        changes["sparsity"] = params.l1
    if params.resample_every:
        changes |= {"dead": "resample by error", "resample_every": params.resample_every}
    return SAEConfig.recipe(params.recipe, params.d_sae, k=params.k, name=source, **changes)


def _batches(
    run: Run, params: TrainParameters, proteins: Proteins, source: str, split: str = "train"
) -> "StoredBatches":
    from interplm_nb.sae.training.stream import StoredBatches

    rows = proteins.rows_of(run.accessions(split))
    size = params.batch_size if split == "train" else min(params.batch_size, len(rows))
    if len(rows) < size:
        raise PipelineError(
            f"train.batch_size = {size}: the {split} proteins have {len(rows):,} residues in all; "
            "take a smaller batch, or more proteins"
        )
    return StoredBatches(
        run.embeddings(shuffled=scored_source(source).shuffled), rows, size, params.seed
    )


def _random(run: Run, params: TrainParameters, batches: "StoredBatches") -> None:
    """Random SAEs with the trained one's shape and mean L0, centred on the mean of the training
    residues. None starts from the trained one's atoms; each is kept by its seed and that mean."""
    from interplm_nb.sae import checkpoint
    from interplm_nb.sae.about import SAEAbout
    from interplm_nb.sae.random_sae import random_sae, random_seeds

    members = SOURCES["random_sae"].members
    if all(run.of_source(member, "config").exists() for member in members):
        return
    k = min(max(1, round(run.about("sae")["quality"]["l0"])), params.d_sae)
    (layer,) = batches.layers
    means = [batches.batch(step)[layer].double().mean(0) for step in range(batches.steps_per_epoch)]
    mean = sum(means[1:], means[0]) / len(means)
    for member, seed in zip(members, random_seeds([params.seed], len(members)), strict=True):
        checkpoint.save(
            random_sae(len(mean), params.d_sae, k, mean.float(), seed),
            run.of_source(member, "config").parent,
            SAEAbout(recipe="random", seed=seed, **batches.about(layer)),
            stored="seed",
        )


def _describe(run: Run, params: TrainParameters, proteins: Proteins, source: str) -> None:
    """Record what a source is, its quality on validation residues, and its use on train."""
    from interplm_nb.sae.evaluation.quality import quality
    from interplm_nb.sae.on_demand import on_demand

    if run.of_source(source, "about").exists():
        return
    sae = run.sae(source, params.device)
    batches = _batches(run, params, proteins, source, "validation")
    (layer,) = batches.layers
    steps = range(min(batches.steps_per_epoch, max(1, _QUALITY_RESIDUES // batches.batch_size)))
    measured = asdict(quality(sae, (batches.batch(step)[layer] for step in steps)))
    embeddings = run.embeddings(shuffled=scored_source(source).shuffled)
    sums = FeatureSums.of(on_demand(sae, embeddings, proteins), run.accessions("train"))
    lines = run.metrics(source)
    run.write_about(
        source,
        kind="sae",
        **{name: batches.about(layer)[name] for name in ("plm", "plm_revision", "layer")},
        d_in=sae.d_in,
        d_sae=sae.d_sae,
        recipe=sae.about.recipe if sae.about else None,
        weights=sae.weight_hash,
        quality=measured,
        use={**asdict(sums.use()), "moved": lines[-1]["moved"] if lines else None},
    )


def _fidelity(run: Run, params: TrainParameters, plm: "PLM", faithful: Proteins) -> None:
    """Measure fidelity by every measure that the model has, on validation proteins."""
    from interplm_nb.sae.evaluation.fidelity import fidelities

    for source in FAITHFUL:
        if not run.of_source(source, "fidelity").exists():
            found = fidelities(run.sae(source, params.device), plm, faithful)
            run.write_fidelity(source, [asdict(f) for f in found], len(faithful))


def _result(run: Run, device: str) -> TrainStage:
    shown = ("step", "loss", "fvu", "l0", "silent_in_window")
    rows = [
        {"source": s, **{n: line[n] for n in shown}}
        for s in run.possible(SAES)
        for line in run.metrics(s)
    ]
    quality, use = (
        pl.DataFrame([{"source": s, **run.about(s)[figures]} for s in run.possible(SAES)])
        for figures in ("quality", "use")
    )
    fidelity = pl.DataFrame(
        [row for source in FAITHFUL for row in _rows(run, source)], schema=FIDELITY
    )
    run.write_table("train", "quality", quality)
    run.write_table("train", "use", use)
    run.write_table("train", "fidelity", fidelity)
    about = run.about("sae")
    run.write_summary(
        "train",
        plm=about["plm"],
        layer=about["layer"],
        d_sae=about["d_sae"],
        recipe=about["recipe"],
        device=device,
    )
    return TrainStage(
        pl.DataFrame(rows), quality, use, fidelity, _why_absent(run), about["plm"], device
    )


def _rows(run: Run, source: str) -> list[dict[str, Any]]:
    return [
        {"source": source, **{k: m[k] for k in FIDELITY if k in m}} for m in run.fidelity(source)
    ]
