"""Stage `train`: the SAE, the same recipe on the shuffled PLM, and the random SAE; how good each is."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import polars as pl

from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.parameters import TrainParameters
from interplm_nb.pipeline.run import CONVENTIONS, SAES, Run
from interplm_nb.proteins import Proteins
from interplm_nb.saving import read_json, write_json

if TYPE_CHECKING:
    from interplm_nb.sae.stream import StoredBatches
    from interplm_nb.sae.train import TrainConfig

FAITHFUL = ("sae", "random_sae")
"""Sources whose fidelity is measured: those on the PLM itself. The shuffled PLM predicts nothing that could be kept or lost."""

_QUALITY_RESIDUES = 65_536


@dataclass(frozen=True)
class TrainStage:
    """What stage `train` made.

    `metrics`: source, step, fvu, l0, dead, loss: one row per logged step. `quality`: source, variance_explained, l0, dead and more, on residues of
    validation proteins. `fidelity`: source, convention, and the figures of `sae.fidelity`: what becomes of the PLM's predictions when the SAE
    stands in for the layer.
    """

    metrics: pl.DataFrame
    quality: pl.DataFrame
    fidelity: pl.DataFrame
    plm: str
    device: str


def train(run: Run, params: TrainParameters) -> TrainStage:
    """Train on the residues of `train` proteins alone; goes on from the last checkpoint after a kill."""
    from interplm_nb.sae.train import train as train_sae

    manifest.begin(run, params)
    proteins = run.proteins()
    config = _config(params)
    for source in ("sae", "shuffled_sae"):
        train_sae(
            _batches(run, params, proteins, source),
            config,
            run.source(source),
            params.device,
            log_every=_log_every(params),
            checkpoint_every=params.checkpoint_every,
        )
        _describe(run, params, proteins, source)
    _random(run, params, _batches(run, params, proteins, "random_sae"))
    _describe(run, params, proteins, "random_sae")
    device = _fidelity(run, params, proteins)
    return _result(run, device)


def _config(params: TrainParameters) -> "TrainConfig":
    from interplm_nb.sae.train import TrainConfig

    chosen = {name: getattr(params, name) for name in ("recipe", "d_sae", "steps", "batch_size", "k", "l1", "warmup_fraction", "seed")}
    return TrainConfig(**chosen, lr=params.lr or None, resample_every=params.resample_every or None, dead_after_tokens=params.dead_after_tokens)


def _log_every(params: TrainParameters) -> int:
    return max(1, min(100, params.steps // 50))


def _batches(run: Run, params: TrainParameters, proteins: Proteins, source: str, split: str = "train") -> "StoredBatches":
    from interplm_nb.sae.stream import StoredBatches

    rows = proteins.rows_of(run.accessions(split))
    size = params.batch_size if split == "train" else min(params.batch_size, len(rows))
    if len(rows) < size:
        raise PipelineError(
            f"train.batch_size = {size}: the {split} proteins have {len(rows):,} residues in all; take a smaller batch, or more proteins"
        )
    return StoredBatches(run.embeddings(shuffled=source == "shuffled_sae"), rows, size, params.seed)


def _random(run: Run, params: TrainParameters, batches: "StoredBatches") -> None:
    """A random SAE with the trained one's shape and its mean L0, centred on the mean of the training residues."""
    from interplm_nb.sae import checkpoint
    from interplm_nb.sae.controls import random_sae

    if (run.source("random_sae") / "config.json").exists():
        return
    k = min(max(1, round(run.about("sae")["quality"]["l0"])), params.d_sae)
    means = [batches.batch(step).double().mean(0) for step in range(batches.steps_per_epoch)]
    mean = sum(means[1:], means[0]) / len(means)
    sae = random_sae(batches.d_in, params.d_sae, k, mean.float(), params.seed)
    checkpoint.save(sae, run.source("random_sae"), checkpoint.SAEAbout(recipe="random", seed=params.seed, **batches.about))


def _describe(run: Run, params: TrainParameters, proteins: Proteins, source: str) -> None:
    """Write a source's `about.json`: what it is, and its quality on validation residues."""
    from interplm_nb.sae.fidelity import quality

    if (run.source(source) / "about.json").exists():
        return
    sae = run.sae(source, params.device)
    batches = _batches(run, params, proteins, source, "validation")
    steps = range(min(batches.steps_per_epoch, max(1, _QUALITY_RESIDUES // batches.batch_size)))
    measured = asdict(quality(sae, (batches.batch(step) for step in steps)))
    about = {"kind": "sae", "plm": batches.about["plm"], "plm_revision": batches.about["plm_revision"], "layer": batches.about["layer"]}
    shape = {"d_in": sae.d_in, "d_sae": sae.d_sae, "recipe": sae.about.recipe if sae.about else None, "weights": sae.weight_hash}
    write_json({"type": "Source", "version": 1, **about, **shape, "quality": measured}, run.source(source) / "about.json")


def _fidelity(run: Run, params: TrainParameters, proteins: Proteins) -> str:
    """Measure fidelity both ways, on validation proteins; returns the device."""
    from interplm_nb.sae.fidelity import fidelity

    plm = run.plm(params.device)
    chosen = proteins.select(run.accessions("validation")[: params.fidelity_proteins])
    for source in FAITHFUL:
        path = run.source(source) / "fidelity.json"
        if not path.exists():
            sae = run.sae(source, params.device)
            measured = {convention: asdict(fidelity(sae, plm, chosen, convention=convention)) for convention in CONVENTIONS}
            write_json({"type": "FidelityOfSource", "version": 1, "proteins": len(chosen), **measured}, path)
    return str(plm.device)


def _result(run: Run, device: str) -> TrainStage:
    from interplm_nb.sae.progress import METRICS, read_metrics

    shown = ("step", "loss", "fvu", "l0", "dead")
    rows = [{"source": s, **{n: line[n] for n in shown}} for s in SAES for line in read_metrics(run.source(s) / METRICS)]
    quality = pl.DataFrame([{"source": source, **run.about(source)["quality"]} for source in SAES])
    fidelity = pl.DataFrame([_row(run, source, convention) for source in FAITHFUL for convention in CONVENTIONS])
    run.write_table("train", "quality", quality)
    run.write_table("train", "fidelity", fidelity)
    about = run.about("sae")
    run.write_summary("train", plm=about["plm"], layer=about["layer"], d_sae=about["d_sae"], recipe=about["recipe"], device=device)
    return TrainStage(pl.DataFrame(rows), quality, fidelity, about["plm"], device)


def _row(run: Run, source: str, convention: str) -> dict[str, str | float]:
    measured = read_json(run.source(source) / "fidelity.json", "FidelityOfSource", 1)[convention]
    return {"source": source, "convention": convention, **{name: value for name, value in measured.items() if isinstance(value, int | float)}}
