"""A crosscoder and a transcoder beside the SAEs of single layers, on a finished run's proteins. The
run is only read.

    python scripts/coders.py runs/demo --work coders --plm unirep-256

Trains, of one recipe and size: an SAE of each layer, a crosscoder of all layers, and transcoders
from one layer to the next (`--from`); with random SAEs of the layers and of the join. One more
crosscoder sees layers of different residues side by side: what its features share between layers,
they share by chance. All are measured as stage `compare` measures SAEs: features chosen on half of
the clusters of validation, F1 read on test. `WORK/results.jsonl` gets a line for each, and a call
that was stopped continues.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import interplm_nb as ipn
from interplm_nb.embeddings import Embeddings, EmbeddingsWriter
from interplm_nb.joined_layers import JoinedLayers
from interplm_nb.pipeline.parameters import CompareParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.plm.store import embed_to, scales_of
from interplm_nb.sae.about import SAEAbout
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.evaluation.quality import measured
from interplm_nb.sae.feature_use import FeatureSums
from interplm_nb.sae.layer_norms import layer_norms, layers_per_feature
from interplm_nb.sae.model import SAE
from interplm_nb.sae.on_demand import on_demand
from interplm_nb.sae.random_sae import mean_embedding, random_sae
from interplm_nb.sae.training.stream import Batches, StoredBatches
from interplm_nb.sae.training.train import TrainingOptions, train_on
from interplm_nb.stages.yardstick import Held, Yardstick, parts_of, yardstick

_SAMPLE = 60
"""Proteins of train on which the layers' scales are measured."""
_MISALIGNED = "misaligned"


@dataclass(frozen=True)
class Job:
    """One SAE: what it reads and writes, and how it is trained."""

    name: str
    read: Embeddings
    target: Embeddings | None = None
    seed: int = 0
    misaligned: bool = False


class Misaligned:
    """Batches of a join in which each layer shows another residue."""

    def __init__(self, batches: StoredBatches, joined: JoinedLayers) -> None:
        self._batches, self._joined = batches, joined
        self.layers, self.batch_size = batches.layers, batches.batch_size

    def about(self, layer: int) -> dict[str, Any]:
        """As the batches have it, and that it is misaligned."""
        about = self._batches.about(layer)
        return about | {"data": f"{_MISALIGNED} {about['data']}"}

    def batch(self, step: int) -> dict[int, Tensor]:
        """Every layer's rows moved on, each by another part of the batch."""
        (layer, x), *_ = self._batches.batch(step).items()
        parts = list(self._joined.parts(x).values())
        moved = [part.roll(i * len(x) // len(parts), 0) for i, part in enumerate(parts)]
        return {layer: torch.cat(moved, dim=1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--plm", default="unirep-256")
    parser.add_argument("--layers", default="1,2,3,4")
    parser.add_argument("--from", dest="first", type=int, default=2, help="of the transcoder")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--d-sae", type=int, default=1024)
    parser.add_argument("--k", type=int, default=16)
    parser.add_argument("--steps", type=int, default=400)
    arguments = parser.parse_args()
    Experiment(arguments).run()


class Experiment:
    """The embeddings, the jobs and the yardstick."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.asked = asked
        run = Run.open(asked.run)
        self.proteins, self.splits = run.proteins(), run.splits()
        self.annotations, self.train = run.annotations(), run.accessions("train")
        self.plm = ipn.load_plm(asked.plm, "cpu")
        self.layers = [int(layer) for layer in asked.layers.split(",")]
        self.params = CompareParameters.checked({"tuning_share": 0.5}, "coders.py")
        self.results = asked.work / "results.jsonl"
        asked.work.mkdir(parents=True, exist_ok=True)

    def run(self) -> None:
        """Every job that has no line yet."""
        single = embed_to(
            self.plm,
            self.proteins,
            self.layers,
            lambda layer: self.asked.work / f"layer_{layer:02d}",
            stored="bfloat16",
        )
        sample = self.proteins.select(self.train[:: max(1, len(self.train) // _SAMPLE)])
        scales = scales_of(self.plm, sample, self.layers)
        joined = self._joined(single, scales)
        for job in self._jobs(single, joined):
            if job.name not in self._done():
                self._write(job.name, self._measured(job, self._trained(job)))

    def _joined(self, single: Mapping[int, Embeddings], scales: JoinedLayers) -> Embeddings:
        """The stored layers side by side, without running the PLM again."""
        folder, last = self.asked.work / "joined", single[self.layers[-1]]
        if not folder.exists():
            about = {"plm": last.plm, "plm_revision": last.plm_revision, "layer": last.layer}
            about |= {"d_in": scales.d_in, "joined": scales.record()}
            with EmbeddingsWriter(folder, self.proteins, about, dtype="bfloat16") as writer:
                for first in range(0, len(last), 8192):
                    rows = np.arange(first, min(first + 8192, len(last)))
                    writer.write(rows, scales({n: single[n][rows] for n in self.layers}))
        return Embeddings.open(folder)

    def _jobs(self, single: Mapping[int, Embeddings], joined: Embeddings) -> Iterator[Job]:
        first, seeds = self.asked.first, [int(seed) for seed in self.asked.seeds.split(",")]
        yield Job("crosscoder-s0", joined)
        yield Job(f"transcoder-{first}-{first + 1}-s0", single[first], single[first + 1])
        yield Job("random-joined", joined, seed=len(seeds))
        yield Job(f"random-layer-{first}", single[first], seed=len(seeds))
        yield Job("crosscoder-misaligned", joined, misaligned=True)
        for layer, embeddings in single.items():
            yield Job(f"sae-layer-{layer}-s0", embeddings)
            if layer != first:
                yield Job(f"random-layer-{layer}", embeddings, seed=len(seeds))
        for seed in seeds[1:]:
            yield Job(f"crosscoder-s{seed}", joined, seed=seed)
            name = f"transcoder-{first}-{first + 1}-s{seed}"
            yield Job(name, single[first], single[first + 1], seed)

    def _trained(self, job: Job) -> SAE:
        asked = self.asked
        rows = self.proteins.rows_of(self.train)
        if job.name.startswith("random"):
            mean = mean_embedding(job.read, rows)
            sae = random_sae(job.read.d_in, asked.d_sae, asked.k, mean, job.seed)
            place = StoredBatches(job.read, rows, 2048, 0).about(job.read.layer)
            sae.about = SAEAbout.of(place, recipe="random", seed=job.seed)
            return sae
        changes: dict[str, Any] = {} if job.target is None else {"target": job.target.layer}
        config = SAEConfig.recipe(
            "topk", asked.d_sae, k=asked.k, layer=job.read.layer, seed=job.seed, **changes
        )
        folder = asked.work / job.name
        (sae,) = train_on(self._batches(job), {folder: config}, asked.steps, _OPTIONS)
        return sae

    def _batches(self, job: Job) -> Batches:
        rows = self.proteins.rows_of(self.train)
        both = [e for e in (job.read, job.target) if e is not None]
        batches = StoredBatches({e.layer: e for e in both}, rows, 2048, 0)
        joined = job.read.joined
        return Misaligned(batches, joined) if job.misaligned and joined else batches

    def _measured(self, job: Job, sae: SAE) -> dict[str, Any]:
        parts = parts_of(self.proteins, self.splits, self.params)
        rows = self.proteins.rows_of(parts.tuning)
        blocks = np.array_split(rows, -(-len(rows) // 8192))
        written = job.read if job.target is None or not sae.transcodes else job.target
        moments = measured(sae, (job.read[b] for b in blocks), (written[b] for b in blocks))
        held = Held(
            self.proteins,
            self.annotations,
            self.splits,
            parts,
            self.plm,
            job.read.layer,
            job.read,
        )
        with yardstick(held, self.params, self.asked.work) as measure:
            figures = _concepts(measure, sae)
        if job.target is not None:
            figures["fvu_linear"] = self._linear(job.read, job.target, rows)
        if job.read.joined is not None:
            figures["fvu_by_layer"] = moments.fvu_by_layer(job.read.joined)
            figures["per_feature"] = _spread(sae)
        return {**asdict(moments.quality()), **figures}

    def _linear(self, read: Embeddings, target: Embeddings, rows: np.ndarray) -> float:
        """FVU on `rows` of the best linear map from one layer to the other, fitted on train."""
        fit = self.proteins.rows_of(self.train)
        x = np.concatenate([read[fit], np.ones((len(fit), 1), np.float32)], axis=1)
        weights = np.linalg.lstsq(x.astype(np.float64), target[fit].astype(np.float64))[0]
        held, y = read[rows].astype(np.float64), target[rows].astype(np.float64)
        error = y - held @ weights[:-1] - weights[-1]
        return float((error**2).sum() / ((y - y.mean(0)) ** 2).sum())

    def _done(self) -> set[str]:
        if not self.results.exists():
            return set()
        return {json.loads(line)["name"] for line in self.results.read_text().splitlines()}

    def _write(self, name: str, figures: Mapping[str, Any]) -> None:
        line = json.dumps({"name": name, **figures})
        with self.results.open("a") as lines:
            lines.write(f"{line}\n")
        print(line, flush=True)


_OPTIONS = TrainingOptions(device="cpu", progress=False, checkpoint_every=100)


def _concepts(measure: Yardstick, sae: SAE) -> dict[str, Any]:
    found = on_demand(sae, measure.embeddings, measure.proteins)
    sums = FeatureSums.of(found, measure.parts.maxima)
    use = asdict(sums.use())
    figures = measure.concepts(found.relative_to(sums.maximum))
    return {**{name: use[name] for name in ("silent", "rare", "effective")}, **figures}


def _spread(sae: SAE) -> dict[str, Any]:
    norms = layer_norms(sae)
    found = layers_per_feature(norms)
    counts = found["layers"].value_counts().sort("layers")
    means = norms.group_by("layer").mean().sort("layer")
    return {
        "features_in_n_layers": dict(counts.iter_rows()),
        "effective_quartiles": np.quantile(found["effective"], (0.25, 0.5, 0.75)).tolist(),
        "mean_share": dict(means.select("layer", "share").iter_rows()),
        "main": dict(found["main"].value_counts().sort("main").iter_rows()),
    }


if __name__ == "__main__":
    main()
