"""An SAE of a few features with random weights, for the tests of this folder."""

import torch
from hypothesis import strategies as st

from interplm_nb.sae.architectures import (
    Architecture,
    BatchTopK,
    Gated,
    JumpReLU,
    Matryoshka,
    ReLU,
    TopK,
)
from interplm_nb.sae.model import SAE
from interplm_nb.sae.residue_norm import ResidueNorm

D_SAE = 20
architectures: st.SearchStrategy[Architecture] = st.sampled_from(
    [ReLU(), JumpReLU(), Gated(), BatchTopK(3), Matryoshka(3, (4, 9, D_SAE))]
) | st.integers(1, D_SAE).map(TopK)
"""Every kind, for an SAE of 20 features."""


def any_sae(
    architecture: Architecture,
    d_in: int = 6,
    d_sae: int = D_SAE,
    seed: int = 0,
    residue_norm: ResidueNorm | None = None,
) -> SAE:
    """Random weights; thresholds are 0 or more."""
    sae = SAE(d_in, d_sae, architecture, residue_norm)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sae.state_dict().items():
            values = torch.randn(weight.shape, generator=generator)
            weight.copy_(values.abs() / 2 if name == "threshold" else values)
    return sae
