"""Train a TopK SAE with SAELens on cached activations.

    python -m benchmarks.peers.train_saelens x.npy --d-in 320 --d-sae 10240 ...

Its own `SAETrainer.fit` runs the loop on a `TopKTrainingSAE`. lr and k are given; all else is as
SAELens ships it: inputs not normalised, b_dec subtracted from them, decoder rows that start with
norm 0.1 and are left free, activations chosen and counted as if they were 1
(`rescale_acts_by_decoder_norm`), dense activations, the auxiliary loss with coefficient 1 for
features silent for 1,000 steps, gradients clipped to norm 1, Adam (0.9, 0.999) at a constant lr
without warm-up or decay. Nothing is logged, compiled or evaluated on the way.
"""

import argparse

import torch
from sae_lens import (  # pyright: ignore[reportMissingImports]
    SAETrainer,
    TopKTrainingSAE,
    TopKTrainingSAEConfig,
    __version__,
)
from sae_lens.config import SAETrainerConfig  # pyright: ignore[reportMissingImports]

from benchmarks.peers.batches import Measured, arguments, batches, report


def main() -> None:
    """Train, save where asked, print one line of JSON."""
    args = arguments(__doc__)
    with Measured(
        batches(args.activations, args.batch_size, args.steps, args.seed, args.evaluate)
    ) as measured:
        sae = _train(args, measured)
    if args.out:
        sae.save_inference_model(args.out)
    report("sae_lens", __version__, args, measured, lambda x: sae.decode(sae.encode(x)))


def _train(args: argparse.Namespace, measured: Measured) -> TopKTrainingSAE:
    torch.manual_seed(args.seed)
    sae = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=args.d_in, d_sae=args.d_sae, k=args.k))
    config = SAETrainerConfig(
        total_training_samples=args.steps * args.batch_size,
        train_batch_size_samples=args.batch_size,
        lr=args.lr,
        lr_end=args.lr / 10,  # SAETrainer refuses None; a constant schedule does not read it
        lr_warm_up_steps=args.warmup or 0,
    )
    return SAETrainer(config, sae, measured).fit()


if __name__ == "__main__":
    main()
