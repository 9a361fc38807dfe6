"""UniRep with random weights at its real shape, so that nothing is fetched."""

import torch

from benchmarks.gpu_rows import Setting
from interplm_nb.plm import unirep_weights
from interplm_nb.plm.unirep import UniRep

D_IN = 10
"""Width of the embedding."""


def units(setting: Setting) -> int:
    """1,900, or a few at the tiny size."""
    return setting.pick(1_900, 16)


def unirep_flop(setting: Setting) -> float:
    """Floating-point operations of the products of one residue: 5 units^2 weights.

    What the letters are multiplied by comes from a table.
    """
    return 10.0 * units(setting) ** 2


def random_arrays(n: int) -> dict[str, torch.Tensor]:
    """float32 arrays under the published names, of one layer with n units.

    Gains are a half: with larger ones a random recurrence is chaotic, and two roundings of the same
    arithmetic diverge within some hundred steps.
    """
    generator = torch.Generator().manual_seed(0)
    sizes = unirep_weights.shapes(n, 1, D_IN)
    gains = ("gx", "gh", "gmx", "gmh")
    return {
        name: torch.full(size, 0.5)
        if name.rpartition(".")[2] in gains
        else torch.randn(size, generator=generator)
        for name, size in sizes.items()
    }


def random_unirep(setting: Setting, device: torch.device, dtype: torch.dtype) -> UniRep:
    """The model with random weights, the same on every device."""
    return UniRep(random_arrays(units(setting)), "random", "sha256:none", device, dtype)
