"""Where an SAE comes from: its PLM, layer and hook, and how it was trained."""

from dataclasses import dataclass, field
from typing import Any

RESIDUAL = "residual"
"""The hook that `Embeddings` hold: the PLM's representation after a layer."""


@dataclass(frozen=True)
class SAEAbout:
    """Where an SAE comes from."""

    plm: str
    """Name of the PLM, such as "esm2_t6_8M_UR50D"."""
    plm_revision: str
    """`sha256:...` of the PLM's weights; empty where an imported file does not say: then only the
    name is checked."""
    layer: int
    """0 (embedding) to the PLM's number of layers."""
    recipe: str
    """"interplm-paper", "topk", ...; "random" for the control, "imported" for others' weights."""
    hook: str = RESIDUAL
    """Where in the layer: "residual", the representation after it, or what an imported file says,
    such as "mlp"."""
    data: str = ""
    """Hash of the training data."""
    seed: int = 0
    training: dict[str, Any] = field(default_factory=dict)
    """The whole `SAEConfig`, with steps and batch size; empty for a control and for others'
    weights."""
    origin: dict[str, Any] = field(default_factory=dict)
    """For an imported SAE: format, file, sha256, and the repository and revision it was downloaded
    from."""
