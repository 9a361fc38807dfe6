"""What a PLM says of itself: all that the rest of the project decides by. Imports no torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from interplm_nb.plm.protocol import PLM

Objective = Literal["masked", "next residue"]
"""What a model's logits predict: the residue at their own position, masked, or the next one."""


@dataclass(frozen=True)
class ModelRecord:
    """A PLM's declaration as plain values: what a run notes, and what it checks before it starts."""

    name: str
    revision: str
    widths: tuple[int, ...]
    max_residues: int
    letters: str
    objective: Objective | None
    has_logits: bool
    recurrent: bool
    licence: str

    @property
    def n_layers(self) -> int:
        """Number of the last layer; layer 0 is the embedding."""
        return len(self.widths) - 1

    def json(self) -> dict[str, Any]:
        """A JSON record that `of_json` reads."""
        return {**asdict(self), "widths": list(self.widths)}

    @classmethod
    def of_json(cls, record: Mapping[str, Any]) -> Self:
        """The record that `json` wrote."""
        return cls(**{**record, "widths": tuple(record["widths"])})


def record_of(plm: "PLM") -> ModelRecord:
    """The record of a loaded model."""
    return ModelRecord(**{name: getattr(plm, name) for name in ModelRecord.__dataclass_fields__})


def check_layer(plm: "PLM | ModelRecord", layer: int) -> None:
    """Refuse a layer that the model does not have, with those that it has."""
    last = len(plm.widths) - 1
    if not 0 <= layer <= last:
        raise ValueError(f"{plm.name} has no layer {layer}; its layers are 0 (embedding) to {last}")
