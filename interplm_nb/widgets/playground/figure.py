"""The playground's strips for print, and the colours of changes."""

import textwrap
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from interplm_nb.widgets.print_style import activation_map, blank, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHANGE_SCALE = (
    "#5b2a9d",
    "#8a6bbd",
    "#b9a6d8",
    "#dfd8ea",
    "#f2f2f2",
    "#fbe3c4",
    "#fdbf7a",
    "#f08c2c",
    "#d95f02",
)
"""From a loss (purple) over nothing (light grey) to a gain (orange), after PuOr of ColorBrewer; any
colour vision distinguishes them."""

CHANGE_SCALE_ON_DARK = (
    "#c9b8ff",
    "#a18ddf",
    "#7765ac",
    "#50486c",
    "#333333",
    "#634a2b",
    "#9a6420",
    "#d98424",
    "#ffab4d",
)
"""The same on a dark page."""

PRINTED = 20
"""Features of the printed figure."""

MOST_CELLS = 300
"""Cells across a printed strip; with more residues, a cell shows the largest in size of several."""

LIMITS = (0.1, 0.25, 0.5, 1.0)
"""Ends of the scale of changes: the least that holds the largest change; beyond 1 stays at the
end."""


def playground_figure(
    packed: tuple[dict[str, Any], dict[str, np.ndarray]] | None, title: str, length: int = 0
) -> "Figure":
    """One row per feature along the sequence, as `packed_result` gives it.

    Activations of the reference and, with mutations, what they change.
    """
    if packed is None:
        figure = blank(4.6, 0.7)
        figure.text(0.02, 0.5, textwrap.fill(title, 90), fontsize=7, va="center")
        return figure
    record, arrays = packed
    rows = [i for i, row in enumerate(record["rows"]) if row["chosen"]][:PRINTED]
    figure = blank(7.0, 1.15 + 0.15 * len(rows))
    panels = figure.subplots(1, 2 if record["mutant"] else 1, sharey=True, squeeze=False)[0]
    reference = _dense("reference", arrays, rows, length)
    _strips(
        panels[0],
        reference,
        length,
        activation_map(),
        (0, 1),
        "activation (share of the maximum on training proteins)",
    )
    if record["mutant"]:
        limit = limit_of(record["largest"])
        changes = _dense("mutant", arrays, rows, length) - reference
        _strips(
            panels[1],
            changes,
            length,
            change_map(),
            (-limit, limit),
            "change (mutant - reference, share of the maximum)",
        )
        for mutation in record["mutations"]:
            panels[1].axvline(mutation["position"], color="#555555", linewidth=0.5, linestyle=":")
        panels[0].set_title("reference", fontsize=7, loc="left")
        panels[1].set_title(
            ", ".join("{before}{position}{after}".format(**m) for m in record["mutations"])[:60],
            fontsize=7,
            loc="left",
        )
    panels[0].set_yticks(range(len(rows)), [_label(record["rows"][i]) for i in rows], fontsize=6)
    shown = "that change most" if record["mutant"] else "that fire most strongly"
    figure.suptitle(
        f"{title}\n{len(rows)} of {record['n_features']:,} features, those {shown}",
        fontsize=8,
        x=0.01,
        ha="left",
    )
    return figure


def limit_of(largest: float) -> float:
    """The end of the scale of changes for the largest change."""
    return next((limit for limit in LIMITS if largest <= limit), LIMITS[-1])


def _label(row: dict[str, Any]) -> str:
    best = row["best"]
    return (
        f"{row['feature']} {_cut(best['concept'])} (F1 {best['f1_per_domain']:.2f})"
        if best
        else str(row["feature"])
    )


def _cut(name: str, most: int = 26) -> str:
    return name if len(name) <= most else f"{name[: most - 1].rstrip()}…"


def _dense(name: str, arrays: dict[str, np.ndarray], rows: list[int], length: int) -> np.ndarray:
    """float32 [rows, length]."""
    values = np.zeros((len(rows), length), np.float32)
    bounds = arrays[f"{name}_bounds"]
    for line, row in enumerate(rows):
        own = slice(int(bounds[row]), int(bounds[row + 1]))
        values[line, arrays[f"{name}_index"][own]] = arrays[f"{name}_value"][own]
    return values


def _strips(
    axes: "Axes",
    values: np.ndarray,
    length: int,
    colours: Any,
    ends: tuple[float, float],
    label: str,
) -> None:
    tidy(axes)
    extent = (0.5, length + 0.5, len(values) - 0.5, -0.5)
    drawn = axes.imshow(
        _cells(values),
        cmap=colours,
        vmin=ends[0],
        vmax=ends[1],
        aspect="auto",
        interpolation="nearest",
        extent=extent,
    )
    axes.set_xlabel("position")
    axes.set_facecolor("white")
    for line in range(1, len(values)):
        axes.axhline(line - 0.5, color="white", linewidth=1.2)
    bar = axes.figure.colorbar(
        drawn, ax=axes, orientation="horizontal", pad=0.02, aspect=30, shrink=0.9
    )
    bar.set_label(label, fontsize=7)
    bar.set_ticks(np.linspace(*ends, 5).tolist())
    bar.ax.tick_params(labelsize=7)


def _cells(values: np.ndarray) -> np.ndarray:
    """At most `MOST_CELLS` columns: of several residues the value largest in size."""
    length = values.shape[1]
    if length <= MOST_CELLS:
        return values
    edges = np.linspace(0, length, MOST_CELLS + 1).astype(int)
    parts = [values[:, a:b] for a, b in pairwise(edges)]
    return np.stack(
        [np.take_along_axis(p, np.abs(p).argmax(axis=1)[:, None], axis=1)[:, 0] for p in parts],
        axis=1,
    )


def change_map() -> Any:
    """The colours of changes, for matplotlib."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("change", list(CHANGE_SCALE))
