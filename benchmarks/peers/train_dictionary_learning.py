"""Train a TopK SAE with dictionary_learning on cached activations.

    python -m benchmarks.peers.train_dictionary_learning x.npy --d-in 320 ...

Its own `trainSAE` runs the loop on a `TopKTrainer`, which writes `trainer_0/` (ae.pt, config.json)
from which the SAE is read. lr and k are given; all else is as dictionary_learning ships it: inputs
not normalised, b_dec the geometric median of the first batch and subtracted from inputs, decoder
atoms of norm 1 (gradients along them removed, norms restored at each step), the auxiliary loss with
weight 1/32 for features silent for 10 million inputs, gradients clipped to norm 1, Adam (0.9,
0.999), lr warmed up over 1,000 steps and then constant. It refuses a warm-up as long as the run: a
run of 1,000 steps or fewer warms up over a tenth of them. Nothing is logged or evaluated on the
way.
"""

import argparse
import tempfile
from importlib.metadata import version
from pathlib import Path

from dictionary_learning.trainers.top_k import (  # pyright: ignore[reportMissingImports]
    AutoEncoderTopK,
    TopKTrainer,
)
from dictionary_learning.training import trainSAE  # pyright: ignore[reportMissingImports]

from benchmarks.peers.batches import Measured, arguments, batches, report

_WARM_UP = 1000
"""TopKTrainer's own default, in steps."""


def main() -> None:
    """Train, save where asked, print one line of JSON."""
    args = arguments(__doc__)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.out or Path(temporary)
        with Measured(
            batches(args.activations, args.batch_size, args.steps, args.seed, args.evaluate)
        ) as measured:
            trainSAE(
                measured, [_trainer(args)], steps=args.steps, save_dir=str(folder), device="cpu"
            )
        sae = AutoEncoderTopK.from_pretrained(
            folder / "trainer_0" / "ae.pt", k=args.k, device="cpu"
        )
    report(
        "dictionary_learning",
        version("dictionary-learning"),
        args,
        measured,
        lambda x: sae.decode(sae.encode(x)),
    )


def _trainer(args: argparse.Namespace) -> dict[str, object]:
    """The configuration of trainSAE's trainer; layer and model name only go to its config.json."""
    warm_up = _WARM_UP if args.steps > _WARM_UP else args.steps // 10
    return {
        "trainer": TopKTrainer,
        "steps": args.steps,
        "activation_dim": args.d_in,
        "dict_size": args.d_sae,
        "k": args.k,
        "lr": args.lr,
        "warmup_steps": warm_up if args.warmup is None else args.warmup,
        "seed": args.seed,
        "device": "cpu",
        "layer": 0,
        "lm_name": "cached activations",
    }


if __name__ == "__main__":
    main()
