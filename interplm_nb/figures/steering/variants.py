"""Pictures of the experiments with variants."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from interplm_nb.figures.chart import Chart, panels
from interplm_nb.figures.tables import Sentence
from interplm_nb.steering.experiments.variants.feature_changes import PLACES
from interplm_nb.steering.experiments.variants.one_mutation import SETS, LostAndGained
from interplm_nb.steering.experiments.variants.scan import ScanResult
from interplm_nb.steering.experiments.variants.scan_scores import LETTERS, MEASURED, MODEL

_STYLES = {
    MODEL: ("#000000", "D"),
    "SAE": ("#0072B2", "o"),
    LETTERS: ("#D55E00", "^"),
    MEASURED: ("#CC79A7", "P"),
}
_CONTROLS = (("#6F6F6F", "x"), ("#009E73", "v"), ("#E69F00", "s"))
_KINDS = {"lost": "#D55E00", "gained": "#0072B2"}
_GREY = "#9CA3AF"


def correlations(result: ScanResult, variants: str | None = None) -> Chart:
    """Spearman's rho of every score with the measured one, with 95 % intervals and controls.

    `variants`: "all", "single mutants" or "multiple mutants"; None: the first that there is. Of
    single mutants the thin line is the interval over positions.
    """
    group = variants or result.correlations["variants"][0]
    table = result.correlations.filter(
        pl.col("variants") == group, pl.col("low") < pl.col("high")
    ).reverse()
    if table.is_empty():
        held = ", ".join(result.correlations["variants"].unique(maintain_order=True))
        raise ValueError(f"no correlations of {group!r}; this scan has those of {held}")
    figure, (axis,) = panels(width=8.5, height=1.0 + 0.24 * table.height)
    for y, row in enumerate(table.iter_rows(named=True)):
        colour, mark = _style(result, row["source"])
        if row["low_positions"] is not None:
            axis.hlines(y, row["low_positions"], row["high_positions"], color=colour, linewidth=1)
        axis.hlines(y, row["low"], row["high"], color=colour, linewidth=3, alpha=0.5)
        axis.plot(row["rho"], y, mark, color=colour, markersize=6)
    labels = [
        f"{source}: {_words(score)}" for source, score in table["source", "score"].iter_rows()
    ]
    axis.set_yticks(range(table.height), labels, fontsize=8)
    axis.axvline(0, color=_GREY, linewidth=0.8)
    thin = "; thin: over positions" if table["low_positions"].null_count() < table.height else ""
    axis.set_xlabel(f"Spearman's rho with the measured score\n(bars: 95 % over variants{thin})")
    axis.set_title(f"{result.name}, {result.plm}: {table['n'][0]:,} variants", fontsize=10)
    said = [
        f"{source}, {_words(score)}: {rho:.2f}"
        for source, score, rho in table.reverse()["source", "score", "rho"].iter_rows()
    ]
    return Chart(
        figure,
        f"Rank correlation of scores of {table['n'][0]:,} variants of {result.name} ({group}) with "
        f"the measured score. {'; '.join(said)}.",
    )


def robustness(result: ScanResult) -> Chart | Sentence:
    """Features changed by stabilising and by destabilising mutations, beside controls."""
    table = result.robustness.filter(pl.col("measure").str.starts_with("features_"))
    if table.is_empty():
        return Sentence(
            "All variants score on one side of the wild type, so stabilising and destabilising "
            "mutations cannot be compared; set the wild type's score."
        )
    figure, (means, differences) = panels(2, width=9, height=0.9 + 0.34 * table.height, sharey=True)
    for y, row in enumerate(table.iter_rows(named=True)):
        colour, mark = _style(result, row["source"])
        means.plot(
            row["stabilising"], y, "o", color="#0072B2", label="stabilising" if not y else ""
        )
        means.plot(
            row["destabilising"], y, "s", color="#D55E00", label="destabilising" if not y else ""
        )
        differences.hlines(y, row["low"], row["high"], color=colour, linewidth=3, alpha=0.5)
        differences.plot(row["difference"], y, mark, color=colour)
    labels = [f"{s}: {_words(measure)}" for s, measure in table["source", "measure"].iter_rows()]
    means.set_yticks(range(table.height), labels, fontsize=8)
    means.set_ylim(table.height - 0.5, -0.5)
    means.set_xlim(left=0)
    means.set_xlabel("mean features per mutation")
    means.legend(frameon=False, fontsize=8)
    differences.axvline(0, color=_GREY, linewidth=0.8)
    differences.set_xlabel("stabilising - destabilising\n(95 % over positions)")
    row = table.row(0, named=True)
    return Chart(
        figure,
        f"{result.name}: {_words(row['measure'])} of {row['source']}, on average "
        f"{row['stabilising']:.1f} by {row['n_stabilising']:,} stabilising and "
        f"{row['destabilising']:.1f} by {row['n_destabilising']:,} destabilising mutations; "
        f"difference {row['difference']:.1f} [{row['low']:.1f}, {row['high']:.1f}].",
    )


def separating(result: ScanResult) -> Chart | Sentence:
    """How well chosen features separate tolerated variants on positions not chosen on."""
    table = result.separating
    if table.is_empty():
        return Sentence(
            "One half of the positions has only tolerated or only damaging variants, so no feature "
            "can be chosen on it; draw more variants, or set from which score they are tolerated."
        )
    sources = table["source"].unique(maintain_order=True).to_list()
    figure, axes = panels(
        len(sources), width=4.2 * len(sources), height=4.2, sharey=True, sharex=True
    )
    said = []
    for axis, source in zip(axes, sources, strict=True):
        part = table.filter(pl.col("source") == source)
        colour, _ = _style(result, source)
        x = np.arange(part.height)
        held = (part["q_value"] <= 0.05).to_numpy()
        low, high = (part[f"auroc_{end}"].to_numpy() for end in ("low", "high"))
        axis.vlines(x, low, high, color=colour, alpha=0.5, linewidth=2.5)
        axis.plot(x, part["auroc_chosen"], "_", color=_GREY, label="on the half that chose")
        axis.plot(x[held], part["auroc"].to_numpy()[held], "o", color=colour, label="q <= 0.05")
        axis.plot(
            x[~held],
            part["auroc"].to_numpy()[~held],
            "o",
            color=colour,
            mfc="white",
            label="q > 0.05",
        )
        axis.axhline(0.5, color=_GREY, linewidth=0.8)
        axis.set_title(f"{source}: {held.sum()} of {part.height} hold", fontsize=10)
        axis.set_xlabel("feature, the best chosen first")
        axis.legend(frameon=False, fontsize=8)
        said.append(f"{source}: {held.sum()} of {part.height}")
    axes[0].set_ylabel("AUROC, tolerated above damaging (95 % over positions)")
    return Chart(
        figure,
        f"{result.name}: chosen features whose change separates tolerated variants on the other "
        f"half of the positions, at a false discovery rate of 5 %. {'; '.join(said)}.",
    )


def lost_and_gained(found: LostAndGained, n: int = 15) -> Chart:
    """The features that a mutation changes most, and how many it changes, beside both nulls."""
    top = found.features.head(n)
    figure, (bars, counts) = panels(2, width=9.5, height=max(3.2, 1.0 + 0.24 * top.height))
    for y, row in enumerate(top.iter_rows(named=True)):
        bars.barh(
            y,
            row["change"] * (1 if row["kind"] == "gained" else -1),
            color=_KINDS[row["kind"]],
            hatch="" if row["place"] == PLACES[0] else "///",
            edgecolor="white",
        )
    bars.set_yticks(
        range(top.height), [_label(row) for row in top.iter_rows(named=True)], fontsize=8
    )
    bars.set_ylim(max(top.height, 1) - 0.5, -0.5)
    bars.axvline(0, color=_GREY, linewidth=0.8)
    bars.set_xlabel("change, in units of the feature's maximum\n(hatched: elsewhere)")
    _count_panel(counts, found.counts)
    figure.suptitle(
        f"{found.mutation}, {found.plm}: lost (left) and gained (right); p against other letters "
        "at the site | the same at other sites",
        fontsize=9,
    )
    return Chart(figure, found.sentence)


def _label(row: dict) -> str:
    p = [f"{row[name]:.2f}" if row[name] is not None else "-" for name in ("p_site", "p_same")]
    return f"f{row['feature']} at {row['position']}, p {p[0]} | {p[1]}"


def _count_panel(axis: Axes, table: pl.DataFrame) -> None:
    rows = table.drop_nulls("lost").to_dicts()
    x = np.arange(len(rows))
    for shift, (kind, colour) in zip((-0.2, 0.2), _KINDS.items(), strict=True):
        axis.bar(x + shift, [row[kind] for row in rows], 0.38, color=colour, label=kind)
    labels = [f"{_short(row['mutations'])}\n{row['place']} (n {row['n']})" for row in rows]
    axis.set_xticks(x, labels, rotation=60, ha="right", fontsize=7)
    axis.set_ylabel("features (mean of a null)")
    axis.legend(frameon=False, fontsize=8)


def _short(name: str) -> str:
    return {SETS[1]: "others at the site", SETS[2]: "same elsewhere"}.get(name, name)


def _style(result: ScanResult, source: str) -> tuple[str, str]:
    if source in _STYLES:
        return _STYLES[source]
    others: Sequence[str] = [
        s
        for s in result.correlations["source"].unique(maintain_order=True).to_list()
        if s not in _STYLES
    ]
    return _CONTROLS[others.index(source) % len(_CONTROLS)]


def _words(score: str) -> str:
    return score.replace("_", " ")
