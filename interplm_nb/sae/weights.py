"""What the equations of `architectures` and the passes of `training` need of an SAE, as types.

They take any object with these weights, so that `model` can import them and not the reverse.
"""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Weights(Protocol):
    """The weights of an SAE. A plain SAE has the first four; the rest depend on it."""

    rank: "Tensor | None"
    """[d_sae], for TopK after rescaling: the choice is made by z * rank."""

    @property
    def d_sae(self) -> int:
        """Number of features."""
        ...

    @property
    def W_enc(self) -> "Tensor":  # noqa: N802
        """[d_in, d_sae]"""
        ...

    @property
    def b_enc(self) -> "Tensor":
        """[d_sae]"""
        ...

    @property
    def W_dec(self) -> "Tensor":  # noqa: N802
        """[d_sae, d_out]; rows are the features' atoms."""
        ...

    @property
    def b_dec(self) -> "Tensor":
        """[d_out]"""
        ...

    @property
    def centre(self) -> "Tensor":
        """[d_in]: what is subtracted from x. b_dec, or a transcoder's b_in."""
        ...

    @property
    def threshold(self) -> "Tensor":
        """[d_sae], of BatchTopK, Matryoshka and JumpReLU."""
        ...

    @property
    def r_mag(self) -> "Tensor":
        """[d_sae], of Gated."""
        ...

    @property
    def b_gate(self) -> "Tensor":
        """[d_sae], of Gated."""
        ...

    @property
    def maxima(self) -> "Tensor | None":
        """[d_sae], of an SAE with unit "max"."""
        ...


class Terms(Protocol):
    """The settings of a loss; `SAEConfig` has them."""

    @property
    def sparsity(self) -> float:
        """Weight of the sparsity term."""
        ...

    @property
    def target_l0(self) -> float:
        """Active features per residue that JumpReLU is driven to."""
        ...

    @property
    def bandwidth(self) -> float:
        """Width of the kernel through which JumpReLU's thresholds get a gradient."""
        ...

    @property
    def reconstruction(self) -> str:
        """ "squared" or "norm"."""
        ...
