"""A picture of a lesson: matplotlib, drawn once, saved in the notebook as PNG, so that it shows
everywhere, also where nothing runs."""

import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_DPI = 110


class Chart:
    """A figure with a description in words; shown as PNG, and as the words where pictures are not shown."""

    def __init__(self, figure: Figure, description: str) -> None:
        self.figure = figure
        self.description = description

    def __repr__(self) -> str:
        return self.description

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        buffer = io.BytesIO()
        # Twice the pixels for sharp screens; no date and no version inside, so that equal charts are equal bytes.
        self.figure.savefig(buffer, format="png", dpi=2 * _DPI, metadata={"Software": None})
        width, height = (round(inches * _DPI) for inches in self.figure.get_size_inches())
        return {"image/png": buffer.getvalue(), "text/plain": self.description}, {
            "image/png": {"width": width, "height": height}
        }


def panels(
    n: int = 1, width: float = 8.0, height: float = 3.2, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure with n panels in a row, without the frame's upper and right edge."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = list(np.atleast_1d(figure.subplots(1, n, **options)))
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes
