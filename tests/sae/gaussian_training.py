"""Two small trainings on made-up embeddings, for the tests of this folder."""

import time
from pathlib import Path

import torch

from interplm_nb.sae.model import SAE
from interplm_nb.sae.recipes import TrainConfig
from interplm_nb.sae.train import train

PAPER = TrainConfig("interplm-paper", d_sae=24, steps=60, batch_size=32, lr=0.01, resample_every=25, seed=3)
TOPK = TrainConfig("topk", d_sae=24, steps=60, batch_size=32, lr=0.01, k=3, dead_after_tokens=320, seed=3)


class Gaussian:
    """Batches of sums of a few fixed directions."""

    def __init__(self, seed: int = 0, batch_size: int = 32, bad_step: int = -1, pause: float = 0) -> None:
        self.seed, self.batch_size, self.bad_step, self.pause = seed, batch_size, bad_step, pause
        self.directions = torch.randn(12, 8, generator=torch.Generator().manual_seed(seed))
        self.about = {"plm": "fake", "plm_revision": "sha256:1", "layer": 2, "data": f"gaussian-{seed}"}

    def batch(self, step: int) -> torch.Tensor:
        time.sleep(self.pause)
        generator = torch.Generator().manual_seed(1000 * self.seed + step)
        weights = torch.rand(self.batch_size, 12, generator=generator)
        x = torch.where(weights > 0.8, weights, 0) @ self.directions + 1
        return x * float("nan") if step == self.bad_step else x


def run(folder: Path, config: TrainConfig, **options: object) -> SAE:
    return train(Gaussian(), config, folder, device="cpu", progress=False, **options)  # pyright: ignore[reportArgumentType]


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))
