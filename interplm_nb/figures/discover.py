"""Pictures of missing annotations: how well hidden labels are recovered, and calibration."""

import math

import numpy as np
import polars as pl

from interplm_nb.concepts.discovery.evaluation import KS, Refound
from interplm_nb.figures.chart import Chart, panels
from interplm_nb.pipeline.scored_sources import SAE_CONTROLS, SOURCES
from interplm_nb.questions.discover import METHOD_NAMES, SHARE

_OF_SOURCES = {s: (SOURCES[s].colour, SOURCES[s].marker) for s in ("sae", *SAE_CONTROLS)}
_STYLES = {
    "sae": _OF_SOURCES.pop("sae"),
    "mmseqs2": ("#D55E00", "s"),
    "both": ("#000000", "D"),
    **_OF_SOURCES,
}
_GREY = "#6F6F6F"
_FEW = 10
"""A bin with fewer cases is drawn hollow."""
_Z = 1.96


def precision_at_k(found: Refound) -> Chart:
    """Share of hidden labels among the first k of each method, with 95 % intervals, and chance."""
    figure, (axis,) = panels(height=3.8)
    methods = [m for m in _STYLES if m in set(found.precision["method"])]
    chance = found.precision.filter(pl.col("method") == "random")["precision"][0]
    axis.axhline(
        chance, color=_GREY, linestyle=(0, (4, 2)), linewidth=1.2, label=f"chance ({chance:.2f})"
    )
    for i, method in enumerate(methods):
        part = found.precision.filter(pl.col("method") == method, pl.col("k").is_not_null())
        colour, marker = _STYLES[method]
        x = np.arange(len(KS)) + (i - (len(methods) - 1) / 2) * 0.14
        axis.vlines(
            x,
            part["low"].to_numpy(),
            part["high"].to_numpy(),
            color=colour,
            linewidth=2.5,
            alpha=0.45,
        )
        axis.plot(
            x,
            part["precision"].to_numpy(),
            marker,
            color=colour,
            markersize=7,
            label=METHOD_NAMES[method],
            clip_on=False,
            zorder=3,
        )
    axis.set_xticks(range(len(KS)), [f"first {k}" for k in KS])
    axis.set(ylabel="share that had been hidden", ylim=(0, 1.02), xlim=(-0.5, len(KS) - 0.5))
    axis.set_title(
        f"{found.n_hidden:,} hidden labels among {found.n_cases:,} pairs of a test protein and a "
        "concept (bars: 95 %)",
        fontsize=10,
        loc="left",
    )
    axis.grid(axis="y", alpha=0.25)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside right center", frameon=False)
    firsts = found.precision.filter(pl.col("k") == KS[-2])
    words = "; ".join(
        f"{METHOD_NAMES[m]} {p:.2f}"
        for m, p in firsts.select("method", "precision").iter_rows()
        if m in METHOD_NAMES
    )
    return Chart(
        figure,
        f"Precision at k of each method, {found.n_hidden:,} hidden labels among "
        f"{found.n_cases:,}. Among the first {KS[-2]}: {words}.",
    )


def calibration(found: Refound) -> Chart:
    """Share found at the site by the probability that follows from the confidence, in bins.

    With 95 % intervals (Wilson) and numbers of cases.
    """
    figure, (axis,) = panels(width=5.6, height=4.2)
    axis.plot([0, 1], [0, 1], color=_GREY, linestyle=(0, (4, 2)), linewidth=1.2)
    bins = found.calibration
    for x, y, n in zip(bins.confidence, bins.observed, bins.n, strict=True):
        low, high = _wilson(float(y), int(n))
        axis.vlines(x, low, high, color=_STYLES["sae"][0], linewidth=2, alpha=0.45)
        axis.plot(
            x,
            y,
            "o",
            color=_STYLES["sae"][0],
            markersize=8,
            markerfacecolor=_STYLES["sae"][0] if n >= _FEW else "#FFFFFF",
            clip_on=False,
        )
        box = {"facecolor": "#FFFFFF", "edgecolor": "none", "pad": 0.8}
        axis.annotate(
            f"{n:,}",
            (x, high),
            (0, 9),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=9,
            bbox=box,
        )
    axis.set(
        xlabel=f"probability from the confidence ({SHARE:.0%} hidden)",
        ylabel="share found at the site",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.1),
    )
    axis.set_title(
        f"{int(bins.n.sum()):,} pairs; error {bins.error:.3f} (hollow: fewer than {_FEW})",
        fontsize=10,
        loc="left",
    )
    words = "; ".join(
        f"{x:.2f} predicted, {y:.2f} found (n = {n:,})"
        for x, y, n in zip(bins.confidence, bins.observed, bins.n, strict=True)
    )
    return Chart(
        figure,
        "Calibration of the confidences on hidden labels, expected calibration error "
        f"{bins.error:.3f}: {words}.",
    )


def _wilson(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share of n cases (Wilson 1927).

    Cases of one protein count as independent, so it is somewhat too narrow.
    """
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return max(centre - half, 0.0), min(centre + half, 1.0)
