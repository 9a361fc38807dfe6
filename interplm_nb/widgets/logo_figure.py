"""A sequence logo with matplotlib, in the colours of the view."""

from typing import TYPE_CHECKING

import numpy as np

from interplm_nb.features.logos import AMINO_ACIDS, PositionWeights

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path

CHEMISTRY = (
    ("acidic", "DE", "#8a2a00", "#e84a0e"),
    ("basic", "KRH", "#064e82", "#5b7cff"),
    ("polar", "STNQ", "#2ca272", "#20dd80"),
    ("hydrophobic", "AVLIM", "#222222", "#f2f2f2"),
    ("aromatic", "FWY", "#c83fd4", "#e86cc6"),
    ("special", "CGP", "#b28715", "#f5cb0c"),
)
"""Group, its letters, its colour on white and on a dark page.

Each has a contrast of 3 : 1 or more with the page, and any two differ by 25 or more in CIELAB, as
they are and as Machado et al. (IEEE Trans Vis Comput Graph 15:1291, 2009) simulate protanopia,
deuteranopia and tritanopia.
"""

SHORT = 0.015
"""Letters lower than this share of the axis are bars of their colour."""


def axis_for(information: np.ndarray, cut: int | None = None) -> float:
    """The end of the axis of bits for these columns: 1 or more whole bits.

    Where one column is `cut`, that one need not fit, and the axis may also end at 0.25 or 0.5.
    """
    tallest = (
        float(np.max(information if cut is None else np.delete(information, cut), initial=0))
        if len(information)
        else 0.0
    )
    ends = (1,) if cut is None else (0.25, 0.5, 1)
    return next((end for end in ends if tallest <= end), float(np.ceil(tallest)))


def draw_logo(
    axes: "Axes", weights: PositionWeights, columns: range, first: int, top: float
) -> None:
    """Draw the stacks of `columns`, as far as they exist, numbered from `first`.

    The most frequent letter is on top. The axis ends at `top` bits; a stack above it is shortened,
    with a break and its bits.
    """
    from matplotlib.collections import PathCollection

    paths, colours = [], []
    colour_of = {letter: colour for _, letters, colour, _ in CHEMISTRY for letter in letters}
    for column in columns[: max(0, len(weights.n) - columns.start)]:
        x = first + column - 0.5
        scale = min(1.0, top / max(weights.information[column], 1e-9))
        for letter, y, height in stack(weights, column):
            paths.append(_glyph(letter, x, y * scale, height * scale, height * scale < SHORT * top))
            colours.append(colour_of[letter])
        if scale < 1:
            axes.plot([x, x + 1], [0.22 * top, 0.27 * top], color="white", linewidth=2, zorder=3)
            axes.text(
                x + 0.5,
                1.02 * top,
                f"{weights.information[column]:.1f} bits",
                ha="center",
                va="bottom",
                fontsize=6,
            )
    axes.add_collection(PathCollection(paths, facecolors=colours, edgecolors="none"), autolim=False)
    numbers = range(first + columns.start, first + columns.stop)
    step = next(step for step in (1, 2, 5) if len(numbers) <= 12 * step or step == 5)
    ticks = [n for n in numbers if n % step == 0 and n < first + len(weights.n)]
    axes.set(xlim=(numbers[0] - 0.5, numbers[-1] + 0.5), ylim=(0, top), ylabel="bits", xticks=ticks)


def stack(weights: PositionWeights, column: int) -> list[tuple[str, float, float]]:
    """The letters of a column from below, the most frequent on top: letter, base, height in bits.

    Of equally frequent letters the first in the alphabet is on top.
    """
    heights = weights.heights[column]
    order = [kind for kind in np.lexsort((-np.arange(len(heights)), heights)) if heights[kind] > 0]
    bases = np.concatenate([[0.0], np.cumsum(heights[order])])
    return [
        (AMINO_ACIDS[kind], float(base), float(heights[kind]))
        for kind, base in zip(order, bases, strict=False)
    ]


def _glyph(letter: str, x: float, y: float, height: float, bar: bool) -> "Path":
    """A letter that fills the box of width 1 at x, y.

    The narrow I keeps 0.4 of it, and what is too low to read is a bar.
    """
    from matplotlib.path import Path
    from matplotlib.transforms import Affine2D

    outline = Path.unit_rectangle() if bar else _outline(letter)
    box = outline.get_extents()
    left, width = (x + 0.31, 0.38) if letter == "I" and not bar else (x + 0.03, 0.94)
    moved = (
        Affine2D()
        .translate(-box.x0, -box.y0)
        .scale(width / box.width, height / box.height)
        .translate(left, y)
    )
    return moved.transform_path(outline)


def _outline(letter: str) -> "Path":
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    return TextPath(
        (0, 0), letter, size=100, prop=FontProperties(family="DejaVu Sans", weight="bold")
    )
