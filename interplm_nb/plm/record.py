"""What a PLM declares: all that the rest of the project relies on. Imports no torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, Self

Objective = Literal["masked", "next residue"]
"""What a model's logits predict: the masked residue at their position, or the next residue."""


@dataclass(frozen=True)
class ModelRecord:
    """A PLM's declaration as plain values, which a run records and checks before it starts.

    Examples
    --------
    >>> record = ModelRecord(
    ...     "toy", "sha256:0", (8, 16, 16), 1022, "ACDE", "masked", True, False, "MIT"
    ... )
    >>> record.n_layers, ModelRecord.of_json(record.json()) == record
    (2, True)
    """

    name: str
    revision: str
    widths: tuple[int, ...]
    max_residues: int
    letters: str
    objective: Objective | None
    has_logits: bool
    recurrent: bool
    licence: str
    has_contact_head: bool = False

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


class Declared(Protocol):
    """A PLM, or its record: what declares a name and the width of each layer."""

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    @property
    def widths(self) -> tuple[int, ...]:
        """Values per residue at layer 0 and after each layer."""
        ...


def record_of(plm: Declared) -> ModelRecord:
    """The record of a loaded model."""
    return ModelRecord(**{name: getattr(plm, name) for name in ModelRecord.__dataclass_fields__})


def check_layer(plm: Declared, layer: int) -> None:
    """Raise ValueError for a layer that the model does not have."""
    last = len(plm.widths) - 1
    if not 0 <= layer <= last:
        raise ValueError(f"{plm.name} has no layer {layer}; its layers are 0 (embedding) to {last}")
