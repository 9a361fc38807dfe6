"""The panel for print: probabilities and what changes, of the feature and of its control."""

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from interplm_nb.features.logos import AMINO_ACIDS
from interplm_nb.widgets.playground.figure import change_map, limit_of
from interplm_nb.widgets.print_style import activation_map, blank, tidy
from interplm_nb.widgets.steering.steered import Steered, control_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BY_CHEMISTRY = "DEKRHSTNQAVLIMFWYCGP"
"""Rows of the heat maps from above: acidic, basic, polar, hydrophobic, aromatic, special."""


def steering_figure(found: Steered | None, title: str) -> "Figure":
    """Two columns, feature and control, of one scale; above probabilities, below differences."""
    if found is None:
        figure = blank(4.6, 0.7)
        figure.text(0.02, 0.5, textwrap.fill(title, 90), fontsize=7, va="center")
        return figure
    figure = blank(7.0, 4.4)
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    order = [AMINO_ACIDS.index(letter) for letter in BY_CHEMISTRY]
    pair = [found.steered[:, order].T, found.control[:, order].T]
    base = found.unsteered[:, order].T
    limit = limit_of(max(float(np.abs(p - base).max()) for p in pair))
    whose = "features" if len(found.settings.features) > 1 else "feature"
    names = (f"{whose} {', '.join(map(str, found.settings.features))}", control_words(found))
    extent = (found.first - 0.5, found.first + len(found.unsteered) - 0.5, 19.5, -0.5)
    placed: Any = {"aspect": "auto", "interpolation": "nearest", "extent": extent}
    for (above, below), p, name in zip(panels.T, pair, names, strict=True):
        chance = above.imshow(p, cmap=activation_map(), vmin=0, vmax=1, **placed)
        change = below.imshow(p - base, cmap=change_map(), vmin=-limit, vmax=limit, **placed)
        above.set_title(name, fontsize=7, loc="left")
        below.set_xlabel("position")
        for axes in (above, below):
            _letters(axes)
    for row, drawn, label in (
        (0, chance, "probability among the 20"),
        (1, change, "steered - unsteered"),
    ):
        bar = figure.colorbar(drawn, ax=panels[row].tolist(), pad=0.01, aspect=18)
        bar.set_label(label, fontsize=7)
        bar.ax.tick_params(labelsize=7)
    figure.suptitle(textwrap.fill(title, 104), fontsize=8, x=0.01, ha="left")
    return figure


def _letters(axes: "Axes") -> None:
    tidy(axes)
    axes.set_yticks(range(20), list(BY_CHEMISTRY), fontsize=5)
