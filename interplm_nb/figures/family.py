"""Picture of a family: what its members share, by alignment column or against the background."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interplm_nb.figures.chart import Chart
from interplm_nb.questions.family import Family

_BLUE, _GREY = "#0072B2", "#6F6F6F"
_LETTERS = 130
"""Maximum number of columns for which the consensus is written out."""


def picture(family: Family, n: int = 12) -> Chart:
    """The first n features; for an alignment, at most those whose columns were kept.

    Aligned: the mean activation in each column in which at least half of the members have a
    residue, below the share of members that have one, with the consensus. Not aligned: the share of
    members, and of the background, in which each feature is active.
    """
    table = family.features.head(
        min(n, family.columns["feature"].n_unique()) if family.alignment else n
    )
    chart = _heat_map(family, table) if family.alignment else _bars(family, table)
    words = ", ".join(
        f"f/{f} in {share:.0%} ({other:.0%})"
        for f, share, other in table.select("feature", "share", "background_share").iter_rows()
    )
    return Chart(
        chart,
        f"{family.caption}. Share of members in which a feature is active (and of the "
        f"background): {words}.",
    )


def _heat_map(family: Family, table: pl.DataFrame) -> Figure:
    assert family.alignment is not None
    occupancy = family.alignment.occupancy() / len(family.members)
    shown = (
        np.flatnonzero(occupancy >= 0.5) if (occupancy >= 0.5).any() else np.flatnonzero(occupancy)
    )
    means = np.zeros((table.height, family.alignment.n_columns), np.float32)
    for i, feature in enumerate(table["feature"]):
        part = family.columns.filter(pl.col("feature") == feature)
        means[i, part["column"].to_numpy() - 1] = part["mean"].to_numpy()
    figure = Figure(
        figsize=(min(18.0, max(8.0, 0.13 * len(shown) + 3)), 0.28 * max(table.height, 3) + 1.7),
        layout="constrained",
    )
    top, axis = figure.subplots(2, 1, sharex=True, height_ratios=[1, max(table.height, 3) / 2])
    image = axis.imshow(
        means[:, shown],
        aspect="auto",
        cmap="Blues",
        vmin=0,
        vmax=max(1.0, float(means.max(initial=0))),
        interpolation="nearest",
    )
    figure.colorbar(image, ax=axis, label="mean, share of maximum", fraction=0.03, pad=0.01)
    top.bar(np.arange(len(shown)), occupancy[shown], width=1.0, color=_GREY)
    top.set(ylim=(0, 1), yticks=[0, 1], ylabel="present")
    top.spines[["top", "right"]].set_visible(False)
    top.set_title(
        f"{family.alignment.name}: {len(family.members)} members".lstrip(": "),
        loc="left",
        fontsize=10,
        parse_math=False,
    )
    axis.set_yticks(
        range(table.height),
        [_label(row) for row in table.iter_rows(named=True)],
        fontsize=8,
        parse_math=False,
    )
    _name_columns(axis, family.alignment.consensus(), shown)
    return figure


def _name_columns(axis: Axes, consensus: str, shown: np.ndarray) -> None:
    if len(shown) <= _LETTERS:
        axis.set_xticks(
            range(len(shown)), [consensus[c] for c in shown], fontsize=7, fontfamily="monospace"
        )
        axis.tick_params(axis="x", length=0)
        axis.set_xlabel(
            f"consensus of columns {shown[0] + 1} to {shown[-1] + 1}" if len(shown) else "no column"
        )
        return
    every = -(-len(shown) // 20)
    axis.set_xticks(range(0, len(shown), every), [str(c + 1) for c in shown[::every]], fontsize=8)
    axis.set_xlabel("alignment column")


def _bars(family: Family, table: pl.DataFrame) -> Figure:
    figure = Figure(figsize=(8.0, 0.32 * max(table.height, 3) + 1.2), layout="constrained")
    axis = figure.subplots()
    places = np.arange(table.height)[::-1]
    axis.barh(
        places + 0.2,
        table["share"].to_numpy(),
        0.38,
        color=_BLUE,
        label=f"{len(family.members)} members",
    )
    others = f"background ({len(family.background.accessions):,})"
    axis.barh(
        places - 0.2,
        table["background_share"].to_numpy(),
        0.38,
        color="white",
        edgecolor=_GREY,
        hatch="///",
        label=others,
    )
    axis.set_yticks(
        places.tolist(),
        [_label(row) for row in table.iter_rows(named=True)],
        fontsize=8,
        parse_math=False,
    )
    axis.set(
        xlabel=f"share in which the feature is above {family.threshold:g} of its maximum",
        xlim=(0, 1.02),
    )
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure


def _label(row: dict) -> str:
    """The feature's concept with its F1 on test, and the feature."""
    if row["concept"] is None:
        return f"f/{row['feature']}"
    concept = row["concept"] if len(row["concept"]) <= 34 else f"{row['concept'][:33]}…"
    return f"{concept} (F1 {row['f1_per_domain']:.2f}) f/{row['feature']}"
