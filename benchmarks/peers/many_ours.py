"""Train TopK SAEs of all layers from one pass with this project.

    python -m benchmarks.peers.many_ours pieces.txt --k 8 16 32 64 ...

`train_on` over `StreamedBatches` of an ESM-2 with random weights. lr and k are given, lr is not
warmed up; all else is as it ships, as in `train_ours`. The first batches, from which training
begins and which fill the buffer once, are not timed. It runs in the project's own environment.
"""

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import interplm_nb
from benchmarks.peers import many
from benchmarks.peers.batches import Measured
from benchmarks.random_plm import random_plm
from interplm_nb.plm.esm2 import ESM2
from interplm_nb.proteins import Proteins
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.training.stream import StreamedBatches
from interplm_nb.sae.training.train import TrainingOptions, train_on

LAYERS = range(1, many.N_LAYERS + 1)


class _Timed:
    """Streamed batches; those after the first buffer are drawn through `measured`."""

    def __init__(self, batches: StreamedBatches, steps: int) -> None:
        self._batches, self.layers, self.batch_size = batches, batches.layers, batches.batch_size
        self.measured = Measured(self._timed(steps), warm_up=0)

    def _timed(self, steps: int) -> Iterator[Mapping[int, Tensor]]:
        for step in range(many.BUFFER, steps):
            yield self._batches.batch(step)

    def about(self, layer: int) -> dict[str, Any]:
        return self._batches.about(layer)

    def batch(self, step: int) -> Mapping[int, Tensor]:
        return self._batches.batch(step) if step < many.BUFFER else next(self.measured)


def main() -> None:
    """Train, print one line of JSON."""
    args = many.arguments(__doc__)
    trained, held_out = (_proteins(pieces) for pieces in many.pieces(args))
    plm = random_plm()
    batches = StreamedBatches(
        plm,
        trained,
        LAYERS,
        args.batch_size,
        args.seed,
        buffer_residues=many.BUFFER * args.batch_size,
    )
    timed = _Timed(batches, args.steps)
    with tempfile.TemporaryDirectory() as folder, timed.measured as measured:
        plan = {Path(folder) / f"{c.layer}_{c.label}": c for c in _configs(args)}
        saes = train_on(timed, plan, args.steps, TrainingOptions(device="cpu", progress=False))
    reconstruct = {
        (config.layer or 0, k): (lambda x, sae=sae: sae(x).x_hat)
        for (config, k), sae in zip(
            zip(plan.values(), args.k * len(LAYERS), strict=True), saes, strict=True
        )
    }
    many.report(
        "interplm-nb", interplm_nb.__version__, args, measured, _at(plm, held_out), reconstruct
    )


def _proteins(pieces: list[str]) -> Proteins:
    return Proteins.from_sequences({f"P{i}": piece for i, piece in enumerate(pieces)})


def _configs(args: argparse.Namespace) -> list[SAEConfig]:
    given = {"lr": args.lr, "seed": args.seed, "lr_warmup": 0.0, "dead_after_tokens": 10_000_000}
    return [
        SAEConfig.recipe("topk", args.d_sae, k=k, layer=layer, **given)
        for layer in LAYERS
        for k in args.k
    ]


def _at(plm: ESM2, proteins: Proteins) -> dict[int, Tensor]:
    found = {layer: torch.empty(proteins.n_residues, many.D_IN) for layer in LAYERS}
    for batch in plm.embed(proteins, list(LAYERS), progress=False):
        for layer, x in batch.layers.items():
            found[layer][torch.from_numpy(batch.rows)] = x
    return found


if __name__ == "__main__":
    main()
