"""One sheet with the figures of several views: a workbench where no widget can be drawn."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHEET_DPI = 90
GAP = 12
"""White pixels between views."""


def sheet_of(figures: Sequence[Sequence["Figure"]]) -> np.ndarray:
    """Figures by row and column on one sheet: uint8 [height, width, 4].

    Joined as pixels: a figure of figures takes longer.
    """
    rows = [_beside([_pixels(figure) for figure in row]) for row in figures]
    width = max(row.shape[1] for row in rows)
    return np.concatenate([_padded(row, row.shape[0] + GAP, width) for row in rows])


def figure_of(figures: Sequence[Sequence["Figure"]]) -> "Figure":
    """The sheet as one figure; for print use the views' own."""
    from interplm_nb.widgets.print_style import blank

    sheet = sheet_of(figures)
    figure = blank(sheet.shape[1] / SHEET_DPI, sheet.shape[0] / SHEET_DPI)
    axes = figure.add_subplot()
    axes.imshow(sheet)
    axes.set_axis_off()
    return figure


def _pixels(figure: "Figure") -> np.ndarray:
    figure.set_dpi(SHEET_DPI)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())  # type: ignore[attr-defined]


def _beside(pictures: list[np.ndarray]) -> np.ndarray:
    height = max(picture.shape[0] for picture in pictures)
    return np.concatenate(
        [_padded(picture, height, picture.shape[1] + GAP) for picture in pictures], axis=1
    )


def _padded(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.pad(
        picture,
        ((0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0)),
        constant_values=255,
    )
