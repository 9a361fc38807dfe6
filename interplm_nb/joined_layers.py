"""Several layers of a PLM side by side, as a crosscoder reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np

Sliced = TypeVar("Sliced", bound=Any)


@dataclass(frozen=True)
class JoinedLayers:
    """Which layers are joined, and what each is divided by.

    A layer's scale is the root of its variance (`measured`), so that all layers count alike:
    residual streams grow with depth, and unscaled the largest layer would be all that is
    reconstructed.

    Examples
    --------
    >>> joined = JoinedLayers((1, 2), widths=(2, 1), scales=(1.0, 4.0))
    >>> joined({1: np.array([[1.0, 2.0]]), 2: np.array([[8.0]])}).tolist()
    [[1.0, 2.0, 2.0]]
    >>> joined.name, joined.d_in
    ('layers 1+2', 3)
    """

    layers: tuple[int, ...]
    """Ascending, at least two."""
    widths: tuple[int, ...]
    scales: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.layers) < 2 or list(self.layers) != sorted(set(self.layers)):
            raise ValueError(
                "a crosscoder joins two or more different layers, in ascending order; got "
                f"{list(self.layers)}"
            )
        if not len(self.layers) == len(self.widths) == len(self.scales):
            raise ValueError(
                f"{len(self.layers)} layers need as many widths and scales; got "
                f"{len(self.widths)} and {len(self.scales)}"
            )
        if not all(np.isfinite(scale) and scale > 0 for scale in self.scales):
            raise ValueError(f"a layer's scale is a finite number above 0; got {list(self.scales)}")

    @classmethod
    def measured(cls, found: Mapping[int, np.ndarray]) -> Self:
        """The layers of a sample, layer -> [n, width], each with the scale that gives it variance
        1: sqrt(mean_i ||x_i - mean(x)||^2). ValueError for a layer that never changes."""
        layers = tuple(sorted(found))
        spreads = [float(np.sqrt(found[n].astype(np.float64).var(axis=0).sum())) for n in layers]
        flat = [n for n, spread in zip(layers, spreads, strict=True) if spread == 0]
        if flat:
            raise ValueError(
                f"layer {flat[0]} is the same at every residue, so it has no scale; leave it out"
            )
        return cls(layers, tuple(found[n].shape[1] for n in layers), tuple(spreads))

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """What `record` gave."""
        return cls(*(tuple(record[name]) for name in ("layers", "widths", "scales")))

    def record(self) -> dict[str, list[Any]]:
        """A JSON record."""
        return {
            "layers": list(self.layers),
            "widths": list(self.widths),
            "scales": list(self.scales),
        }

    @property
    def name(self) -> str:
        """Such as "layers 1+2+3"."""
        return f"layers {'+'.join(map(str, self.layers))}"

    @property
    def d_in(self) -> int:
        """Values per residue of all layers together."""
        return sum(self.widths)

    def __call__(self, found: Mapping[int, np.ndarray]) -> np.ndarray:
        """The layers of some residues, layer -> [n, width], scaled and side by side: float32
        [n, d_in]."""
        scaled = [found[n] / scale for n, scale in zip(self.layers, self.scales, strict=True)]
        return np.concatenate(scaled, axis=1).astype(np.float32, copy=False)

    def parts(self, values: Sliced) -> dict[int, Sliced]:
        """Each layer's columns of values [..., d_in], such as a decoder, by layer."""
        ends = np.cumsum(self.widths).tolist()
        return {
            layer: values[..., end - width : end]
            for layer, width, end in zip(self.layers, self.widths, ends, strict=True)
        }


def joined_of(record: Mapping[str, Any]) -> JoinedLayers | None:
    """The layers that a record with the key "joined" names; None for one of a single layer."""
    return JoinedLayers.from_record(record["joined"]) if record.get("joined") else None
