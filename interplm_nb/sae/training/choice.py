"""Which activations of a batch are kept, listed without holding the whole dense batch of pre-activations."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from interplm_nb.sae.architectures import BatchTopK
from interplm_nb.sae.model import SAE
from interplm_nb.sae.training.distributed import ALONE, World

CELLS = 2**22
"""Pre-activations held at once on a CPU (16 MB)."""
_SAMPLE = 16
"""One row of so many is looked at to guess BatchTopK's threshold."""


class Entries(NamedTuple):
    """Non-zero activations in csr form: those of row i are `offsets[i]` to `offsets[i + 1]`."""

    offsets: np.ndarray
    """int64 [n_rows + 1]"""
    features: np.ndarray
    """int64"""
    values: np.ndarray
    """float, above 0"""
    threshold: float | None = None
    """BatchTopK's: the least value that was kept; 0 where all above 0 were."""


class DenseCode(NamedTuple):
    """All activations, zeros among them."""

    f: Tensor
    """[n_rows, d_sae]"""
    counts: Tensor
    """int64 [d_sae]: rows on which each feature is active."""


@torch.no_grad()
def relu_code(sae: SAE, x: Tensor) -> DenseCode:
    """The activations of a ReLU SAE on x [B, d_in], by blocks of rows."""
    f = x.new_empty(len(x), sae.d_sae)
    counts = x.new_zeros(sae.d_sae)
    for block, z in zip(f.split(block_rows(sae.d_sae)), _blocks(sae, x), strict=True):
        torch.clamp_min(z, 0, out=block)
        counts += block.sign().sum(0)  # the fastest of the ways to count that were measured
    return DenseCode(f, counts.long())


def dense_entries(f: np.ndarray) -> Entries:
    """The non-zero entries of activations [n_rows, d_sae]."""
    at = np.flatnonzero(f > 0)
    offsets = np.searchsorted(at, np.arange(len(f) + 1) * f.shape[1])
    return Entries(offsets, at % f.shape[1], f.ravel()[at])


@torch.no_grad()
def top_k_entries(sae: SAE, x: Tensor, k: int, features: Tensor | None = None) -> Entries:
    """The k largest pre-activations of each row of x [B, d_in] that are above 0; with `features` (int64 [n]) only among those."""
    values, chosen = [], []
    for z in _blocks(sae, x, features):
        best = z.topk(k, dim=1, sorted=False)
        values.append(best.values)
        chosen.append(best.indices)
    value, feature = torch.cat(values), torch.cat(chosen)
    if features is not None:
        feature = features[feature]
    kept = value > 0
    offsets = np.concatenate([[0], kept.sum(1).cumsum(0).numpy()])
    return Entries(offsets, feature[kept].numpy(), value[kept].numpy())


@torch.no_grad()
def batch_top_k_entries(sae: SAE, x: Tensor, world: World = ALONE) -> Entries:
    """The k * B largest pre-activations of the whole batch that are above 0 (B: residues over all processes)."""
    assert isinstance(sae.architecture, BatchTopK)
    n = sae.architecture.k * len(x)
    guess = _guess(sae, x) if world.size == 1 else 0.0
    found = _above(sae, x, guess)
    if guess > 0 and len(found.values) < n:
        found = _above(sae, x, 0.0)
    threshold = batch_top_k_threshold(torch.from_numpy(found.values), n, world).item()
    kept = found.values >= threshold
    offsets = np.concatenate([[0], np.cumsum(kept)])[found.offsets]
    return Entries(offsets, found.features[kept], found.values[kept], threshold)


def batch_top_k_threshold(values: Tensor, n: int, world: World = ALONE) -> Tensor:
    """The n-th largest of the values (n for each process: the n * size-th of all), 0 where fewer are above 0."""
    flat = values.flatten().relu()
    n_all = n * world.size
    best = flat.topk(min(n_all, len(flat)), sorted=False).values
    best = torch.nn.functional.pad(best, (0, n_all - len(best)))
    return world.gather(best).topk(n_all, sorted=False).values.min()


def block_rows(width: int) -> int:
    """Rows of so many values that are worked on at once on a CPU."""
    return max(1, CELLS // width)


def _blocks(sae: SAE, x: Tensor, features: Tensor | None = None) -> Iterator[Tensor]:
    """Pre-activations of x by blocks of rows, each written over the one before; with `features` (int64 [n]) of those."""
    W_enc, b_enc = (
        (sae.W_enc, sae.b_enc)
        if features is None
        else (sae.W_enc[:, features], sae.b_enc[features])
    )
    parts = (x - sae.b_dec).split(block_rows(len(b_enc)))
    z = x.new_empty(len(parts[0]), len(b_enc))
    for part in parts:
        yield torch.addmm(b_enc, part, W_enc, out=z[: len(part)])


def _above(sae: SAE, x: Tensor, threshold: float) -> Entries:
    parts = [dense_entries(torch.where(z > threshold, z, 0).numpy()) for z in _blocks(sae, x)]
    firsts = np.cumsum([0, *(part.offsets[-1] for part in parts)])
    offsets = np.concatenate(
        [[0], *(part.offsets[1:] + first for part, first in zip(parts, firsts, strict=False))]
    )
    return Entries(
        offsets,
        np.concatenate([p.features for p in parts]),
        np.concatenate([p.values for p in parts]),
    )


def _guess(sae: SAE, x: Tensor) -> float:
    """A value that the batch's threshold is very likely above: twice as many of a sample of rows are over it as will be kept."""
    assert isinstance(sae.architecture, BatchTopK)
    z = sae.pre_activation(x[::_SAMPLE])
    n = min(2 * sae.architecture.k * len(z), z.numel())
    return max(float(z.flatten().kthvalue(z.numel() - n + 1).values), 0.0)
