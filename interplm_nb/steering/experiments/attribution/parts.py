"""A layer's state as the sum of its features and of what the SAE leaves out.

With f the features of a state h, d their atoms, and e = h - decode(f) the SAE's error,

    h = start + sum (f - f0) d + (e - e0)

where `start` is the state at which every feature has its background value f0 and the error is e0.
The background is zero (start is then the decoder's bias), or the mean over residues of some
sequences (start is then their mean state). An SAE that normalises each residue puts atoms and bias
back on the residue's own scale, which is held where features change.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from interplm_nb.steering.steered_layer import SteeredLayer

Baseline = Literal["zero", "mean"]


class Background(NamedTuple):
    """What a removed node is set to."""

    features: Tensor
    """[d_sae]"""
    error: Tensor
    """[width]"""


class Parts(NamedTuple):
    """Features and errors of states, each minus its background."""

    features: Tensor
    """[..., d_sae]"""
    error: Tensor
    """[..., width]"""
    start: Tensor
    """[..., width]: the state without any of them."""
    scale: Tensor
    """[..., 1] or []: of the atoms, 1 unless the SAE normalises each residue."""


def zero(at: SteeredLayer) -> Background:
    """Features and error 0."""
    weights = at.sae.W_dec.detach()
    return Background(weights.new_zeros(at.sae.d_sae), weights.new_zeros(at.sae.d_in))


@torch.no_grad()
def mean(at: SteeredLayer, sequences: Sequence[str]) -> Background:
    """Means over all residues of some sequences; ValueError without any."""
    if not sequences:
        raise ValueError(
            "the baseline is the mean over sequences, and none was given; give background, such as "
            'training proteins, or take baseline "zero"'
        )
    total, n = zero(at), 0
    plm = at.plm
    for sequence in sequences:
        h = plm.forward(plm.tokens([sequence]), [at.layer]).representations[at.layer][0]
        own = parts(at, h[plm.first_residue : plm.first_residue + len(sequence)], zero(at))
        total = Background(total.features + own.features.sum(0), total.error + own.error.sum(0))
        n += len(sequence)
    return Background(total.features / n, total.error / n)


def background(at: SteeredLayer, baseline: Baseline, sequences: Sequence[str]) -> Background:
    """The background that settings name."""
    return zero(at) if baseline == "zero" else mean(at, sequences)


def parts(at: SteeredLayer, h: Tensor, removed: Background) -> Parts:
    """The parts of states h [..., width]; gradients flow through the encoder, not through the scale
    and the bias of an SAE that normalises each residue."""
    sae = at.sae
    x = h.to(sae.W_dec.dtype)
    normed = sae.normed(x)
    scale, shift = normed.scale.detach(), normed.shift.detach()
    f = sae.encode(x)
    atoms, bias = sae.W_dec.detach(), sae.b_dec.detach() * scale + shift
    error = x - bias - (f @ atoms) * scale - removed.error
    start = bias + (removed.features @ atoms) * scale + removed.error
    return Parts(f - removed.features, error, start, scale)


def start(at: SteeredLayer, h: Tensor, removed: Background) -> Tensor:
    """[..., width]: `Parts.start` of states h, with gradients through their normalisation."""
    sae = at.sae
    normed = sae.normed(h.to(sae.W_dec.dtype))
    bias = (sae.b_dec + removed.features @ sae.W_dec).detach()
    return bias * normed.scale + normed.shift + removed.error
