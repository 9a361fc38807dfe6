"""What training minimises.

x is [B, d_in]; x_hat and the target, which is x except for a transcoder, are [B, d_out]; every loss
is a scalar. Under `torchrun` each is over this process's residues, so that the mean of the
processes' gradients is the gradient of the whole batch's loss.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.model import SAE
from interplm_nb.sae.training.choice import top_k_entries
from interplm_nb.sae.training.distributed import ALONE, World
from interplm_nb.sae.training.reconstruct import (
    reconstruction_error,
    sparse_decode,
    squared_error,
)


class Loss(NamedTuple):
    """A loss, its parts, and the forward pass behind it."""

    total: Tensor
    parts: dict[str, Tensor]
    """reconstruction; sparsity and auxiliary (AuxK), each before its weight, and gate, where the
    loss has them."""
    x_hat: Tensor
    counts: Tensor
    """int64 [d_sae]: residues on which each feature is active."""
    threshold: Tensor | None


def loss(
    sae: SAE,
    x: Tensor,
    config: SAEConfig,
    sparsity: float,
    dead: Tensor | None = None,
    world: World = ALONE,
    target: Tensor | None = None,
) -> Loss:
    """The loss of an SAE on x [B, d_in]: R, the terms of its architecture (`sae.architectures` has
    each equation), and auxk_alpha * AuxK where `dead` (int64 [n]) is given.

    R is mean_i ||t_i - x_hat_i||^2, or mean_i ||t_i - x_hat_i|| (`config.reconstruction`), where
    t is `target` [B, d_out] of a transcoder, and x otherwise.
    `sparsity` is the weight of the sparsity term at this step.
    """
    target = x if target is None else target
    output = sae.architecture.training_pass(sae, x, target, config, world)
    error = reconstruction_error(config.reconstruction, target, output.prefixes)
    parts = {"reconstruction": error, **output.parts}
    total = error + parts.get("gate", 0)
    if "sparsity" in parts:
        total = total + sparsity * parts["sparsity"]
    if dead is not None:
        parts["auxiliary"] = auxiliary_k(sae, x, target - output.x_hat, dead, world)
        total = total + config.auxk_alpha * parts["auxiliary"]
    return Loss(total, parts, output.x_hat.detach(), output.counts, output.threshold)


def auxiliary_k(sae: SAE, x: Tensor, error: Tensor, dead: Tensor, world: World = ALONE) -> Tensor:
    """AuxK: the dead features' attempt at what the others left unexplained.

        e = error = target - x_hat                                (no gradient flows through it)
        e_hat = topk(relu(z), k = min(d_out // 2, n_dead), over dead features) @ W_dec
        mean_i ||e_i - e_hat_i||^2 / mean_i ||e_i - mean(e)||^2

    `dead` int64 [n_dead], at least one; for Gated, z is its gate's. Gao et al. 2024 (arXiv
    2406.04093), appendix A.2, with InterPLM's k.
    """
    e = error.detach()
    k = min(max(1, sae.d_out // 2), len(dead))
    fires_by = sae.architecture.fires_by
    if x.device.type == "cpu" and fires_by == "b_enc":
        e_hat = sparse_decode(sae, x, top_k_entries(sae, x, k, dead))
    else:
        z = sae.pre_activation(x, dead)
        if fires_by != "b_enc":
            z = z + getattr(sae, fires_by)[dead]
        values, chosen = z.relu().topk(k, dim=1, sorted=False)
        e_hat = torch.zeros_like(z).scatter(1, chosen, values) @ sae.W_dec[dead]
    spread = world.mean((e - world.mean(e.mean(0))).square().sum(1).mean())
    # A perfect reconstruction leaves nothing to explain: 0, not 0 / 0.
    tiny = torch.finfo(spread.dtype).tiny
    return torch.where(spread > 0, squared_error(e, e_hat) / spread.clamp_min(tiny), 0)


def fraction_unexplained(x: Tensor, x_hat: Tensor, world: World = ALONE) -> Tensor:
    """FVU of a batch: sum ||x_i - x_hat_i||^2 / sum ||x_i - mean(x)||^2."""
    mean = world.mean(x.mean(0))
    return world.sum((x - x_hat).square().sum()) / world.sum((x - mean).square().sum())
