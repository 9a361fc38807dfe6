"""The sparse autoencoder: weights, one `encode`, one `decode`. It knows its PLM and layer (`about`) and nothing of proteins."""

import hashlib
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from interplm_nb.sae.architectures import (
    Architecture,
    BatchTopK,
    Gated,
    JumpReLU,
    Matryoshka,
    ReLU,
    TopK,
)
from interplm_nb.sae.residue_norm import Normed, ResidueNorm

if TYPE_CHECKING:
    from interplm_nb.sae.checkpoint import SAEAbout

OPTIONAL = ("maxima", "rank")
"""Buffers that are set on some SAEs alone."""


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

        z     = (x - b_dec) @ W_enc + b_enc
        f     = what `architecture` makes of z (`sae.architectures` has each equation)
        x_hat = f @ W_dec + b_dec

    W_enc [d_in, d_sae], b_enc [d_sae], W_dec [d_sae, d_in] (rows are the features' atoms), b_dec [d_in]; zeros when made: `train`,
    `checkpoint.load`, `importers` and `controls.random_sae` fill them. BatchTopK, Matryoshka and JumpReLU have a `threshold` [d_sae], Gated has
    `r_mag` and `b_gate` [d_sae]. `maxima` [d_sae] is set on an SAE whose features have unit "max" (`folded`); `rank` [d_sae] where a TopK SAE chooses
    by z * rank because its features were rescaled. With a `residue_norm`, x above is the residue's normalised embedding, and `forward` undoes it.
    `about` says which PLM and layer the SAE belongs to, None until trained or loaded.
    """

    threshold: Tensor
    r_mag: Tensor
    b_gate: Tensor
    maxima: Tensor | None
    rank: Tensor | None

    def __init__(
        self,
        d_in: int,
        d_sae: int,
        architecture: Architecture | None = None,
        residue_norm: ResidueNorm | None = None,
    ) -> None:
        super().__init__()
        self.architecture = architecture or ReLU()
        _check_size(self.architecture, d_sae)
        self.d_in = d_in
        self.d_sae = d_sae
        self.residue_norm = residue_norm
        self.about: SAEAbout | None = None
        self.W_enc = nn.Parameter(torch.zeros(d_in, d_sae))
        self.b_enc = nn.Parameter(torch.zeros(d_sae))
        self.W_dec = nn.Parameter(torch.zeros(d_sae, d_in))
        self.b_dec = nn.Parameter(torch.zeros(d_in))
        if isinstance(self.architecture, JumpReLU):
            self.threshold = nn.Parameter(torch.zeros(d_sae))
        elif isinstance(self.architecture, BatchTopK):
            self.register_buffer("threshold", torch.zeros(d_sae))
        elif isinstance(self.architecture, Gated):
            self.r_mag = nn.Parameter(torch.zeros(d_sae))
            self.b_gate = nn.Parameter(torch.zeros(d_sae))
        for name in OPTIONAL:
            self.register_buffer(name, None)

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
        return self._encode(self.normed(x).x, features)

    def decode(self, f: Tensor, x: Tensor | None = None) -> Tensor:
        """The reconstruction [..., d_in] from activations [..., d_sae]. An SAE with a residue_norm needs the `x` that was encoded, to undo it."""
        if self.residue_norm is None:
            return f @ self.W_dec + self.b_dec
        if x is None:
            raise ValueError(
                f"this SAE normalises each residue ({self.residue_norm.kind}); give decode() the x that was encoded, or call the SAE on x"
            )
        return self._undone(f @ self.W_dec + self.b_dec, self.normed(x))

    def forward(self, x: Tensor) -> SAEOutput:
        """Activations [..., d_sae] of x [..., d_in], and the reconstruction [..., d_in] from them."""
        normed = self.normed(x)
        f = self._encode(normed.x)
        return SAEOutput(f, self._undone(f @ self.W_dec + self.b_dec, normed))

    def normed(self, x: Tensor) -> Normed:
        """x as the equation takes it, and the way back."""
        return (
            Normed(x, x.new_ones(()), x.new_zeros(()))
            if self.residue_norm is None
            else self.residue_norm(x)
        )

    def _undone(self, x_hat: Tensor, normed: Normed) -> Tensor:
        return x_hat if self.residue_norm is None else x_hat * normed.scale + normed.shift

    def _encode(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        if isinstance(self.architecture, TopK):
            values, chosen = self.top_k(x)
            f = values.new_zeros((*values.shape[:-1], self.d_sae)).scatter(-1, chosen, values)
            return f if features is None else f[..., features]
        return self.activated(self.pre_activation(x, features), features)

    def pre_activation(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        """(x - b_dec) @ W_enc + b_enc, [..., d_sae] or [..., n], for x normalised already; for Gated without its b_enc (u in its equation)."""
        W_enc, b_enc = (
            (self.W_enc, self.b_enc)
            if features is None
            else (self.W_enc[:, features], self.b_enc[features])
        )
        flat = (x - self.b_dec).reshape(-1, self.d_in)
        z = (
            flat @ W_enc
            if isinstance(self.architecture, Gated)
            else torch.addmm(b_enc, flat, W_enc)
        )
        return z.reshape(*x.shape[:-1], z.shape[-1])

    def activated(self, z: Tensor, features: Tensor | None = None) -> Tensor:
        """Activations from pre-activations, for every kind but TopK, whose choice takes a whole residue."""

        def of(weight: Tensor) -> Tensor:
            return weight if features is None else weight[features]

        match self.architecture:
            case Gated():
                return torch.where(
                    z + of(self.b_gate) > 0, (of(self.r_mag).exp() * z + of(self.b_enc)).relu(), 0
                )
            case JumpReLU() | BatchTopK() | Matryoshka():
                return torch.where(z > of(self.threshold), z, 0).relu()
            case _:
                return z.relu()

    def top_k(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Values (0 or more) and features, both [..., k], of a TopK SAE's choice, in no order; where fewer than k are above 0 the rest are 0."""
        if not isinstance(self.architecture, TopK):
            raise TypeError(
                f"top_k is for an SAE with TopK activation; this one has {self.architecture}"
            )
        z = self.pre_activation(x)
        if self.rank is None:
            values, chosen = z.topk(self.architecture.k, dim=-1, sorted=False)
        else:
            # The choice is made as it was trained, also by features that are dead on the maxima's proteins: scaling must not change what is chosen.
            chosen = (z * self.rank).topk(self.architecture.k, dim=-1, sorted=False).indices
            values = z.gather(-1, chosen)
        return values.relu() if self.maxima is None else torch.where(
            self.maxima[chosen] == 0, 0, values
        ).relu(), chosen

    @torch.no_grad()
    def encode_sparse(self, x: Tensor) -> SparseCode:
        """The non-zero entries of `encode(x)` for x [n, d_in], without a dense array's scan for TopK."""
        if isinstance(self.architecture, TopK):
            values, chosen = self.top_k(self.normed(x).x)
            chosen, order = chosen.sort(dim=-1)
            dense, features = values.gather(-1, order).cpu().numpy(), chosen.cpu().numpy()
            at = np.flatnonzero(dense > 0)
            return SparseCode(
                at // self.architecture.k, features.ravel()[at].astype(np.int32), dense.ravel()[at]
            )
        dense = self.encode(x)
        # Of the ways to list non-zeros of a CPU array, measured, numpy's on a boolean array is the fastest (5 times torch.nonzero).
        if dense.device.type == "cpu":
            f = dense.numpy()
            at = np.flatnonzero(f > 0)
            return SparseCode(at // self.d_sae, (at % self.d_sae).astype(np.int32), f.ravel()[at])
        rows, features = dense.nonzero(as_tuple=True)
        return SparseCode(
            rows.cpu().numpy(), features.int().cpu().numpy(), dense[rows, features].cpu().numpy()
        )

    @torch.no_grad()
    def folded(self, maxima: np.ndarray) -> Self:
        """An SAE whose features have unit "max": fractions of `maxima` (float32 [d_sae]); what it decodes to is unchanged.

        The encoder is divided by a feature's maximum, its atom multiplied by it (Simon & Zou 2025). A feature with maximum 0 is 0 everywhere.
        """
        if self.maxima is not None:
            raise ValueError(
                "this SAE's features have unit 'max' already; folded() takes an SAE with unit 'raw'"
            )
        m = torch.as_tensor(np.asarray(maxima, np.float32)).to(self.device)
        if m.shape != (self.d_sae,) or not m.isfinite().all() or (m < 0).any():
            raise ValueError(
                f"maxima are one finite value of 0 or more per feature, shape ({self.d_sae},), not {tuple(m.shape)}"
            )
        folded = self.rescaled(torch.where(m > 0, 1 / torch.where(m > 0, m, 1), 1))
        folded.silence(m == 0)
        folded.maxima = m
        return folded

    @torch.no_grad()
    def rescaled(self, scale: Tensor) -> Self:
        """An SAE with f * scale in place of f (scale [d_sae], above 0) that decodes to the same."""
        new = type(self)(self.d_in, self.d_sae, self.architecture, self.residue_norm).to(
            self.device, self.W_enc.dtype
        )
        new.load_state_dict(
            {name: value for name, value in self.state_dict().items() if name not in OPTIONAL}
        )
        new.about = self.about
        new.W_dec /= scale[:, None]
        new.b_enc *= scale
        if isinstance(self.architecture, Gated):  # its gate stays as it is
            new.r_mag += scale.log()
        else:
            new.W_enc *= scale
        if isinstance(self.architecture, BatchTopK | JumpReLU):
            new.threshold *= scale
        if isinstance(self.architecture, TopK) and (
            self.rank is not None or not bool((scale == scale[0]).all())
        ):
            new.rank = (1 if self.rank is None else self.rank) / scale
        return new

    @torch.no_grad()
    def silence(self, features: Tensor) -> None:
        """Make features (bool [d_sae]) 0 everywhere and their atoms 0, in place. TopK must still rank them, and zeroes them by their maxima of 0."""
        self.W_dec[features] = 0
        if isinstance(self.architecture, TopK):
            return
        self.W_enc[:, features] = 0
        for name in ("b_enc", "threshold", "r_mag", "b_gate"):
            if hasattr(self, name):
                getattr(self, name)[features] = 0

    def weights(self) -> dict[str, Tensor]:
        """What a checkpoint holds: the weights, and `maxima` and `rank` where they are set; CPU, float32."""
        return {
            name: value.detach().float().cpu().contiguous()
            for name, value in self.state_dict().items()
        }

    @property
    def weight_hash(self) -> str:
        """sha256 over names, shapes and values of the weights: the name of these weights."""
        digest = hashlib.sha256(repr((self.architecture, self.residue_norm)).encode())
        for name, value in sorted(self.weights().items()):
            digest.update(f"{name}{tuple(value.shape)}".encode())
            digest.update(value.numpy().tobytes())
        return f"sha256:{digest.hexdigest()}"


def _check_size(architecture: Architecture, d_sae: int) -> None:
    if isinstance(architecture, TopK | BatchTopK) and architecture.k > d_sae:
        raise ValueError(
            f"{type(architecture).__name__} cannot keep k={architecture.k} of {d_sae} features; take k of at most {d_sae}"
        )
    if isinstance(architecture, Matryoshka) and architecture.prefixes[-1] != d_sae:
        raise ValueError(
            f"Matryoshka's last prefix is all features: {d_sae}, not {architecture.prefixes[-1]}"
        )
