"""Figures for print: one style, small enough for a column of a journal, drawn without a display."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

from interplm_nb.widgets.colours import SCALE


def panel(width: float, height: float) -> tuple["Figure", "Axes"]:
    """A figure of one panel, sizes in inches.

    Text of 7 points, lines as thin as journals ask, letters kept as letters in PDF and SVG.
    """
    figure = blank(width, height)
    axes = figure.add_subplot()
    tidy(axes)
    return figure, axes


def blank(width: float, height: float) -> "Figure":
    """An empty figure, without a window or global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    return figure


def tidy(axes: "Axes") -> None:
    """The style of a panel."""
    axes.spines[["top", "right"]].set_visible(False)
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)
    axes.tick_params(labelsize=7, width=0.6, length=2.5)
    axes.xaxis.label.set_fontsize(7)
    axes.yaxis.label.set_fontsize(7)


def activation_map() -> "LinearSegmentedColormap":
    """The colour scale of activations, for matplotlib."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("activation", list(SCALE))
