"""Pictures and tables of the lesson on descriptions."""

import numpy as np
import polars as pl

from interplm_nb.figures.chart import Chart, panels
from interplm_nb.figures.tables import Sentence, Table
from interplm_nb.pipeline.scored_sources import SOURCES

_GIVEN = {
    "description": ("the description", "#0072B2", "o"),
    "another description": ("another feature's", "#D55E00", "s"),
    "no description": ("the length alone", "#009E73", "^"),
    "composition": ("length and composition", "#6F6F6F", "D"),
}
"""Words, colour and mark of what a judge is given; "the mean" predicts nothing and is left out."""

_SCORE = {"pearson": "r", "pearson_low": "from", "pearson_high": "to"}

NONE = Sentence(
    "No feature has enough examples: 20 proteins on which it reaches 0.7 of its maximum. A run "
    "with more proteins has some."
)


def descriptions(table: pl.DataFrame, n: int = 12) -> Table | Sentence:
    """The first descriptions of a source: feature, summary, and the judge's r."""
    if table.is_empty():
        return NONE
    return Table(
        table.head(n),
        f"{min(n, table.height)} of {table.height} descriptions",
        _SCORE,
    )


def found(descriptions: pl.DataFrame, judged: pl.DataFrame, n: int = 12) -> Table | Sentence:
    """The descriptions of features that match a concept, apart from the sample: `found` of stage
    `interpret`."""
    if descriptions.is_empty():
        return Sentence("This run describes no feature that matches a concept apart from these.")
    words = f"{min(n, descriptions.height)} of {descriptions.height} descriptions of features that "
    return Table(
        with_scores(descriptions, judged).head(n),
        f"{words}match a concept, chosen for it: no figure of this lesson counts them",
        _SCORE,
    )


def with_scores(descriptions: pl.DataFrame, judged: pl.DataFrame) -> pl.DataFrame:
    """feature, summary, pearson, pearson_low, pearson_high: best predicted first."""
    own = judged.filter(pl.col("given") == "description")
    scores = own.select("feature", "pearson", "pearson_low", "pearson_high")
    joined = descriptions.select("feature", "summary").join(scores, on="feature", how="left")
    return joined.sort("pearson", descending=True, nulls_last=True)


def medians(table: pl.DataFrame) -> Chart | Sentence:
    """The median r of each source's descriptions with those of the nulls, with intervals."""
    if table.is_empty():
        return NONE
    sources = table["source"].unique(maintain_order=True).to_list()
    figure, (axis,) = panels(height=0.9 + 0.7 * len(sources))
    said = []
    for i, (given, (words, colour, mark)) in enumerate(_GIVEN.items()):
        rows = table.filter(pl.col("given") == given)
        y = np.array([sources.index(s) for s in rows["source"]]) + (i - 1.5) * 0.16
        middle, low, high = (
            rows[name].to_numpy() for name in ("median_pearson", "median_low", "median_high")
        )
        axis.errorbar(
            middle,
            y,
            xerr=np.maximum([middle - low, high - middle], 0),
            fmt=mark,
            color=colour,
            label=words,
            capsize=2,
        )
        said += [
            f"{SOURCES[source].name}, {words}: {value:.2f}"
            for source, value in rows.select("source", "median_pearson").iter_rows()
        ]
    axis.set_yticks(range(len(sources)), [SOURCES[s].name for s in sources])
    axis.set_ylim(len(sources) - 0.5, -0.5)
    axis.axvline(0, color="#9CA3AF", linewidth=0.8)
    axis.set_xlabel("median Pearson r over features, predicted against measured maxima")
    axis.legend(
        frameon=False, title="the judge is given", loc="center left", bbox_to_anchor=(1, 0.5)
    )
    return Chart(
        figure,
        "Median correlation of predicted and measured maxima on proteins that the description was "
        f"not made from. {'; '.join(said)}.",
    )


def scores(table: pl.DataFrame) -> Table | Sentence:
    """Detection, fuzzing and intruder scores of each source."""
    if table.is_empty():
        return NONE
    label = pl.col("source").replace_strict({s: SOURCES[s].name for s in SOURCES}, default=None)
    return Table(
        table.with_columns(label.fill_null(pl.col("source")).alias("source")).drop("describer"),
        "can a feature be recognised by its description?",
        {"above_chance": "features with p <= 0.05"},
    )
