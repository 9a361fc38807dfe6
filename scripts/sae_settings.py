"""Train one SAE on a finished run's embeddings with other settings, and print what became of its
features, how well it reconstructs, and how well it matches concepts. The run is only read.

    python scripts/sae_settings.py runs/demo lr=0.002 dead_after_tokens=100000 >> settings.jsonl

A setting is a field of `SAEConfig`, or recipe, d_sae, k, steps, batch_size; what is not named is as
the run's own SAE was trained. Features are chosen on half of the validation clusters and read on
the other half, and the other way round: `f1` is the mean of the two, so that settings can be chosen
without a look at test. `--test` adds the strict F1 on test, as stage `concepts` reports it.

`--on OTHER` trains on another finished run's proteins, whose labels play no part: all but those
that align with a protein of this run's validation or test (30 % identity, over any length).
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.concepts.best_pairs import strict
from interplm_nb.concepts.count import count
from interplm_nb.concepts.scored_concepts import scored_concepts
from interplm_nb.pipeline.run import Run
from interplm_nb.readers.mmseqs import alignments
from interplm_nb.readers.separation import PARTIAL_E_VALUE, SENSITIVITY
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.evaluation.quality import quality
from interplm_nb.sae.feature_use import FeatureSums
from interplm_nb.sae.model import SAE
from interplm_nb.sae.on_demand import on_demand
from interplm_nb.sae.training.progress import METRICS, read_metrics
from interplm_nb.sae.training.stream import StoredBatches
from interplm_nb.sae.training.train import TrainingOptions, train_on

_MIN_INSTANCES = 10
_OF_A_RUN = ("d_sae", "k", "steps", "recipe", "batch_size")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("settings", nargs="*", metavar="NAME=VALUE")
    parser.add_argument("--on", type=Path, metavar="OTHER", help="a run whose proteins to train on")
    parser.add_argument("--test", action="store_true", help="add the strict F1 on test")
    arguments = parser.parse_intermixed_args()
    run = Run.open(arguments.run)
    asked = dict(setting.split("=", 1) for setting in arguments.settings)
    changes = {name: _value(text) for name, text in asked.items()}
    start = time.perf_counter()
    other = Run.open(arguments.on) if arguments.on else run
    rows = other.proteins().rows_of(
        _unrelated(run, other) if arguments.on else run.accessions("train")
    )
    sae, moved = _trained(run, other, rows, changes)
    seconds = round(time.perf_counter() - start, 1)
    asked = {**changes, "residues": len(rows), "seconds": seconds, "moved": round(moved, 3)}
    print(json.dumps({**asked, **_measured(run, sae, arguments.test)}))


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _unrelated(run: Run, other: Run) -> list[str]:
    """Proteins of another run without a relative in this run's validation and test."""
    ours, theirs = run.proteins(), other.proteins()
    held_out = ours.select([*run.accessions("validation"), *run.accessions("test")])
    identity = run.manifest("proteins")["params"]["identity"]
    pairs = alignments(theirs, held_out, identity, PARTIAL_E_VALUE, SENSITIVITY)
    related = set(pairs["query"].to_list())
    return [name for i, name in enumerate(theirs.accessions) if i not in related]


def _trained(
    run: Run, other: Run, rows: np.ndarray, changes: Mapping[str, Any]
) -> tuple[SAE, float]:
    """The SAE, as the run's own was trained, on rows of the other; the share of its atoms that
    moved."""
    about = run.sae("sae").about
    assert about is not None
    before = {"recipe": about.recipe, **about.training, **changes}
    before["k"] = changes.get("k", before["architecture"].get("k"))
    own = {name: before[name] for name in ("dead_after_tokens", "lr_warmup", "seed")}
    own |= {name: value for name, value in changes.items() if name not in _OF_A_RUN}
    config = SAEConfig.recipe(before["recipe"], before["d_sae"], k=before["k"], **own)
    batches = StoredBatches(other.embeddings(), rows, before["batch_size"], before["seed"])
    options = TrainingOptions(device="cpu", progress=False, log_every=100)
    with tempfile.TemporaryDirectory() as folder:
        (sae,) = train_on(batches, {Path(folder): config}, before["steps"], options)
        return sae, read_metrics(Path(folder) / METRICS)[-1]["moved"]


def _measured(run: Run, sae: SAE, test: bool) -> dict[str, Any]:
    embeddings, proteins = run.embeddings(), run.proteins()
    found = on_demand(sae, embeddings, proteins)
    sums = FeatureSums.of(found, run.accessions("train"))
    use = sums.use()
    rows = proteins.rows_of(run.accessions("validation"))
    fitted = quality(
        sae, (embeddings[part] for part in np.array_split(rows, -(-len(rows) // 4096)))
    )
    return {
        "silent": use.silent,
        "rare": use.rare,
        "effective": round(use.effective, 1),
        "fvu": round(fitted.fvu, 4),
        **_f1(run, found.relative_to(sums.maximum), test),
    }


def _f1(run: Run, source: FeatureActivations, test: bool) -> dict[str, float]:
    splits = run.splits().filter(pl.col("split") == "validation")
    clusters = np.random.default_rng(0).permutation(splits["cluster"].unique().sort().to_numpy())
    half = splits["cluster"].is_in(clusters[: len(clusters) // 2].tolist())
    annotations = run.annotations()
    one, other = (
        count(source, annotations, splits.filter(part)["accession"].to_list())
        for part in (half, ~half)
    )
    halves = splits.with_columns(
        split=pl.when(half).then(pl.lit("test")).otherwise(pl.lit("validation"))
    )
    scored = scored_concepts(annotations, halves, _MIN_INSTANCES // 2, min_clusters=1)
    pairs = [strict(*sides, scored) for sides in ((one, other), (other, one))]
    figures = {
        "f1": float(np.mean([p.mean_f1_per_domain for p in pairs])),
        "concepts": pairs[0].pairs.height,
    }
    if test:
        scored = scored_concepts(annotations, run.splits(), _MIN_INSTANCES)
        chosen = strict(one + other, count(source, annotations, run.accessions("test")), scored)
        figures["f1_test"] = chosen.mean_f1_per_domain
    return {name: round(value, 4) for name, value in figures.items()}


if __name__ == "__main__":
    sys.exit(main())
