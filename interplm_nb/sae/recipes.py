"""Recipes of SAE training: settings, first weights, schedules, and what is done to atoms and dead features."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from interplm_nb.sae.model import SAE, ReLU, TopK

Recipe = Literal["interplm-paper", "topk"]


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one training. The same settings on the same batches give the same weights (on a CPU, bit for bit).

    "interplm-paper": ReLU, mean L2 norm + l1 * mean L1 norm, as InterPLM's first release (Simon & Zou 2025).
    "topk": TopK, squared error + AuxK / 32 (Gao et al. 2024), encoder tied to the decoder at the start, b_dec from the data's mean.
    """

    recipe: Recipe
    d_sae: int
    """Features; the paper has 32 times (8M) or 8 times (650M) d_in."""
    steps: int
    batch_size: int = 2048
    """Residues per step."""
    lr: float | None = None
    """Adam's; None is 1e-4 ("interplm-paper", the top of the paper's grid) or 2e-4 / sqrt(d_sae / 16384) ("topk")."""
    l1: float = 0.1
    """Weight of the L1 norm, "interplm-paper" only; the paper's grid is 0.04 to 0.2."""
    k: int = 32
    """Active features per residue, "topk" only."""
    warmup_fraction: float = 0.05
    """Share of the steps over which lr rises linearly from 0, to stay constant then."""
    l1_warmup_fraction: float = 0.05
    """Share of the steps over which l1 rises linearly from 0."""
    resample_every: int | None = None
    """Steps between revivals of dead features, "interplm-paper" only; None is never. lr warms up again after each."""
    auxk_alpha: float = 1 / 32
    """Weight of AuxK, "topk" only."""
    dead_after_tokens: int = 10_000_000
    """Residues without firing after which AuxK takes a feature for dead."""
    clip_norm: float | None = 1.0
    """Greatest norm of the gradient, "topk" only (the paper's recipe does not clip); None is no clipping."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.recipe not in ("interplm-paper", "topk"):
            raise ValueError(f"a recipe is 'interplm-paper' or 'topk', not {self.recipe!r}")
        for name in ("d_sae", "steps", "batch_size", "k"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
        if self.lr is not None and self.lr <= 0:
            raise ValueError(f"lr is above 0 (or None for the recipe's own), not {self.lr}")

    @property
    def learning_rate(self) -> float:
        """Adam's, after warm-up: `lr`, or the recipe's own where that is None."""
        if self.lr is not None:
            return self.lr
        return 1e-4 if self.recipe == "interplm-paper" else 2e-4 / (self.d_sae / 2**14) ** 0.5

    @property
    def warmup_steps(self) -> int:
        """Steps over which the learning rate rises: `warmup_fraction` of all, rounded down."""
        return int(self.warmup_fraction * self.steps)

    def lr_at(self, step: int) -> float:
        """Learning rate of a step, from 0; as in InterPLM's first release the first warm-up step has lr 0."""
        since = step % self.resample_every if self.resample_every else step
        return self.learning_rate * (min(since / self.warmup_steps, 1.0) if self.warmup_steps else 1.0)

    def l1_at(self, step: int) -> float:
        """Weight of the L1 norm at a step."""
        rising = int(self.l1_warmup_fraction * self.steps)
        return self.l1 * (min(step / rising, 1.0) if rising else 1.0)


def new_sae(config: TrainConfig, sample: Tensor) -> SAE:
    """An SAE with a recipe's first weights; `sample` [n, d_in] are some of the training residues.

    "interplm-paper": random unit atoms, torch's Linear default for the encoder (uniform within 1 / sqrt(d_in), b_enc too), b_dec 0.
    "topk": random unit atoms, the encoder their transpose, b_enc 0, b_dec the mean of `sample`.
    """
    d_in = sample.shape[1]
    generator = torch.Generator().manual_seed(config.seed)
    sae = SAE(d_in, config.d_sae, ReLU() if config.recipe == "interplm-paper" else TopK(config.k))
    with torch.no_grad():
        sae.W_dec.copy_(torch.randn(config.d_sae, d_in, generator=generator))
        renormalise(sae.W_dec)
        if config.recipe == "interplm-paper":
            bound = d_in**-0.5
            sae.W_enc.uniform_(-bound, bound, generator=generator)
            sae.b_enc.uniform_(-bound, bound, generator=generator)
        else:
            sae.W_enc.copy_(sae.W_dec.T)
            sae.b_dec.copy_(sample.mean(0))
    return sae


@torch.no_grad()
def renormalise(atoms: Tensor) -> None:
    """Scale each atom (row) to unit norm, in place."""
    atoms /= atoms.norm(dim=1, keepdim=True).clamp_min(torch.finfo(atoms.dtype).tiny)


@torch.no_grad()
def project_gradient(W_dec: Tensor) -> None:
    """Take from each atom's gradient the part along the atom, which renormalising would undo."""
    if W_dec.grad is None:
        return
    unit = W_dec / W_dec.norm(dim=1, keepdim=True).clamp_min(torch.finfo(W_dec.dtype).tiny)
    W_dec.grad -= (W_dec.grad * unit).sum(1, keepdim=True) * unit


@torch.no_grad()
def resample(sae: SAE, x: Tensor, dead: Tensor, optimizer: torch.optim.Adam, seed: int) -> int:
    """Give dead features (bool [d_sae]) the directions of badly reconstructed inputs; returns how many.

    As InterPLM's first release: inputs are drawn in proportion to ||x - x_hat||; atom = x / ||x||, encoder = x * 0.2 * mean norm of the living
    encoders, b_enc = 0, Adam's moments 0. At most as many as there are inputs.
    """
    error = (x - sae(x).x_hat).norm(dim=1)
    n = min(int(dead.sum()), len(x), int((error > 0).sum()))
    if n == 0 or bool(dead.all()):
        return 0
    drawn = torch.multinomial(error.cpu(), n, generator=torch.Generator().manual_seed(seed)).to(x.device)
    features = dead.nonzero()[:n, 0]
    living = sae.W_enc[:, ~dead].norm(dim=0).mean()
    sae.W_enc[:, features] = (x[drawn] * living * 0.2).T
    sae.W_dec[features] = x[drawn] / x[drawn].norm(dim=1, keepdim=True)
    sae.b_enc[features] = 0
    for weight, at in ((sae.W_enc, (slice(None), features)), (sae.W_dec, (features,)), (sae.b_enc, (features,))):
        for moment in ("exp_avg", "exp_avg_sq"):
            optimizer.state[weight][moment][at] = 0
    return n
