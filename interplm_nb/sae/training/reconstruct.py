"""The training step's forward and backward pass, with gradients written out so that few active features cost little.

An SAE with 64 of 10,240 features active spends most of a dense step on zeros. On a CPU the encoder is one matrix product, taken in blocks of rows
that caches hold, and everything after it runs over the non-zero activations where those are few. On a GPU the top-k family decodes by
`embedding_bag`. All are the same mathematics; the tests hold them to autograd's gradients of the plain equation.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding_bag

from interplm_nb.sae.architectures import BatchTopK, Matryoshka, TopK
from interplm_nb.sae.model import SAE
from interplm_nb.sae.training.choice import (
    DenseCode,
    Entries,
    batch_top_k_entries,
    batch_top_k_threshold,
    block_rows,
    dense_entries,
    relu_code,
    top_k_entries,
)
from interplm_nb.sae.training.distributed import ALONE, World

SPARSE_BELOW = 0.06
"""Share of non-zero activations below which the sparse products are faster on a CPU (measured at d_in 192, d_sae 2048: equal at about 0.08)."""


class Reconstruction(NamedTuple):
    """A forward pass with what the losses need."""

    prefixes: Tensor
    """[n_prefixes, B, d_in]: x_hat from the first features alone, for each of Matryoshka's prefixes; the last is from all, for others the only
    one."""
    activity: Tensor
    """scalar: the sum of all activations, so the mean L1 norm is `activity / B`."""
    counts: Tensor
    """int64 [d_sae]: inputs on which each feature is active."""
    threshold: Tensor | None = None
    """scalar, BatchTopK's: the least activation that was kept; 0 where fewer than k * B are above 0."""

    @property
    def x_hat(self) -> Tensor:
        """[B, d_in]"""
        return self.prefixes[-1]


def reconstruct(sae: SAE, x: Tensor, world: World = ALONE) -> Reconstruction:
    """`decode(encode(x))` for x [B, d_in] as it is trained, differentiable in W_enc, b_enc, W_dec and b_dec (not in x): ReLU, TopK, BatchTopK (on the
    k * B largest of the batch, over all processes of `world`) and Matryoshka."""
    if x.device.type != "cpu":
        return by_autograd(sae, x, world)
    code = _code(sae, x, world)
    weights = sae.W_enc, sae.b_enc, sae.W_dec, sae.b_dec
    if isinstance(code, DenseCode):
        x_hat, activity = _Dense.apply(x, code.f, *weights)  # pyright: ignore[reportGeneralTypeIssues]
        return Reconstruction(x_hat[None], activity, code.counts)
    entries = _by_prefix(code, sae)
    partial, activity = _Sparse.apply(x, entries, *weights)  # pyright: ignore[reportGeneralTypeIssues]
    counts = torch.from_numpy(np.bincount(code.features, minlength=sae.d_sae))
    prefixes = sae.b_dec + partial.view(-1, *x.shape).cumsum(0)
    return Reconstruction(
        prefixes,
        activity,
        counts,
        None if code.threshold is None else torch.tensor(code.threshold, dtype=x.dtype),
    )


def sparse_decode(sae: SAE, x: Tensor, entries: Entries) -> Tensor:
    """f @ W_dec [B, d_in] from listed activations of x on a CPU, differentiable in the four weights."""
    return _Sparse.apply(x, entries, sae.W_enc, sae.b_enc, sae.W_dec, sae.b_dec)[0]  # pyright: ignore[reportGeneralTypeIssues]


def by_autograd(sae: SAE, x: Tensor, world: World = ALONE) -> Reconstruction:
    """`reconstruct` by torch's own gradients, for every device: ReLU dense, the top-k family without a dense product in the decoder."""
    z = sae.pre_activation(x)
    if not isinstance(sae.architecture, TopK | BatchTopK):
        f = z.relu()
        return Reconstruction((f @ sae.W_dec + sae.b_dec)[None], f.sum(), (f > 0).sum(0))
    threshold = (
        batch_top_k_threshold(z.detach(), sae.architecture.k * len(x), world)
        if isinstance(sae.architecture, BatchTopK)
        else None
    )
    rows, features = _chosen(sae, z.detach(), threshold)
    group = _prefix_of(sae, features)
    order = (group * len(x) + rows).argsort(stable=True)
    rows, features, group = rows[order], features[order], group[order]
    bags = group * len(x) + rows
    n_bags = _n_prefixes(sae) * len(x)
    values = z[rows, features]
    offsets = torch.searchsorted(bags, torch.arange(n_bags, device=x.device))
    partial = embedding_bag(
        features, sae.W_dec, offsets, mode="sum", per_sample_weights=values.to(sae.W_dec.dtype)
    )
    counts = torch.bincount(features, minlength=sae.d_sae)
    return Reconstruction(
        sae.b_dec + partial.view(-1, *x.shape).cumsum(0), values.sum(), counts, threshold
    )


def _chosen(sae: SAE, z: Tensor, threshold: Tensor | None) -> tuple[Tensor, Tensor]:
    """Rows and features of the activations that are kept and above 0."""
    if threshold is not None:
        return tuple(((z >= threshold) & (z > 0)).nonzero(as_tuple=True))  # type: ignore[return-value]
    assert isinstance(sae.architecture, TopK)
    values, features = z.topk(sae.architecture.k, dim=1, sorted=False)
    kept = values > 0
    return kept.nonzero(as_tuple=True)[0], features[kept]


def _n_prefixes(sae: SAE) -> int:
    return len(sae.architecture.prefixes) if isinstance(sae.architecture, Matryoshka) else 1


def _prefix_of(sae: SAE, features: Tensor) -> Tensor:
    """The first of Matryoshka's prefixes that holds a feature; 0 for others."""
    if not isinstance(sae.architecture, Matryoshka):
        return torch.zeros_like(features)
    return torch.searchsorted(
        torch.tensor(sae.architecture.prefixes, device=features.device), features, right=True
    )


def _code(sae: SAE, x: Tensor, world: World) -> Entries | DenseCode:
    """The activations of x, listed where that is faster."""
    match sae.architecture:
        case TopK(k) if k < SPARSE_BELOW * sae.d_sae:
            return top_k_entries(sae, x, k)
        case TopK():
            f = sae.encode(x).detach()
            return DenseCode(f, (f > 0).sum(0))
        case BatchTopK():
            return batch_top_k_entries(sae, x, world)
    code = relu_code(sae, x)
    return (
        dense_entries(code.f.numpy())
        if int(code.counts.sum()) < SPARSE_BELOW * code.f.numel()
        else code
    )


def _by_prefix(entries: Entries, sae: SAE) -> Entries:
    """Entries in order of prefix and row, as bags: (prefix, row) is bag prefix * B + row."""
    if not isinstance(sae.architecture, Matryoshka):
        return entries
    n_rows = len(entries.offsets) - 1
    rows = np.repeat(np.arange(n_rows), np.diff(entries.offsets))
    bags = (
        np.searchsorted(sae.architecture.prefixes, entries.features, side="right") * n_rows + rows
    )
    order = np.argsort(bags, kind="stable")
    offsets = np.searchsorted(bags[order], np.arange(_n_prefixes(sae) * n_rows + 1))
    return Entries(offsets, entries.features[order], entries.values[order], entries.threshold)


class _Dense(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, f: Tensor, W_enc: Tensor, b_enc: Tensor, W_dec: Tensor, b_dec: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, f, W_enc, W_dec, b_dec)
        return torch.addmm(b_dec, f, W_dec), f.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        g, g_activity = gradients
        x, f, W_enc, W_dec, b_dec = ctx.saved_tensors
        dW_enc, db_enc = torch.zeros_like(W_enc), W_enc.new_zeros(len(W_dec))
        rows = block_rows(len(W_dec))
        for f_rows, g_rows, x_rows in zip(
            f.split(rows), g.split(rows), (x - b_dec).split(rows), strict=True
        ):
            df = torch.addmm(g_activity, g_rows, W_dec.T)
            df = torch.ops.aten.threshold_backward(df, f_rows, 0)  # 0 where f is 0
            db_enc += df.sum(0)
            dW_enc.addmm_(x_rows.T, df)
        return None, None, dW_enc, db_enc, f.T @ g, g.sum(0) - W_enc @ db_enc


class _Sparse(torch.autograd.Function):
    """Sums of value * atom per bag, [n_bags, d_in]; with the encoder's gradients, as the values are pre-activations of x."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        entries: Entries,
        W_enc: Tensor,
        b_enc: Tensor,
        W_dec: Tensor,
        b_dec: Tensor,
    ) -> tuple[Tensor, Tensor]:
        values = torch.from_numpy(entries.values).requires_grad_()
        with torch.enable_grad():
            # Autograd of this sum gives the activations' gradient; that of W_dec is left out, torch's sorts all entries and is 10 times slower.
            decoded = embedding_bag(
                torch.from_numpy(entries.features),
                W_dec.detach(),
                torch.from_numpy(entries.offsets[:-1]),
                mode="sum",
                per_sample_weights=values,
            )
        ctx.entries, ctx.values, ctx.decoded = entries, values, decoded
        ctx.save_for_backward(x, W_enc, b_dec)
        return decoded.detach(), values.detach().sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        g, g_activity = gradients[0].contiguous(), gradients[1]
        x, W_enc, b_dec = ctx.saved_tensors
        entries: Entries = ctx.entries
        n_features = W_enc.shape[1]
        dvalues = (torch.autograd.grad(ctx.decoded, ctx.values, g)[0] + g_activity).numpy()
        centred = (x - b_dec).repeat(len(g) // len(x), 1)
        dW_dec = _transposed_product(entries, entries.values, g, n_features)
        dW_enc = _transposed_product(entries, dvalues, centred, n_features).T.contiguous()
        db_enc = torch.from_numpy(
            np.bincount(entries.features, dvalues, n_features).astype(dvalues.dtype)
        )
        return None, None, dW_enc, db_enc, dW_dec, -(W_enc @ db_enc)


def _transposed_product(
    entries: Entries, values: np.ndarray, right: Tensor, n_features: int
) -> Tensor:
    """F.T @ right [d_sae, d_in], F holding `values` at the entries."""
    matrix = sparse.csr_array(
        (values, entries.features, entries.offsets), shape=(len(entries.offsets) - 1, n_features)
    )
    return torch.from_numpy(matrix.T @ right.numpy())
