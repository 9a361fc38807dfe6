"""An SAE's first weights."""

import torch
from torch import Tensor

from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.model import SAE
from interplm_nb.sae.training.atoms import first_atoms


def new_sae(config: SAEConfig, sample: Tensor) -> SAE:
    """An SAE with the first weights of a config, in the dtype of `sample` [n, d_in], which are some
    of the training residues, scaled as in training."""
    d_in = sample.shape[1]
    generator = torch.Generator().manual_seed(config.seed)
    sae = SAE(d_in, config.d_sae, config.architecture)
    with torch.no_grad():
        sae.W_dec.copy_(first_atoms(config.d_sae, d_in, generator))
        if config.encoder_init == "tied":
            sae.W_enc.copy_(sae.W_dec.T)
        else:
            bound = d_in**-0.5
            sae.W_enc.uniform_(-bound, bound, generator=generator)
            if config.encoder_init == "linear":
                sae.b_enc.uniform_(-bound, bound, generator=generator)
        if config.b_dec_init != "zero":
            sae.b_dec.copy_(
                sample.mean(0) if config.b_dec_init == "mean" else geometric_median(sample)
            )
        for name, own in config.architecture.own_weights.items():
            getattr(sae, name).fill_(own.first)
    return sae.to(sample.dtype)


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
