"""Pictures of probes, the residual view, activation patterns and family specificity."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from interplm_nb.features.patterns import SHAPES
from interplm_nb.figures.chart import Chart, panels
from interplm_nb.pipeline.scored_sources import SAE_CONTROLS, SOURCES, scored_source
from interplm_nb.shortened import shortened

PATTERN_ORDER = ("point", "motif", "domain", "whole protein", "periodic", "mixed", "too few")
"""Classes of `activation_patterns` in the order of the bars: shapes by size, then the rest."""

_SPARSE = {"k = 1": 5, "k = 5": 7, "k = 20": 9}
_HATCHES = {"sae": "", "random_sae": "///", "shuffled_sae": "..."}
_PARTS = {
    "linked features": "#0072B2",
    "as many others": "#CC79A7",
    "other features": "#56B4E9",
    "all features": "#009E73",
    "embedding": "#D55E00",
}
_LONGEST = 44
"""Characters of a name."""


def probes(table: pl.DataFrame) -> Chart:
    """AUPRC on test of each label's probes: sparse ones, their controls, the embedding, chance.

    table: `questions.probe.probes`. Larger marks use more features.
    """
    tasks = table["task"].unique(maintain_order=True).to_list()[::-1]
    if not tasks:
        return nothing(
            "no label could be probed: each needs residues with and without it in every split"
        )
    figure, (axis,) = panels(height=0.55 * max(len(tasks), 3) + 1.6)
    _mark_probes(axis, table, tasks)
    _mark_chance(axis, table, tasks)
    counts = {row["task"]: (row["n_positive"], row["n"]) for row in table.iter_rows(named=True)}
    axis.set_yticks(
        range(len(tasks)),
        [f"{shortened(t, _LONGEST)}\n{counts[t][0]:,} of {counts[t][1]:,} residues" for t in tasks],
        fontsize=9,
    )
    axis.set(
        xlabel="AUPRC on test",
        xlim=(-0.01, max(0.3, 1.08 * float(str(table["auprc"].max() or 0)))),
        ylim=(-0.6, len(tasks) - 0.4),
    )
    axis.grid(axis="x", alpha=0.25)
    _legend_by_source(figure, axis)
    rows = (
        table.filter(pl.col("probe").is_in(["k = 20", "embedding"]))
        .select("task", "probe", "auprc", "prevalence")
        .iter_rows()
    )
    words = "; ".join(
        f"{task}, {probe}: {auprc:.2f} (chance {prevalence:.2f})"
        for task, probe, auprc, prevalence in rows
    )
    return Chart(
        figure,
        "AUPRC on test of sparse probes, controls and the dense embedding, for "
        f"{len(tasks)} labels. {words}.",
    )


def _mark_probes(axis: Axes, table: pl.DataFrame, tasks: list[str]) -> None:
    """A mark per sparse probe and embedding, on the line of its label."""
    known = {SOURCES[name].name: name for name in SAE_CONTROLS}
    for row in table.filter(
        pl.col("n_features") > 0, pl.col("probe") != "best single feature"
    ).iter_rows(named=True):
        y, (owner, _, sparse) = tasks.index(row["task"]), row["probe"].rpartition(", ")
        if row["probe"] == "embedding":
            axis.plot(
                row["auprc"],
                y,
                "|",
                color=SOURCES["linear_probe"].colour,
                markersize=17,
                markeredgewidth=3,
                label="dense embedding",
            )
            continue
        source = known.get(owner, owner or "sae")
        shift = 0.0 if source == "sae" else 0.2 if source == "random_sae" else -0.2
        axis.plot(
            row["auprc"],
            y + shift,
            scored_source(source).marker,
            label=f"{scored_source(source).name}, {sparse}",
            color=scored_source(source).colour,
            markersize=_SPARSE.get(sparse, 6),
            alpha=0.85,
        )


def _mark_chance(axis: Axes, table: pl.DataFrame, tasks: list[str]) -> None:
    """A dotted line at each label's prevalence."""
    for task, prevalence in (
        table.select("task", "prevalence").unique(maintain_order=True).iter_rows()
    ):
        y = tasks.index(task)
        axis.plot(
            [prevalence] * 2,
            [y - 0.36, y + 0.36],
            ":",
            color="#000000",
            linewidth=1.6,
            label="prevalence (chance)",
        )


def _legend_by_source(figure: Figure, axis: Axes) -> None:
    """Columns of the legend fill downward: a source each, embedding and chance below the first
    two."""
    handles, labels = axis.get_legend_handles_labels()
    named = dict(zip(labels, handles, strict=True))
    owners = list(dict.fromkeys(label.rpartition(", ")[0] for label in labels if ", " in label))
    columns = [[label for label in named if label.startswith(f"{owner}, ")] for owner in owners]
    for column, label in zip(
        columns, [label for label in named if ", " not in label], strict=False
    ):
        column.append(label)
    order = [label for column in columns for label in column]
    order += [label for label in named if label not in order]
    figure.legend(
        [named[label] for label in order],
        order,
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=9,
    )


def residual(table: pl.DataFrame) -> Chart:
    """AUPRC on test of one label from parts of the features (`questions.probe.residual`)."""
    parts = table.filter(pl.col("probe").is_in(list(_PARTS)))
    figure, (axis,) = panels(height=0.36 * parts.height + 1.2)
    names, values = parts["probe"].to_list(), parts["auprc"].to_numpy()
    chance = float(parts["prevalence"][0])
    places = np.arange(len(names))[::-1]
    axis.barh(places, values, 0.7, color=[_PARTS[name] for name in names])
    axis.axvline(chance, color="#000000", linestyle=":", linewidth=1.6)
    axis.annotate(f" chance {chance:.3f}", (chance, len(names) - 0.45), fontsize=9)
    for y, name, value, share in zip(places, names, values, parts["share"], strict=True):
        part = (
            ""
            if share is None or name == "embedding"
            else f" ({share:.0%} of what the embedding adds)"
        )
        said = f" {value:.3f}{part}"
        axis.annotate(said, (max(float(value), chance), float(y)), va="center", fontsize=9)
    axis.set_yticks(
        places, [f"{name} ({n})" for name, n in zip(names, parts["n_features"], strict=True)]
    )
    task, n = parts["task"][0], (parts["n_positive"][0], parts["n"][0])
    axis.set(
        xlabel="AUPRC on test",
        xlim=(0, max(0.05, 1.6 * float(values.max()))),
        ylim=(-0.6, len(names) - 0.1),
    )
    axis.set_title(
        f"{shortened(task, _LONGEST)}: {n[0]:,} of {n[1]:,} residues",
        fontsize=10,
        loc="left",
        parse_math=False,
    )
    words = "; ".join(f"{name} {value:.3f}" for name, value in zip(names, values, strict=True))
    return Chart(
        figure, f"AUPRC on test of {task} from parts of the features; chance {chance:.3f}. {words}."
    )


def patterns(tables: Mapping[str, pl.DataFrame]) -> Chart:
    """Number of features with each pattern; tables: source -> `questions.probe.patterns`."""
    figure, (axis,) = panels(height=3.8)
    width = 0.8 / max(len(tables), 1)
    counts = {
        source: [int((table["pattern"] == name).sum()) for name in PATTERN_ORDER]
        for source, table in tables.items()
    }
    most = max([1, *(n for own in counts.values() for n in own)])
    for i, (source, own) in enumerate(counts.items()):
        x = np.arange(len(own)) + (i - (len(counts) - 1) / 2) * width
        _bars(axis, source, x, own, 0.9 * width)
    axis.set_xticks(range(len(PATTERN_ORDER)), PATTERN_ORDER)
    axis.axvspan(-0.5, len(SHAPES) - 0.5, color="#000000", alpha=0.04, linewidth=0)
    axis.set(
        ylabel="features",
        yscale="symlog",
        ylim=(0, 4 * most),
        xlim=(-0.5, len(PATTERN_ORDER) - 0.5),
    )
    axis.set_yticks(
        [0, *(10**p for p in range(int(np.log10(most)) + 1))],
        ["0", *(f"{10**p:,}" for p in range(int(np.log10(most)) + 1))],
    )
    axis.yaxis.set_minor_locator(NullLocator())
    figure.legend(
        *axis.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
    )
    words = "; ".join(
        f"{source}: "
        + ", ".join(f"{name} {n:,}" for name, n in zip(PATTERN_ORDER, own, strict=True) if n)
        for source, own in counts.items()
    )
    return Chart(figure, f"Features by the pattern of their activations. {words}.")


def _bars(axis: Axes, source: str, x: np.ndarray, counts: list[int], width: float) -> None:
    """A source's bars, each with its number; the label has their sum."""
    colour = scored_source(source).colour
    fill: dict[str, Any] = (
        {"color": colour}
        if not _HATCHES.get(source)
        else {"color": "#FFFFFF", "edgecolor": colour, "hatch": _HATCHES[source]}
    )
    label = f"{scored_source(source).name} ({sum(counts):,} features)"
    axis.bar(x, counts, width, label=label, **fill)
    for place, count in zip(x, counts, strict=True):
        axis.annotate(
            f"{count:,}",
            (place, count),
            (0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )


def specificity(tables: Mapping[str, pl.DataFrame], q: float = 0.05) -> Chart:
    """Features with a family at false discovery rate `q`, by specificity and reach.

    y: share of the feature's strong clusters that belong to the family. x: share of the family's
    clusters reached. tables: source -> `questions.probe.specificity`.
    """
    figure, axes = panels(max(len(tables), 1), height=3.4, sharex=True, sharey=True)
    words = []
    for axis, (source, table) in zip(axes, tables.items(), strict=True):
        there = table.filter(pl.col("family").is_not_null(), pl.col("q_value") < q)
        axis.scatter(
            there["recall"],
            there["share"],
            s=22,
            color=scored_source(source).colour,
            marker=scored_source(source).marker,
            alpha=0.6,
            clip_on=False,
        )
        specific = there.filter(pl.col("share") > 0.5).height
        axis.axhline(0.5, color="#000000", linestyle=":", linewidth=1)
        axis.set(
            xlim=(0, 1.02),
            ylim=(0, 1.02),
            xticks=[0, 0.5, 1],
            yticks=[0, 0.5, 1],
            xlabel="share of the family reached",
        )
        fired = table.filter(pl.col("n_strong") > 0).height
        axis.set_title(
            f"{scored_source(source).name}\n{there.height} of {fired:,} features", fontsize=10
        )
        words.append(
            f"{source}: {there.height} of {fired:,} strongly active features have a family, "
            f"{specific} with a share above one half"
        )
    axes[0].set_ylabel("share of the feature's strong\nclusters in the family")
    return Chart(figure, f"Family specificity, q < {q:g}. {'; '.join(words)}.")


def nothing(why: str) -> Chart:
    """A picture that says why there is nothing to draw."""
    figure, (axis,) = panels(height=1.0)
    axis.set_axis_off()
    axis.annotate(
        why, (0.5, 0.5), xycoords="axes fraction", ha="center", va="center", parse_math=False
    )
    return Chart(figure, why)
