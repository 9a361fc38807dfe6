"""An SAE of a few features with random weights, for the tests of this folder."""

import torch

from interplm_nb.sae.model import SAE, Activation


def any_sae(activation: Activation, d_in: int = 6, d_sae: int = 20, seed: int = 0) -> SAE:
    sae = SAE(d_in, d_sae, activation)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in sae.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
    return sae
