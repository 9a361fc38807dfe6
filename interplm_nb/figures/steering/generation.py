"""Pictures of a generation under steering: shares by condition, and by strength."""

import html
from collections.abc import Sequence
from typing import Any

import polars as pl
from matplotlib.axes import Axes

from interplm_nb.figures.chart import Chart, panels
from interplm_nb.figures.tables import Sentence, Table
from interplm_nb.steering.experiments.generation.kinds import KINDS
from interplm_nb.steering.experiments.generation.result import GenerationResult

_STYLES = {
    "steered": ("#D55E00", "o"),
    "output only": ("#E69F00", "s"),
    "atom alone": ("#CC79A7", "D"),
    "matched features": ("#0072B2", "^"),
    "random directions": ("#56B4E9", "v"),
    "unsteered": ("#000000", "*"),
    "natural windows": ("#009E73", "P"),
    "natural carriers": ("#009E73", "X"),
}
"""Colour (Okabe and Ito) and mark of each kind."""
_SHUFFLED = "same letters, shuffled"


def shares(result: GenerationResult | None) -> Chart | Sentence:
    """The rule's share in every condition at the strongest steering, with 95 % intervals.

    Controls of a kind are together. The open mark is the share after shuffling the letters; the
    probe's share, if there is a probe, is the second panel.
    """
    if result is None:
        return _NOTHING
    rows = _rows(result)
    probed = any(row["probe_rate"] is not None for row in rows)
    figure, axes = panels(1 + probed, height=0.34 * len(rows) + 1.3, sharey=True)
    for y, row in enumerate(rows):
        _point(axes[0], y, row, "rate", "low", "high")
        axes[0].plot(row["shuffled"], y, "o", color="#6F6F6F", fillstyle="none", markersize=7)
        if probed and row["probe_rate"] is not None:
            _point(axes[1], y, row, "probe_rate", "probe_low", "probe_high")
    axes[0].set_yticks(range(len(rows)), [f"{row['kind']} (n = {row['n']})" for row in rows])
    axes[0].invert_yaxis()
    axes[0].set(xlabel=f"share of sequences with a {result.rule}", xlim=(-0.02, 1.02))
    if probed:
        axes[1].set(xlabel="share that the probe calls", xlim=(-0.02, 1.02))
    for axis in axes:
        axis.grid(axis="x", alpha=0.25)
    axes[0].set_title(
        f"feature {result.feature} at {result.strongest['strength']:g} x maximum; bars: 95 %, over "
        f"sequences; open: {_SHUFFLED}",
        fontsize=9,
        loc="left",
    )
    return Chart(figure, result.sentence)


def doses(result: GenerationResult) -> Chart:
    """The rule's share by strength, steered and with controls, with 95 % intervals."""
    figure, (axis,) = panels(1, height=3.4)
    for kind in KINDS[:-1]:
        part = result.kinds.filter(pl.col("kind") == kind).sort("strength")
        if not part.height:
            continue
        colour, marker = _STYLES[kind]
        x = part["strength"].to_numpy()
        axis.plot(x, part["rate"], marker=marker, color=colour, label=kind)
        axis.fill_between(x, part["low"], part["high"], color=colour, alpha=0.15, linewidth=0)
        if kind == "steered":
            axis.plot(x, part["shuffled"], "o:", color="#6F6F6F", fillstyle="none", label=_SHUFFLED)
    plain = result.control("unsteered", 0.0)
    if plain is not None:
        axis.axhline(plain["rate"], color="#000000", linestyle="--", linewidth=1, label="unsteered")
    axis.set(
        xlabel=f"feature {result.feature} clamped to this multiple of its maximum",
        ylabel=f"share with a {result.rule}",
        ylim=(-0.02, 1.02),
    )
    axis.grid(alpha=0.25)
    axis.legend(fontsize=8, frameon=False)
    axis.set_title("bands: 95 %, over sequences", fontsize=9, loc="left")
    return Chart(figure, result.sentence)


def kinds(result: GenerationResult | None, which: Sequence[str] = ()) -> Table | Sentence:
    """Every kind of condition with its judges; or those of `which`.

    A sentence where nothing was generated.
    """
    if result is None:
        return _NOTHING
    parts = [result.kinds, *([result.natural] if result.natural.height else [])]
    table = pl.concat(parts, how="diagonal")
    if which:
        table = table.filter(pl.col("kind").is_in(list(which)))
    return Table(
        table.select("kind", *_HEADINGS),
        f"{result.rule} in sequences of {result.settings.length} residues: share, its 95 % "
        "interval over sequences, and the share after shuffling their letters; shares that the "
        "probe calls, that have a natural relative, and that have broken down (one letter "
        "over 30 %)",
        _HEADINGS,
    )


_HEADINGS = {
    "n": "sequences",
    "rate": "share",
    "low": "low",
    "high": "high",
    "shuffled": "shuffled",
    "probe_rate": "probe",
    "perplexity": "perplexity",
    "with_relative": "relatives",
    "letter": "commonest",
    "letter_share": "its share",
    "broken": "broken",
}


def examples(result: GenerationResult | None, n: int = 4) -> Table | Sentence:
    """Steered sequences in which the rule finds something, with the place in square brackets."""
    if result is None:
        return _NOTHING
    found = result.examples(n)
    if found.is_empty():
        return Sentence(f"No steered sequence holds a {result.rule}.")
    marked = [
        f"{s[: start - 1]}[{s[start - 1 : end]}]{s[end:]}"
        for s, start, end in found.select("sequence", "start", "end").iter_rows()
    ]
    return Table(
        found.select(pl.Series("sequence", marked), "perplexity", "relative"),
        f"steered sequences with a {result.rule}, in [ ]",
        {"relative": "nearest natural protein"},
        {"sequence": lambda text: f'<code style="word-break:break-all">{html.escape(text)}</code>'},
    )


def pilot(result: GenerationResult | None) -> Table | Sentence:
    """The features among which the steered one was chosen, with other random numbers."""
    if result is None:
        return _NOTHING
    if result.pilot.is_empty():
        return Sentence(f"Feature {result.feature} was given, so there was no pilot draw.")
    return Table(
        result.pilot.select("feature", "n", "rate", "shuffled", "unsteered"),
        f"pilot draw: the best features of {result.settings.concept}",
        {"n": "sequences", "rate": "share with it", "shuffled": "letters shuffled"},
    )


_CONDITIONS = {
    "steered": "feature held, inside the recurrence",
    "atom alone": "its atom added, the feature not read",
    "output only": "feature held, of the output only",
    "matched features": "matched features held",
    "random directions": "random directions",
    "unsteered": "unsteered",
    "natural windows": "natural proteins, as long",
}


def shares_table(result: GenerationResult) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings, and a row of text for each kind of condition, for a page."""
    rows = [
        (
            _CONDITIONS[row["kind"]],
            f"{row['n']}",
            f"{row['rate']:.2f} ({row['low']:.2f} to {row['high']:.2f})",
            f"{row['shuffled']:.2f}",
            "" if row["probe_rate"] is None else f"{row['probe_rate']:.2f}",
            f"{row['broken']:.2f}",
        )
        for row in _rows(result)
        if row["kind"] in _CONDITIONS
    ]
    head = ("condition", "sequences", result.rule, "letters shuffled", "probe", "broken down")
    return head, rows


_NOTHING = Sentence("Nothing was generated in this run: the sentence above says why.")


def _rows(result: GenerationResult) -> list[dict[str, Any]]:
    strength = result.strongest["strength"]
    found = [row for kind in KINDS if (row := result.control(kind, strength)) is not None]
    return found + result.natural.rows(named=True)


def _point(axis: Axes, y: int, row: dict[str, Any], value: str, low: str, high: str) -> None:
    colour, marker = _STYLES[row["kind"]]
    axis.plot([row[low], row[high]], [y, y], color=colour, linewidth=1.6)
    axis.plot(row[value], y, marker, color=colour, markersize=8)
