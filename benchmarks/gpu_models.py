"""Models of random weights at real shapes, made on the device, and what products cost."""

from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from benchmarks.gpu_rows import Setting
from interplm_nb.plm.checkpoints import Architecture
from interplm_nb.plm.esm2 import ESM2
from interplm_nb.proteins import Proteins
from interplm_nb.readers import demo
from interplm_nb.readers.uniprot_tsv import read_uniprot_tsv

if TYPE_CHECKING:
    from esm.model import esm2 as fair_esm

SHAPES = {
    "8M": Architecture(6, 320, 20),
    "35M": Architecture(12, 480, 20),
    "150M": Architecture(30, 640, 20),
    "650M": Architecture(33, 1280, 20),
    "3B": Architecture(36, 2560, 40),
}
"""ESM-2's, by parameters."""

SMALLEST = Architecture(2, 32, 4)
"""What every name means at the tiny size."""


def shape(name: str, setting: Setting) -> Architecture:
    """The architecture of a name; at the tiny size every name has the same small one."""
    return SMALLEST if setting.tiny else SHAPES[name]


def random_esm2(architecture: Architecture, device: torch.device, dtype: torch.dtype) -> ESM2:
    """Ours, matrices of standard deviation 1 / sqrt(d_in), norms 1, biases 0."""
    generator = torch.Generator(device).manual_seed(0)
    weights = {
        name: _drawn(name, size, device, dtype, generator)
        for name, size in architecture.shapes().items()
    }
    return ESM2(weights, architecture, "random", "sha256:none", device, dtype)


def _drawn(
    name: str,
    size: tuple[int, ...],
    device: torch.device,
    dtype: torch.dtype,
    generator: torch.Generator,
) -> Tensor:
    if len(size) == 1:
        of_norm = "norm" in name and name.endswith(".weight")
        return torch.full(size, float(of_norm), device=device, dtype=dtype)
    drawn = torch.randn(size, device=device, dtype=dtype, generator=generator)
    return drawn.mul_(size[-1] ** -0.5)


def fair_esm_model(architecture: Architecture, device: torch.device) -> "fair_esm.ESM2":
    """fair-esm's own model with its own first weights, float32, in eval mode.

    ImportError where fair-esm is not installed.
    """
    import esm
    from esm.model import esm2 as fair_esm

    torch.manual_seed(0)
    a = architecture
    with torch.device(device):
        alphabet = esm.Alphabet.from_architecture("ESM-1b")
        model = fair_esm.ESM2(a.n_layers, a.d_model, a.n_heads, alphabet)
    return model.to(device).eval()


def same_weights(model: "fair_esm.ESM2", architecture: Architecture, dtype: torch.dtype) -> ESM2:
    """Ours with the weights of fair-esm's model, on its device."""
    known = architecture.shapes()
    weights = {k: v.detach() for k, v in model.state_dict().items() if k in known}
    device = next(model.parameters()).device
    return ESM2(weights, architecture, "random", "sha256:none", device, dtype)


def esm2_flop(architecture: Architecture, proteins: Proteins) -> float:
    """Floating-point operations of the products of one pass over proteins, without padding.

    A layer has 12 d_model^2 weights, so 24 d_model^2 a token, and attention 4 d_model for each pair
    of tokens.
    """
    tokens, d = proteins.lengths.astype(float) + 2, architecture.d_model
    return float(architecture.n_layers * (24 * d**2 * tokens + 4 * d * tokens**2).sum())


@cache
def _embedded() -> Proteins:
    return read_uniprot_tsv(demo.table_path()).proteins


def sampled(n_proteins: int, longest: int = 1022) -> Proteins:
    """Embedded proteins of the real length mix, in random order as a file would have them."""
    proteins, _ = _embedded().up_to(longest)
    shuffled = proteins.table.sample(fraction=1, shuffle=True, seed=0)
    return Proteins(shuffled[:n_proteins])
