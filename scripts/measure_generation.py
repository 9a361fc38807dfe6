"""Measure what docs/steering/generation.md says of a run: python scripts/measure_generation.py.

`dictionary RUN FOLDER --seed 1 --steps 300` trains the run's SAE again from another seed and pairs
its features with concepts on validation. `generate RUN FOLDER --concept NAME` steers the concept's
best feature on validation, of the run's SAE or of such a `--dictionary`, and `scan RUN FOLDER` the
best features of four concepts beside matched ones; both write their tables as CSV to the folder.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from scipy.sparse import csr_array, vstack

from interplm_nb.activations import FeatureActivations
from interplm_nb.concepts.best_pairs import ranked_pairs
from interplm_nb.concepts.count import count
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.steered_layer import steered_layer
from interplm_nb.questions.experiments.generation import judging, other_model
from interplm_nb.sae import checkpoint
from interplm_nb.sae.architectures import TopK
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.encoded import encoded
from interplm_nb.sae.training.options import TrainingOptions
from interplm_nb.sae.training.stream import StoredBatches
from interplm_nb.sae.training.train import train_on
from interplm_nb.steering.controls import matched_features
from interplm_nb.steering.experiments.generation.experiment import generation
from interplm_nb.steering.experiments.generation.scan import scan
from interplm_nb.steering.experiments.generation.settings import GenerationSettings, ScanSettings
from interplm_nb.steering.experiments.settings import ExperimentResult
from interplm_nb.steering.rules import rule_of
from interplm_nb.steering.steered_layer import SteeredLayer

CONCEPTS = (
    "Zinc finger_any",
    "DNA binding_H-T-H motif",
    "Transmembrane_Helical",
    "Signal peptide",
)
BATCH = 2048


def dictionary(run: Run, folder: Path, seed: int, steps: int) -> None:
    """Train an SAE like the run's; write it, its maxima and density, and its features' F1."""
    own = run.sae()
    assert isinstance(own.architecture, TopK) and own.about is not None
    embeddings = run.embeddings()
    config = SAEConfig.recipe("topk", own.d_sae, k=own.architecture.k, seed=seed)
    train = run.proteins().rows_of(run.accessions("train"))
    batches = StoredBatches(embeddings, train, BATCH, seed)
    (sae,) = train_on(batches, {folder / "sae": config}, steps, TrainingOptions(device="cpu"))
    values = activations(sae, run, run.accessions("train"))
    maxima = values.max(axis=0).toarray().ravel()
    np.savez(
        folder / "use.npz",
        maxima=maxima,
        density=np.bincount(values.indices, minlength=sae.d_sae) / len(train),
    )
    validation = run.proteins().select(run.accessions("validation"))
    source = FeatureActivations.from_csr(
        activations(sae, run, validation.accessions), validation
    ).relative_to(maxima)
    scores = count(source, run.annotations().only(CONCEPTS).of(validation))
    found_pairs = ranked_pairs(scores, scores, CONCEPTS, 0.3)
    found_pairs.select("concept", "feature", "threshold", "validation_f1_per_domain").write_csv(
        folder / "pairs.csv"
    )


def activations(sae, run: Run, accessions: list[str]) -> csr_array:
    embeddings, rows = run.embeddings(), run.proteins().rows_of(accessions)
    parts = [
        block
        for start in range(0, len(rows), 32_768)
        for _, block in encoded(sae, embeddings[rows[start : start + 32_768]])
    ]
    return csr_array(vstack(parts))


def layer(run: Run, folder: Path | None) -> SteeredLayer:
    """The run's layer with its own SAE, or with a dictionary's."""
    own = steered_layer(run, "sae", "cpu")
    if folder is None:
        return own
    with np.load(folder / "use.npz") as use:
        maxima, density = (use[name].astype(np.float32) for name in ("maxima", "density"))
    return SteeredLayer(own.plm, checkpoint.load(folder / "sae"), maxima, density)


def pairs(run: Run, folder: Path | None, concept: str) -> list[int]:
    """Features of a concept, the best on validation first."""
    table = run.links().table if folder is None else pl.read_csv(folder / "pairs.csv")
    own = table.filter(pl.col("concept") == concept)
    own = own.sort("validation_f1_per_domain", descending=True, maintain_order=True)
    return own["feature"].to_list()


def generate(run: Run, given: argparse.Namespace) -> None:
    at, features = layer(run, given.dictionary), pairs(run, given.dictionary, given.concept)
    judge = judging(run, given.concept, "sae", other_model(run, "cpu"))
    settings = GenerationSettings(
        concept=given.concept,
        feature=features[0] if given.feature is None else given.feature,
        strengths=tuple(given.strengths),
        controls_at=tuple(given.controls),
        n_sequences=given.sequences,
        n_seeds=given.seeds,
    )
    assert settings.feature is not None
    result = generation(at, settings.feature, replace(judge, related=features), settings)
    print(result.sentence, result.probe, sep="\n")
    write(result, given.folder)


def scanned(run: Run, given: argparse.Namespace) -> None:
    at = layer(run, given.dictionary)
    features: dict[int, str] = {}
    for concept in CONCEPTS:
        features |= dict.fromkeys(pairs(run, given.dictionary, concept)[: given.best], concept)
    others = matched_features(at, next(iter(features)), 4, without=list(features))
    rules = {concept: rule for concept in CONCEPTS if (rule := rule_of(concept)) is not None}
    settings = ScanSettings(n_sequences=given.sequences, n_seeds=given.seeds)
    result = scan(at, features | dict.fromkeys(others, ""), rules, settings)
    print(result.sentence)
    write(result, given.folder)


def write(result: ExperimentResult, folder: Path) -> None:
    for name, table in result.tables().items():
        table.write_csv(folder / f"{name}.csv")


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__)
    commands = found.add_subparsers(dest="command", required=True)
    train, made, many = (commands.add_parser(n) for n in ("dictionary", "generate", "scan"))
    for one in (train, made, many):
        one.add_argument("run", type=Path)
        one.add_argument("folder", type=Path)
    train.add_argument("--seed", type=int, default=1)
    train.add_argument("--steps", type=int, default=300)
    for one in (made, many):
        one.add_argument("--dictionary", type=Path)
        one.add_argument("--sequences", type=int, default=24)
        one.add_argument("--seeds", type=int, default=2)
    made.add_argument("--concept", default=CONCEPTS[0])
    made.add_argument("--feature", type=int)
    made.add_argument("--strengths", type=float, nargs="+", default=[0.5, 1.0, 1.5])
    made.add_argument("--controls", type=float, nargs="*", default=[1.0])
    many.add_argument("--best", type=int, default=3)
    return found


if __name__ == "__main__":
    given = parser().parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    run = Run.open(given.run)
    if given.command == "dictionary":
        dictionary(run, given.folder, given.seed, given.steps)
    else:
        (generate if given.command == "generate" else scanned)(run, given)
