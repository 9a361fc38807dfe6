"""Concepts over layers, categories and sources: InterPLM's figures 2, 3, S3c and S5a."""

import math
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interplm_nb.concepts.by_category import ALL
from interplm_nb.concepts.point_or_domain import FULL, POINT
from interplm_nb.figures.chart import Chart, panels
from interplm_nb.pipeline.scored_sources import SOURCES, scored_source
from interplm_nb.shortened import shortened

_OTHERS = "PDX*hp<>"
_LONGEST = 48
"""Characters of a name."""
"""Maximum length of a name at a tick."""


def heat_map(table: pl.DataFrame, n: int = 40) -> Chart:
    """Best test F1 of the n best concepts at each layer (or source, or run), by category.

    table: `concepts.by_category.by_layer`, labels in the order of the columns. Each cell shows its
    F1 as a number too; grey cells are not scored.
    """
    best = (
        table.group_by("concept", "category")
        .agg(pl.col("f1_per_domain").max())
        .sort("f1_per_domain", "concept", descending=[True, False])
    )
    shown = best.head(n).sort(
        "category", "f1_per_domain", "concept", descending=[False, True, False]
    )
    labels = table["label"].unique(maintain_order=True).to_list()
    values = _grid(table, labels, shown["concept"].to_list())
    figure = Figure(
        figsize=(max(6.6, 4.4 + 0.62 * len(labels)), 0.24 * max(len(values), 4) + 1.3),
        layout="constrained",
    )
    axis = figure.subplots()
    axis.set_facecolor("#D9D9D9")
    image = axis.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    _write_values(axis, values)
    edges = [
        i - 0.5 for i in range(1, shown.height) if shown["category"][i] != shown["category"][i - 1]
    ]
    axis.hlines(edges, -0.5, len(labels) - 0.5, color="#FFFFFF", linewidth=2)
    _name_columns(
        axis, [shortened(scored_source(label).name, _LONGEST) for label in map(str, labels)]
    )
    _name_concepts(axis, shown)
    axis.set_title(
        f"best F1 on test, the top {shown.height} of {best.height} concepts",
        fontsize=10,
    )
    figure.colorbar(
        image, ax=axis, label="F1 (precision by residues, recall by instances)", shrink=0.6
    )
    means = table.group_by("label", maintain_order=True).agg(pl.col("f1_per_domain").mean())
    words = "; ".join(f"{label} {mean:.2f}" for label, mean in means.iter_rows())
    return Chart(
        figure,
        f"Heat map: best F1 on test of {shown.height} concepts at each of {len(labels)} layers. "
        f"Means over all concepts: {words}.",
    )


def _write_values(axis: Axes, values: np.ndarray) -> None:
    """Each cell's F1, dark on light and light on dark."""
    for (i, j), value in np.ndenumerate(values):
        if not math.isnan(value):
            axis.annotate(
                f"{value:.2f}",
                (j, i),
                ha="center",
                va="center",
                fontsize=8,
                color="#000000" if value > 0.6 else "#FFFFFF",
            )


def _name_columns(axis: Axes, names: list[str]) -> None:
    """Ticks at the columns, slanted where a name is long."""
    slanted = max(map(len, names), default=0) > 8
    axis.set_xticks(
        range(len(names)),
        names,
        rotation=35 if slanted else 0,
        ha="right" if slanted else "center",
        parse_math=False,
    )


def _name_concepts(axis: Axes, shown: pl.DataFrame) -> None:
    """Ticks at the rows: each concept, with its category where the name lacks it."""
    names = [
        shortened(concept if category in concept else f"{concept} · {category}", _LONGEST)
        for concept, category in shown.select("concept", "category").iter_rows()
    ]
    axis.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)


def found(table: pl.DataFrame, limit: float = 0.5) -> Chart:
    """InterPLM's figure 2: features with a concept, and concepts found, per layer and source.

    table: layer (int or text), source, features_found, concepts_found, as `BestPairs.summary`
    counts them above an F1 of `limit`. The axis shows 0 and thousands.
    """
    figure, axes = panels(2, height=3.6)
    layers = table["layer"].unique(maintain_order=True).to_list()
    sources = _in_order(table["source"].unique(maintain_order=True).to_list())
    for axis, column, title in (
        (axes[0], "features_found", "features with a concept"),
        (axes[1], "concepts_found", "distinct concepts found"),
    ):
        for i, source in enumerate(sources):
            part = table.filter(pl.col("source") == source)
            # Side by side, so that marks of equal height do not hide each other.
            x = [
                layers.index(layer) + (i - (len(sources) - 1) / 2) * 0.75 / len(sources)
                for layer in part["layer"]
            ]
            axis.plot(x, part[column], linewidth=1.2, markersize=6, **_style(source))
            for place, value in zip(x, part[column], strict=True) if table.height <= 28 else ():
                axis.annotate(
                    f"{value:,}",
                    (place, value),
                    (0, 6),
                    textcoords="offset points",
                    ha="center",
                    fontsize=8,
                )
        axis.set_yscale("symlog", linthresh=1, linscale=0.4)
        axis.set_ylim(-0.15, 3 * max([1, *table[column]]))
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axis.set_xticks(range(len(layers)), [str(layer) for layer in layers], parse_math=False)
        axis.set(
            xlabel="layer",
            ylabel=f"number, F1 > {limit:g} on both splits",
            title=title,
            xlim=(-0.6, len(layers) - 0.4),
        )
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False
    )
    best = table.sort("features_found", descending=True, maintain_order=True).unique(
        "source", keep="first", maintain_order=True
    )
    words = "; ".join(
        f"{r['source']} {r['features_found']} features, {r['concepts_found']} concepts"
        for r in best.iter_rows(named=True)
    )
    return Chart(
        figure,
        f"Two panels over {len(layers)} layers. At the layer with most features: "
        f"{words or 'nothing'}.",
    )


def categories(table: pl.DataFrame) -> Chart:
    """Features with a concept of each category, nested bars by limit of F1: darker is stricter.

    table: `concepts.by_category.by_category` of one source. The axis is logarithmic; a category
    without a feature at any limit has no bar.
    """
    limits = table["limit"].unique().sort().to_list()
    widest = table.filter(pl.col("limit") == (limits[0] if limits else 0)).sort(
        "features", "category", descending=[True, False]
    )
    order = (
        [ALL, *(category for category in widest["category"] if category != ALL)]
        if widest.height
        else []
    )
    figure, (axis,) = panels(height=0.27 * max(len(order), 3) + 1.5)
    counts = {category: _by_limit(table, category) for category in order}
    _nested_bars(axis, counts, limits)
    axis.set_xscale("log")
    axis.set_xlim(0.8, 20 * max([1, *widest["features"]]))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    scored = dict(widest.select("category", "concepts").iter_rows())
    axis.set_yticks(
        range(len(order)),
        [f"{shortened(category, _LONGEST)} ({scored[category]})" for category in order],
        parse_math=False,
    )
    axis.set_ylim(len(order) - 0.4, -0.6)
    axis.set(
        xlabel="features with a concept of the category",
        ylabel="category (concepts found at the lowest limit)",
    )
    handles, names = axis.get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        title="F1 on validation and on test",
        loc="outside lower center",
        ncols=6,
        frameon=False,
    )
    words = "; ".join(
        f"{category} {', '.join(f'{n} (> {limit:g})' for limit, n in counts[category].items())}"
        for category in order[:4]
    )
    return Chart(
        figure,
        f"Bars: features with a concept of each of {max(len(order) - 1, 0)} categories, by limit "
        f"of F1. {words or 'No feature has one'}.",
    )


def _nested_bars(axis: Axes, counts: dict[str, dict[float, int]], limits: list[float]) -> None:
    """A bar per category and limit, one over the other, and its numbers at the end."""
    for limit, colour in zip(limits, _shades(len(limits)), strict=True):
        axis.barh(
            range(len(counts)),
            [features[limit] for features in counts.values()],
            color=colour,
            label=f"> {limit:g}",
            height=0.78,
        )
    for y, features in enumerate(counts.values()):
        axis.annotate(
            " · ".join(f"{n:,}" for n in features.values()),
            (max(*features.values(), 0.8), y),
            (5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )


def coverage(tables: dict[str, pl.DataFrame]) -> Chart:
    """InterPLM's figure S3c: the share of the instances they hit that features cover, by source.

    tables: source -> `domain_coverage`, a row per pair; give each feature's best pair
    (`best_of_feature`) to count features. Three panels in a row.
    """
    columns = max(min(len(tables), 3), 1)
    n_rows = max(-(-len(tables) // columns), 1)
    figure = Figure(figsize=(max(4.6, 2.9 * columns), 2.7 * n_rows), layout="constrained")
    axes = list(np.ravel(figure.subplots(n_rows, columns)))
    words = [
        _covered(axis, source, table)
        for axis, (source, table) in zip(axes, tables.items(), strict=False)
    ]
    for axis in axes[len(tables) :]:
        axis.remove()
    return Chart(
        figure,
        "Histograms of how much of an instance is active. "
        f"{'; '.join(words) or 'There is no pair'}.",
    )


def _covered(axis: Axes, source: str, table: pl.DataFrame) -> str:
    """Draw one panel; return its description."""
    hit = table.filter(pl.col("n_hit") > 0)
    mean = hit["mean"].to_numpy()
    what = "features" if hit["feature"].is_unique().all() else "pairs"
    axis.hist(
        mean,
        bins=np.linspace(0, 1, 21).tolist(),
        color=scored_source(source).colour,
        edgecolor="#FFFFFF",
        linewidth=0.6,
    )
    for limit in (POINT, FULL):
        axis.axvline(limit, color="#000000", linestyle=(0, (4, 2)), linewidth=1)
    point, full = (float(of.mean()) if len(mean) else 0.0 for of in (mean < POINT, mean > FULL))
    title = (
        f"{scored_source(source).name}: {hit.height:,} {what}\n"
        f"{point:.0%} cover < {POINT:.0%}, {full:.0%} > {FULL:.0%}"
    )
    axis.set_title(title, fontsize=9, parse_math=False)
    axis.set_xlabel("residues of an instance (mean share)", fontsize=9)
    axis.set(ylabel=what, xlim=(0, 1))
    axis.spines[["top", "right"]].set_visible(False)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return (
        f"{source}: {point:.0%} of {hit.height} {what} cover under {POINT:.0%} of an instance, "
        f"{full:.0%} over {FULL:.0%}"
    )


def unlabelled(table: pl.DataFrame) -> Chart:
    """InterPLM's figure S5a: share of alive features without a concept, by minimum F1.

    table: `concepts.by_category.unlabelled` of each source, with a column source.
    """
    figure, (axis,) = panels(width=6.6)
    words = []
    for source in _in_order(table["source"].unique(maintain_order=True).to_list()):
        part = table.filter(pl.col("source") == source).sort("limit")
        style = _style(source)
        style["label"] = f"{style['label']} ({part['alive'][0]:,} alive)"
        axis.plot(part["limit"], 100 * part["unlabelled"], markersize=6, **style)
        words.append(
            f"{source} {part['unlabelled'][-1]:.0%} of {part['alive'][-1]:,} "
            f"at F1 > {part['limit'][-1]:g}"
        )
    limits = table["limit"].unique().sort().to_list()
    axis.set_xticks(limits, [f"> {limit:g}" for limit in limits])
    axis.set(
        xlabel="minimum F1, on validation and on test",
        ylabel="alive features\nwithout a concept (%)",
        ylim=(-2, 102),
    )
    axis.grid(axis="y", alpha=0.25)
    figure.legend(
        *axis.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False
    )
    return Chart(
        figure,
        "Lines: share of alive features without a concept. "
        f"{'; '.join(words) or 'There is no source'}.",
    )


def _grid(table: pl.DataFrame, labels: list[str], concepts: list[str]) -> np.ndarray:
    """float64 [n_concepts, n_labels], at least 1 x 1; NaN where a concept is not scored."""
    values = np.full((max(len(concepts), 1), max(len(labels), 1)), np.nan)
    row, column = ({name: i for i, name in enumerate(names)} for names in (concepts, labels))
    for label, concept, f1 in table.select("label", "concept", "f1_per_domain").iter_rows():
        if concept in row:
            values[row[concept], column[label]] = f1
    return values


def _by_limit(table: pl.DataFrame, category: str) -> dict[float, int]:
    """Limit -> features, ascending."""
    return dict(
        table.filter(pl.col("category") == category)
        .sort("limit")
        .select("limit", "features")
        .iter_rows()
    )


def _style(source: str) -> dict[str, Any]:
    known = scored_source(source)
    other = _OTHERS[sum(source.encode()) % len(_OTHERS)]
    marker = known.marker if source in SOURCES else other
    return {"color": known.colour, "marker": marker, "label": known.name}


def _in_order(sources: list[str]) -> list[str]:
    """In the order of tables, others after them."""
    return [source for source in SOURCES if source in sources] + [
        source for source in sources if source not in SOURCES
    ]


def _shades(n: int) -> list[str]:
    """n blues from light to dark: one hue, as the bars are ordered."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps["Blues"](x)) for x in np.linspace(0.25, 0.95, max(n, 1))][:n]
