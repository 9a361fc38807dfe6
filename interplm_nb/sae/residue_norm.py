"""What some published SAEs do to each residue's embedding before they encode it, and undo after
decoding. It depends on the residue, so that it cannot be folded into the weights; our own trainings
do not use it (see `input_scaling`)."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from torch import Tensor

KINDS = ("layer-norm", "sqrt-d")


class Normed(NamedTuple):
    """A residue's embedding as the SAE sees it, and its authors' way back:
    x_hat = x_hat_normed * scale + shift."""

    x: Tensor
    """[..., d_in]"""
    scale: Tensor
    """[..., 1]"""
    shift: Tensor
    """[..., 1]"""


@dataclass(frozen=True)
class ResidueNorm:
    """Normalisation of each residue by itself.

    "layer-norm": (x - mean(x)) / (std(x) + eps), with mean and unbiased standard deviation over the
    d_in values of a residue (InterProt, OpenAI's SAEs).
    "sqrt-d": x * sqrt(d_in) / (||x||_2 + eps) (InterPLM's option `normalize_to_sqrt_d`).
    """

    kind: Literal["layer-norm", "sqrt-d"]
    eps: float = 1e-5

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(
                f"a residue's normalisation must be one of {', '.join(KINDS)}; got {self.kind!r}"
            )

    def __call__(self, x: Tensor) -> Normed:
        """Normalise x [..., d_in]."""
        if self.kind == "layer-norm":
            shift, std = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
            return Normed((x - shift) / (std + self.eps), std, shift)
        scale = (x.norm(dim=-1, keepdim=True) + self.eps) / x.shape[-1] ** 0.5
        return Normed(x / scale, scale, x.new_zeros(()))

    def record(self) -> dict[str, Any]:
        """A JSON record."""
        return {"kind": self.kind, "eps": self.eps}
