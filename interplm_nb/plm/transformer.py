"""ESM-2's layers as functions on plain tensors, as in fair-esm (Lin et al. 2023).

Pre-layer-norm blocks with rotary self-attention. Shapes: x [B, T, d_model]; heads [B, T, n_heads,
d_head]. `mask` is None or bool [B, 1, 1, T], true where a token may be attended to.
"""

from collections.abc import Mapping
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor


class Norm(NamedTuple):
    """Layer norm over the last axis, epsilon 1e-5: weight and bias [d_model]."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


class Linear(NamedTuple):
    """x @ weight.T + bias: weight [d_out, d_in], bias [d_out]."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class Block(NamedTuple):
    """One transformer layer; queries, keys and values come from one product."""

    attention_norm: Norm
    qkv: Linear
    out: Linear
    ffn_norm: Norm
    fc1: Linear
    fc2: Linear

    @classmethod
    def of(cls, weights: Mapping[str, Tensor], layer: int) -> Self:
        """The block of fair-esm's parameters `layers.<layer>.*`.

        `self_attn.qkv` replaces the three projections.
        """

        def pair(name: str) -> tuple[Tensor, Tensor]:
            """Weight and bias of one module of the layer."""
            return weights[f"layers.{layer}.{name}.weight"], weights[f"layers.{layer}.{name}.bias"]

        return cls(
            Norm(*pair("self_attn_layer_norm")),
            Linear(*pair("self_attn.qkv")),
            Linear(*pair("self_attn.out_proj")),
            Norm(*pair("final_layer_norm")),
            Linear(*pair("fc1")),
            Linear(*pair("fc2")),
        )

    def __call__(self, x: Tensor, rotary: "Rotary", mask: Tensor | None) -> Tensor:
        x = x + self.out(self._attended(self.attention_norm(x), rotary, mask))
        return x + self.fc2(F.gelu(self.fc1(self.ffn_norm(x))))

    def attention(self, x: Tensor, rotary: "Rotary") -> Tensor:
        """Where the layer's heads look: float32 [B, n_heads, T, T], rows sum to 1; no padding."""
        b, t, _ = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(b, t, 3, *rotary.heads)
        q, k = rotary(qkv[:, :, :2]).transpose(1, 3).unbind(2)
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        return torch.softmax(scores, -1, dtype=torch.float32)

    def _attended(self, x: Tensor, rotary: "Rotary", mask: Tensor | None) -> Tensor:
        b, t, d = x.shape
        qkv = self.qkv(x).view(b, t, 3, *rotary.heads)
        q, k = rotary(qkv[:, :, :2]).transpose(1, 3).unbind(2)
        o = F.scaled_dot_product_attention(q, k, qkv[:, :, 2].transpose(1, 2), attn_mask=mask)
        return o.transpose(1, 2).reshape(b, t, d)


class Rotary(NamedTuple):
    """Rotary position embedding (Su et al. 2021).

    Pairs of a head's values are complex numbers, rotated by position x frequency. fair-esm pairs
    value i with value i + d_head / 2; here pairs are neighbours (see `paired`), so that rotating is
    one product in place.
    """

    turns: Tensor
    """complex64 [T, 2 * d_model / 2]: for queries and keys of all heads, for long rows."""
    heads: tuple[int, int]
    """Number of heads and their width."""

    @classmethod
    def table(cls, length: int, n_heads: int, d_head: int, device: torch.device) -> Self:
        """Rotations of positions 0 to `length` - 1.

        float32 in every dtype of the model, else far positions become inaccurate.
        """
        frequency = 10_000 ** -(
            torch.arange(0, d_head, 2, device=device, dtype=torch.float32) / d_head
        )
        angle = torch.outer(torch.arange(length, device=device, dtype=torch.float32), frequency)
        return cls(
            torch.polar(torch.ones_like(angle), angle).repeat(1, 2 * n_heads), (n_heads, d_head)
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Rotate queries and keys, [B, T, 2, n_heads, d_head]; float32 input is overwritten."""
        flat = x.float().flatten(2)
        torch.view_as_complex(flat.unflatten(-1, (-1, 2))).mul_(self.turns[: x.shape[1]])
        return flat.view(x.shape).to(x.dtype)


def paired(n_heads: int, d_head: int) -> Tensor:
    """int64 [n_heads * d_head]: fair-esm's rows of a query or key projection, reordered.

    The two values of a pair become neighbours. Queries and keys get the same order, so that their
    products do not change.
    """
    return torch.arange(n_heads * d_head).view(n_heads, 2, d_head // 2).transpose(1, 2).flatten()


def embed_tokens(
    tokens: Tensor, weight: Tensor, pad: int, mask: int, token_dropout: bool
) -> Tensor:
    """Layer 0, [B, T, d]: token embeddings with ESM-2's token dropout.

    Masked tokens are 0; the others are scaled by (1 - 0.15 * 0.8) / (1 - share of masked tokens,
    padding excluded), which without a mask is 0.88. Padding is 0.
    """
    x = F.embedding(tokens, weight)
    padding = tokens == pad
    if token_dropout:
        masked = tokens == mask
        x = x.masked_fill(masked.unsqueeze(-1), 0.0)
        share = masked.sum(-1).to(x.dtype) / (~padding).sum(-1).to(x.dtype)
        x = x * ((1 - 0.15 * 0.8) / (1 - share))[:, None, None]
    return x.masked_fill(padding.unsqueeze(-1), 0.0)
