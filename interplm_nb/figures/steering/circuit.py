"""Pictures of a circuit: its nodes and edges, and how much of the prediction it keeps."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import plotly.graph_objects as go
import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from interplm_nb.figures.chart import Chart, panels
from interplm_nb.figures.hover import plain
from interplm_nb.figures.steering.attribution import (
    ERRORS,
    FEATURE,
    OTHERS,
    node_name,
)
from interplm_nb.steering.experiments.attribution.attribute import MATCHED, RANDOM
from interplm_nb.steering.experiments.circuits.circuit import (
    CIRCUIT,
    FEATURES,
    NOTHING,
    Circuit,
)

RAISES, LOWERS = "#0072B2", "#D55E00"
_WIDEST = 5.0
"""Points, of the largest edge."""

Key = tuple[int | None, int | None, int | None]
"""layer, residue, feature; the prediction is all None, a layer's errors have no feature."""


class _Place(NamedTuple):
    x: float
    y: float
    words: str
    colour: str
    marker: str
    attribution: float | None


def drawing(result: Circuit, names: Mapping[int, Mapping[int, str]] | None = None) -> Chart:
    """Layers from left to right, each with its nodes in the order of residues and, below, its
    errors; at the right the prediction. Lines are edges, as wide as |weight|.

    `names`: of each layer, what features are called.
    """
    places = _places(result, names or {})
    rows = max(*result.nodes["layer"].value_counts()["count"], 4) + 1
    figure, (axis,) = panels(1, 3.2 * (result.layers.height + 1), 0.42 * rows + 1.0)
    hover = go.Figure()
    widest = max((abs(weight) for weight in result.edges["weight"]), default=0) or 1.0
    for edge in result.edges.reverse().iter_rows(named=True):
        ends = [places[key] for key in _ends(edge)]
        _edge(axis, hover, ends, edge, widest)
    for place in places.values():
        axis.plot(place.x, place.y, marker=place.marker, color=place.colour, ms=9, zorder=3)
        axis.annotate(
            place.words,
            (place.x, place.y),
            (0, 8 if place.marker != "s" else -28),
            textcoords="offset points",
            ha="center",
            fontsize=7.5,
            zorder=4,
            bbox={"boxstyle": "round,pad=0.1", "fc": "#FFFFFF", "ec": "none", "alpha": 0.8},
        )
    for column, layer in enumerate(result.layers["layer"]):
        axis.text(column, 0.9, f"layer {layer}", ha="center", fontsize=9, weight="bold")
    axis.margins(x=0.12)
    axis.set_ylim(min(place.y for place in places.values()) - 0.9, 1.5)
    axis.set_axis_off()
    axis.legend(
        handles=[
            Line2D([], [], color=RAISES, lw=2.5, label="raises the metric"),
            Line2D([], [], color=LOWERS, lw=2.5, linestyle="--", label="lowers it"),
        ],
        loc="upper right",
        frameon=False,
        fontsize=8,
    )
    _nodes_to_hover(hover, places, result)
    return Chart(figure, result.sentence, hover)


def faithfulness(result: Circuit) -> Chart:
    """Share of the prediction that circuits of each size keep, beside random ones, with all errors
    kept and with none."""
    figure, axes = panels(2, 9.0, 3.2, sharey=True)
    for axis, errors in zip(axes, (False, True), strict=True):
        part = result.faithfulness.filter(pl.col("errors") == errors)
        for kind, colour, marker, dash in (
            (CIRCUIT, FEATURE, "o", "-"),
            (RANDOM, OTHERS, "x", ":"),
            (MATCHED, "#000000", "+", "-."),
        ):
            own = part.filter(pl.col("set") == kind).sort("per_layer")
            if kind != CIRCUIT:
                low, high = (own[end].cast(pl.Float64).to_numpy() for end in ("low", "high"))
                axis.fill_between(own["per_layer"].to_numpy(), low, high, color=colour, alpha=0.15)
            look: dict[str, Any] = {
                "color": colour,
                "marker": marker,
                "linestyle": dash,
                "label": kind,
            }
            axis.plot(own["per_layer"].to_numpy(), own["faithfulness"].to_numpy(), **look)
        for kind, colour, dash in ((FEATURES, FEATURE, "--"), (NOTHING, ERRORS, "-.")):
            own = part.filter(pl.col("set") == kind)["faithfulness"].item()
            name = "errors alone" if kind == NOTHING and errors else kind
            if own is not None:
                axis.axhline(own, color=colour, linestyle=dash, linewidth=1, label=name)
        axis.set_xscale("log")
        sizes = result.settings.kept_sizes
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.minorticks_off()
        axis.set_xlabel("nodes per layer")
        axis.set_title("all errors kept" if errors else "no errors", fontsize=10)
        axis.legend(frameon=False, fontsize=7.5)
    axes[0].set_ylabel("faithfulness (1: the model)")
    return Chart(figure, result.sentence)


def _places(result: Circuit, names: Mapping[int, Mapping[int, str]]) -> dict[Key, _Place]:
    found: dict[Key, _Place] = {}
    heights = []
    for column, layer in enumerate(result.layers.iter_rows(named=True)):
        own = result.nodes.filter(pl.col("layer") == layer["layer"])
        own = own.sort("residue", "feature", nulls_last=True)
        heights.append(own.height)
        for k, row in enumerate(own.iter_rows(named=True)):
            words = node_name(row, names.get(layer["layer"], {}))
            place = _Place(column, -k, words, FEATURE, "o", row["attribution"])
            found[layer["layer"], row["residue"], row["feature"]] = place
        words = f"errors of layer {layer['layer']}"
        error = _Place(column, -max(own.height, 1), words, ERRORS, "D", layer["error"])
        found[layer["layer"], None, None] = error
    middle = -max(heights) / 2
    words = f"{result.words}\n{result.summary['whole'].item():.2f} {result.unit}"
    found[None, None, None] = _Place(len(heights), middle, words, "#000000", "s", None)
    return found


def _ends(edge: Mapping[str, Any]) -> tuple[Key, Key]:
    source = edge["layer"], edge["residue"], edge["feature"]
    return source, (edge["next_layer"], edge["next_residue"], edge["next_feature"])


def _edge(
    axis: Axes, hover: go.Figure, ends: list[_Place], edge: Mapping[str, Any], widest: float
) -> None:
    weight = edge["weight"]
    colour = RAISES if weight > 0 else LOWERS
    width = max(0.4, _WIDEST * abs(weight) / widest)
    x, y = [end.x for end in ends], [end.y for end in ends]
    style = "-" if weight > 0 else "--"
    axis.plot(x, y, color=colour, linestyle=style, linewidth=width, alpha=0.55, zorder=1)
    words = f"{ends[0].words} to {ends[1].words.splitlines()[0]}: {weight:+.3f}"
    if edge["value"] is not None:
        words += f"; {edge['value']:+.3f} of its maximum"
    if edge["removed"] is not None:
        words += f" (measured {edge['removed']:+.3f})"
    along = [k / 8 for k in range(9)]
    hover.add_scatter(
        x=[x[0] + (x[1] - x[0]) * k for k in along],
        y=[y[0] + (y[1] - y[0]) * k for k in along],
        mode="lines",
        line={"color": colour, "width": width, "dash": "solid" if weight > 0 else "dash"},
        opacity=0.55,
        text=[plain(words)] * len(along),
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )


def _nodes_to_hover(hover: go.Figure, places: Mapping[Key, _Place], result: Circuit) -> None:
    own = list(places.values())
    told = [
        plain(p.words).replace("\n", "<br>")
        + ("" if p.attribution is None else f"<br>attribution {p.attribution:+.3f} {result.unit}")
        for p in own
    ]
    symbols = {"o": "circle", "D": "diamond", "s": "square"}
    hover.add_scatter(
        x=[p.x for p in own],
        y=[p.y for p in own],
        mode="markers+text",
        marker={
            "size": 13,
            "color": [p.colour for p in own],
            "symbol": [symbols[p.marker] for p in own],
        },
        text=[plain(p.words).replace("\n", "<br>") for p in own],
        textposition="top center",
        textfont={"size": 10},
        customdata=told,
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
    )
    hover.update_layout(
        template="none",
        height=max(320, 46 * (1 + round(max(-p.y for p in own)))),
        margin={"l": 20, "r": 20, "t": 20, "b": 20},
    )
    hover.update_xaxes(visible=False, range=[-0.5, max(p.x for p in own) + 0.6])
    hover.update_yaxes(visible=False)
