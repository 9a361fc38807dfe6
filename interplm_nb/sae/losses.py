"""What training minimises, one function per recipe; x and x_hat are [B, d_in], float32, and every loss is a scalar."""

import torch
from torch import Tensor

from interplm_nb.sae.model import SAE


def reconstruction_norm(x: Tensor, x_hat: Tensor) -> Tensor:
    """mean_i ||x_i - x_hat_i||_2, not squared (recipe "interplm-paper")."""
    return (x - x_hat).norm(dim=1).mean()


def squared_error(x: Tensor, x_hat: Tensor) -> Tensor:
    """mean_i ||x_i - x_hat_i||_2^2 (recipe "topk")."""
    return (x - x_hat).square().sum(1).mean()


def interplm_paper(x: Tensor, x_hat: Tensor, activity: Tensor, l1: float) -> tuple[Tensor, dict[str, Tensor]]:
    """mean_i ||x_i - x_hat_i||_2 + l1 * mean_i ||f_i||_1, and its parts; `activity` is the sum of all activations.

    The loss of InterPLM's released code, after Bricken et al. 2023 (which squares the first term).
    """
    reconstruction, sparsity = reconstruction_norm(x, x_hat), activity / len(x)
    return reconstruction + l1 * sparsity, {"reconstruction": reconstruction, "l1_norm": sparsity}


def auxiliary_k(sae: SAE, x: Tensor, x_hat: Tensor, dead: Tensor) -> Tensor:
    """AuxK: the dead features' attempt at what the others left unexplained.

        e = x - x_hat                                             (no gradient flows through it)
        e_hat = topk(relu(z), k = min(d_in // 2, n_dead), over dead features) @ W_dec
        mean_i ||e_i - e_hat_i||^2 / mean_i ||e_i - mean(e)||^2

    `dead` int64 [n_dead], at least one. Gao et al. 2024 (arXiv 2406.04093), appendix A.2, with InterPLM's k.
    """
    e = (x - x_hat).detach()
    z = sae.pre_activation(x, dead).relu()
    values, chosen = z.topk(min(sae.d_in // 2, len(dead)), dim=1, sorted=False)
    e_hat = torch.zeros_like(z).scatter(1, chosen, values) @ sae.W_dec[dead]
    spread = (e - e.mean(0)).square().sum(1).mean()
    # A perfect reconstruction leaves nothing to explain: 0, not 0 / 0.
    return torch.where(spread > 0, squared_error(e, e_hat) / spread.clamp_min(torch.finfo(spread.dtype).tiny), 0)


def fraction_unexplained(x: Tensor, x_hat: Tensor) -> Tensor:
    """FVU of a batch: sum ||x_i - x_hat_i||^2 / sum ||x_i - mean(x)||^2."""
    return (x - x_hat).square().sum() / (x - x.mean(0)).square().sum()
