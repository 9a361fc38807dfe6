"""Stage `train`: the SAE, the same recipe on the shuffled PLM, and random SAEs; their quality."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from interplm_nb.embeddings import Embeddings
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.model_choice import settled
from interplm_nb.pipeline.nearest_run import RunToRead
from interplm_nb.pipeline.parameters import L1_RECIPES, TrainParameters
from interplm_nb.pipeline.preflight import check_batches, check_target
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import SAES, SOURCES, scored_source
from interplm_nb.plm.record import ModelRecord
from interplm_nb.proteins import Proteins
from interplm_nb.sae.evaluation.measures import FIGURES, why_absent
from interplm_nb.sae.feature_use import FeatureSums
from interplm_nb.sae.layer_norms import NORMS, layer_norms
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

OWN = -1
"""`train.target` of an SAE, which reconstructs what it reads."""

LAYERS = {"source": pl.String, "layer": pl.Int64, "fvu": pl.Float64}
"""Columns of `TrainStage.layers`: FVU of each layer that is reconstructed, on validation."""

_QUALITY_RESIDUES = 65_536


@dataclass(frozen=True)
class _Seen:
    """What an SAE reads, and what a transcoder writes."""

    read: Embeddings
    target: Embeddings | None

    def batches(self, rows: np.ndarray, batch_size: int, seed: int) -> "StoredBatches":
        """Batches of both."""
        from interplm_nb.sae.training.stream import StoredBatches

        both = [e for e in (self.read, self.target) if e is not None]
        return StoredBatches({e.layer: e for e in both}, rows, batch_size, seed)


@dataclass(frozen=True)
class TrainStage:
    """What stage `train` made.

    `metrics`: source, step, fvu, l0, silent_in_window, loss: one row per logged step. `quality`:
    source, variance_explained, l0 and more, on residues of validation proteins: of what is
    reconstructed, which of a transcoder is the layer that it writes. `use`: source, the
    figures of `sae.feature_use.FeatureUse` on all residues of train, and moved (share of the atoms;
    null where nothing was trained). `fidelity`: source, measure, and the figures of
    `sae.evaluation.fidelity`: what happens to the PLM's predictions when the SAE replaces the
    layer; the headline measure first, no row if absent. `layers`: columns of `LAYERS`, of a
    crosscoder and its controls; `norms`: columns of `sae.layer_norms.NORMS`, of the crosscoder; no
    rows for an SAE of one layer.
    """

    metrics: pl.DataFrame
    quality: pl.DataFrame
    use: pl.DataFrame
    fidelity: pl.DataFrame
    why_absent: str
    """Why there is no fidelity, in one sentence; else ""."""
    layers: pl.DataFrame
    norms: pl.DataFrame
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
    targets = _targets(run, params, plm, proteins)
    seen = {
        source: _Seen(
            run.embeddings(shuffled=scored_source(source).shuffled),
            None if source in random else targets.get(scored_source(source).shuffled),
        )
        for source in (*seeds, *shuffled, *random)
    }
    judged = None if params.target != OWN or seen["sae"].read.joined else plm
    for trained in [seeds, shuffled] if shuffled else [seeds]:
        train_on(
            _batches(seen[trained[0]], proteins, splits["train"], params),
            {
                _folder(run, s): _config(params, s, seed, seen[s].read.layer)
                for seed, s in enumerate(trained)
            },
            params.steps,
            _options(params, log, judged if trained[0] in FAITHFUL else None, faithful),
        )
    _write_abouts(run, seen, proteins, splits, params)
    if judged:
        _write_fidelity(run, judged, faithful, params.device)
    about = run.about("sae")
    run.write_summary(
        "train",
        device=str(choose_device(params.device)),
        **{name: about[name] for name in ("plm", "layer", "d_sae", "recipe")},
    )
    result = _made(run)
    for name in ("quality", "use", "fidelity", "layers", "norms"):
        run.write_table("train", name, getattr(result, name))
    return result


def _targets(
    run: Run, params: TrainParameters, plm: "PLM | None", proteins: Proteins
) -> dict[bool, Embeddings]:
    """What a transcoder writes, of the PLM and (True) of its shuffled copy; empty for an SAE.

    They are working files: embedding resumes after a kill, and later stages read features alone.
    """
    from interplm_nb.plm.store import embed_to

    read = run.embeddings()
    check_target(params.target, [read.layer] if read.joined is None else read.joined.layers, plm)
    if plm is None or params.target == OWN:
        return {}
    long = "window" if run.summary("proteins")["too_long"] == "window" else "refuse"
    copies = {False: plm}
    if run.possible(["shuffled_sae"]):
        copies[True] = plm.shuffled(run.summary("embed")["shuffled_seed"])
    work = run.work("train")
    return {
        shuffled: embed_to(
            copy,
            proteins,
            [params.target],
            lambda layer, shuffled=shuffled: work / f"target_{layer:02d}_{int(shuffled)}",
            stored=read.stored,
            long=long,
        )[params.target]
        for shuffled, copy in copies.items()
    }


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
    seen: Mapping[str, _Seen],
    proteins: Proteins,
    splits: Mapping[str, list[str]],
    params: TrainParameters,
) -> None:
    """What each SAE is; random ones are made here. What exists stays."""
    for source, own in seen.items():
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


def _why_absent(record: ModelRecord | None, about: Mapping[str, Any]) -> str:
    if "target" in about or "joined" in about:
        kind = "transcoder" if "target" in about else "crosscoder"
        return (
            f"fidelity is absent: it puts one layer's reconstruction in that layer's place, and a "
            f"{kind} has none of one layer alone"
        )
    if record is None:
        return (
            "fidelity is absent: the embeddings came from arrays, so there is no model whose "
            "predictions an SAE could keep"
        )
    return why_absent(record)


def _config(params: TrainParameters, source: str, further: int, read: int) -> "SAEConfig":
    """The settings of an SAE of the layer `read`, from the `further`-th seed after the first."""
    from interplm_nb.sae.config import SAEConfig

    changes: dict[str, Any] = {
        "lr_warmup": params.warmup_fraction,
        "dead_after_tokens": params.dead_after_tokens or None,
        "seed": params.seed + further,
    }
    if params.target != OWN:
        changes |= {"layer": read, "target": params.target}
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
    seen: _Seen, proteins: Proteins, train: list[str], params: TrainParameters
) -> "StoredBatches":
    rows = proteins.rows_of(train)
    check_batches(len(rows), {"train": params})
    return seen.batches(rows, params.batch_size, params.seed)


def _save_random(
    folders: list[Path],
    seen: _Seen,
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

    mean = mean_embedding(seen.read, proteins.rows_of(train))
    place = _batches(seen, proteins, train, params).about(seen.read.layer)
    k = min(max(1, round(l0)), params.d_sae)
    trained = [params.seed + further for further in range(params.seeds)]
    for folder, seed in zip(folders, random_seeds(trained, len(folders)), strict=True):
        sae = random_sae(len(mean), params.d_sae, k, mean, seed)
        about = SAEAbout.of(place, recipe="random", seed=seed)
        checkpoint.save(sae, folder, about, stored="seed")


def _about(
    sae: "SAE",
    seen: _Seen,
    proteins: Proteins,
    splits: Mapping[str, list[str]],
    params: TrainParameters,
) -> dict[str, Any]:
    """What an SAE is, its quality on validation residues, and its use on train."""
    from interplm_nb.sae.evaluation.quality import measured
    from interplm_nb.sae.on_demand import on_demand

    rows, read = proteins.rows_of(splits["validation"]), seen.read
    batches = seen.batches(rows, min(params.batch_size, len(rows)), params.seed)
    steps = range(min(batches.steps_per_epoch, max(1, _QUALITY_RESIDUES // batches.batch_size)))
    written = read.layer if seen.target is None else seen.target.layer
    moments = measured(
        sae,
        (batches.batch(step)[read.layer] for step in steps),
        (batches.batch(step)[written] for step in steps),
    )
    sums = FeatureSums.of(on_demand(sae, read, proteins), splits["train"])
    joined: dict[str, Any] = {}
    if read.joined is not None:
        joined["joined"] = read.joined.record()
        if seen.target is None:
            joined["fvu_by_layer"] = moments.fvu_by_layer(read.joined)
    return {
        "kind": "sae",
        **{name: getattr(read, name) for name in ("plm", "plm_revision", "layer")},
        **joined,
        **({} if seen.target is None else {"target": seen.target.layer}),
        "d_in": sae.d_in,
        "d_sae": sae.d_sae,
        "recipe": sae.about.recipe if sae.about else None,
        "weights": sae.weight_hash,
        "quality": asdict(moments.quality()),
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
    why_absent = _why_absent(model.record if model else None, run.about("sae"))
    layers = pl.DataFrame(
        [
            {"source": source, "layer": int(layer), "fvu": fvu}
            for source in run.possible(SAES)
            for layer, fvu in run.about(source).get("fvu_by_layer", {}).items()
        ],
        schema=LAYERS,
    )
    norms = layer_norms(run.sae()) if len(layers) else pl.DataFrame(schema=NORMS)
    summary = run.summary("train")
    return TrainStage(
        pl.DataFrame(rows, schema=shown),
        quality,
        use,
        fidelity,
        why_absent,
        layers,
        norms,
        plm=summary["plm"],
        device=summary["device"],
    )
