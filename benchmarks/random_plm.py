"""ESM-2 with random weights at the shape of its 8M model, for benchmarks that need no trained
weights."""

import torch

from benchmarks.peers import many
from interplm_nb.plm.checkpoints import Architecture
from interplm_nb.plm.esm2 import ESM2

SHAPE = Architecture(n_layers=many.N_LAYERS, d_model=many.D_IN, n_heads=many.N_HEADS)


def random_weights() -> dict[str, torch.Tensor]:
    """The same at each call."""
    generator = torch.Generator().manual_seed(0)
    return {
        n: 0.05 * torch.randn(s, generator=generator) + n.endswith("norm.weight")
        for n, s in SHAPE.shapes().items()
    }


def random_plm() -> ESM2:
    """A model of these weights."""
    return ESM2(random_weights(), SHAPE, "random-8M", "sha256:none", "cpu")
