"""Part 3 of the GPU benchmark: training SAEs, tokens per second and peak memory.

Ours is a `Trainee`'s step in the precision that training chooses by default: bfloat16 autocast on a
GPU, float32 on a CPU. The dense loop is autograd over the plain equations with torch's Adam. Peers
train in their own process (`benchmarks/peers/train_on_gpu.py`), with the Python of
`make peers` if there is one, else with this one.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.gpu_dense_loop import DenseLoop
from benchmarks.gpu_models import random_esm2, sampled, shape
from benchmarks.gpu_parity import trainee
from benchmarks.gpu_rows import (
    Clock,
    Measurement,
    Row,
    Setting,
    ceiling,
    peak_gib,
    seconds,
)
from benchmarks.harness import PEERS_PYTHON, ROOT
from benchmarks.peers.train_on_gpu import ARCHITECTURES
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.training.stream import StreamedBatches
from interplm_nb.sae.training.trainee import Trainee

PART = "sae"
RECIPES: dict[str, str] = {"relu": "interplm-paper"}
"""Our recipe for an architecture with another name."""
PEERS = {"sae_lens": "sae-lens", "sparsify": "sparsify"}
"""Module and name of each peer; sparsify has TopK alone."""
STARTING = 20.0
"""Seconds that a peer's process may take beyond its time: it imports before it measures."""


def measurements(setting: Setting) -> list[Measurement]:
    """Each architecture at two widths against the dense loop, the peers, and all layers at once."""
    training = _Training(setting)
    found = [
        Measurement(training.title(d_in, kind), _bound(training.beside_dense_loop, d_in, kind))
        for d_in in training.widths
        for kind in ARCHITECTURES
    ]
    found += [Measurement(f"against {PEERS[p]}", _bound(training.beside_peer, p)) for p in PEERS]
    return [*found, Measurement("one pass, 8M shape", lambda clock: _one_pass(setting, clock))]


def _bound(take: Callable[..., list[Row]], *arguments: Any) -> Callable[[Clock], list[Row]]:
    return lambda clock: take(*arguments, clock)


class _Training:
    """Sizes, and our own rates as they become known."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.widths = [320, 1_280] if not setting.tiny else [32, 48]
        self.d_sae, self.k = setting.pick(10_240, 128), setting.pick(64, 8)
        self.batch, self.block = setting.pick(4_096, 64), setting.pick(10, 2)
        cuda = setting.device.type == "cuda"
        self.autocast = cuda and torch.cuda.is_bf16_supported()
        self._rates: dict[tuple[int, str], tuple[float, float | None]] = {}
        self._ceiling: float | None = None

    def title(self, d_in: int, kind: str) -> str:
        return f"{kind}, {d_in} to {self.d_sae:,}"

    def sample(self, d_in: int) -> torch.Tensor:
        """float32 [batch, d_in] on the CPU."""
        generator = torch.Generator().manual_seed(0)
        return torch.randn(self.batch, d_in, generator=generator)

    def ours(self, d_in: int, kind: str, clock: Clock) -> tuple[float, float | None]:
        """Tokens per second, and the peak of memory in GiB on a GPU."""
        if (d_in, kind) not in self._rates:
            k = None if kind == "relu" else self.k
            config = SAEConfig.recipe(RECIPES.get(kind, kind), self.d_sae, k=k)
            sample = self.sample(d_in)
            begun = trainee(config, sample, self.setting.device, 1_000, self.autocast)
            x = sample.to(self.setting.device)
            self._rates[d_in, kind] = self._measured(lambda: begun.take_step(x), clock)
        return self._rates[d_in, kind]

    def _measured(self, step: Callable[[], None], clock: Clock) -> tuple[float, float | None]:
        def block() -> None:
            for _ in range(self.block):
                step()

        peak = peak_gib(block, self.setting.device)
        spent = self.setting.median(block, clock)
        return self.block * self.batch / spent, peak

    def beside_dense_loop(self, d_in: int, kind: str, clock: Clock) -> list[Row]:
        what = self.title(d_in, kind)
        ours, peak = self.ours(d_in, kind, clock.share(0.5))
        x = self.sample(d_in).to(self.setting.device)
        loop = DenseLoop(kind, d_in, self.d_sae, self.k, self.setting.device, self.autocast)
        dense, dense_peak = self._measured(lambda: loop.step(x), clock)
        products = 5 if kind == "relu" else 1
        rate, top = 2e-12 * products * d_in * self.d_sae * ours, self._top(clock) / 1e12
        plural = "the five products of a dense step" if products == 5 else "the encoder's product"
        size = f"batches of {self.batch:,}" + ("" if kind == "relu" else f", k = {self.k}")
        memory = "peak torch held" if peak is not None else "measured on a GPU only"
        return [
            Row(
                PART,
                what,
                "tokens/s",
                ours,
                dense,
                f"{size}; other: a plain dense loop",
                "at least",
            ),
            Row(
                PART,
                f"{what}, share of the ceiling",
                "TFLOP/s",
                rate,
                top,
                f"counted: {plural}; other: the ceiling",
            ),
            Row(PART, f"{what}, memory", "GiB", peak, dense_peak, f"{memory}; other: dense loop"),
        ]

    def _top(self, clock: Clock) -> float:
        if self._ceiling is None:
            self._ceiling = ceiling(self.setting, clock)
        return self._ceiling

    def beside_peer(self, module: str, clock: Clock) -> list[Row]:
        """A row for each architecture and width that the peer has."""
        found = peer_results(module, self._peer_arguments(clock), clock)
        rows = []
        for result in found:
            d_in, kind = int(result["d_in"]), str(result["architecture"])
            ours, peak = self.ours(d_in, kind, clock)
            what = f"{self.title(d_in, kind)}, {PEERS[module]}"
            note = f"other: {PEERS[module]} {result['version']}, {result['how']}"
            rate = result["tokens_per_second"]
            rows.append(Row(PART, what, "tokens/s", ours, rate, note, "at least"))
            memory = Row(PART, f"{what}, memory", "GiB", peak, result["peak_gib"], note)
            rows += [memory] if peak is not None else []
        return rows

    def _peer_arguments(self, clock: Clock) -> list[str]:
        given = {
            "--d-in": self.widths,
            "--d-sae": [self.d_sae],
            "--k": [self.k],
            "--batch-size": [self.batch],
            "--steps": [self.setting.pick(60, 3)],
            "--device": [self.setting.device],
            "--seconds": [max(1.0, clock.left)],
        }
        return [str(word) for key, values in given.items() for word in (key, *values)]


def peer_results(module: str, arguments: list[str], clock: Clock) -> list[dict[str, Any]]:
    """What the peer's process measured before it ended or ran out of time.

    ImportError where the peer, or what it needs, is not installed; RuntimeError with its last line
    where it failed without a result.
    """
    python = str(PEERS_PYTHON) if PEERS_PYTHON.exists() else sys.executable
    command = [python, "-m", "benchmarks.peers.train_on_gpu", module, *arguments]
    limit = max(0.0, clock.left) + STARTING
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=limit)
        said, complaint = done.stdout, done.stderr.decode()
    except subprocess.TimeoutExpired as error:
        said, complaint = error.stdout or b"", f"stopped after {limit:.0f} s"
    results = [json.loads(line) for line in said.decode().splitlines() if line.startswith("{")]
    if results:
        return results
    last = (complaint.strip().splitlines() or ["no time for its first measurement"])[-1]
    if last.startswith("ModuleNotFoundError"):
        missing = last.partition(": ")[2]
        raise ImportError(f"{missing}; install {PEERS[module]} (make peers)")
    raise RuntimeError(last)


def _one_pass(setting: Setting, clock: Clock) -> list[Row]:
    """Steps of a TopK SAE on every layer from one stream, compared with one stream per layer."""
    architecture = shape("8M", setting)
    plm = random_esm2(architecture, setting.device, torch.float32)
    steps, batch = setting.pick(30, 2), setting.pick(4_096, 32)
    proteins = sampled(setting.pick(1_200, 8), setting.pick(1022, 60))
    layers = list(range(1, architecture.n_layers + 1))
    autocast = setting.device.type == "cuda" and torch.cuda.is_bf16_supported()

    def trained(chosen: list[int]) -> float:
        d_sae, k = setting.pick(10_240, 64), setting.pick(64, 8)
        stream = StreamedBatches(plm, proteins, chosen, batch, 0, buffer_residues=4 * batch)
        first, trainees = stream.batch(0), dict[int, Trainee]()
        for layer in chosen:
            config = SAEConfig.recipe("topk", d_sae, k=k, layer=layer)
            sample = first[layer].cpu()
            trainees[layer] = trainee(config, sample, setting.device, steps, autocast)

        def work() -> None:
            for step in range(steps):
                for layer, x in stream.batch(step).items():
                    trainees[layer].take_step(x)

        work()
        return seconds(work, setting.device)

    together = trained(layers)
    alone = sum(trained([layer]) for layer in layers)
    note = f"{len(layers)} TopK SAEs, one a layer, {steps} steps of {batch:,} residues; other: "
    note += "one by one, each running the model as deep as its own layer"
    return [Row(PART, "one pass, 8M shape", "s", together, alone, note, "at most")]
