"""Where an SAE comes from: its PLM, layer and hook, and how it was trained."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

from interplm_nb.joined_layers import JoinedLayers, joined_of

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

RESIDUAL = "residual"
"""The hook that `Embeddings` hold: the PLM's representation after a layer."""

_PLACE = ("plm", "plm_revision", "layer", "data")


@dataclass(frozen=True)
class SAEAbout:
    """Where an SAE comes from."""

    plm: str
    """Name of the PLM, such as "esm2_t6_8M_UR50D"."""
    plm_revision: str
    """`sha256:...` of the PLM's weights; empty where an imported file does not say: then only the
    name is checked."""
    layer: int
    """0 (embedding) to the PLM's number of layers; of a crosscoder the deepest that it reads."""
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
    joined: JoinedLayers | None = None
    """The layers that a crosscoder reads and reconstructs together; None for one layer."""
    target: int | None = None
    """The layer that a transcoder writes; None where what is read is reconstructed."""

    @classmethod
    def of(cls, place: Mapping[str, Any], **rest: Any) -> Self:
        """From what `Batches.about` says of the place."""
        return cls(**{name: place[name] for name in _PLACE}, joined=joined_of(place), **rest)

    def place(self) -> dict[str, Any]:
        """What `of` takes."""
        joined = {} if self.joined is None else {"joined": self.joined.record()}
        return {name: getattr(self, name) for name in _PLACE} | joined

    def record(self) -> dict[str, Any]:
        """A JSON record; `joined` and `target` are there where they are set."""
        values = asdict(self) | {"joined": self.joined and self.joined.record()}
        optional = {name: values.pop(name) for name in OPTIONAL}
        return values | {name: value for name, value in optional.items() if value is not None}

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that are read."""
        return (self.layer,) if self.joined is None else self.joined.layers

    @property
    def reads(self) -> str:
        """What is read, in words: "layer 3" or "layers 1+2+3"."""
        return f"layer {self.layer}" if self.joined is None else self.joined.name

    def read(self, found: "Mapping[int, Tensor]") -> "np.ndarray":
        """What the SAE takes, float32 [n, d_in], of the PLM's `layers` at some residues."""
        values = {layer: found[layer].float().cpu().numpy() for layer in self.layers}
        return values[self.layer] if self.joined is None else self.joined(values)


OPTIONAL = ("joined", "target")
"""Fields that only some records have."""
