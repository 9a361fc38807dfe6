"""Small ESM-2 models with random weights, ours and fair-esm's, on the same parameters."""

import torch
from esm.data import Alphabet
from esm.model import esm2 as theirs
from hypothesis import strategies as st
from torch import Tensor

from interplm_nb.plm.checkpoints import Architecture
from interplm_nb.plm.contact_head import ContactHead
from interplm_nb.plm.esm2 import ESM2

SMALL = Architecture(n_layers=3, d_model=24, n_heads=3)
SHAPES = st.builds(
    lambda n, h, w, t: Architecture(n, 2 * h * w, h, t),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 5),
    st.booleans(),
)
"""Architectures for Hypothesis: layers, heads, half the width of a head, token dropout."""


def random_weights(architecture: Architecture = SMALL, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        k: torch.randn(s, generator=generator) * (0.3 if len(s) == 2 else 0.5)
        + (k.endswith("norm.weight"))
        for k, s in architecture.shapes().items()
    }


def random_head(architecture: Architecture = SMALL, seed: int = 0) -> ContactHead:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(architecture.n_layers, architecture.n_heads, generator=generator)
    return ContactHead(10 * weight, torch.randn((), generator=generator))


def toy(
    architecture: Architecture = SMALL,
    seed: int = 0,
    dtype: str = "float32",
    name: str = "toy",
    contact_head: ContactHead | None = None,
) -> ESM2:
    weights, revision = random_weights(architecture, seed), f"sha256:{seed:064x}"
    return ESM2(weights, architecture, name, revision, "cpu", dtype, contact_head)


def fair_esm(
    architecture: Architecture, weights: dict[str, Tensor], contact_head: ContactHead | None = None
) -> theirs.ESM2:
    """fair-esm's own model on these weights; without a contact head its own keeps its first
    values."""
    model = theirs.ESM2(
        architecture.n_layers,
        architecture.d_model,
        architecture.n_heads,
        Alphabet.from_architecture("ESM-1b"),
        architecture.token_dropout,
    )
    state = model.state_dict() | {k: v.float() for k, v in weights.items()}
    model.load_state_dict(state | {"lm_head.weight": state["embed_tokens.weight"]})
    if contact_head is not None:
        regression = model.contact_head.regression
        regression.weight.data = contact_head.weight.reshape(1, -1).clone()
        regression.bias.data = contact_head.bias.reshape(1).clone()
    return model.eval()
