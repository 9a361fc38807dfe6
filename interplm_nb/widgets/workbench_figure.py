"""One sheet with pictures of the selected feature's views: what is seen of a workbench where no widget can be drawn."""

from typing import TYPE_CHECKING, Any

import numpy as np

from interplm_nb.widgets.print_style import blank

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from interplm_nb.widgets.workbench import Workbench

SHEET = (("concepts", "histogram"), ("logo", "structure"), ("tracks", "tracks"))
"""Views by row and column."""

SHEET_DPI = 100
"""Of the views on the sheet: they are as wide as half of it, or as all of it."""


def workbench_figure(bench: "Workbench") -> "Figure":
    """The views of `SHEET`, each as its own `figure()` draws it, as pixels; take those for print."""
    figure = blank(7.2, 8.4)
    axes = figure.subplot_mosaic([list(row) for row in SHEET], height_ratios=[1, 1, 1.6])
    for name, place in axes.items():
        place.imshow(_pixels(getattr(bench, str(name)).figure()))
        place.set_axis_off()
    about: dict[str, Any] = bench.data.about
    figure.suptitle(f"Feature {bench.selection.feature} of {about['source']} on {about['plm']}, layer {about['layer']}", fontsize=9)
    return figure


def _pixels(figure: "Figure") -> np.ndarray:
    """uint8 [height, width, 4]."""
    figure.set_dpi(SHEET_DPI)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())  # type: ignore[attr-defined]
