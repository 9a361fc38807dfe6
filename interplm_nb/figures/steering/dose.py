"""Pictures of the dose-response experiment: curves, all features beside their controls, and how far
an effect reaches."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interplm_nb.figures.chart import Chart, NothingToDrawError
from interplm_nb.steering.experiments.dose.dose_response import DoseResult
from interplm_nb.steering.experiments.dose.measure import ALONE, DIRECTION, FEATURE, MATCHED

MOST_PANELS = 6
"""Features that are drawn, unless named."""
_EFFECT = "change of the target's log odds (nats)"


class _Look(NamedTuple):
    colour: str
    marker: str
    dash: str


LOOKS = {
    FEATURE: _Look("#0072B2", "o", "-"),
    MATCHED: _Look("#6F6F6F", "x", ":"),
    DIRECTION: _Look("#000000", "+", "-."),
    ALONE: _Look("#D55E00", "^", "--"),
}


def curves(result: DoseResult, features: Sequence[int] | None = None) -> Chart:
    """The effect at each strength, a panel per feature, beside its controls.

    Whiskers are 95 % intervals over homology clusters; the band is the middle 95 % of the matched
    features. Without `features`, those with the smallest p.
    """
    shown = _shown(result, features)
    figure, axes = _grid(len(shown))
    for axis, feature in zip(axes, shown, strict=True):
        own = result.doses.filter(pl.col("feature") == feature)
        band = own.filter(pl.col("kind") == MATCHED)
        axis.fill_between(
            band["strength"].to_numpy(),
            band["least_change"].to_numpy(),
            band["most_change"].to_numpy(),
            color=LOOKS[MATCHED].colour,
            alpha=0.2,
            linewidth=0,
        )
        _lines(axis, own, "strength")
        _title(axis, result, feature)
    _label(figure, axes, "value (multiples of the maximum)")
    return Chart(figure, f"{result.plm}. {result.sentence}")


def locality(result: DoseResult, features: Sequence[int] | None = None) -> Chart:
    """The effect at the tested strength on the residue predicted at each distance."""
    shown = _shown(result, features)
    figure, axes = _grid(len(shown))
    for axis, feature in zip(axes, shown, strict=True):
        own = result.locality.filter(pl.col("feature") == feature).drop_nulls("effect")
        _lines(axis, own, "distance", whiskers=(FEATURE,))
        _title(axis, result, feature)
    _label(figure, axes, "residues from the changed one")
    reach = result.settings.reach
    words = []
    for feature in shown:
        own = result.locality.filter(
            pl.col("feature") == feature, pl.col("kind") == FEATURE, pl.col("effect").is_not_null()
        )
        near, far = (
            own.filter(on)["effect"].mean()
            for on in (pl.col("distance").abs() <= reach, pl.col("distance").abs() > reach)
        )
        words.append(f"f/{feature} {_signed(near)} within {reach} residues, {_signed(far)} beyond")
    return Chart(
        figure,
        f"Change of the target's log odds at {result.settings.tested:g} times the maximum, by "
        f"distance from the changed residue: {'; '.join(words)}.",
    )


def all_features(result: DoseResult) -> Chart:
    """Every feature at the tested strength, beside its controls and its second dictionary."""
    table = result.features.drop_nulls("p").sort("effect")
    if table.is_empty():
        raise NothingToDrawError(f"there is no feature to draw: {result.left_out['why'][0]}")
    figure = Figure(figsize=(9.0, 0.32 * max(table.height, 3) + 1.5), layout="constrained")
    axis = figure.subplots()
    places = np.arange(table.height)
    for place, row in zip(places.tolist(), table.iter_rows(named=True), strict=True):
        band = result.doses.filter(
            pl.col("feature") == row["feature"],
            pl.col("kind") == MATCHED,
            pl.col("strength") == result.settings.tested,
        ).row(0, named=True)
        axis.plot(
            [band["least_change"], band["most_change"]],
            [place, place],
            color=LOOKS[MATCHED].colour,
            linewidth=7,
            alpha=0.3,
            solid_capstyle="butt",
            label="matched features, middle 95 %" if place == 0 else None,
        )
        if row["effect_low"] is not None:
            ends = [row["effect_low"], row["effect_high"]]
            axis.plot(ends, [place, place], color=LOOKS[FEATURE].colour, linewidth=1.4)
    for column, look, name in (
        ("effect", LOOKS[FEATURE], "feature, 95 % over homology clusters"),
        ("direction_effect", LOOKS[DIRECTION], "random directions, mean"),
        ("match_effect", _Look("#D55E00", "D", ""), "its match in the second dictionary"),
    ):
        if table[column].null_count() < table.height:
            axis.plot(
                table[column].to_numpy(),
                places,
                color=look.colour,
                marker=look.marker,
                linestyle="none",
                markersize=5,
                markerfacecolor="none" if column == "match_effect" else look.colour,
                label=name,
            )
    axis.set_yticks(places, [_row_name(row) for row in table.iter_rows(named=True)], fontsize=8)
    axis.axvline(0, color="#000000", linewidth=0.6)
    axis.set_xlabel(_EFFECT)
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return Chart(figure, f"{result.plm}. {result.sentence}")


def _shown(result: DoseResult, features: Sequence[int] | None) -> list[int]:
    if features is not None:
        return list(features)
    tested = result.features.drop_nulls("p").sort("p", "feature")
    if tested.is_empty():
        raise NothingToDrawError(f"there is no feature to draw: {result.left_out['why'][0]}")
    return tested["feature"].head(MOST_PANELS).to_list()


def _grid(n: int) -> tuple[Figure, list[Axes]]:
    columns = min(n, 3)
    rows = -(-n // columns)
    figure = Figure(figsize=(max(6.0, 3.4 * columns), 2.6 * rows + 0.6), layout="constrained")
    axes = list(np.atleast_1d(figure.subplots(rows, columns)).flat)
    for axis in axes[n:]:
        axis.remove()
    for axis in axes[:n]:
        axis.spines[["top", "right"]].set_visible(False)
        axis.axhline(0, color="#000000", linewidth=0.6)
    return figure, axes[:n]


def _lines(
    axis: Axes, table: pl.DataFrame, x: str, whiskers: Sequence[str] = (FEATURE, ALONE)
) -> None:
    for kind, look in LOOKS.items():
        own = table.filter(pl.col("kind") == kind).sort(x)
        axis.plot(
            own[x].to_numpy(),
            own["effect"].to_numpy(),
            color=look.colour,
            marker=look.marker,
            linestyle=look.dash,
            linewidth=1.3,
            markersize=4,
            label=kind,
        )
        known = own.drop_nulls("effect_low")
        if kind in whiskers and known.height:
            axis.vlines(
                known[x].to_numpy(),
                known["effect_low"].to_numpy(),
                known["effect_high"].to_numpy(),
                color=look.colour,
                linewidth=0.9,
            )


def _title(axis: Axes, result: DoseResult, feature: int) -> None:
    row = result.features.filter(pl.col("feature") == feature).row(0, named=True)
    axis.set_title(
        f"f/{feature} {row['concept'] or 'drawn at random'}\ntarget {row['letters']}",
        fontsize=8,
        loc="left",
        parse_math=False,
    )


def _label(figure: Figure, axes: Sequence[Axes], x: str) -> None:
    figure.supxlabel(x, fontsize=9)
    figure.supylabel(_EFFECT, fontsize=9)
    handles, names = axes[0].get_legend_handles_labels()
    columns = 2 if len(axes) == 1 else 4
    figure.legend(handles, names, loc="outside upper center", ncols=columns, frameon=False)


def _row_name(row: dict) -> str:
    q = f"q {row['q']:.2f}"
    return f"{row['concept'] or 'random'} f/{row['feature']} -> {row['letters']}, {q}"


def _signed(value: object) -> str:
    return "unknown" if value is None else f"{value:+.2f}"
