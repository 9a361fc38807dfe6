"""An SAE's first weights."""

import torch
from torch import Tensor

from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.model import SAE
from interplm_nb.sae.training.atoms import first_atoms


def new_sae(config: SAEConfig, sample: Tensor, target: Tensor | None = None) -> SAE:
    """An SAE with the first weights of a config, in the dtype of `sample` [n, d_in], which are some
    of the training residues, scaled as in training.

    With `target` [n, d_out], what a transcoder is to write at these residues, a tied encoder reads
    where the input covaries most with the atom: Cov(x, target) @ atom, at unit norm. For a target
    that is x, in which all directions vary alike, that is the atom itself.
    """
    d_in, written = sample.shape[1], sample if target is None else target
    generator = torch.Generator().manual_seed(config.seed)
    sae = SAE(
        d_in, config.d_sae, config.architecture, d_out=None if target is None else target.shape[1]
    )
    with torch.no_grad():
        sae.W_dec.copy_(first_atoms(config.d_sae, written.shape[1], generator))
        if config.encoder_init == "tied":
            sae.W_enc.copy_(sae.W_dec.T if target is None else _reading(sae, sample, target))
        else:
            bound = d_in**-0.5
            sae.W_enc.uniform_(-bound, bound, generator=generator)
            if config.encoder_init == "linear":
                sae.b_enc.uniform_(-bound, bound, generator=generator)
        if config.b_dec_init != "zero":
            sae.b_dec.copy_(_centre(config, written))
            if sae.transcodes:
                sae.b_in.copy_(_centre(config, sample))
        for name, own in config.architecture.own_weights.items():
            getattr(sae, name).fill_(own.first)
    return sae.to(sample.dtype)


def _centre(config: SAEConfig, x: Tensor) -> Tensor:
    return x.mean(0) if config.b_dec_init == "mean" else geometric_median(x)


def _reading(sae: SAE, x: Tensor, target: Tensor) -> Tensor:
    """First encoders [d_in, d_sae] of a transcoder."""
    covariance = (x - x.mean(0)).T @ (target - target.mean(0)) / len(x)
    return torch.nn.functional.normalize(covariance @ sae.W_dec.T.to(x), dim=0)


def geometric_median(x: Tensor, iterations: int = 100, tolerance: float = 1e-6) -> Tensor:
    """The point [d_in] with the smallest sum of distances to x [n, d_in], by Weiszfeld's iteration:
    a centre that outliers move little."""
    x = x.double()
    centre = x.mean(0)
    for _ in range(iterations):
        weights = 1 / (x - centre).norm(dim=1).clamp_min(1e-12)
        before, centre = centre, (weights @ x) / weights.sum()
        if (centre - before).norm() <= tolerance * centre.norm():
            break
    return centre
