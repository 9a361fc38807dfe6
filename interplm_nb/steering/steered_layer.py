"""A layer of a PLM with the SAE whose features are changed there."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from interplm_nb.plm.protocol import PLM
from interplm_nb.sae.evaluation.fidelity import layer_of
from interplm_nb.sae.model import SAE


@dataclass(frozen=True)
class SteeredLayer:
    """A PLM, an SAE of one of its layers, and each feature's maximum.

    Raises ValueError for an SAE of another PLM, layer or width, and for maxima that are not one
    finite value of 0 or more per feature.
    """

    plm: PLM
    sae: SAE
    """On the PLM's device."""
    maxima: np.ndarray
    """float32 [d_sae]: the unit of strengths, each feature's largest activation on training
    proteins, in the SAE's own unit. A feature with maximum 0 is dead and cannot be
    steered."""
    density: np.ndarray | None = None
    """float32 [d_sae]: share of residues on which each feature fires; controls are matched by it
    where it is known."""

    def __post_init__(self) -> None:
        layer_of(self.sae, self.plm)
        maxima = self.maxima
        if maxima.shape != (self.sae.d_sae,) or not np.isfinite(maxima).all() or maxima.min() < 0:
            raise ValueError(
                f"maxima must be one finite value of 0 or more per feature, shape "
                f"({self.sae.d_sae},); got shape {maxima.shape}"
            )

    @cached_property
    def layer(self) -> int:
        """The layer that the SAE reads, and that is changed."""
        return layer_of(self.sae, self.plm)

    def check_feature(self, feature: int) -> None:
        """Raise ValueError for a feature that does not exist or is dead."""
        if not 0 <= feature < self.sae.d_sae:
            raise ValueError(
                f"this SAE has no feature {feature}; its features are 0 to {self.sae.d_sae - 1}"
            )
        if self.maxima[feature] == 0:
            raise ValueError(
                f"feature {feature} is dead: it never fires on the training proteins, so it has no "
                "maximum to measure a strength by; choose another feature"
            )
