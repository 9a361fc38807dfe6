"""Which activations of a batch are kept, without holding the whole dense batch of z at once."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from interplm_nb.sae.training.distributed import ALONE, World
from interplm_nb.sae.weights import Weights

CELLS = 2**22
"""Pre-activations held at once on a CPU (16 MB)."""
SPARSE_BELOW = 0.06
"""Share of non-zero activations below which the sparse products are faster on a CPU (measured at
d_in 192, d_sae 2048: equal at about 0.08)."""
_GROUP = 16
"""Columns of a group in `top_k`, at most."""
_SAMPLE = 16
"""BatchTopK's threshold is guessed from every 16th row."""


class Entries(NamedTuple):
    """Non-zero activations in csr form: row i has entries `offsets[i]` to `offsets[i + 1]`."""

    offsets: np.ndarray
    """int64 [n_rows + 1]"""
    features: np.ndarray
    """int64"""
    values: np.ndarray
    """float, above 0"""
    threshold: float | None = None
    """BatchTopK's: the smallest value that was kept; 0 where all above 0 were."""


class Kept(NamedTuple):
    """Places of the non-zero activations in a batch of z."""

    rows: Tensor
    """int64"""
    features: Tensor
    """int64"""
    threshold: Tensor | None = None
    """As in `Entries`."""


class DenseCode(NamedTuple):
    """All activations, zeros among them."""

    f: Tensor
    """[n_rows, d_sae]"""
    counts: Tensor
    """int64 [d_sae]: rows on which each feature is active."""


@torch.no_grad()
def relu_code(sae: Weights, x: Tensor) -> Entries | DenseCode:
    """The activations max(z, 0) of x [B, d_in], listed where few are above 0."""
    f = x.new_empty(len(x), sae.d_sae)
    counts = x.new_zeros(sae.d_sae)
    for block, z in zip(f.split(block_rows(sae.d_sae)), _blocks(sae, x), strict=True):
        torch.clamp_min(z.to(f.dtype), 0, out=block)
        counts += block.sign().sum(0)  # the fastest of the ways to count that were measured
    if int(counts.long().sum()) < SPARSE_BELOW * f.numel():
        return dense_entries(f.numpy())
    return DenseCode(f, counts.long())


def dense_entries(f: np.ndarray) -> Entries:
    """The non-zero entries of activations [n_rows, d_sae]."""
    at = np.flatnonzero(f > 0)
    offsets = np.searchsorted(at, np.arange(len(f) + 1) * f.shape[1])
    return Entries(offsets, at % f.shape[1], f.ravel()[at])


@torch.no_grad()
def top_k_entries(sae: Weights, x: Tensor, k: int, features: Tensor | None = None) -> Entries:
    """The k largest z of each row of x [B, d_in] that are above 0; with `features` (int64 [n]), of
    these features only."""
    values, chosen = [], []
    for z in _blocks(sae, x, features):
        best = top_k(z, k)
        values.append(best[0].to(x.dtype))
        chosen.append(best[1])
    value, feature = torch.cat(values), torch.cat(chosen)
    if features is not None:
        feature = features[feature]
    kept = (value > 0).numpy()
    offsets = np.concatenate([[0], kept.sum(1).cumsum()])
    at = slice(None) if kept.all() else np.flatnonzero(kept)
    return Entries(offsets, feature.numpy().ravel()[at], value.numpy().ravel()[at])


def top_k(z: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest values of each row of z [n, d_sae] and their columns, both [n, k], unordered.

    No group of columns without one of the k largest maxima of groups has one of the k largest
    values, so that torch's slow choice runs over k groups instead of whole rows.
    """
    size = math.gcd(z.shape[1], _GROUP)
    n_groups = z.shape[1] // size
    if n_groups < 4 * k:
        values, chosen = z.topk(k, dim=1, sorted=False)
        return values, chosen
    # A group is every n_groups-th column: its maximum runs along whole rows.
    groups = z.view(len(z), size, n_groups).amax(1).topk(k, dim=1, sorted=False).indices
    members = (groups[:, None] + n_groups * torch.arange(size)[:, None]).flatten(1)
    values, chosen = z.gather(1, members).topk(k, dim=1, sorted=False)
    return values, members.gather(1, chosen)


@torch.no_grad()
def batch_top_k_entries(sae: Weights, x: Tensor, k: int, world: World = ALONE) -> Entries:
    """The k * B largest z of the whole batch that are above 0 (B: residues over all processes)."""
    n = k * len(x)
    guess = _guess(sae, x, k) if world.size == 1 else 0.0
    found = _above(sae, x, guess)
    if guess > 0 and len(found.values) < n:
        found = _above(sae, x, 0.0)
    threshold = batch_top_k_threshold(torch.from_numpy(found.values), n, world).item()
    kept = found.values >= threshold
    offsets = np.concatenate([[0], np.cumsum(kept)])[found.offsets]
    return Entries(offsets, found.features[kept], found.values[kept], threshold)


def batch_top_k_threshold(values: Tensor, n: int, world: World = ALONE) -> Tensor:
    """The n-th largest of the values, 0 where fewer are above 0; over several processes the
    (n * size)-th largest of all their values."""
    flat = values.flatten().relu()
    n_all = n * world.size
    best = flat.topk(min(n_all, len(flat)), sorted=False).values
    best = torch.nn.functional.pad(best, (0, n_all - len(best)))
    return world.gather(best).topk(n_all, sorted=False).values.min()


def block_rows(width: int) -> int:
    """Rows of `width` values that are worked on at once on a CPU."""
    return max(1, CELLS // width)


def _blocks(sae: Weights, x: Tensor, features: Tensor | None = None) -> Iterator[Tensor]:
    """z of x by blocks of rows, each overwriting the one before; with `features` (int64 [n]), of
    these features only. It is bfloat16 under autocast."""
    W_enc, b_enc = (
        (sae.W_enc, sae.b_enc)
        if features is None
        else (sae.W_enc[:, features], sae.b_enc[features])
    )
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    W_enc, b_enc = W_enc.to(dtype), b_enc.to(dtype)
    parts = (x - sae.centre).to(dtype).split(block_rows(len(b_enc)))
    z = torch.empty(len(parts[0]), len(b_enc), dtype=dtype)
    for part in parts:
        yield torch.addmm(b_enc, part, W_enc, out=z[: len(part)])


def _above(sae: Weights, x: Tensor, threshold: float) -> Entries:
    parts = [
        dense_entries(torch.where(z > threshold, z, 0).to(x.dtype).numpy()) for z in _blocks(sae, x)
    ]
    firsts = np.cumsum([0, *(part.offsets[-1] for part in parts)])
    offsets = np.concatenate(
        [[0], *(part.offsets[1:] + first for part, first in zip(parts, firsts, strict=False))]
    )
    return Entries(
        offsets,
        np.concatenate([p.features for p in parts]),
        np.concatenate([p.values for p in parts]),
    )


def _guess(sae: Weights, x: Tensor, k: int) -> float:
    """A value very likely below the batch's threshold: in a sample of rows, twice as many z are
    above it as will be kept."""
    z = torch.addmm(sae.b_enc, x[::_SAMPLE] - sae.centre, sae.W_enc)
    n = min(2 * k * len(z), z.numel())
    return max(float(z.flatten().kthvalue(z.numel() - n + 1).values), 0.0)
