"""What the peers' training scripts share: arguments, batches of cached activations, measurements.

It needs only numpy, torch and Linux (`/proc`), so it runs in the peers' environment (`make peers`)
from the repository's root.
"""

import argparse
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

WARM_UP = 2
"""Steps that train but are not timed: PyTorch's first allocations, and a peer's own set-up."""
_SAMPLED_EVERY = 0.01
Batch = TypeVar("Batch")


def arguments(description: str | None) -> argparse.Namespace:
    """What every peer is trained with, from the command line."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("activations", type=Path, help="a .npy of float32 [n, d_in]")
    for name in ("d_in", "d_sae", "k", "batch_size", "steps"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, required=True)
    parser.add_argument("--lr", type=float, required=True, help="Adam's, after the warm-up")
    parser.add_argument(
        "--warmup",
        type=int,
        help="steps over which lr grows from about 0; without it, the peer's default",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the weights and of the order of rows"
    )
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch")
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="of products, in ours and sparsify",
    )
    parser.add_argument(
        "--evaluate",
        type=int,
        default=0,
        metavar="N",
        help="keep the last N rows out of training and take final_fvu on them",
    )
    parser.add_argument(
        "--out", type=Path, help="a folder for the trained SAE, in the peer's own format"
    )
    args = parser.parse_args()
    if args.steps <= WARM_UP:
        parser.error(f"--steps counts the {WARM_UP} that are not timed: give more than {WARM_UP}")
    if (found := rows(args.activations).shape[1]) != args.d_in:
        parser.error(f"{args.activations} has d_in {found}, not {args.d_in}")
    torch.set_num_threads(args.threads)
    return args


def rows(path: Path) -> np.ndarray:
    """The cached activations, float32 [n, d_in], memory-mapped."""
    x = np.load(path, mmap_mode="r").view(np.ndarray)
    if x.dtype != np.float32 or x.ndim != 2:
        raise ValueError(f"{path} should hold float32 [n, d_in], not {x.dtype} {list(x.shape)}")
    return x


def batches(
    path: Path, batch_size: int, steps: int, seed: int, held_out: int = 0
) -> Iterator[Tensor]:
    """`steps` batches, float32 [batch_size, d_in], of all rows except the last `held_out`.

    `seed` alone decides the order. Each pass over the rows has its own permutation; rows that do
    not fill a batch at its end are left out of that pass.
    """
    x = rows(path)
    n = len(x) - held_out
    per_pass = n // batch_size
    if per_pass < 1:
        raise ValueError(f"{path} has {n} rows to train on, fewer than one batch of {batch_size}")
    generator, order = np.random.default_rng(seed), np.empty(0, np.int64)
    for step in range(steps):
        at = step % per_pass
        if at == 0:
            order = generator.permutation(n)
        yield torch.from_numpy(x[order[at * batch_size : (at + 1) * batch_size]])


class Measured(Iterator[Batch], Generic[Batch]):
    """Hands on `drawn` batches and measures the training that asks for them, while it is entered.

    `seconds` runs from the request for the first batch after the warm-up to the request for one too
    many, or to leaving if a peer's loop stops by its own count. Reading the batches is part of it.
    """

    def __init__(self, drawn: Iterator[Batch], warm_up: int = WARM_UP) -> None:
        self.seconds = 0.0
        self.peak_bytes = 0
        """Peak anonymous memory (RssAnon), sampled every 10 ms; pages of the mapped file do not
        count."""
        self.bytes_before = _anonymous_bytes()
        """The same before any work: Python, torch and the peer's imports."""
        self._drawn, self._warm_up = drawn, warm_up
        self._n, self._started, self._ended = 0, 0.0, 0.0
        self._left = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __next__(self) -> Batch:
        if self._n == self._warm_up:
            self._started = time.perf_counter()
        try:
            batch = next(self._drawn)
        except StopIteration:
            self._ended = time.perf_counter()
            raise
        self._n += 1
        return batch

    def __enter__(self) -> Self:
        self._sampler.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.seconds = (self._ended or time.perf_counter()) - self._started
        self._left.set()
        self._sampler.join()

    def _sample(self) -> None:
        while not self._left.wait(_SAMPLED_EVERY):
            self.peak_bytes = max(self.peak_bytes, _anonymous_bytes())


def fvu(
    path: Path, n: int, reconstruct: Callable[[Tensor], Tensor], batch_size: int
) -> float | None:
    """sum ||x - x_hat||^2 / sum ||x - mean||^2 over the last n rows and their mean; None for n = 0.

    Sums are float64.
    """
    if n == 0:
        return None
    return fvu_of(torch.from_numpy(rows(path)[-n:].copy()), reconstruct, batch_size)


@torch.no_grad()
def fvu_of(x: Tensor, reconstruct: Callable[[Tensor], Tensor], batch_size: int) -> float:
    """`fvu` of x [n, d_in]."""
    mean = x.double().mean(0)
    residual, total = 0.0, 0.0
    for batch in x.split(batch_size):
        residual += float((batch - reconstruct(batch)).double().square().sum())
        total += float((batch.double() - mean).square().sum())
    return residual / total


def report(
    library: str,
    version: str,
    args: argparse.Namespace,
    measured: Measured,
    reconstruct: Callable[[Tensor], Tensor],
) -> None:
    """Print the measurement as one line of JSON; times are those of the timed steps."""
    timed = args.steps - WARM_UP
    found = {
        "library": library,
        "version": version,
        "steps": args.steps,
        "timed_steps": timed,
        "seconds": measured.seconds,
        "tokens_per_second": timed * args.batch_size / measured.seconds,
        "peak_anonymous_bytes": measured.peak_bytes,
        "anonymous_bytes_before": measured.bytes_before,
        "final_fvu": fvu(args.activations, args.evaluate, reconstruct, args.batch_size),
    }
    print(json.dumps(found))


def _anonymous_bytes() -> int:
    found = re.search(r"^RssAnon:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.M)
    if found is None:
        raise OSError("/proc/self/status has no RssAnon: memory is measured on Linux only")
    return int(found[1]) * 1024
