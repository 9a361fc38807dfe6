"""Inputs scaled for training, and the scale folded into the weights afterwards."""

from dataclasses import dataclass

import torch
from torch import Tensor

from interplm_nb.sae.model import SAE


@dataclass(frozen=True)
class InputScaling:
    """x_scaled = (x - shift) / scale, both [d_in], which makes the mean of ||x_scaled -
    mean(x_scaled)||^2 1."""

    shift: Tensor
    scale: Tensor

    @classmethod
    def of(cls, kind: str, x: Tensor) -> "InputScaling":
        """Measured on a sample [n, d_in]: "none", "scalar" (one factor, no shift), or "dimension"
        (each dimension's mean and standard deviation)."""
        d_in = x.shape[1]
        if kind == "none":
            return cls(x.new_zeros(d_in), x.new_ones(d_in))
        variance = x.double().var(0, correction=0)
        if kind == "scalar":
            scale = variance.sum().sqrt().clamp_min(torch.finfo(x.dtype).tiny)
            return cls(x.new_zeros(d_in), scale.to(x.dtype).expand(d_in).contiguous())
        # A dimension that never changes is left at its scale.
        scale = torch.where(variance > 0, variance * d_in, 1).sqrt()
        return cls(x.double().mean(0).to(x.dtype), scale.to(x.dtype))

    def __call__(self, x: Tensor) -> Tensor:
        """Scaled x [n, d_in]."""
        return (x - self.shift) / self.scale

    def to(self, device: torch.device) -> "InputScaling":
        """The same on a device."""
        return InputScaling(self.shift.to(device), self.scale.to(device))

    @property
    def changes_nothing(self) -> bool:
        """Whether scaled x is x."""
        return bool((self.scale == 1).all()) and not bool(self.shift.any())

    @torch.no_grad()
    def folded_into(self, sae: SAE, written: "InputScaling | None" = None) -> SAE:
        """The SAE of unscaled x with the same reconstruction, and the same features up to a factor
        each; its atoms have unit norm again.

        W_enc / scale, b_dec * scale + shift, W_dec * scale; then each atom's norm n_j moves to its
        feature: f_j * n_j. `written` is the scaling of what a transcoder writes, to which its
        decoder belongs.
        """
        out = self if written is None else written
        new = sae.rescaled(torch.ones(sae.d_sae, device=sae.device, dtype=sae.W_enc.dtype))
        if self.changes_nothing and out.changes_nothing:
            return new
        new.W_enc.div_(self.scale[:, None])
        new.W_dec.mul_(out.scale)
        new.b_dec.copy_(new.b_dec * out.scale + out.shift)
        if new.transcodes:
            new.b_in.copy_(new.b_in * self.scale + self.shift)
        norm = new.W_dec.norm(dim=1)
        return new.rescaled(torch.where(norm > 0, norm, 1))
