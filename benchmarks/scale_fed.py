"""An SAE that is trained while workers run the PLM, beside one process that does both in turn."""

import shutil
import tempfile
from contextlib import closing
from pathlib import Path

import torch

from benchmarks.harness import Figure
from benchmarks.scale_sides import TIMES_ONE, TURNS, cluster, in_turns, threads
from interplm_nb import plm
from interplm_nb.proteins import Proteins
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.model import SAE
from interplm_nb.sae.training.fed import FedBatches
from interplm_nb.sae.training.options import TrainingOptions
from interplm_nb.sae.training.stream import StreamedBatches
from interplm_nb.sae.training.train import train_on
from interplm_nb.scale.dask_workers import DaskWorkers

LAYER, N_FEATURES, K, BATCH, BUFFER = 3, 2048, 32, 2048, 2**15
CORES = 2
LEAST = 0.99
"""Mean cosine of the atoms of two trainings whose embeddings differ in their last bits alone."""


def fed(model: Path, proteins: Proteins, out: Path) -> list[Figure]:
    """The figures; the weights of all sides are compared."""
    data = proteins, LAYER, BATCH, 0
    made: dict[str, SAE] = {}

    def streamed(side: str = "streamed") -> None:
        batches = StreamedBatches(plm.load(model, "cpu"), *data, buffer_residues=BUFFER)
        made[side] = _trained(batches, out)

    def in_two_threads() -> None:
        with threads(CORES):
            streamed("threads")

    def by(workers: DaskWorkers, side: str) -> None:
        batches = FedBatches(workers, plm.load(model, "cpu"), *data, buffer_residues=BUFFER)
        with closing(batches):
            made[side] = _trained(batches, out)

    with cluster(1) as one:
        by(one, "one")
    with cluster(2) as two:
        rates = in_turns(
            {"two": lambda: by(two, "two"), "streamed": streamed, "threads": in_two_threads},
            _steps(model, data) * BATCH,
            lambda: _rested(two),
        )
    if not torch.equal(made["two"].W_dec, made["one"].W_dec):
        raise AssertionError("weights depend on the number of workers")
    ours, alone = (made[side].W_dec.detach() for side in ("two", "streamed"))
    alike = float(torch.cosine_similarity(ours, alone).mean())
    if alike < LEAST:
        raise AssertionError(f"atoms have a mean cosine of {alike:.4f} with those of one process")
    note = (
        f"random weights at the ESM-2 8M shape up to layer {LAYER}, TopK with {N_FEATURES:,} "
        f"features, {_steps(model, data)} steps of {BATCH:,} residues, the same in each; medians "
        f"of {TURNS} turns; weights of 1 and of 2 workers bit-equal, "
        f"mean cosine of their atoms with those of one process {alike:.5f}"
    )
    return [
        Figure.compare(
            "scale: SAE training fed by 2 workers, one thread",
            rates["two"],
            rates["streamed"],
            "residues/s",
            TIMES_ONE,
            note=f"{note}; other: one process, one thread",
        ),
        Figure.compare(
            "scale: SAE training fed by 2 workers, two threads",
            rates["two"],
            rates["threads"],
            "residues/s",
            1,
            note="as above; other: one process with the threads of both cores",
        ),
    ]


def _trained(batches: StreamedBatches, out: Path) -> SAE:
    config = SAEConfig.recipe("topk", N_FEATURES, k=K, layer=LAYER)
    folder = Path(tempfile.mkdtemp(dir=out))
    options = TrainingOptions(device="cpu", progress=False)
    (sae,) = train_on(batches, {folder / "sae": config}, batches.steps_per_epoch, options)
    shutil.rmtree(folder)
    return sae


def _rested(workers: DaskWorkers) -> None:
    """Once workers have ended what they computed ahead, which cannot be stopped in the middle."""
    client = workers.client
    client.gather([client.submit(int, workers=[name], pure=False) for name in client.nthreads()])


def _steps(model: Path, data: tuple[Proteins, int, int, int]) -> int:
    return StreamedBatches(plm.load(model, "cpu"), *data).steps_per_epoch
