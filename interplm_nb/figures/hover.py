"""Charts to hover and zoom, in plotly: the scatter of SAEs, and concepts by source.

JupyterLab draws them itself, without a network; where no scripts run, a page shows the matplotlib
picture of the same `Chart`.
"""

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from interplm_nb.figures.styles import STYLES
from interplm_nb.pipeline.scored_sources import SOURCES

SYMBOLS = {
    "o": "circle",
    "p": "pentagon",
    "s": "square",
    "D": "diamond",
    "^": "triangle-up",
    "v": "triangle-down",
    "<": "triangle-left",
    ">": "triangle-right",
    "P": "cross",
    "X": "x",
    "x": "x-thin-open",
    "*": "star",
    "|": "line-ns",
}
"""plotly's symbol for each matplotlib mark in use."""

_GRID = {"gridcolor": "#E5E5E5", "zeroline": False, "showline": True, "linecolor": "#6F6F6F"}
_TICKS = [float(f"{digit}e{power}") for power in range(-5, 6) for digit in (1, 2, 5)]
_LOG = {"type": "log", "tickvals": _TICKS, "ticktext": [f"{tick:g}" for tick in _TICKS]}
_ABSENT: dict[str, Any] = {
    "x": [1],
    "y": [1],
    "text": ["absent or not defined for these models"],
    "mode": "text",
    "hoverinfo": "skip",
    "showlegend": False,
}
"""A text as a point, since axes without points are not drawn."""


class Panel(NamedTuple):
    """Columns and axis titles of a scatter plot."""

    x: str
    y: str
    x_title: str
    y_title: str
    log_x: bool = False
    log_y: bool = False
    whiskers: tuple[str, str] | None = None
    """Columns of the ends of an interval of y."""


def saes(table: pl.DataFrame, panels: Sequence[Panel], words: str) -> go.Figure:
    """SAEs and random SAEs of stage `compare` as points, a row of panels per layer.

    Hovering names the SAE; a ring marks the chosen one, a dashed line the neurons. `words` is the
    figure's title.
    """
    layers = table["layer"].unique().sort().to_list()
    n_rows = max(len(layers), 1)
    titles = [f"layer {layer}" if i == 0 else "" for layer in layers for i in range(len(panels))]
    figure = make_subplots(n_rows, len(panels), subplot_titles=titles or None)
    named: set[str] = set()
    for row, layer in enumerate(layers, 1):
        for column, panel in enumerate(panels, 1):
            part = table.filter(pl.col("layer") == layer, pl.col(panel.y).is_not_null())
            shown = part.filter(pl.col("kind") != "neurons", pl.col(panel.x).is_not_null())
            traces = [*_points(shown, panel), *_neurons(part, shown, panel), _rings(shown, panel)]
            if shown.is_empty():
                traces.insert(0, _ABSENT)
            for trace in _named_once(traces, named):
                figure.add_scatter(**trace, row=row, col=column)
            x, y = (_LOG if log else {} for log in (panel.log_x, panel.log_y))
            figure.update_xaxes(title=panel.x_title, **x, row=row, col=column)
            figure.update_yaxes(title=panel.y_title, **y, row=row, col=column)
    return _plain_layout(figure, words, 360 * n_rows + 90)


def _points(shown: pl.DataFrame, panel: Panel) -> Iterator[dict[str, Any]]:
    """A trace per recipe: its SAEs, with their intervals."""
    for recipe, style in STYLES.items():
        own = shown.filter(pl.col("recipe") == recipe)
        if own.is_empty():
            continue
        yield {
            "x": own[panel.x].to_list(),
            "y": own[panel.y].to_list(),
            "text": [plain(label) for label in own["label"]],
            "hovertemplate": f"%{{text}}<br>{panel.x_title}: %{{x:.3g}}"
            f"<br>{panel.y_title}: %{{y:.3f}}<extra></extra>",
            "mode": "markers",
            "marker": {"symbol": SYMBOLS[style.marker], "color": style.colour, "size": 9},
            "error_y": _whiskers(own, panel),
            "name": style.name,
            "legendgroup": recipe,
        }


def _neurons(part: pl.DataFrame, shown: pl.DataFrame, panel: Panel) -> Iterator[dict[str, Any]]:
    """The neurons' value as a line as wide as the points."""
    reach = [shown[panel.x].min(), shown[panel.x].max()]
    for value in part.filter(pl.col("kind") == "neurons")[panel.y]:
        yield {
            "x": reach,
            "y": [value, value],
            "mode": "lines",
            "line": {"dash": "dash", "color": STYLES["neurons"].colour},
            "name": "neurons",
            "legendgroup": "neurons",
        }


def _rings(shown: pl.DataFrame, panel: Panel) -> dict[str, Any]:
    """Rings around the chosen SAEs."""
    chosen = shown.filter(pl.col("chosen"))
    return {
        "x": chosen[panel.x].to_list(),
        "y": chosen[panel.y].to_list(),
        "mode": "markers",
        "marker": {"symbol": "circle-open", "color": "#000000", "size": 17},
        "name": "chosen on the tuning part",
        "legendgroup": "chosen",
        "hoverinfo": "skip",
    }


def _named_once(traces: Iterable[dict[str, Any]], named: set[str]) -> Iterator[dict[str, Any]]:
    """The traces; the first of a group that has points names it in the legend, and in `named`."""
    for trace in traces:
        group = trace.get("legendgroup")
        if group is not None:
            trace = {**trace, "showlegend": group not in named and bool(trace["x"])}
            named |= {group} if trace["x"] else set()
        yield trace


def _whiskers(own: pl.DataFrame, panel: Panel) -> dict[str, Any]:
    if panel.whiskers is None:
        return {"visible": False}
    low, high = (own[column] for column in panel.whiskers)
    ends = {"array": (high - own[panel.y]).to_list(), "arrayminus": (own[panel.y] - low).to_list()}
    return {"type": "data", "symmetric": False, "thickness": 1, "width": 0, **ends}


def concepts(
    order: Sequence[str], by_source: Mapping[str, Mapping[str, tuple[float, int | None]]]
) -> go.Figure:
    """F1 on test of each concept by source, from bottom to top; source -> concept -> (F1, feature).

    Examples
    --------
    >>> figure = concepts(["Helix"], {"sae": {"Helix": (0.5, 7)}, "pca": {"Helix": (0.25, 3)}})
    >>> [(trace.name, trace.x, trace.text) for trace in figure.data]
    [('PCA', (0.25,), ('f/3',)), ('SAE', (0.5,), ('f/7',))]
    """
    figure = go.Figure()
    for source, known in reversed(SOURCES.items()):
        own = by_source.get(source)
        if not own:
            continue
        found = [own.get(concept, (0.0, None)) for concept in order]
        mark = {"symbol": SYMBOLS[known.marker], "color": known.colour, "size": 10}
        if known.marker == "|":  # drawn by its outline alone
            mark["line"] = {"width": 3, "color": known.colour}
        figure.add_scatter(
            x=[f1 for f1, _ in found],
            y=list(range(len(order))),
            text=["" if feature is None else f"f/{feature}" for _, feature in found],
            customdata=[plain(concept) for concept in order],
            hovertemplate=f"%{{customdata}}<br>{known.name} %{{text}}: F1 %{{x:.3f}}"
            "<extra></extra>",
            mode="markers",
            marker=mark,
            name=known.name,
        )
    ticks = [plain(c if len(c) <= 40 else f"{c[:39]}…") for c in order]
    figure.update_yaxes(tickvals=list(range(len(order))), ticktext=ticks)
    figure.update_xaxes(
        title="F1 on test (precision by residues, recall by instances)", range=[-0.02, 1.02]
    )
    return _plain_layout(figure, "F1 of the best feature, by source", 22 * len(order) + 190)


def plain(text: str) -> str:
    """Text from a file as plotly shows it, neither markup nor a formula.

    Examples
    --------
    >>> plain("a <b> $x$")
    'a &lt;b&gt; &#36;x&#36;'
    """
    return html.escape(text, quote=False).replace("$", "&#36;")


def _plain_layout(figure: go.Figure, title: str, height: int) -> go.Figure:
    """White, without plotly's template, which is larger than the data."""
    figure.update_layout(
        template="none",
        title={"text": title, "font": {"size": 14}},
        height=height,
        margin={"l": 70, "r": 20, "t": 70, "b": 60},
        legend={"orientation": "h", "yanchor": "top", "y": -60 / (height - 130)},
    )
    figure.update_xaxes(**_GRID)
    figure.update_yaxes(**_GRID, automargin=True)
    return figure
