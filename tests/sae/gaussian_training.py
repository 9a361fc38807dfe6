"""A training that takes a second, on made-up embeddings, for the tests of this folder."""

import time
from pathlib import Path
from typing import Any

import torch

from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.model import SAE
from interplm_nb.sae.training.train import TrainingOptions, train_on

STEPS = 60
_FAST: dict[str, Any] = {"lr": 0.01, "seed": 3, "dead_after_tokens": 320}
PAPER = SAEConfig.recipe("interplm-paper", 24, dead="resample by error", resample_every=15, **_FAST)
TOPK = SAEConfig.recipe("topk", 24, k=3, **_FAST)
CONFIGS = {
    "paper": PAPER,
    "v1": SAEConfig.recipe(
        "interplm-v1", 24, dead="resample at random", resample_every=15, **_FAST
    ),
    "topk": TOPK,
    "batchtopk": SAEConfig.recipe("batchtopk", 24, k=3, scaling="dimension", **_FAST),
    "jumprelu": SAEConfig.recipe("jumprelu", 24, k=3, bandwidth=0.05, **_FAST),
    "gated": SAEConfig.recipe("gated", 24, **_FAST),
    "matryoshka": SAEConfig.recipe("matryoshka", 24, k=3, prefixes=(4, 12, 24), **_FAST),
}
"""One of each architecture."""


class Gaussian:
    """Batches of sums of a few fixed directions."""

    layers = (2,)

    def __init__(
        self, seed: int = 0, batch_size: int = 32, bad_step: int = -1, pause: float = 0
    ) -> None:
        self.seed, self.batch_size, self.bad_step, self.pause = seed, batch_size, bad_step, pause
        self.directions = torch.randn(12, 8, generator=torch.Generator().manual_seed(seed))

    def about(self, layer: int) -> dict[str, Any]:
        return {
            "plm": "fake",
            "plm_revision": "sha256:1",
            "layer": layer,
            "data": f"gaussian-{self.seed}",
        }

    def batch(self, step: int) -> dict[int, torch.Tensor]:
        time.sleep(self.pause)
        generator = torch.Generator().manual_seed(1000 * self.seed + step)
        weights = torch.rand(self.batch_size, 12, generator=generator)
        x = torch.where(weights > 0.8, weights, 0) @ self.directions + 1
        return {2: x * float("nan") if step == self.bad_step else x}


def run(
    folder: Path,
    config: SAEConfig,
    batches: Gaussian | None = None,
    steps: int = STEPS,
    **options: Any,
) -> SAE:
    return train_on(batches or Gaussian(), {folder: config}, steps, on_cpu(**options))[0]


def on_cpu(**options: Any) -> TrainingOptions:
    return TrainingOptions(device="cpu", progress=False, **options)


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(
        torch.equal(x, y)
        for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )
