"""Train a TopK SAE with sparsify on cached activations.

    python -m benchmarks.peers.train_sparsify x.npy --d-in 320 ...

Its `Trainer` runs a causal language model and takes no cached activations. So the loop here is that
trainer's step, line by line, on its own `SparseCoder`: b_dec the mean of the first batch, atoms of
norm 1 at the start of each step, FVU as the loss, gradients along the atoms removed, and
`torch.optim.Adam` with its linear schedule (of its optimizers, the one others use). lr and k are
given; AuxK is off, as it ships. `--precision bfloat16` puts its forward pass into autocast,
as it does itself on a GPU. It warms up over 1,000 steps; a run of 1,000 steps or fewer warms
up over a tenth of them. It does not count silent features here, which costs its trainer a little.
"""

from importlib.metadata import version

import torch
from sparsify import SparseCoder, SparseCoderConfig  # pyright: ignore[reportMissingImports]
from transformers import (  # pyright: ignore[reportMissingImports]
    get_linear_schedule_with_warmup,
)

from benchmarks.peers.batches import Measured, arguments, batches, report

_WARM_UP = 1000
"""TrainConfig's own default, in steps."""


def main() -> None:
    """Train, save where asked, print one line of JSON."""
    args = arguments(__doc__)
    torch.manual_seed(args.seed)
    sae = SparseCoder(args.d_in, SparseCoderConfig(num_latents=args.d_sae, k=args.k))
    optimizer = torch.optim.Adam(sae.parameters(), lr=args.lr)
    warm_up = _WARM_UP if args.steps > _WARM_UP else args.steps // 10
    warm_up = warm_up if args.warmup is None else args.warmup
    schedule = get_linear_schedule_with_warmup(optimizer, warm_up, args.steps)
    drawn = batches(args.activations, args.batch_size, args.steps, args.seed, args.evaluate)
    with Measured(drawn) as measured:
        for step, x in enumerate(measured):
            if step == 0:
                sae.b_dec.data = x.mean(0)
            sae.set_decoder_norm_to_unit_norm()
            with torch.autocast("cpu", enabled=args.precision == "bfloat16"):
                fvu = sae(x).fvu
            fvu.backward()
            sae.remove_gradient_parallel_to_decoder_directions()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    if args.out is not None:
        sae.save_to_disk(args.out)
    report("sparsify", version("eai-sparsify"), args, measured, lambda x: sae(x).sae_out)


if __name__ == "__main__":
    main()
