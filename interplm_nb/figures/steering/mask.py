"""Picture of the mask experiment: a letter's probability with strength, and along the sequence."""

from typing import Any, NamedTuple

import polars as pl
from matplotlib.axes import Axes

from interplm_nb.figures.chart import Chart, panels
from interplm_nb.steering.experiments.mask import (
    DIRECTION,
    IDENTITY,
    MATCHED,
    PERIODIC,
    MaskResult,
)


class _Look(NamedTuple):
    colour: str
    marker: str
    dash: str
    name: str


LOOKS = {
    PERIODIC: _Look("#0072B2", "o", "-", "periodic feature"),
    IDENTITY: _Look("#E69F00", "s", "--", "identity feature"),
    MATCHED: _Look("#6F6F6F", "x", ":", "matched features"),
    DIRECTION: _Look("#000000", "+", "-.", "random directions"),
}


def picture(result: MaskResult) -> Chart:
    """The letter's probability in phase at each strength, and its change at every residue.

    Left: the mean over the residues in phase, a line per feature; the band is the middle 95 % of
    the matched features. Right: the mean change over the strengths above 0, of the first
    sequence; a line per feature, and the means of the controls.
    """
    figure, (left, right) = panels(2, 10.0, 3.8)
    letter = result.settings.letter
    _by_strength(left, result.probabilities, letter)
    _along(right, result.probabilities, letter)
    left.set(
        xlabel="clamped value (multiples of the maximum)",
        ylabel=f"P({letter}), mean of the residues in phase",
    )
    right.set(xlabel="predicted residue", ylabel=f"change of P({letter})")
    handles, names = left.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=4, frameon=False)
    return Chart(figure, f"{result.plm}. {result.sentence}")


def _by_strength(axis: Axes, table: pl.DataFrame, letter: str) -> None:
    in_phase = table.filter(pl.col("place") == "in phase")
    means = in_phase.group_by("kind", "feature", "control", "strength").agg(
        pl.col(letter).mean().alias("p")
    )
    matched = (
        means.filter(pl.col("kind") == MATCHED)
        .group_by("strength")
        .agg(
            pl.col("p").quantile(0.025, "linear").alias("low"),
            pl.col("p").quantile(0.975, "linear").alias("high"),
        )
        .sort("strength")
    )
    axis.fill_between(
        matched["strength"].to_numpy(),
        matched["low"].to_numpy(),
        matched["high"].to_numpy(),
        color=LOOKS[MATCHED].colour,
        alpha=0.2,
        linewidth=0,
    )
    for kind in (MATCHED, DIRECTION):
        own = means.filter(pl.col("kind") == kind).group_by("strength").agg(pl.col("p").mean())
        _line(axis, own.sort("strength"), kind, LOOKS[kind].name)
    for kind in (PERIODIC, IDENTITY):
        own = means.filter(pl.col("kind") == kind)
        for i, feature in enumerate(own["feature"].unique(maintain_order=True).sort()):
            one = own.filter(pl.col("feature") == feature).sort("strength")
            _line(axis, one, kind, LOOKS[kind].name if i == 0 else "")
            axis.annotate(f"f/{feature}", (one["strength"][-1], one["p"][-1]), fontsize=7)
    before: Any = in_phase["before"].mean()
    axis.axhline(before, color="#000000", linewidth=0.6)


def _line(axis: Axes, table: pl.DataFrame, kind: str, name: str, x: str = "strength") -> None:
    look = LOOKS[kind]
    axis.plot(
        table[x].to_numpy(),
        table["p"].to_numpy(),
        color=look.colour,
        marker=look.marker,
        linestyle=look.dash,
        linewidth=1.3,
        markersize=5,
        label=name or None,
    )


def _along(axis: Axes, table: pl.DataFrame, letter: str) -> None:
    first = table.filter(pl.col("sequence") == table["sequence"][0], pl.col("strength") > 0)
    asked = pl.when(pl.col("control").is_null()).then(pl.col("feature")).alias("asked")
    change = (
        first.group_by("kind", asked, "position", "residue")
        .agg((pl.col(letter) - pl.col("before")).mean().alias("p"))
        .sort("asked", "position")
    )
    for kind in LOOKS:
        for part in change.filter(pl.col("kind") == kind).partition_by("asked"):
            _line(axis, part, kind, "", "position")
    places = change.select("position", "residue").unique().sort("position")
    names = [
        f"{'?' if residue is None else '_' if len(residue) > 1 else residue}\n{position}"
        for position, residue in places.iter_rows()
    ]
    axis.set_xticks(places["position"].to_list(), names, fontsize=8)
    axis.axhline(0, color="#000000", linewidth=0.6)
