"""The map of features for print, with the colours and the legend of the view."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from interplm_nb.widgets.print_style import activation_map, blank, panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NONE = {"category": "no concept", "cluster": "no cluster", "f1": "no concept"}
"""What hollow points lack, by what colours show; every feature has a density."""

SCALES = {
    "density": "density (share of residues on which a feature is active)",
    "f1": "F1 on test of the best concept on validation",
}
COLUMNS = {
    "category": "category",
    "cluster": "cluster",
    "density": "density",
    "f1": "f1_per_domain",
}
IN_KEY = 20
FADED = 0.15


def atlas_figure(
    table: pl.DataFrame,
    colour: str,
    colours: Mapping[Any, str],
    listed: Collection[int] | None = None,
    cluster_names: Mapping[int, str] | None = None,
) -> tuple["Figure", "Axes"]:
    """The features of a `feature_list` that have x and y.

    `colour` is one of `COLUMNS`; `colours` belong to categories or clusters, by name. Features
    that are not `listed` (by number; None: all are) are faded. `cluster_names`: of those that
    have one. Points are rasterised; axes have no unit and are not drawn.
    """
    figure, axes = panel(4.8, 3.4)
    column = pl.col(COLUMNS[colour])
    known = (column >= 0 if colour == "cluster" else column.is_not_null()).alias("known")
    table = table.with_columns(
        known,
        (pl.lit(True) if listed is None else pl.col("feature").is_in(list(listed))).alias("listed"),
    )
    style = {"s": 10 if table.height < 2000 else 4, "linewidths": 0.25, "rasterized": True}
    for is_listed in (False, True):
        part = table.filter(pl.col("listed") == is_listed)
        alpha = 1 if is_listed else FADED
        _hollow(axes, part.filter(~pl.col("known")), style, alpha)
        full = part.filter("known")
        axes.scatter(
            full["x"], full["y"], alpha=alpha, **_look(full, table, colour, colours), **style
        )
    if colour in SCALES:
        _bar(axes, table, colour)
    else:
        _key(axes, table, colour, colours, cluster_names or {})
    axes.set(xticks=[], yticks=[], aspect="equal")
    axes.spines[:].set_visible(False)
    return figure, axes


def words_figure(words: str) -> "Figure":
    """Words instead of a map."""
    figure = blank(4.8, 0.8)
    figure.text(0.02, 0.5, words, fontsize=7, va="center", wrap=True)
    return figure


def _hollow(axes: "Axes", part: pl.DataFrame, style: Mapping[str, Any], alpha: float) -> None:
    axes.scatter(
        part["x"],
        part["y"],
        facecolors="none",
        edgecolors="#7f7f7f",
        alpha=0.7 * alpha,
        **{**style, "s": 0.4 * style["s"]},
    )


def _look(
    part: pl.DataFrame, table: pl.DataFrame, colour: str, colours: Mapping[Any, str]
) -> dict[str, Any]:
    """How points that have a colour are filled."""
    if colour in SCALES:
        return {
            "c": part[COLUMNS[colour]],
            "cmap": activation_map(),
            "norm": _norm(table, colour),
            "edgecolors": "#b0b0b0",
        }
    return {"c": [colours[name] for name in part[colour]], "edgecolors": "white"}


def _norm(table: pl.DataFrame, colour: str) -> Any:
    from matplotlib.colors import LogNorm, Normalize

    if colour == "f1":
        return Normalize(0, 1)
    low, high = table["density"].min(), table["density"].max()
    # One value alone would leave a logarithmic scale without length.
    return LogNorm(low, max(high, 1.01 * low))  # type: ignore[operator]


def _cluster(number: int, names: Mapping[int, str]) -> str:
    return f"cluster {number}: {names[number]}" if number in names else f"cluster {number}"


def _bar(axes: "Axes", table: pl.DataFrame, colour: str) -> None:
    from matplotlib.cm import ScalarMappable

    bar = axes.figure.colorbar(
        ScalarMappable(_norm(table, colour), activation_map()), ax=axes, shrink=0.8
    )
    hollow = f"; hollow: {NONE[colour]}" if colour in NONE else ""
    bar.set_label(SCALES[colour] + hollow, fontsize=7)
    bar.ax.tick_params(labelsize=7)


def _key(
    axes: "Axes",
    table: pl.DataFrame,
    colour: str,
    colours: Mapping[Any, str],
    cluster_names: Mapping[int, str],
) -> None:
    """The largest groups with colours and sizes, hollow points last, and the number of the rest."""
    from matplotlib.lines import Line2D

    sizes = (
        table.filter("known")[colour].value_counts().sort("count", colour, descending=[True, False])
    )
    dot = {"marker": "o", "linestyle": "", "markersize": 3.5}
    handles = [
        Line2D(
            [],
            [],
            color=colours[name],
            label=f"{name if colour == 'category' else _cluster(name, cluster_names)} ({n:,})",
            **dot,
        )
        for name, n in sizes.head(IN_KEY).iter_rows()
    ]
    hollow = table.filter(~pl.col("known")).height
    handles.append(
        Line2D(
            [],
            [],
            color="#7f7f7f",
            fillstyle="none",
            markeredgewidth=0.6,
            label=f"{NONE[colour]} ({hollow:,})",
            **dot,
        )
    )
    if sizes.height > IN_KEY:
        handles.append(Line2D([], [], linestyle="", label=f"and {sizes.height - IN_KEY} smaller"))
    place = {
        "loc": "upper left",
        "bbox_to_anchor": (1, 1),
        "borderaxespad": 0.0,
        "handletextpad": 0.2,
        "labelspacing": 0.2,
    }
    axes.legend(handles=handles, fontsize=6, frameon=False, **place)
