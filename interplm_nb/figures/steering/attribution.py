"""Pictures of attribution: the nodes and errors that carry a prediction, and what removals do."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from matplotlib.axes import Axes

from interplm_nb.figures.chart import Chart, panels
from interplm_nb.steering.experiments.attribution.attribute import (
    ERROR,
    MATCHED,
    RANDOM,
    TOP,
    Attribution,
)
from interplm_nb.steering.experiments.attribution.survey import AttributionSurvey

FEATURE, ERRORS, OTHERS = "#0072B2", "#D55E00", "#6F6F6F"
NO_NAMES: Mapping[int, str] = MappingProxyType({})

_SETS = {
    TOP: ("the top", FEATURE, "s"),
    RANDOM: ("random sets", OTHERS, "x"),
    MATCHED: ("random sets\nof like mass", OTHERS, "+"),
    ERROR: ("all errors", ERRORS, "^"),
}


def carriers(result: Attribution, n: int = 12, names: Mapping[int, str] = NO_NAMES) -> Chart:
    """The n nodes with the largest |attribution|, all others and the errors; beside them, what
    removing the top does, with the middle 95 % of random sets.

    `names` is what features are called, such as their concepts.
    """
    figure, (left, right) = panels(2, 9.5, 0.28 * (n + 2) + 1.4, width_ratios=[3, 2])
    top = result.nodes.head(n)
    rest = float(result.nodes["attribution"][n:].sum()) + result.summary["inactive"].item()
    error = result.summary["error"].item()
    labels = [node_name(row, names) for row in top.iter_rows(named=True)]
    labels += [f"all other features ({result.nodes.height - top.height:,} active)", "SAE's errors"]
    values = [*top["attribution"], rest, error]
    colours = [FEATURE] * top.height + [OTHERS, ERRORS]
    hatches = [""] * top.height + ["//", "xx"]
    places = range(len(values))
    left.barh(places, values, color=colours, hatch=hatches, edgecolor="white", linewidth=0)
    left.set_yticks(places, labels, fontsize=8)
    left.invert_yaxis()
    left.axvline(0, color="#000000", linewidth=0.6)
    left.set_xlabel(f"attribution ({result.unit})")
    k = result.removals["n_nodes"][0]
    rows = {row["set"]: row for row in result.removals.iter_rows(named=True)}
    for place, (kind, (_, colour, marker)) in enumerate(_SETS.items()):
        _mark(right, place, rows[kind], ("effect", "low", "high"), colour, marker)
    counted = ["all errors" if s == ERROR else f"{_SETS[s][0]} ({k})" for s in _SETS]
    _finish(right, counted, f"fall when removed ({result.unit})")
    return Chart(figure, result.sentence)


def removals(survey: AttributionSurvey) -> Chart:
    """Mean effect of removing the top nodes, random ones and the errors, with intervals over
    proteins."""
    figure, (axis,) = panels(1, 6.0, 2.4)
    rows = {row["figure"]: row for row in survey.figures.iter_rows(named=True)}
    columns = {TOP: "top", RANDOM: "random", MATCHED: "matched", ERROR: "errors"}
    for place, (kind, name) in enumerate(columns.items()):
        _, colour, marker = _SETS[kind]
        _mark(axis, place, rows[name], ("mean", "mean_low", "mean_high"), colour, marker)
    unit = "logits" if survey.settings.each.metric == "logit" else "nats"
    _finish(axis, [_SETS[kind][0] for kind in columns], f"fall of the metric ({unit})")
    return Chart(figure, survey.sentence)


def node_name(row: Mapping[str, Any], names: Mapping[int, str] = NO_NAMES) -> str:
    """A node of a table.

    Examples
    --------
    >>> node_name({"feature": 12, "residue": 45, "letter": "C"}, {12: "Zinc finger"})
    'f/12 at C45 · Zinc finger'
    """
    words = f"f/{row['feature']}"
    if row["residue"] is not None:
        letter = row["letter"] if len(row["letter"]) == 1 else "mask "
        words += f" at {letter}{row['residue']}"
    name = names.get(row["feature"], "")
    return f"{words} · {name[:28]}" if name else words


def _mark(
    axis: Axes,
    place: int,
    row: Mapping[str, Any],
    columns: tuple[str, str, str],
    colour: str,
    marker: str,
) -> None:
    middle, low, high = (row[name] for name in columns)
    if low is not None:
        ends, width = [low, high], 7 if columns[0] == "effect" else 1.5
        alpha = 0.3 if columns[0] == "effect" else 1
        axis.plot(ends, [place] * 2, color=colour, lw=width, alpha=alpha, solid_capstyle="butt")
    axis.plot([middle], [place], color=colour, marker=marker, markersize=8, linestyle="none")


def _finish(axis: Axes, labels: list[str], title: str) -> None:
    axis.set_yticks(range(len(labels)), labels, fontsize=8)
    axis.set_ylim(len(labels) - 0.5, -0.5)
    axis.axvline(0, color="#000000", linewidth=0.6)
    axis.set_xlabel(title)
