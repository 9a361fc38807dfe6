"""The training step's forward and backward passes, with gradients written out so that few active
features cost little.

An SAE with 64 of 10,240 features active spends most of a dense step on zeros. On a CPU the encoder
is one matrix product, taken in blocks of rows that fit the caches, and everything after it runs
over the non-zero activations where they are few. On a GPU the top-k family decodes by
`embedding_bag`. All are the same mathematics; the tests compare them with autograd's gradients of
the plain equation.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding_bag

from interplm_nb.sae.training.choice import DenseCode, Entries, Kept, block_rows
from interplm_nb.sae.weights import Weights


class Reconstruction(NamedTuple):
    """A forward pass with what the losses need."""

    prefixes: Tensor
    """[n_prefixes, B, d_out]: x_hat from the first features alone, for each of Matryoshka's
    prefixes; the last is from all features, and is the only one for other kinds."""
    activity: Tensor
    """scalar: the sum of all activations, so the mean L1 norm is `activity / B`."""
    counts: Tensor
    """int64 [d_sae]: inputs on which each feature is active."""
    threshold: Tensor | None = None
    """scalar, BatchTopK's: the smallest activation kept; 0 where fewer than k * B are above 0."""
    parts: Mapping[str, Tensor] = {}
    """What the loss has besides the reconstruction error: sparsity (before its weight), gate."""

    @property
    def x_hat(self) -> Tensor:
        """[B, d_out]"""
        return self.prefixes[-1]


def squared_error(x: Tensor, x_hat: Tensor) -> Tensor:
    """mean_i ||x_i - x_hat_i||_2^2"""
    return (x - x_hat).square().sum(-1).mean()


def reconstruction_error(kind: str, x: Tensor, prefixes: Tensor) -> Tensor:
    """R: mean_i ||x_i - x_hat_i||_2^2 ("squared") or mean_i ||x_i - x_hat_i||_2 ("norm"), averaged
    over Matryoshka's prefixes [n, B, d_in]."""
    if kind == "norm":
        return (x - prefixes).norm(dim=-1).mean()
    return squared_error(x, prefixes)


def decode_code(
    sae: Weights, x: Tensor, code: Entries | DenseCode, sizes: Sequence[int]
) -> Reconstruction:
    """Decode activations of x [B, d_in] on a CPU, from the first `sizes` features each."""
    weights = sae.W_enc, sae.b_enc, sae.W_dec, sae.centre
    if isinstance(code, DenseCode):
        x_hat, activity = _dense(x, code.f.to(x.dtype), *weights, sae.b_dec)
        return Reconstruction(x_hat[None], activity, code.counts)
    entries = _by_prefix(code, sizes)
    partial, activity = _sparse(x, entries, *weights)
    counts = torch.from_numpy(np.bincount(code.features, minlength=sae.d_sae))
    prefixes = sae.b_dec + _sums(partial.view(-1, len(x), partial.shape[-1]))
    threshold = None if code.threshold is None else torch.tensor(code.threshold, dtype=x.dtype)
    return Reconstruction(prefixes, activity, counts, threshold)


def decode_dense(sae: Weights, f: Tensor) -> Reconstruction:
    """Decode f [B, d_sae] by torch's own gradients."""
    return Reconstruction((f @ sae.W_dec + sae.b_dec)[None], f.sum(), (f.detach() > 0).sum(0))


def decode_kept(sae: Weights, z: Tensor, kept: Kept, sizes: Sequence[int]) -> Reconstruction:
    """Decode the kept places of z [B, d_sae] by torch's own gradients, without a dense product."""
    rows, features, threshold = kept
    group = torch.zeros_like(features)
    if len(sizes) > 1:
        bounds = torch.tensor(sizes, device=features.device)
        group = torch.searchsorted(bounds, features, right=True)
    order = (group * len(z) + rows).argsort(stable=True)
    rows, features, group = rows[order], features[order], group[order]
    bags = group * len(z) + rows
    values = z[rows, features]
    offsets = torch.searchsorted(bags, torch.arange(len(sizes) * len(z), device=z.device))
    partial = embedding_bag(
        features, sae.W_dec, offsets, mode="sum", per_sample_weights=values.to(sae.W_dec.dtype)
    )
    counts = torch.bincount(features, minlength=sae.d_sae)
    prefixes = sae.b_dec + _sums(partial.view(len(sizes), len(z), -1))
    return Reconstruction(prefixes, values.sum(), counts, threshold)


def sparse_decode(sae: Weights, x: Tensor, entries: Entries) -> Tensor:
    """f @ W_dec [B, d_out] from listed activations of x on a CPU, differentiable in the weights."""
    weights = sae.W_enc, sae.b_enc, sae.W_dec, sae.centre
    return _sparse(x, entries, *weights)[0]


def jump(z: Tensor, theta: Tensor, bandwidth: float) -> tuple[Tensor, Tensor]:
    """JumpReLU's f = z where z > theta, else 0, and H = 1 where z > theta, else 0, with
    straight-through gradients for theta."""
    return _jump(z, theta, bandwidth)


def _sums(partial: Tensor) -> Tensor:
    """Running sums over the first axis."""
    return partial if len(partial) == 1 else partial.cumsum(0)


def _by_prefix(entries: Entries, sizes: Sequence[int]) -> Entries:
    """Entries in order of prefix and row, as bags: (prefix, row) is bag prefix * B + row."""
    if len(sizes) == 1:
        return entries
    n_rows = len(entries.offsets) - 1
    rows = np.repeat(np.arange(n_rows), np.diff(entries.offsets))
    bags = np.searchsorted(sizes, entries.features, side="right") * n_rows + rows
    order = np.argsort(bags, kind="stable")
    offsets = np.searchsorted(bags[order], np.arange(len(sizes) * n_rows + 1))
    return Entries(offsets, entries.features[order], entries.values[order], entries.threshold)


class _Dense(torch.autograd.Function):
    """f @ W_dec + b_dec on a CPU, with the encoder's gradients: f is relu(z) of x."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu")
    def forward(
        ctx: Any,
        x: Tensor,
        f: Tensor,
        W_enc: Tensor,
        b_enc: Tensor,
        W_dec: Tensor,
        centre: Tensor,
        b_dec: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """x_hat [B, d_out], and the sum of f."""
        ctx.save_for_backward(x, f, W_enc, W_dec, centre)
        with torch.autocast("cpu", enabled=False):
            return torch.addmm(b_dec, f, W_dec), f.sum()

    @staticmethod
    @once_differentiable
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the weights, a few rows at a time."""
        g, g_activity = gradients
        x, f, W_enc, W_dec, centre = ctx.saved_tensors
        dW_enc, db_enc = torch.zeros_like(W_enc), W_enc.new_zeros(len(W_dec))
        rows = block_rows(len(W_dec))
        for f_rows, g_rows, x_rows in zip(
            f.split(rows), g.split(rows), (x - centre).split(rows), strict=True
        ):
            df = torch.addmm(g_activity, g_rows, W_dec.T).to(f.dtype)
            df = torch.ops.aten.threshold_backward(df, f_rows, 0)  # 0 where f is 0
            db_enc += df.sum(0)
            dW_enc += x_rows.T @ df
        return None, None, dW_enc, db_enc, (f.T @ g).to(f.dtype), -(W_enc @ db_enc), g.sum(0)


class _Sparse(torch.autograd.Function):
    """Sums of value * atom per bag, [n_bags, d_out], with the encoder's gradients: the values are z
    of x."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        entries: Entries,
        W_enc: Tensor,
        b_enc: Tensor,
        W_dec: Tensor,
        centre: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The decoded bags, and the sum of all values."""
        values = torch.from_numpy(entries.values).requires_grad_()
        with torch.enable_grad():
            # Autograd gives the activations' gradient. W_dec is detached: torch's own gradient for
            # it sorts all entries and is 10 times slower than the product below.
            decoded = embedding_bag(
                torch.from_numpy(entries.features),
                W_dec.detach(),
                torch.from_numpy(entries.offsets[:-1]),
                mode="sum",
                per_sample_weights=values,
            )
        ctx.entries, ctx.values, ctx.decoded = entries, values, decoded
        ctx.save_for_backward(x, W_enc, centre)
        return decoded.detach(), values.detach().sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the weights, each a product over the listed entries."""
        g, g_activity = gradients[0].contiguous(), gradients[1]
        x, W_enc, centre = ctx.saved_tensors
        entries: Entries = ctx.entries
        n_features = W_enc.shape[1]
        dvalues = (torch.autograd.grad(ctx.decoded, ctx.values, g)[0] + g_activity).numpy()
        centred = (x - centre).repeat(len(g) // len(x), 1)
        columns = _by_feature(entries, n_features)
        dW_dec = _transposed_product(columns, entries.values, g)
        dW_enc = _transposed_product(columns, dvalues, centred).T.contiguous()
        db_enc = torch.from_numpy(
            np.bincount(entries.features, dvalues, n_features).astype(dvalues.dtype)
        )
        return None, None, dW_enc, db_enc, dW_dec, -(W_enc @ db_enc)


class _Jump(torch.autograd.Function):
    """`jump` (Rajamanoharan et al. 2024b, eq. 11 and 12).

    With h the bandwidth, theta's gradients are -(theta / h) * rect((z - theta) / h) through f and
    -(1 / h) * rect((z - theta) / h) through H; z has a gradient only through f.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, theta: Tensor, bandwidth: float) -> tuple[Tensor, Tensor]:
        """f and H."""
        ctx.save_for_backward(z, theta)
        ctx.bandwidth = bandwidth
        return torch.where(z > theta, z, 0), (z > theta).to(z.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of z and theta, as the class says."""
        g_f, g_on = gradients
        z, theta = ctx.saved_tensors
        near = ((z - theta).abs() < ctx.bandwidth / 2) & (z > 0)
        dtheta = -torch.where(near, theta * g_f + g_on, 0).sum(0) / ctx.bandwidth
        return torch.where(z > theta, g_f, 0), dtheta, None


class _Columns(NamedTuple):
    """Entries in order of feature, then row: feature j has places `offsets[j]` to
    `offsets[j + 1]`."""

    offsets: Tensor
    """int64 [n_features + 1]"""
    rows: Tensor
    """int64"""
    order: np.ndarray
    """int64: where each place is among the entries."""


def _by_feature(entries: Entries, n_features: int) -> _Columns:
    shape = len(entries.offsets) - 1, n_features
    order: Any = np.arange(len(entries.features))
    found: Any = sparse.csr_array((order, entries.features, entries.offsets), shape=shape).tocsc()
    return _Columns(torch.from_numpy(found.indptr), torch.from_numpy(found.indices), found.data)


def _transposed_product(columns: _Columns, values: np.ndarray, right: Tensor) -> Tensor:
    """F.T @ right [d_sae, d_in], F holding `values` at the entries; on all threads, as scipy's
    product is not."""
    return embedding_bag(
        columns.rows,
        right,
        columns.offsets[:-1],
        mode="sum",
        per_sample_weights=torch.from_numpy(values[columns.order]),
    )


# Any, because torch types the arguments of `apply` as those of the context's methods.
_dense: Any = _Dense.apply
_sparse: Any = _Sparse.apply
_jump: Any = _Jump.apply
