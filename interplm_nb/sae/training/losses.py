"""What training minimises. x and x_hat are [B, d_in], every loss is a scalar; under `torchrun` each is of this process's residues, so that the mean
of the processes' gradients is the gradient of the whole batch's loss."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from interplm_nb.sae.architectures import Gated, JumpReLU
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.model import SAE
from interplm_nb.sae.training.choice import top_k_entries
from interplm_nb.sae.training.distributed import ALONE, World
from interplm_nb.sae.training.reconstruct import reconstruct, sparse_decode


class Loss(NamedTuple):
    """A loss, its parts, and the forward pass behind it."""

    total: Tensor
    parts: dict[str, Tensor]
    """reconstruction; sparsity (before its weight) and auxiliary (AuxK, before its weight) where there are any; gate for Gated."""
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
) -> Loss:
    """The loss of an SAE on x [B, d_in], by its architecture:

        ReLU                R + sparsity * mean_i ||f_i||_1                                  (Bricken et al. 2023; InterPLM)
        TopK, BatchTopK     R                                                                (Gao et al. 2024; Bussmann et al. 2024)
        Matryoshka          mean over prefixes m of R(b_dec + f[:m] @ W_dec[:m])             (Bussmann et al. 2025)
        JumpReLU            R + sparsity * (L0 / target_l0 - 1)^2, L0 straight-through       (Rajamanoharan et al. 2024b)
        Gated               R + sparsity * mean_i ||relu(pi_i)||_1 + R(relu(pi) @ W_dec' + b_dec'), pi = u + b_gate, ' without gradient
                                                                                             (Rajamanoharan et al. 2024a)

    with R = mean_i ||x_i - x_hat_i||^2 (or ||x_i - x_hat_i||, `config.reconstruction`), and + auxk_alpha * AuxK where `dead` (int64 [n]) are given.
    `sparsity` is the term's weight at this step.
    """
    match sae.architecture:
        case JumpReLU():
            output, parts = _jumped(sae, x, config, world)
        case Gated():
            output, parts = _gated(sae, x, config)
        case _:
            output = reconstruct(sae, x, world)
            parts = {"sparsity": output.activity / len(x)} if config.sparsity > 0 else {}
    parts = {"reconstruction": reconstruction(config, x, output.prefixes), **parts}
    total = parts["reconstruction"] + parts.get("gate", 0)
    if "sparsity" in parts:
        total = total + sparsity * parts["sparsity"]
    if dead is not None:
        parts["auxiliary"] = auxiliary_k(sae, x, output.x_hat, dead, world)
        total = total + config.auxk_alpha * parts["auxiliary"]
    return Loss(total, parts, output.x_hat.detach(), output.counts, output.threshold)


def reconstruction(config: SAEConfig, x: Tensor, prefixes: Tensor) -> Tensor:
    """mean_i ||x_i - x_hat_i||_2^2, or not squared; the mean of it over Matryoshka's prefixes [n, B, d_in]."""
    if config.reconstruction == "norm":
        return (x - prefixes).norm(dim=-1).mean()
    return squared_error(x, prefixes)


def squared_error(x: Tensor, x_hat: Tensor) -> Tensor:
    """mean_i ||x_i - x_hat_i||_2^2"""
    return (x - x_hat).square().sum(-1).mean()


def auxiliary_k(sae: SAE, x: Tensor, x_hat: Tensor, dead: Tensor, world: World = ALONE) -> Tensor:
    """AuxK: the dead features' attempt at what the others left unexplained.

        e = x - x_hat                                             (no gradient flows through it)
        e_hat = topk(relu(z), k = min(d_in // 2, n_dead), over dead features) @ W_dec
        mean_i ||e_i - e_hat_i||^2 / mean_i ||e_i - mean(e)||^2

    `dead` int64 [n_dead], at least one; z of Gated is its gate's. Gao et al. 2024 (arXiv 2406.04093), appendix A.2, with InterPLM's k.
    """
    e = (x - x_hat).detach()
    k = min(max(1, sae.d_in // 2), len(dead))
    if x.device.type == "cpu" and not isinstance(sae.architecture, Gated):
        e_hat = sparse_decode(sae, x, top_k_entries(sae, x, k, dead))
    else:
        z = sae.pre_activation(x, dead) + (
            sae.b_gate[dead] if isinstance(sae.architecture, Gated) else 0
        )
        values, chosen = z.relu().topk(k, dim=1, sorted=False)
        e_hat = torch.zeros_like(z).scatter(1, chosen, values) @ sae.W_dec[dead]
    spread = world.mean((e - world.mean(e.mean(0))).square().sum(1).mean())
    # A perfect reconstruction leaves nothing to explain: 0, not 0 / 0.
    return torch.where(
        spread > 0, squared_error(e, e_hat) / spread.clamp_min(torch.finfo(spread.dtype).tiny), 0
    )


def fraction_unexplained(x: Tensor, x_hat: Tensor, world: World = ALONE) -> Tensor:
    """FVU of a batch: sum ||x_i - x_hat_i||^2 / sum ||x_i - mean(x)||^2."""
    mean = world.mean(x.mean(0))
    return world.sum((x - x_hat).square().sum()) / world.sum((x - mean).square().sum())


class _DensePass(NamedTuple):
    """What `Loss` takes of a forward pass that is dense."""

    prefixes: Tensor
    counts: Tensor
    threshold: None = None

    @property
    def x_hat(self) -> Tensor:
        return self.prefixes[-1]


def _jumped(
    sae: SAE, x: Tensor, config: SAEConfig, world: World
) -> tuple[_DensePass, dict[str, Tensor]]:
    f, on = _Jump.apply(sae.pre_activation(x).relu(), sae.threshold, config.bandwidth)  # pyright: ignore[reportGeneralTypeIssues]
    l0 = world.agreed(on.sum(1).mean())
    return _DensePass(sae.decode(f)[None], (f.detach() > 0).sum(0)), {
        "sparsity": (l0 / config.target_l0 - 1).square()
    }


def _gated(sae: SAE, x: Tensor, config: SAEConfig) -> tuple[_DensePass, dict[str, Tensor]]:
    u = sae.pre_activation(x)
    f, gate = sae.activated(u), (u + sae.b_gate).relu()
    frozen = gate @ sae.W_dec.detach() + sae.b_dec.detach()
    parts = {"sparsity": gate.sum(1).mean(), "gate": reconstruction(config, x, frozen[None])}
    return _DensePass(sae.decode(f)[None], (f.detach() > 0).sum(0)), parts


class _Jump(torch.autograd.Function):
    """f = z where z > theta, else 0, and H = 1 where z > theta, else 0 (Rajamanoharan et al. 2024b, eq. 11 and 12).

    theta's gradients are -(theta / h) * rect((z - theta) / h) through f and -(1 / h) * rect((z - theta) / h) through H, h the bandwidth; z has one
    through f alone.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, theta: Tensor, bandwidth: float) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(z, theta)
        ctx.bandwidth = bandwidth
        return torch.where(z > theta, z, 0), (z > theta).to(z.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        g_f, g_on = gradients
        z, theta = ctx.saved_tensors
        near = ((z - theta).abs() < ctx.bandwidth / 2) & (z > 0)
        dtheta = -torch.where(near, theta * g_f + g_on, 0).sum(0) / ctx.bandwidth
        return torch.where(z > theta, g_f, 0), dtheta, None
