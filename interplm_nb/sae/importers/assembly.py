"""Others' weights put into this package's equation: transposed, centred, rescaled and checked."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from interplm_nb.sae.architectures import Architecture
from interplm_nb.sae.importers.tensors import Found
from interplm_nb.sae.model import SAE
from interplm_nb.sae.residue_norm import ResidueNorm

EXACT = 1e-12
"""eps of a "sqrt-d" normalisation whose authors divide by the norm itself; it only keeps a residue
of zeros from 0 / 0."""


@torch.no_grad()
def assemble(
    architecture: Architecture,
    W_enc: Tensor,
    b_enc: Tensor,
    W_dec: Tensor,
    b_dec: Tensor,
    *,
    centred: bool = True,
    input_scale: float = 1.0,
    residue_norm: ResidueNorm | None = None,
    extra: Mapping[str, Tensor] | None = None,
) -> SAE:
    """An SAE with these weights: W_enc [d_in, d_sae], W_dec [d_sae, d_in], and `threshold`,
    `r_mag`, `b_gate` [d_sae] in `extra` where it has them.

    With `centred` False the encoder takes x, not x - b_dec: b_enc becomes b_enc + b_dec @ W_enc.
    With `input_scale` s the weights are for s * x and reconstruct s * x; s is folded into them. All
    are float32.
    """
    if not 0 < abs(input_scale) < float("inf"):
        raise ValueError(f"input_scale must be a finite number other than 0; got {input_scale}")
    sae = SAE(W_enc.shape[0], W_enc.shape[1], architecture, residue_norm)
    weights = {"W_enc": W_enc, "b_enc": b_enc, "W_dec": W_dec, "b_dec": b_dec, **(extra or {})}
    if not centred:
        shift = (b_dec.double() @ W_enc.double()).float()
        weights |= architecture.shifted(weights, shift)
    if input_scale != 1:
        weights |= {
            "W_enc": W_enc * input_scale,
            "W_dec": W_dec / input_scale,
            "b_dec": b_dec / input_scale,
        }
    if "threshold" in weights:
        weights["threshold"] = weights["threshold"].expand(sae.d_sae)
    sae.load_state_dict(weights)
    return sae


def expect(found: Found, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse tensors whose shapes are not these."""
    for name, shape in shapes.items():
        held = tuple(found.tensors[name].shape)
        if held != shape:
            turned = "; it is transposed" if len(shape) == 2 and held == shape[::-1] else ""
            raise ValueError(
                f"{found.path}: {name} has shape {held}, wanted {shape} to fit the other tensors"
                f"{turned}"
            )


def sizes(found: Found, name: str, transposed: bool) -> tuple[int, int]:
    """d_in and d_sae from the encoder's shape [d_in, d_sae], or [d_sae, d_in] where `transposed`
    (torch's Linear)."""
    shape = tuple(found.tensors[name].shape)
    if len(shape) != 2:
        raise ValueError(
            f"{found.path}: {name} has shape {shape}, wanted a matrix of d_in and d_sae"
        )
    return (shape[1], shape[0]) if transposed else (shape[0], shape[1])


def linear_shapes(d_in: int, d_sae: int) -> dict[str, tuple[int, ...]]:
    """Shapes of an encoder and a decoder that are torch Linear layers."""
    return {
        "encoder.weight": (d_sae, d_in),
        "encoder.bias": (d_sae,),
        "decoder.weight": (d_in, d_sae),
    }


def matrix_shapes(d_in: int, d_sae: int) -> dict[str, tuple[int, ...]]:
    """Shapes of an encoder and a decoder that are plain matrices."""
    return {"W_enc": (d_in, d_sae), "b_enc": (d_sae,), "W_dec": (d_sae, d_in), "b_dec": (d_in,)}


def refuse_non_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse NaN and infinity, naming the tensor and its first such row."""
    for name, value in tensors.items():
        if not value.is_floating_point() or bool(value.isfinite().all()):
            continue
        row = int(
            (~value.isfinite()).reshape(value.shape[0] if value.ndim else 1, -1).any(1).nonzero()[0]
        )
        raise ValueError(
            f"{path}: {name} holds NaN or infinity in row {row} (from 0); the file is damaged or "
            "its training diverged: get another file"
        )


def threshold_of(found: Found, given: float | None) -> Tensor:
    """The threshold of a BatchTopK SAE, [] float32. One below 0 was never set in training: the user
    must give it."""
    stored = float(found.tensors["threshold"])
    if given is not None and not 0 <= given < float("inf"):
        raise ValueError(
            f"{found.path}: threshold must be a finite number of 0 or more; got {given}"
        )
    if stored >= 0 and given is not None and abs(given - stored) > 1e-6 * max(stored, 1):
        raise ValueError(
            f"{found.path}: the file says threshold {stored}, you say {given}; leave threshold out "
            "to take the file's"
        )
    if stored < 0 and given is None:
        raise ValueError(
            f"{found.path}: its threshold is {stored}, never set in training, so that every "
            "feature above 0 would be active. "
            "Give threshold (--threshold ...), calibrated on your own data"
        )
    return torch.tensor(stored if stored >= 0 else given, dtype=torch.float32)
