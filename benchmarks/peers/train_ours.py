"""Train a TopK SAE with this project on cached activations, as the peers' scripts do.

    python -m benchmarks.peers.train_ours x.npy --d-in 320 ...

`train_on` with the recipe "topk", lr, k and AuxK's window given; all else is as it ships: b_dec
from the mean of the first batches, encoder tied to the decoder at the start, atoms of norm 1
(gradients along them removed), AuxK with weight 1/32, for features silent for 10 million residues,
gradients clipped to norm 1, Adam (0.9, 0.999), lr warmed up over 5 % of the steps and then
constant. It runs in the project's own environment.
"""

import tempfile
from pathlib import Path
from typing import Any

from torch import Tensor

import interplm_nb
from benchmarks.peers.batches import Measured, arguments, batches, report
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.training.train import TrainingOptions, train_on


class _Drawn:
    """Batches in drawing order; the first ones are kept, because training begins from them."""

    layers = (0,)
    _N_KEPT = 4

    def __init__(self, drawn: Measured, batch_size: int) -> None:
        self.batch_size = batch_size
        self._drawn = drawn
        self._first: list[Tensor] = []

    def about(self, layer: int) -> dict[str, Any]:
        return {"plm": "cached activations", "plm_revision": "", "layer": layer, "data": ""}

    def batch(self, step: int) -> dict[int, Tensor]:
        if step < len(self._first):
            return {0: self._first[step]}
        x = next(self._drawn)
        if len(self._first) < self._N_KEPT:
            self._first.append(x)
        return {0: x}


def main() -> None:
    """Train, save where asked, print one line of JSON."""
    args = arguments(__doc__)
    warmup = {} if args.warmup is None else {"lr_warmup": args.warmup / args.steps}
    given = {"lr": args.lr, "seed": args.seed, "dead_after_tokens": 10_000_000, **warmup}
    config = SAEConfig.recipe("topk", args.d_sae, k=args.k, **given)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.out or Path(temporary)
        with Measured(
            batches(args.activations, args.batch_size, args.steps, args.seed, args.evaluate)
        ) as measured:
            (sae,) = train_on(
                _Drawn(measured, args.batch_size),
                {folder: config},
                args.steps,
                TrainingOptions(device="cpu", progress=False, precision=args.precision),
            )
    report("interplm-nb", interplm_nb.__version__, args, measured, lambda x: sae(x).x_hat)


if __name__ == "__main__":
    main()
