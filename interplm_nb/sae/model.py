"""The sparse autoencoder: weights, one `encode`, one `decode`. It knows its PLM and layer (`about`)
and nothing about proteins."""

import hashlib
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from interplm_nb.joined_layers import JoinedLayers
from interplm_nb.sae.about import RESIDUAL, SAEAbout
from interplm_nb.sae.architectures import Architecture, ReLU
from interplm_nb.sae.residue_norm import Normed, ResidueNorm

OPTIONAL = ("maxima", "rank")
"""Buffers that only some SAEs have."""


class SAEOutput(NamedTuple):
    """The result of a forward pass."""

    f: Tensor
    """[..., d_sae]: feature activations."""
    x_hat: Tensor
    """[..., d_in]: the reconstruction; of a transcoder [..., d_out], what it writes."""


class SparseCode(NamedTuple):
    """The non-zero activations of n inputs, sorted by input, then feature."""

    rows: np.ndarray
    """int64: input, from 0."""
    features: np.ndarray
    """int32"""
    values: np.ndarray
    """float32, above 0"""


class SAE(nn.Module):
    """A sparse autoencoder of a PLM's residue embeddings.

        z     = (x - centre) @ W_enc + b_enc
        f     = the architecture's activations (`sae.architectures` has each equation)
        x_hat = f @ W_dec + b_dec

    with b_dec as the centre. A transcoder (`d_out` given) reads one representation and writes
    another: x_hat is then an estimate of that one, and the centre is a weight of its own, b_in.

    Its weights are zeros until `train`, `checkpoint.load`, `importers.read` or `random_sae` fill
    them. With a `residue_norm`, x above is the residue's normalised embedding, and `forward` undoes
    the normalisation.

    Parameters
    ----------
    d_in
        Values per residue.
    d_sae
        Features.
    architecture
        ReLU unless given.
    residue_norm
        What is done to each residue's embedding before it is encoded.
    d_out
        Values per residue that a transcoder writes; None: x itself is reconstructed.

    Attributes
    ----------
    W_enc, b_enc, W_dec, b_dec
        float32 [d_in, d_sae], [d_sae], [d_sae, d_out] (rows are the features' atoms), [d_out];
        d_out is d_in where x is reconstructed.
    b_in
        [d_in], of a transcoder.
    threshold
        [d_sae], of BatchTopK, Matryoshka and JumpReLU.
    r_mag, b_gate
        [d_sae], of Gated.
    maxima
        [d_sae], of an SAE whose features have unit "max" (`folded`); None otherwise.
    rank
        [d_sae], of a TopK SAE that chooses by z * rank because its features were rescaled.
    about
        The PLM and layer that the SAE belongs to; None until it is trained or loaded.

    Examples
    --------
    >>> sae = SAE(d_in=2, d_sae=3)
    >>> with torch.no_grad():
    ...     _ = sae.W_enc.copy_(torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]]))
    ...     _ = sae.W_dec.copy_(sae.W_enc.T)
    >>> f, x_hat = sae(torch.tensor([[2.0, 3.0]]))
    >>> f.tolist(), x_hat.tolist()
    ([[2.0, 3.0, 0.0]], [[2.0, 3.0]])
    """

    b_in: Tensor
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
        d_out: int | None = None,
    ) -> None:
        super().__init__()
        if d_out is not None and residue_norm is not None:
            raise ValueError(
                f"a transcoder cannot normalise each residue ({residue_norm.kind}): what it reads "
                "does not say how to undo that in what it writes"
            )
        self.architecture = architecture or ReLU()
        self.architecture.check_size(d_sae)
        self.d_in = d_in
        self.d_out = d_in if d_out is None else d_out
        self.transcodes = d_out is not None
        self.d_sae = d_sae
        self.residue_norm = residue_norm
        self.about: SAEAbout | None = None
        self.W_enc = nn.Parameter(torch.zeros(d_in, d_sae))
        self.b_enc = nn.Parameter(torch.zeros(d_sae))
        self.W_dec = nn.Parameter(torch.zeros(d_sae, self.d_out))
        self.b_dec = nn.Parameter(torch.zeros(self.d_out))
        if self.transcodes:
            self.b_in = nn.Parameter(torch.zeros(d_in))
        for name, own in self.architecture.own_weights.items():
            if own.trained:
                self.register_parameter(name, nn.Parameter(torch.zeros(d_sae)))
            else:
                self.register_buffer(name, torch.zeros(d_sae))
        for name in OPTIONAL:
            self.register_buffer(name, None)

    @property
    def unit(self) -> str:
        """ "raw", or "max" where the features are fractions of their maxima."""
        return "raw" if self.maxima is None else "max"

    @property
    def shape(self) -> tuple[int, int, Architecture, ResidueNorm | None, int | None]:
        """What the constructor takes."""
        out = self.d_out if self.transcodes else None
        return self.d_in, self.d_sae, self.architecture, self.residue_norm, out

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.W_enc.device

    @property
    def centre(self) -> Tensor:
        """What is subtracted from x [d_in]: b_dec, or a transcoder's b_in."""
        return self.b_in if self.transcodes else self.b_dec

    def encode(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        """Activations [..., d_sae] of x [..., d_in]; with `features` (int64 [n]), only these
        columns [..., n].

        TopK chooses the k largest among all features, whichever columns are requested.
        """
        return self.architecture.encode(self, self.normed(x).x, features)

    def decode(self, f: Tensor, x: Tensor | None = None) -> Tensor:
        """The reconstruction [..., d_out] from activations [..., d_sae].

        An SAE with a `residue_norm` needs the `x` that was encoded, to undo it.
        """
        if self.residue_norm is None:
            return f @ self.W_dec + self.b_dec
        if x is None:
            raise ValueError(
                f"this SAE normalises each residue ({self.residue_norm.kind}); give decode() the x "
                "that was encoded, or call the SAE on x"
            )
        return self._undone(f @ self.W_dec + self.b_dec, self.normed(x))

    def forward(self, x: Tensor) -> SAEOutput:
        """Activations [..., d_sae] of x [..., d_in], and their reconstruction [..., d_out]."""
        normed = self.normed(x)
        f = self.architecture.encode(self, normed.x)
        return SAEOutput(f, self._undone(f @ self.W_dec + self.b_dec, normed))

    def normed(self, x: Tensor) -> Normed:
        """x as the equation takes it, and the way back."""
        if self.residue_norm is None:
            return Normed(x, x.new_ones(()), x.new_zeros(()))
        return self.residue_norm(x)

    def _undone(self, x_hat: Tensor, normed: Normed) -> Tensor:
        return x_hat if self.residue_norm is None else x_hat * normed.scale + normed.shift

    def pre_activation(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        """(x - centre) @ W_enc + b_enc, [..., d_sae] or [..., n], for x normalised already; for
        Gated without its b_enc (u in its equation)."""
        return self.architecture.pre_activation(self, x, features)

    @torch.no_grad()
    def encode_sparse(self, x: Tensor) -> SparseCode:
        """The non-zero entries of `encode(x)` for x [n, d_in], without a dense code where the
        architecture needs none."""
        choice = self.architecture.choice(self, self.normed(x).x)
        if choice is not None:
            features, order = choice[1].sort(dim=-1)
            values = choice[0].gather(-1, order).cpu().numpy()
            chosen = features.cpu().numpy()
            at = np.flatnonzero(values > 0)
            return SparseCode(
                at // chosen.shape[1], chosen.ravel()[at].astype(np.int32), values.ravel()[at]
            )
        dense = self.encode(x)
        # On a CPU, numpy lists the non-zeros of a boolean array 5 times faster than torch.nonzero.
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
        """This SAE with features of unit "max": fractions of `maxima` (float32 [d_sae]).

        It decodes to the same: a feature's encoder is divided by its maximum and its atom
        multiplied by it (Simon & Zou 2025). A feature with maximum 0 becomes 0 everywhere.
        """
        if self.maxima is not None:
            raise ValueError(
                "this SAE's features have unit 'max' already; folded() takes an SAE with unit 'raw'"
            )
        m = torch.as_tensor(np.asarray(maxima, np.float32)).to(self.device)
        if m.shape != (self.d_sae,) or not m.isfinite().all() or (m < 0).any():
            raise ValueError(
                f"maxima must be one finite value of 0 or more per feature, shape ({self.d_sae},); "
                f"got shape {tuple(m.shape)}"
            )
        folded = self.rescaled(torch.where(m > 0, 1 / torch.where(m > 0, m, 1), 1))
        folded.silence(m == 0)
        folded.maxima = m
        return folded

    @torch.no_grad()
    def rescaled(self, scale: Tensor) -> Self:
        """This SAE with f * scale instead of f (scale [d_sae], above 0); it decodes to the same."""
        new = type(self)(*self.shape).to(self.device, self.W_enc.dtype)
        new.load_state_dict(
            {name: value for name, value in self.state_dict().items() if name not in OPTIONAL}
        )
        new.about, new.rank = self.about, self.rank
        new.W_dec /= scale[:, None]
        self.architecture.rescale(new, scale)
        return new

    @torch.no_grad()
    def silence(self, features: Tensor) -> None:
        """Make features (bool [d_sae]) 0 everywhere and their atoms 0, in place."""
        self.W_dec[features] = 0
        self.architecture.silence(self, features)

    def check_place(self, d_in: int, whose: str, joined: JoinedLayers | None = None) -> None:
        """Refuse to encode what is not this SAE's: another hook than the residual stream, other
        layers side by side than `joined`, or another width than the `d_in` values per residue of
        `whose` (ValueError)."""
        if self.about is not None and self.about.joined != joined:
            raise ValueError(self._reads_others(self.about, whose, joined))
        if self.about is not None and self.about.hook != RESIDUAL:
            raise ValueError(
                f"this SAE was trained on hook {self.about.hook!r} of layer {self.about.layer}, "
                f"{whose} gives hook {RESIDUAL!r}, the representation after a layer; take an SAE "
                f"of hook {RESIDUAL!r}"
            )
        if self.d_in != d_in:
            raise ValueError(
                f"this SAE takes {self.d_in} values per residue, {whose} has {d_in}; take an SAE "
                "of the same PLM"
            )

    def check_reconstructs(self, what: str) -> None:
        """Refuse a crosscoder or a transcoder for `what`, which puts the reconstruction of one
        layer in that layer's place (ValueError)."""
        if self.about is not None and self.about.joined is not None:
            raise ValueError(
                f"{what} takes an SAE of one layer; this crosscoder reads and reconstructs "
                f"{self.about.joined.name} together. Take an SAE of one of them"
            )
        if self.transcodes:
            target = None if self.about is None else self.about.target
            raise ValueError(
                f"{what} takes an SAE that reconstructs the layer that it reads; this transcoder "
                f"writes layer {target}. Take an SAE of one layer"
            )

    @staticmethod
    def _reads_others(about: SAEAbout, whose: str, joined: JoinedLayers | None) -> str:
        given = "one layer alone" if joined is None else joined.name
        if joined is not None and about.joined is not None and joined.layers == about.joined.layers:
            return (
                f"this crosscoder reads {about.reads}, each divided by its scale "
                f"{list(about.joined.scales)}; {whose} was joined with {list(joined.scales)}. Join "
                "the layers with the scales of the crosscoder"
            )
        return (
            f"this SAE reads {about.reads}, {whose} gives {given}; take an SAE of the same layers, "
            "or run stage 'embed' with these (-p embed.joined=[1,2])"
        )

    def weights(self) -> dict[str, Tensor]:
        """What a checkpoint holds, on the CPU in float32: the weights, and `maxima` and `rank`
        where they are set."""
        return {
            name: value.detach().float().cpu().contiguous()
            for name, value in self.state_dict().items()
        }

    @property
    def weight_hash(self) -> str:
        """sha256 over names, shapes and values of the weights, which identifies them."""
        digest = hashlib.sha256(repr((self.architecture, self.residue_norm)).encode())
        for name, value in sorted(self.weights().items()):
            digest.update(f"{name}{tuple(value.shape)}".encode())
            digest.update(value.numpy().tobytes())
        return f"sha256:{digest.hexdigest()}"
