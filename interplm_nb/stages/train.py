"""Stage `train`: the SAE, the same recipe on the shuffled PLM, and random SAEs; their quality."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from interplm_nb.embeddings import Embeddings
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.model_choice import settled
from interplm_nb.pipeline.nearest_run import RunToRead
from interplm_nb.pipeline.parameters import L1_RECIPES, TrainParameters
from interplm_nb.pipeline.preflight import check_batches
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import SAES, SOURCES, scored_source
from interplm_nb.plm.record import ModelRecord
from interplm_nb.proteins import Proteins
from interplm_nb.sae.evaluation.measures import FIGURES, why_absent
from interplm_nb.sae.feature_use import FeatureSums
from interplm_nb.stages.training import Log, for_fidelity, log_every, meanwhile

if TYPE_CHECKING:
    from interplm_nb.plm.protocol import PLM
    from interplm_nb.sae.config import SAEConfig
    from interplm_nb.sae.model import SAE
    from interplm_nb.sae.training.stream import StoredBatches
    from interplm_nb.sae.training.train import TrainingOptions

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
    `sae.evaluation.fidelity`: what happens to the PLM's predictions when the SAE replaces the
    layer; the headline measure first, no row if absent.
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
    from interplm_nb.sae.training.train import train_on

    if isinstance(run, RunToRead):
        return _made(run)
    params = settled(run, params)
    manifest.begin(run, params)
    proteins, model = run.proteins(), run.model()
    splits = {split: run.accessions(split) for split in ("train", "validation")}
    record = model.record if model else None
    plm = run.plm(params.device) if record else None
    faithful = proteins.select(for_fidelity(splits["validation"], params.fidelity_proteins))
    seeds, random = SOURCES["sae"].members[: params.seeds], SOURCES["random_sae"].members
    shuffled = run.possible(["shuffled_sae"])
    embeddings = {
        source: run.embeddings(shuffled=scored_source(source).shuffled)
        for source in (*seeds, *shuffled, *random)
    }
    for trained in [seeds, shuffled] if shuffled else [seeds]:
        train_on(
            _batches(embeddings[trained[0]], proteins, splits["train"], params),
            {_folder(run, s): _config(params, s, seed) for seed, s in enumerate(trained)},
            params.steps,
            _options(params, log, plm if trained[0] in FAITHFUL else None, faithful),
        )
    _write_abouts(run, embeddings, proteins, splits, params)
    if plm:
        _write_fidelity(run, plm, faithful, params.device)
    about = run.about("sae")
    run.write_summary(
        "train",
        device=str(choose_device(params.device)),
        **{name: about[name] for name in ("plm", "layer", "d_sae", "recipe")},
    )
    result = _made(run)
    for name in ("quality", "use", "fidelity"):
        run.write_table("train", name, getattr(result, name))
    return result


def _folder(run: Run, source: str) -> Path:
    return run.of_source(source, "config").parent


def _options(
    params: TrainParameters, log: Log | None, plm: "PLM | None", faithful: Proteins
) -> "TrainingOptions":
    """Metrics and checkpoints; with a PLM, fidelity on the proteins `faithful` too."""
    from interplm_nb.sae.training.train import TrainingOptions

    return TrainingOptions(
        device=params.device,
        log=log,
        log_every=log_every(params.steps),
        checkpoint_every=params.checkpoint_every,
        **(meanwhile(plm, faithful, params.fidelity_every, params.steps) if plm else {}),
    )


def _write_abouts(
    run: Run,
    embeddings: Mapping[str, Embeddings],
    proteins: Proteins,
    splits: Mapping[str, list[str]],
    params: TrainParameters,
) -> None:
    """What each SAE is; random ones are made here. What exists stays."""
    for source, own in embeddings.items():
        if not run.of_source(source, "config").exists():  # what was not trained is random
            l0 = run.about("sae")["quality"]["l0"]
            folders = [_folder(run, member) for member in SOURCES["random_sae"].members]
            _save_random(folders, own, proteins, splits["train"], params, l0)
        if not run.of_source(source, "about").exists():
            sae, lines = run.sae(source, params.device), run.metrics(source)
            found = _about(sae, own, proteins, splits, params)
            found["use"]["moved"] = lines[-1]["moved"] if lines else None
            run.write_about(source, **found)


def _write_fidelity(run: Run, plm: "PLM", faithful: Proteins, device: str) -> None:
    """Fidelity of each SAE on the proteins `faithful`. What exists stays."""
    from interplm_nb.sae.evaluation.fidelity import fidelities

    for source in FAITHFUL:
        if not run.of_source(source, "fidelity").exists():
            found = fidelities(run.sae(source, device), plm, faithful)
            run.write_fidelity(source, [asdict(f) for f in found], len(faithful))


def _why_absent(record: ModelRecord | None) -> str:
    if record is None:
        return (
            "fidelity is absent: the embeddings came from arrays, so there is no model whose "
            "predictions an SAE could keep"
        )
    return why_absent(record)


def _config(params: TrainParameters, source: str, further: int) -> "SAEConfig":
    """The settings of an SAE from the `further`-th seed after the first."""
    from interplm_nb.sae.config import SAEConfig

    changes: dict[str, Any] = {
        "lr_warmup": params.warmup_fraction,
        "dead_after_tokens": params.dead_after_tokens or None,
        "seed": params.seed + further,
    }
    if params.lr:
        changes["lr"] = params.lr
    if params.l1 and params.recipe in L1_RECIPES:
        changes["sparsity"] = params.l1
    if params.resample_every:
        changes |= {"dead": "resample by error", "resample_every": params.resample_every}
    return SAEConfig.recipe(
        params.recipe, params.d_sae, k=params.k, name=source.replace("/", "-"), **changes
    )


def _batches(
    embeddings: Embeddings, proteins: Proteins, train: list[str], params: TrainParameters
) -> "StoredBatches":
    from interplm_nb.sae.training.stream import StoredBatches

    rows = proteins.rows_of(train)
    check_batches(len(rows), {"train": params})
    return StoredBatches(embeddings, rows, params.batch_size, params.seed)


def _save_random(
    folders: list[Path],
    embeddings: Embeddings,
    proteins: Proteins,
    train: list[str],
    params: TrainParameters,
    l0: float,
) -> None:
    """Random SAEs with the trained one's shape and mean L0, centred on the mean of the training
    residues. None starts from the trained one's atoms; each is kept by its seed and that mean."""
    from interplm_nb.sae import checkpoint
    from interplm_nb.sae.about import SAEAbout
    from interplm_nb.sae.random_sae import mean_embedding, random_sae, random_seeds

    mean = mean_embedding(embeddings, proteins.rows_of(train))
    data = _batches(embeddings, proteins, train, params).about(embeddings.layer)
    k = min(max(1, round(l0)), params.d_sae)
    trained = [params.seed + further for further in range(params.seeds)]
    for folder, seed in zip(folders, random_seeds(trained, len(folders)), strict=True):
        sae = random_sae(len(mean), params.d_sae, k, mean, seed)
        checkpoint.save(sae, folder, SAEAbout(recipe="random", seed=seed, **data), stored="seed")


def _about(
    sae: "SAE",
    embeddings: Embeddings,
    proteins: Proteins,
    splits: Mapping[str, list[str]],
    params: TrainParameters,
) -> dict[str, Any]:
    """What an SAE is, its quality on validation residues, and its use on train."""
    from interplm_nb.sae.evaluation.quality import quality
    from interplm_nb.sae.on_demand import on_demand
    from interplm_nb.sae.training.stream import StoredBatches

    rows = proteins.rows_of(splits["validation"])
    batches = StoredBatches(embeddings, rows, min(params.batch_size, len(rows)), params.seed)
    steps = range(min(batches.steps_per_epoch, max(1, _QUALITY_RESIDUES // batches.batch_size)))
    layer = embeddings.layer
    measured = quality(sae, (batches.batch(step)[layer] for step in steps))
    sums = FeatureSums.of(on_demand(sae, embeddings, proteins), splits["train"])
    return {
        "kind": "sae",
        **{name: getattr(embeddings, name) for name in ("plm", "plm_revision", "layer")},
        "d_in": sae.d_in,
        "d_sae": sae.d_sae,
        "recipe": sae.about.recipe if sae.about else None,
        "weights": sae.weight_hash,
        "quality": asdict(measured),
        "use": asdict(sums.use()),
    }


def _made(run: Run) -> TrainStage:
    """Read what the stage has made."""
    shown = {
        "source": pl.String,
        "step": pl.Int64,
        **dict.fromkeys(("loss", "fvu", "l0", "silent_in_window"), pl.Float64),
    }
    rows = [
        {"source": s, **{n: line[n] for n in shown if n != "source"}}
        for s in run.possible(SAES)
        for line in run.metrics(s)
    ]
    quality, use = (
        pl.DataFrame([{"source": s, **run.about(s)[figures]} for s in run.possible(SAES)])
        for figures in ("quality", "use")
    )
    fidelity = pl.DataFrame(
        [
            {"source": source, **{name: m[name] for name in FIDELITY if name in m}}
            for source in FAITHFUL
            for m in run.fidelity(source)
        ],
        schema=FIDELITY,
    )
    model = run.model()
    why_absent = _why_absent(model.record if model else None)
    summary = run.summary("train")
    return TrainStage(
        pl.DataFrame(rows, schema=shown),
        quality,
        use,
        fidelity,
        why_absent,
        plm=summary["plm"],
        device=summary["device"],
    )
