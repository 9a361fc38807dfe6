"""Speed and memory of a peer's SAE training on a device.

    python -m benchmarks.peers.train_on_gpu sae_lens --d-in 320 1280 --d-sae 10240 ...

It needs torch and the peer only, so that it runs in the peers' environment (`make peers`) from the
repository's root. All combinations of width and architecture are trained on random normal
activations that are already on the device; each prints a line of JSON as soon as it is measured.

sae_lens: its own `SAETrainer.fit` as it ships, with autocast on a GPU. sparsify (eai-sparsify): its
own `SparseCoder`, FVU loss and SignSGD, in the order of its trainer's step; that trainer takes no
activations from outside.
"""

import argparse
import gc
import importlib.metadata
import json
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

ARCHITECTURES = ("relu", "topk", "batchtopk", "matryoshka")
WARM_UP = 2
"""Steps that train but are not timed."""


class Timed(Iterator[Tensor]):
    """Hands on the same batch for `steps` steps, and times those after the warm-up."""

    def __init__(self, x: Tensor, steps: int) -> None:
        self._x, self._steps, self._n = x, steps, 0
        self._started = 0.0

    def __next__(self) -> Tensor:
        if self._n == WARM_UP:
            self._started = self._now()
        self._n += 1
        return self._x

    def tokens_per_second(self) -> float:
        """Read it after training has ended."""
        return (self._steps - WARM_UP) * len(self._x) / (self._now() - self._started)

    def _now(self) -> float:
        if self._x.device.type == "cuda":
            torch.cuda.synchronize(self._x.device)
        return time.perf_counter()


def sae_lens(kind: str, args: argparse.Namespace, drawn: Timed, d_in: int) -> None:
    """Train with SAELens' own loop."""
    from sae_lens import (  # pyright: ignore[reportMissingImports]
        BatchTopKTrainingSAE,
        BatchTopKTrainingSAEConfig,
        MatryoshkaBatchTopKTrainingSAE,
        MatryoshkaBatchTopKTrainingSAEConfig,
        SAETrainer,
        StandardTrainingSAE,
        StandardTrainingSAEConfig,
        TopKTrainingSAE,
        TopKTrainingSAEConfig,
    )
    from sae_lens.config import SAETrainerConfig  # pyright: ignore[reportMissingImports]

    given = {"d_in": d_in, "d_sae": args.d_sae, "device": args.device}
    widths = [args.d_sae // share for share in (16, 8, 4, 2, 1)]
    make = {
        "relu": lambda: StandardTrainingSAE(StandardTrainingSAEConfig(**given)),
        "topk": lambda: TopKTrainingSAE(TopKTrainingSAEConfig(**given, k=args.k)),
        "batchtopk": lambda: BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(**given, k=args.k)),
        "matryoshka": lambda: MatryoshkaBatchTopKTrainingSAE(
            MatryoshkaBatchTopKTrainingSAEConfig(**given, k=args.k, matryoshka_widths=widths)
        ),
    }
    config = SAETrainerConfig(
        total_training_samples=args.steps * args.batch_size,
        train_batch_size_samples=args.batch_size,
        device=args.device,
        autocast=args.device.startswith("cuda"),
        lr_end=3e-5,  # SAETrainer refuses None; a constant schedule does not read it
    )
    SAETrainer(config, make[kind](), drawn).fit()


def sparsify(kind: str, args: argparse.Namespace, drawn: Timed, d_in: int) -> None:
    """Train sparsify's module by its trainer's step."""
    from sparsify import SparseCoder, SparseCoderConfig  # pyright: ignore[reportMissingImports]
    from sparsify.sign_sgd import SignSGD  # pyright: ignore[reportMissingImports]

    coder = SparseCoder(d_in, SparseCoderConfig(num_latents=args.d_sae, k=args.k), args.device)
    optimizer = SignSGD(coder.parameters(), lr=5e-3 / (args.d_sae / 2**14) ** 0.5)
    for _ in range(args.steps):
        coder.set_decoder_norm_to_unit_norm()
        coder(next(drawn)).fvu.backward()
        coder.remove_gradient_parallel_to_decoder_directions()
        optimizer.step()
        optimizer.zero_grad()


Train = Callable[[str, argparse.Namespace, Timed, int], None]
PEERS: dict[str, tuple[Train, str, tuple[str, ...], str]] = {
    "sae_lens": (sae_lens, "sae-lens", ARCHITECTURES, "SAETrainer.fit, autocast on a GPU"),
    "sparsify": (sparsify, "eai-sparsify", ("topk",), "SparseCoder, FVU, SignSGD"),
}
"""Per module: its training, its distribution, its architectures, how it is used."""


def main() -> None:
    """A line of JSON per width and architecture, until the time is up."""
    args = _parser().parse_args()
    ends = time.monotonic() + args.seconds
    train, distribution, kinds, how = PEERS[args.peer]
    for d_in in args.d_in:
        for kind in kinds:
            if time.monotonic() > ends:
                return
            rate, peak = _measured(train, kind, args, d_in)
            found = {
                "library": args.peer,
                "version": importlib.metadata.version(distribution),
                "how": how,
                "d_in": d_in,
                "architecture": kind,
                "tokens_per_second": rate,
                "peak_gib": peak,
            }
            print(json.dumps(found), flush=True)


def _measured(
    train: Train, kind: str, args: argparse.Namespace, d_in: int
) -> tuple[float, float | None]:
    """Tokens per second, and the most that torch held on a GPU, in GiB."""
    gc.collect()  # the SAE before this one has cycles
    torch.manual_seed(0)
    drawn = Timed(torch.randn(args.batch_size, d_in, device=args.device), args.steps)
    cuda = args.device.startswith("cuda")
    if cuda:
        torch.cuda.reset_peak_memory_stats(args.device)
    train(kind, args, drawn, d_in)
    rate = drawn.tokens_per_second()
    return rate, torch.cuda.max_memory_allocated(args.device) / 2**30 if cuda else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("peer", choices=sorted(PEERS))
    parser.add_argument("--d-in", type=int, nargs="+", required=True)
    for name in ("--d-sae", "--k", "--batch-size", "--steps"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=60.0, help="to begin measurements in")
    return parser


if __name__ == "__main__":
    main()
