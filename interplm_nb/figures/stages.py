"""Pictures of the lessons on stages."""

from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.intervals import COVERS
from interplm_nb.embeddings import Embeddings
from interplm_nb.figures import hover
from interplm_nb.figures.chart import Chart, panels
from interplm_nb.figures.tables import Sentence
from interplm_nb.pipeline.scored_sources import SOURCES
from interplm_nb.proteins import Proteins
from interplm_nb.sae.feature_use import WINDOW

GROUPS = {
    "hydrophobic (AVILMFWYC)": ("AVILMFWYC", "#E69F00"),
    "polar (STNQHG)": ("STNQHG", "#009E73"),
    "positive (KR)": ("KR", "#0072B2"),
    "negative (DE)": ("DE", "#D55E00"),
    "proline (P)": ("P", "#000000"),
}


def lengths(proteins: Proteins, splits: pl.DataFrame) -> Chart:
    """Protein lengths by split."""
    figure, (axis,) = panels()
    colours = {"train": "#0072B2", "validation": "#E69F00", "test": "#009E73"}
    by_split = {s: proteins.lengths[splits["split"].to_numpy() == s] for s in colours}
    bins = np.linspace(0, max(int(proteins.lengths.max()), 100), 41)
    axis.hist(
        list(by_split.values()),
        bins=bins.tolist(),
        stacked=True,
        color=list(colours.values()),
        label=list(colours),
    )
    axis.set_xlabel("length (residues)")
    axis.set_ylabel("proteins")
    axis.legend(frameon=False, title="split")
    return Chart(
        figure,
        f"Histogram of the lengths of {len(proteins):,} proteins, stacked by split; "
        f"median {int(np.median(proteins.lengths))} residues.",
    )


def concept_sizes(annotations: Annotations, n: int = 20) -> Chart:
    """The n concepts with most instances."""
    table = (
        annotations.summary()
        .sort("n_instances", "concept", descending=[True, False])
        .head(n)
        .reverse()
    )
    figure, (axis,) = panels(height=0.24 * max(table.height, 4) + 0.8)
    axis.barh(range(table.height), table["n_instances"].to_numpy(), color="#0072B2")
    axis.set_yticks(range(table.height), table["concept"].to_list(), parse_math=False)
    axis.set_xlabel("instances")
    return Chart(figure, f"Bars: the {table.height} concepts with most instances.")


def residue_map(
    proteins: Proteins,
    embeddings: Embeddings,
    shuffled: Embeddings | None,
    n: int = 4000,
    seed: int = 0,
) -> Chart:
    """Residues on the first two principal components of each PLM, coloured by kind of amino acid.

    Embeddings from arrays have no shuffled control and get one panel.
    """
    models = [model for model in (embeddings, shuffled) if model is not None]
    figure, axes = panels(len(models), height=3.8)
    rows = np.sort(
        np.random.default_rng(seed).choice(
            proteins.n_residues, min(n, proteins.n_residues), replace=False
        )
    )
    letters = proteins.letters[rows].tobytes().decode("ascii")
    for axis, model in zip(axes, models, strict=True):
        x = model[rows].astype(np.float64)
        x -= x.mean(axis=0)
        _, scale, directions = np.linalg.svd(x, full_matrices=False)
        place, share = x @ directions[:2].T, scale**2 / max(float((scale**2).sum()), 1e-12)
        for name, (members, colour) in GROUPS.items():
            chosen = np.array([letter in members for letter in letters])
            axis.scatter(*place[chosen].T, s=3, color=colour, label=name, linewidths=0)
        axis.set(
            title=model.plm,
            xlabel=f"component 1 ({share[0]:.0%} of variance)",
            ylabel=f"component 2 ({share[1]:.0%})",
        )
        axis.title.set_fontsize(10)
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=3,
        frameon=False,
        markerscale=4,
        fontsize=9,
    )
    return Chart(
        figure,
        f"Residues ({len(rows):,}) on two principal components, coloured by amino acid: "
        + ", and its shuffled control ".join(model.plm for model in models),
    )


def learning(metrics: pl.DataFrame) -> Chart | Sentence:
    """Variance not explained, and features without an activation in the last `WINDOW` residues,
    against the training step."""
    if metrics.is_empty():
        return Sentence("This run does not keep the curves of its training.")
    figure, axes = panels(2)
    for (source,), part in metrics.group_by("source", maintain_order=True):
        line = {
            "color": SOURCES[str(source)].colour,
            "label": SOURCES[str(source)].name,
            "linewidth": 1.6,
            "marker": "." if part.height < 3 else "",
        }
        axes[0].plot(part["step"], part["fvu"], **line)
        axes[1].plot(part["step"], 100 * part["silent_in_window"], **line)
    axes[0].set(xlabel="step", ylabel="variance not explained (share)", yscale="log")
    axes[1].set(xlabel="step", ylabel=f"silent in the last {WINDOW:,} residues (%)", ylim=(-2, 102))
    axes[0].legend(frameon=False)
    return Chart(
        figure,
        "Two lines per panel: the share of variance not explained, and the share of features "
        f"without an activation in the last {WINDOW:,} residues, against the training step.",
    )


def frequencies(table: pl.DataFrame) -> Chart:
    """How often features are active on residues of train."""
    figure, (axis,) = panels()
    bins = np.linspace(-6, 0, 49)
    for (source,), part in table.group_by("source", maintain_order=True):
        fired = part["frequency"].to_numpy()
        label = f"{SOURCES[str(source)].name} ({(fired == 0).sum():,} silent)"
        axis.hist(
            np.log10(fired[fired > 0]),
            bins=bins.tolist(),
            histtype="step",
            linewidth=1.8,
            color=SOURCES[str(source)].colour,
            label=label,
        )
    ticks = range(-6, 1)
    axis.set_xticks(list(ticks), [f"$10^{{{t}}}$" if t else "1" for t in ticks])
    axis.set(xlabel="share of train residues on which a feature is active", ylabel="features")
    axis.legend(frameon=False, loc="upper left")
    return Chart(
        figure,
        "Histograms of how often features are active, on a logarithmic axis, for the SAE, the "
        "shuffled PLM's SAE and the random SAE.",
    )


def comparison(table: pl.DataFrame) -> Chart:
    """Mean best F1 of each source in both conventions, with intervals if the table has them.

    table: `comparison` of stage `concepts`. Each `published` mean is labelled with its number of
    concepts, because each source drops the concepts that it misses.
    """
    order = [source for source in SOURCES if source in set(table["source"])][::-1]
    figure, axes = panels(2, height=0.36 * len(order) + 1.2, sharey=True)
    right = max(
        [0.3, *(1.15 * x for x in [*table["mean_f1_per_domain"], *table["high"].drop_nulls()])]
    )
    for axis, convention in zip(axes, ("strict", "published"), strict=True):
        part = table.filter(pl.col("convention") == convention)
        for row in part.iter_rows(named=True):
            _mean(axis, row, order.index(row["source"]), right)
        axis.set_yticks(range(len(order)), [SOURCES[s].name for s in order])
        over = (
            f"{part['n_concepts'].max() or 0} concepts"
            if convention == "strict"
            else "each over the concepts it finds"
        )
        axis.set_title(f"{convention} ({over})", fontsize=10)
        axis.set(xlabel="mean best F1 on test", xlim=(0, right), ylim=(-0.5, len(order) - 0.2))
    words = "; ".join(
        f"{r['source']} {r['mean_f1_per_domain']:.2f}"
        for r in table.filter(pl.col("convention") == "strict").iter_rows(named=True)
    )
    figure.supxlabel(f"bars: {COVERS}", fontsize=9)
    return Chart(
        figure, f"Mean best F1 over the concepts, by source; bars: {COVERS}; strict: {words}."
    )


def _mean(axis: Axes, row: dict[str, Any], y: int, right: float) -> None:
    """One source's mean, its interval and its number; `right`: where the axis ends."""
    mean, colour = row["mean_f1_per_domain"], SOURCES[row["source"]].colour
    if row["low"] is not None:
        axis.plot(
            [row["low"], row["high"]],
            [y, y],
            color=colour,
            linewidth=3,
            alpha=0.45,
            solid_capstyle="round",
        )
    axis.plot(mean, y, "o", color=colour, markersize=8)
    if row["convention"] == "strict":
        axis.annotate(
            f"{mean:.2f}", (mean, y), (0, 8), textcoords="offset points", ha="center", fontsize=9
        )
        return
    # On the side with room: a long text over a point near either end would leave the panel.
    side, place = ("left", 8) if mean < right / 2 else ("right", -8)
    number = f"{mean:.2f} of {row['n_concepts']}"
    axis.annotate(
        number, (mean, y), (place, 0), textcoords="offset points", ha=side, va="center", fontsize=9
    )


def concepts_by_source(best: pl.DataFrame, n: int = 20) -> Chart:
    """The n concepts that the SAE matches best, and the F1 of the controls on the same ones."""
    strict = best.filter(pl.col("convention") == "strict")
    order = (
        strict.filter(pl.col("source") == "sae")
        .sort("f1_per_domain", "concept", descending=[True, False])
        .head(n)["concept"]
        .to_list()[::-1]
    )
    figure, (axis,) = panels(height=0.25 * max(len(order), 4) + 1.2)
    by_source = {
        source: {
            concept: (f1, feature)
            for concept, f1, feature in strict.filter(pl.col("source") == source)
            .select("concept", "f1_per_domain", "feature")
            .iter_rows()
        }
        for source in reversed(SOURCES)
    }
    for source, values in by_source.items():
        if values:
            axis.plot(
                [values.get(concept, (0.0, None))[0] for concept in order],
                range(len(order)),
                SOURCES[source].marker,
                color=SOURCES[source].colour,
                label=SOURCES[source].name,
                alpha=0.9,
            )
    axis.set_yticks(
        range(len(order)), [c if len(c) <= 60 else f"{c[:59]}…" for c in order], parse_math=False
    )
    axis.set(xlabel="F1 on test (precision by residues, recall by instances)", xlim=(-0.02, 1.02))
    axis.grid(axis="y", alpha=0.25)
    figure.legend(
        *axis.get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False
    )
    return Chart(
        figure,
        f"The {len(order)} concepts that the SAE's features match best, with the F1 that each "
        "control reaches on the same concepts.",
        hover.concepts(order, by_source),
    )
