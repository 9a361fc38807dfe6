"""Pictures of stage `compare`: fidelity against sparsity, concepts against both, and stability."""

from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from interplm_nb.figures import hover
from interplm_nb.figures.chart import Chart
from interplm_nb.figures.not_defined import by_layer
from interplm_nb.figures.styles import STYLES, Style, logarithmic
from interplm_nb.sae.evaluation.measures import COLUMNS, LEAST_COST, Measure

_L0 = "active features per residue (L0)"
_CHOSEN = {
    "marker": "o",
    "markersize": 14,
    "markerfacecolor": "none",
    "markeredgecolor": "#000000",
    "linestyle": "none",
    "markeredgewidth": 1.2,
}
_GREY = "#6F6F6F"
_RECOVERED: dict[Measure, str] = {
    "strict": "masked loss recovered",
    "including masked positions": "masked loss recovered, masked positions replaced too",
    "published": "loss recovered, not masked",
    "next residue, output": "next-residue loss recovered, output replaced",
    "next residue, recurrence": "next-residue loss recovered, in the recurrence",
}
_ABSENT = "fidelity is absent: this model predicts no residues"
_NOT_DEFINED = f"not defined: zeros cost under {LEAST_COST} nats per residue"
_BAND: dict[str, Any] = {
    "color": "#000000",
    "linewidth": 6,
    "alpha": 0.12,
    "solid_capstyle": "butt",
    "zorder": 0,
}


def front(table: pl.DataFrame, y: str, higher: bool, x: str = "l0") -> pl.DataFrame:
    """The SAEs that no other beats: none has a lower (or equal) x with a better y.

    Controls are left out; sorted by x.

    Examples
    --------
    >>> table = pl.DataFrame({"kind": "sae", "l0": [8.0, 16.0, 32.0], "fvu": [0.5, 0.6, 0.2]})
    >>> front(table, "fvu", higher=False)["l0"].to_list()
    [8.0, 32.0]
    """
    saes = table.filter(pl.col("kind") == "sae", pl.col(y).is_not_null()).sort(
        x, y, descending=[False, higher]
    )
    best = saes[y].cum_max() if higher else saes[y].cum_min()
    return saes.filter((saes[y] == best) & (best != best.shift(1)).fill_null(True))


def fidelity(table: pl.DataFrame) -> Chart:
    """Loss recovered (the headline measure of each layer) and FVU over L0, a row per layer.

    Whiskers are 95 % intervals over proteins, for one seed.

    A band follows the SAEs that no other beats.
    """
    table = _with_headline(table)
    figure, rows = _rows(table)
    for layer, axes in rows.items():
        part = table.filter(pl.col("layer") == layer)
        for axis, y, higher in ((axes[0], "loss_recovered", True), (axes[1], "fvu", False)):
            _points(axis, part, "l0", y, joined=True)
            logarithmic(axis, "x")
            _band(axis, front(part, y, higher), y)
        _whiskers(axes[0], part)
        axes[0].axhline(1, color=_GREY, linewidth=0.8, zorder=0)
        axes[0].set(xlabel=_L0, ylabel=f"{_recovered(part)}\n(1: no harm)")
        _say_absent(axes[0], part)
        axes[1].set(xlabel=_L0, ylabel="variance not explained (FVU, share)")
        logarithmic(axes[1], "y")
        axes[0].set_title(f"layer {layer}", loc="left", fontsize=10)
    _legend(figure, table, ("none beats these", Line2D([], [], **_BAND)))
    best = front(table, "loss_recovered", True)
    undefined = "".join(f" {sentence}." for sentence in by_layer(table))
    words = "; ".join(
        f"{r['label']} {r['loss_recovered']:.3f} at L0 {r['l0']:.0f}"
        for r in best.iter_rows(named=True)
    )
    interactive = hover.saes(
        table,
        [
            hover.Panel(
                "l0",
                "loss_recovered",
                _L0,
                f"{_recovered(table)} (1: no harm)",
                True,
                whiskers=("loss_recovered_low", "loss_recovered_high"),
            ),
            hover.Panel("l0", "fvu", _L0, "variance not explained (FVU, share)", True, True),
        ],
        "Fidelity against the number of active features",
    )
    return Chart(
        figure,
        f"Two scatter plots per layer, {_recovered(table)} and variance not explained against L0. "
        f"SAEs that no other beats: {words or _absent(table)}.{undefined}",
        interactive,
    )


def concepts(table: pl.DataFrame) -> Chart:
    """Mean best F1 on test against L0 and against loss recovered, a row per layer.

    Features are chosen on the tuning part.
    """
    table = _with_headline(table)
    figure, rows = _rows(table)
    for layer, axes in rows.items():
        part = table.filter(pl.col("layer") == layer)
        neurons = part.filter(pl.col("kind") == "neurons")["mean_f1_per_domain"].to_list()
        for axis, x in zip(axes, ("l0", "loss_recovered"), strict=True):
            _points(axis, part, x, "mean_f1_per_domain", joined=x == "l0")
            for value in neurons:
                axis.axhline(
                    value,
                    color=STYLES["neurons"].colour,
                    linestyle=STYLES["neurons"].dash,
                    linewidth=1.4,
                    zorder=0,
                )
        n = part["concepts_test"].max() or 0
        top = 1.15 * max([0.05, *part["mean_f1_per_domain"].drop_nulls()])
        axes[0].set(xlabel=_L0, ylabel="mean best F1 on test", ylim=(0, top))
        axes[1].set(
            xlabel=f"{_recovered(part)} (1: no harm)",
            ylabel="mean best F1 on test",
            ylim=(0, top),
        )
        _say_absent(axes[1], part)
        axes[0].set_title(f"layer {layer} ({n} concepts)", loc="left", fontsize=10)
        logarithmic(axes[0], "x")
    dash = Line2D(
        [], [], color=STYLES["neurons"].colour, linestyle=STYLES["neurons"].dash, linewidth=1.4
    )
    _legend(figure, table, ("neurons", dash))
    words = "; ".join(
        f"layer {r['layer']}: {r['label']} {r['mean_f1_per_domain']:.2f}"
        for r in table.filter(pl.col("chosen")).iter_rows(named=True)
    )
    f1, recovered = "mean best F1 on test", f"{_recovered(table)} (1: no harm)"
    interactive = hover.saes(
        table,
        [
            hover.Panel("l0", "mean_f1_per_domain", _L0, f1, True),
            hover.Panel("loss_recovered", "mean_f1_per_domain", recovered, f1),
        ],
        "Concepts found against sparsity and fidelity",
    )
    return Chart(
        figure,
        "Two scatter plots per layer, mean best F1 on test against L0 and against "
        f"{_recovered(table)}. Chosen on the tuning part: {words}.",
        interactive,
    )


def stability(table: pl.DataFrame) -> Chart:
    """Share of features that recur from another seed, and mean cosine with the nearest feature.

    Both nulls are drawn next to them; a line per setting.
    """
    names = ["layer", "recipe", "sparsity", "lr"]
    figures = [name for name in table.columns if name.startswith(("recur", "mean_cosine"))]
    groups = (
        table.group_by(names, maintain_order=True)
        .agg(pl.col(figures).mean(), pl.len().alias("pairs"))
        .reverse()
    )
    figure = Figure(figsize=(8.0, 0.27 * max(groups.height, 4) + 1.5), layout="constrained")
    axes = list(figure.subplots(1, 2, sharey=True))
    for axis, name, factor in ((axes[0], "recur", 100.0), (axes[1], "mean_cosine", 1.0)):
        _beside_nulls(axis, groups, name, factor)
    several = groups.select("recipe", "lr").n_unique() > groups["recipe"].n_unique()
    axes[0].set_yticks(
        range(groups.height),
        [
            _setting(r, groups["layer"].n_unique() > 1, several)
            for r in groups.iter_rows(named=True)
        ],
    )
    right = max([20.0, *(110 * groups["recur"])])
    axes[0].set(xlabel="features that recur (%)", xlim=(-0.03 * right, right))
    axes[1].set(xlabel="mean cosine with the nearest feature", xlim=(-0.02, 1.02))
    _legend_of_nulls(figure)
    rows = groups.reverse().iter_rows(named=True)
    words = "; ".join(
        f"{_setting(r, True, several)} {r['recur']:.0%} (rotated {r['recur_rotated']:.0%})"
        for r in rows
    )
    what = (
        "Dots: share of features that recur from another seed, and mean cosine with the nearest "
        "feature, with two nulls"
    )
    return Chart(figure, f"{what}. {words or 'There is no pair of seeds'}.")


def _beside_nulls(axis: Axes, groups: pl.DataFrame, name: str, factor: float) -> None:
    """A figure of each setting, joined to the same figure of both nulls."""
    _clean(axis)
    for y, row in enumerate(groups.iter_rows(named=True)):
        style = STYLES[row["recipe"]]
        values = [factor * row[f"{name}{null}"] for null in ("", "_rotated", "_random")]
        axis.plot(
            [min(values), max(values)], [y, y], color=_GREY, linewidth=0.8, alpha=0.5, zorder=0
        )
        axis.plot(values[0], y, style.marker, color=style.colour, markersize=8)
        axis.plot(values[1], y, "|", color="#000000", markersize=11, markeredgewidth=1.6)
        axis.plot(values[2], y, "x", color=_GREY, markersize=6)
    axis.grid(axis="y", alpha=0.2)


def _legend_of_nulls(figure: Figure) -> None:
    marks = [
        Line2D([], [], color=c, marker=m, linestyle="none", markersize=8)
        for m, c in (("s", "#0072B2"), ("|", "#000000"), ("x", _GREY))
    ]
    figure.legend(
        marks,
        ["another seed (mark of the recipe)", "null: rotated", "null: random atoms"],
        loc="outside upper center",
        ncols=3,
        frameon=False,
        fontsize=9,
    )


def _with_headline(table: pl.DataFrame) -> pl.DataFrame:
    """The table with `loss_recovered` and its interval: the headline measure of each row, null
    without one."""
    figures = ("loss_recovered", "loss_recovered_low", "loss_recovered_high")
    return table.with_columns(
        pl.coalesce(
            pl.when(pl.col("fidelity_measure") == measure).then(pl.col(f"{figure}_{end}"))
            for measure, end in COLUMNS.items()
        ).alias(figure)
        for figure in figures
    )


def _recovered(table: pl.DataFrame) -> str:
    """Names of the headline measures of a table's rows."""
    measures = table["fidelity_measure"].drop_nulls().unique(maintain_order=True)
    return " or ".join(_RECOVERED[measure] for measure in measures) or "loss recovered"


def _say_absent(axis: Axes, part: pl.DataFrame) -> None:
    if part["loss_recovered"].is_null().all():
        axis.text(0.5, 0.6, _absent(part), transform=axis.transAxes, ha="center", fontsize=8)


def _absent(part: pl.DataFrame) -> str:
    measured = part["fidelity_measure"].is_not_null().any()
    return _NOT_DEFINED if measured else _ABSENT


def _whiskers(axis: Axes, part: pl.DataFrame) -> None:
    """95 % intervals of the loss recovered, where there are any."""
    shown = part.drop_nulls("loss_recovered_low")
    axis.vlines(
        shown["l0"],
        shown["loss_recovered_low"],
        shown["loss_recovered_high"],
        colors=[STYLES[recipe].colour for recipe in shown["recipe"]],
        linewidth=0.8,
        alpha=0.6,
    )


def _rows(table: pl.DataFrame) -> tuple[Figure, dict[int, list[Axes]]]:
    """A figure with two panels per layer."""
    layers = table["layer"].unique().sort().to_list()
    figure = Figure(figsize=(8.6, 3.2 * max(len(layers), 1) + 0.7), layout="constrained")
    grid = np.atleast_2d(figure.subplots(max(len(layers), 1), 2))
    for axis in grid.ravel():
        _clean(axis)
    return figure, {layer: list(axes) for layer, axes in zip(layers, grid, strict=False)}


def _points(axis: Axes, part: pl.DataFrame, x: str, y: str, joined: bool) -> None:
    """A mark per SAE; if `joined`, a thin line through the means over seeds of each setting."""
    shown = part.filter(pl.col(x).is_not_null(), pl.col(y).is_not_null())
    for (recipe, _), group in shown.group_by(["recipe", "lr"], maintain_order=True):
        style = STYLES[str(recipe)]
        if joined:
            means = group.group_by("sparsity").agg(pl.col(x).mean(), pl.col(y).mean()).sort(x)
            axis.plot(
                means[x],
                means[y],
                color=style.colour,
                linestyle=style.dash,
                linewidth=1.0,
                alpha=0.8,
            )
        axis.plot(group[x], group[y], style.marker, color=style.colour, markersize=6, alpha=0.9)
    chosen = shown.filter(pl.col("chosen"))
    axis.plot(chosen[x], chosen[y], **_CHOSEN)


def _band(axis: Axes, ends: pl.DataFrame, y: str) -> None:
    """The front as steps: between two of its SAEs nothing better is known."""
    if ends.height:
        right = axis.get_xlim()[1]
        axis.plot([*ends["l0"], right], [*ends[y], ends[y][-1]], drawstyle="steps-post", **_BAND)
        axis.set_xlim(right=right)


def _legend(figure: Figure, table: pl.DataFrame, extra: tuple[str, Line2D]) -> None:
    shown = [r for r in STYLES if r != "neurons" and r in set(table["recipe"])]
    marks: list[Any] = [_mark(STYLES[recipe]) for recipe in shown]
    names = [STYLES[recipe].name for recipe in shown]
    figure.legend(
        [*marks, extra[1], Line2D([], [], **{**_CHOSEN, "markersize": 11})],
        [*names, extra[0], "chosen on the tuning part"],
        loc="outside lower center",
        ncols=5,
        frameon=False,
        fontsize=9,
    )


def _mark(style: Style) -> Line2D:
    return Line2D(
        [],
        [],
        color=style.colour,
        linestyle=style.dash,
        marker=style.marker,
        linewidth=1.0,
        markersize=6,
    )


def _clean(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)


def _setting(row: dict[str, Any], with_layer: bool, with_lr: bool) -> str:
    """Such as "TopK, k 16", with layer and learning rate if there are several."""
    name = {"k": "k ", "t": "target L0 ", "l": "L1 "}[row["sparsity"][0]] + row["sparsity"][1:]
    parts = [STYLES[row["recipe"]].name, name, *([f"lr {row['lr']:g}"] if with_lr else [])]
    return ", ".join([f"layer {row['layer']}", *parts] if with_layer else parts)
