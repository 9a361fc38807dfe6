"""The sparse autoencoder: weights, one `encode`, one `decode`. It knows its PLM and layer (`about`) and nothing of proteins."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from interplm_nb.sae.checkpoint import SAEAbout


@dataclass(frozen=True)
class ReLU:
    """activation(z) = max(z, 0)"""


@dataclass(frozen=True)
class TopK:
    """activation(z) = max(z, 0) on the `k` largest of a residue, 0 elsewhere (Gao et al. 2024, arXiv 2406.04093)."""

    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"TopK keeps at least 1 feature per residue, not k={self.k}")


Activation = ReLU | TopK


class SAEOutput(NamedTuple):
    """What a forward pass gives."""

    f: Tensor
    """[..., d_sae]: feature activations."""
    x_hat: Tensor
    """[..., d_in]: the reconstruction."""


class SparseCode(NamedTuple):
    """The non-zero activations of n inputs, by input, then feature."""

    rows: np.ndarray
    """int64: input, from 0."""
    features: np.ndarray
    """int32"""
    values: np.ndarray
    """float32, above 0"""


class SAE(nn.Module):
    """A sparse autoencoder of a PLM's residue embeddings.

        f     = activation((x - b_dec) @ W_enc + b_enc)
        x_hat = f @ W_dec + b_dec

    W_enc [d_in, d_sae], b_enc [d_sae], W_dec [d_sae, d_in] (rows are the features' atoms), b_dec [d_in]; float32, zeros when made:
    `train`, `checkpoint.load` and `controls.random_sae` fill them. `maxima` [d_sae] is set on an SAE whose features have unit "max"
    (`folded`). `about` says which PLM and layer it belongs to, None until trained or loaded.
    """

    def __init__(self, d_in: int, d_sae: int, activation: Activation | None = None) -> None:
        super().__init__()
        activation = activation or ReLU()
        if isinstance(activation, TopK) and activation.k > d_sae:
            raise ValueError(f"TopK cannot keep k={activation.k} of {d_sae} features; take k of at most {d_sae}")
        self.d_in = d_in
        self.d_sae = d_sae
        self.activation = activation
        self.about: SAEAbout | None = None
        self.W_enc = nn.Parameter(torch.zeros(d_in, d_sae))
        self.b_enc = nn.Parameter(torch.zeros(d_sae))
        self.W_dec = nn.Parameter(torch.zeros(d_sae, d_in))
        self.b_dec = nn.Parameter(torch.zeros(d_in))
        self.maxima: Tensor | None
        self.register_buffer("maxima", None)

    @property
    def unit(self) -> str:
        """ "raw", or "max" where the features are fractions of their maxima."""
        return "raw" if self.maxima is None else "max"

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.W_enc.device

    def encode(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        """Activations [..., d_sae] of x [..., d_in]; with `features` (int64 [n]) those columns of it, [..., n].

        For TopK the k largest are chosen among all features, whichever columns are asked for.
        """
        if isinstance(self.activation, TopK):
            values, chosen = self.top_k(x)
            f = values.new_zeros((*values.shape[:-1], self.d_sae)).scatter(-1, chosen, values)
            return f if features is None else f[..., features]
        return self.pre_activation(x, features).relu()

    def decode(self, f: Tensor) -> Tensor:
        """The reconstruction [..., d_in] from activations [..., d_sae]."""
        return f @ self.W_dec + self.b_dec

    def forward(self, x: Tensor) -> SAEOutput:
        """Activations [..., d_sae] of x [..., d_in], and the reconstruction [..., d_in] from them."""
        f = self.encode(x)
        return SAEOutput(f, self.decode(f))

    def pre_activation(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        """What the activation function is applied to, [..., d_sae] or [..., n]."""
        W_enc, b_enc = (self.W_enc, self.b_enc) if features is None else (self.W_enc[:, features], self.b_enc[features])
        flat = torch.addmm(b_enc, (x - self.b_dec).reshape(-1, self.d_in), W_enc)
        return flat.reshape(*x.shape[:-1], flat.shape[-1])

    def top_k(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Values (0 or more) and features, both [..., k], of a TopK SAE's choice, in no order; where fewer than k are above 0 the rest are 0."""
        if not isinstance(self.activation, TopK):
            raise TypeError(f"top_k is for an SAE with TopK activation; this one has {self.activation}")
        z = self.pre_activation(x)
        if self.maxima is None:
            values, chosen = z.topk(self.activation.k, dim=-1, sorted=False)
            return values.relu(), chosen
        # The choice is made on raw values, also by features that are dead on the maxima's proteins: scaling must not change what is chosen.
        dead = self.maxima == 0
        chosen = (z * torch.where(dead, 1, self.maxima)).topk(self.activation.k, dim=-1, sorted=False).indices
        return torch.where(dead[chosen], 0, z.gather(-1, chosen)).relu(), chosen

    @torch.no_grad()
    def encode_sparse(self, x: Tensor) -> SparseCode:
        """The non-zero entries of `encode(x)` for x [n, d_in], without a dense array's scan for TopK."""
        if isinstance(self.activation, TopK):
            values, chosen = self.top_k(x)
            chosen, order = chosen.sort(dim=-1)
            dense, features = values.gather(-1, order).cpu().numpy(), chosen.cpu().numpy()
            at = np.flatnonzero(dense > 0)
            return SparseCode(at // self.activation.k, features.ravel()[at].astype(np.int32), dense.ravel()[at])
        dense = self.encode(x)
        # Of the ways to list non-zeros of a CPU array, measured, numpy's on a boolean array is the fastest (5 times torch.nonzero).
        if dense.device.type == "cpu":
            f = dense.numpy()
            at = np.flatnonzero(f > 0)
            return SparseCode(at // self.d_sae, (at % self.d_sae).astype(np.int32), f.ravel()[at])
        rows, features = dense.nonzero(as_tuple=True)
        return SparseCode(rows.cpu().numpy(), features.int().cpu().numpy(), dense[rows, features].cpu().numpy())

    @torch.no_grad()
    def folded(self, maxima: np.ndarray) -> Self:
        """An SAE whose features have unit "max": fractions of `maxima` (float32 [d_sae]); what it decodes to is unchanged.

        The encoder is divided by a feature's maximum, its atom multiplied by it (Simon & Zou 2025). A feature with maximum 0 is 0 everywhere.
        """
        if self.maxima is not None:
            raise ValueError("this SAE's features have unit 'max' already; folded() takes an SAE with unit 'raw'")
        m = torch.as_tensor(np.asarray(maxima, np.float32)).to(self.device)
        if m.shape != (self.d_sae,) or not m.isfinite().all() or (m < 0).any():
            raise ValueError(f"maxima are one finite value of 0 or more per feature, shape ({self.d_sae},), not {tuple(m.shape)}")
        folded = type(self)(self.d_in, self.d_sae, self.activation).to(self.device)
        folded.about = self.about
        alive, scale = m > 0, torch.where(m > 0, m, 1)
        # TopK still has to rank its dead features, so it keeps their encoder weights and zeroes them after the choice.
        keep = alive if isinstance(self.activation, ReLU) else torch.ones_like(alive)
        folded.W_enc.copy_(torch.where(keep, self.W_enc / scale, 0))
        folded.b_enc.copy_(torch.where(keep, self.b_enc / scale, 0))
        folded.W_dec.copy_(self.W_dec * m[:, None])
        folded.b_dec.copy_(self.b_dec)
        folded.maxima = m
        return folded

    def weights(self) -> dict[str, Tensor]:
        """What a checkpoint holds: the four weights, and `maxima` of a folded SAE; CPU, float32."""
        return {name: value.detach().float().cpu().contiguous() for name, value in self.state_dict().items()}

    @property
    def weight_hash(self) -> str:
        """sha256 over names, shapes and values of the weights: the name of these weights."""
        digest = hashlib.sha256(repr(self.activation).encode())
        for name, value in sorted(self.weights().items()):
            digest.update(f"{name}{tuple(value.shape)}".encode())
            digest.update(value.numpy().tobytes())
        return f"sha256:{digest.hexdigest()}"
