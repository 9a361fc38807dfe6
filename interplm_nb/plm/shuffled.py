"""The control of the paper: a model with the values of each tensor in random order."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from interplm_nb.plm.address import remember_shuffled


def shuffled_tensors(
    weights: Mapping[str, Tensor], revision: str, seed: int
) -> tuple[dict[str, Tensor], str]:
    """Permute the values within each tensor, and give the result its own revision.

    This keeps each tensor's distribution of values and loses what was learned. The new revision is
    the sha256 of the original's and the seed, so that it is the same in every dtype.
    """
    generator = torch.Generator().manual_seed(seed)
    permuted = {}
    for name, value in sorted(weights.items()):
        order = torch.randperm(value.numel(), generator=generator).to(value.device)
        permuted[name] = value.reshape(-1)[order].view(value.shape)
    digest = hashlib.sha256(f"{revision} shuffled {seed}".encode()).hexdigest()
    own = f"sha256:{digest}"
    remember_shuffled(revision, own, seed)
    return permuted, own
