"""A random SAE: the control that shows what a dictionary is worth without training."""

import torch
from torch import Tensor

from interplm_nb.sae.architectures import TopK
from interplm_nb.sae.model import SAE


def random_sae(d_in: int, d_sae: int, k: int, b_dec: Tensor, seed: int) -> SAE:
    """An SAE of the trained one's shape with random unit atoms, the encoder their transpose, b_enc 0 and TopK.

    `k` is the trained SAE's mean L0, rounded (at least 1), so that both are equally sparse; `b_dec` [d_in] is the mean of the training data, without
    which every random feature would measure the distance to the origin first of all.
    """
    atoms = torch.randn(d_sae, d_in, generator=torch.Generator().manual_seed(seed))
    atoms /= atoms.norm(dim=1, keepdim=True)
    if b_dec.shape != (d_in,):
        raise ValueError(f"b_dec is the mean embedding, shape ({d_in},), not {tuple(b_dec.shape)}")
    sae = SAE(d_in, d_sae, TopK(k))
    with torch.no_grad():
        sae.W_dec.copy_(atoms)
        sae.W_enc.copy_(atoms.T)
        sae.b_dec.copy_(b_dec)
    return sae.eval()
