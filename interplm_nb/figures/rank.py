"""Pictures of features ranked by labels of proteins."""

import polars as pl

from interplm_nb.concepts.by_protein.rank import NAMES, Ranked
from interplm_nb.figures.chart import Chart, panels
from interplm_nb.figures.tables import Table
from interplm_nb.pipeline.scored_sources import scored_source
from interplm_nb.questions.rank import shown

_FILLED = {"feature": True, "classifier": False, "search": True}


def ranked(found: Ranked) -> Chart:
    """Each label's best feature, classifier and controls on test, with intervals and chance.

    Filled marks are one feature, open ones a classifier; the dotted mark is chance.
    """
    table = found.best()
    labels = table["label"].unique(maintain_order=True).to_list()
    figure, axes = panels(len(labels), height=0.34 * table.height / len(labels) + 1.3, sharex=True)
    for axis, label in zip(axes, labels, strict=True):
        part = table.filter(pl.col("label") == label)
        names = shown(part, found.by).select("source", "what").rows()
        for i, row in enumerate(part.iter_rows(named=True)):
            value, low, high = (row[f"{found.by}{end}"] for end in ("", "_low", "_high"))
            source = scored_source(row["source"])
            axis.plot([low, high], [i, i], color=source.colour, linewidth=1.6)
            axis.plot(
                value,
                i,
                source.marker,
                color=source.colour,
                markersize=8,
                markerfacecolor=source.colour if _FILLED[row["model"]] else "#FFFFFF",
            )
            axis.plot([row["chance"]] * 2, [i - 0.3, i + 0.3], ":", color="#000000", linewidth=1.6)
        axis.set_yticks(range(part.height), [f"{a}: {b}" for a, b in names], fontsize=9)
        axis.set(xlabel=f"{NAMES[found.by]} on test", ylim=(part.height - 0.4, -0.6))
        axis.set_title(label, fontsize=10, loc="left", parse_math=False)
        axis.grid(axis="x", alpha=0.25)
    return Chart(figure, found.verdict())


def best(found: Ranked) -> Table:
    """The best of each source, as `questions.rank.shown`."""
    caption = f"read on test: {found.n_clusters} homology clusters"
    return Table(shown(found.best(), found.by), caption, {"what": "best on validation"})


def features(found: Ranked, n: int = 10) -> Table:
    """Each label's first n features."""
    own = found.table.filter(pl.col("source") == found.source, pl.col("model") == "feature")
    part = own.group_by("label", maintain_order=True).head(n)
    return Table(shown(part, found.by), "features, best on validation first", {"what": "feature"})
