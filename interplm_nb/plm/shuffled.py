"""The control of the paper: the same model with the values of every weight and bias tensor in random order."""

import hashlib

import torch

from interplm_nb.plm.esm2 import ESM2


def shuffled(plm: ESM2, seed: int = 42) -> ESM2:
    """A copy with the values permuted within each weight and bias tensor (fair-esm's tensors, layer norms included), seeded.

    It keeps each tensor's distribution of values and loses what was learned. The tied embedding and LM head stay one tensor. The copy's
    revision is the sha256 of the original's revision and the seed, so that it is the same in every dtype.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, value in sorted(plm.weights().items()):
        order = torch.randperm(value.numel(), generator=generator).to(value.device)
        weights[name] = value.reshape(-1)[order].view(value.shape)
    revision = f"sha256:{hashlib.sha256(f'{plm.revision} shuffled {seed}'.encode()).hexdigest()}"
    return ESM2(
        weights, plm.architecture, f"{plm.name}-shuffled-{seed}", revision, plm.device, plm.dtype
    )
