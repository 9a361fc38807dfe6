"""A run's scores and controls as tables of Markdown, for pages and for the card of its SAE."""

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import scored_source
from interplm_nb.stages.concept_summary import verdict
from interplm_nb.stages.partial_relatives import COLUMN
from interplm_nb.stages.train import FAITHFUL


def sources(run: Run) -> str:
    """Each source's mean best F1 and what it finds."""
    table = run.table("concepts", "comparison").filter(convention="strict")
    return markdown(
        (
            "source",
            "mean best F1",
            "without partial relatives",
            "features / concepts found",
            "by F1 > 0.5 alone",
            "mean AUPRC",
            "concepts above chance",
        ),
        (
            (
                named(row["source"]),
                interval(row["mean_f1_per_domain"], row["low"], row["high"]) + _range(row),
                interval(row[COLUMN]),
                f"{row['features_found']} / {row['concepts_found']}",
                f"{row['features_found_by_f1_alone']} / {row['concepts_found_by_f1_alone']}",
                interval(row["mean_auprc"]),
                f"{row['concepts_above_chance']} of {row['n_concepts']}",
            )
            for row in table.iter_rows(named=True)
        ),
    )


def published(run: Run) -> str:
    """The paper's convention, for the sources that it scores."""
    table = run.table("concepts", "comparison").filter(convention="published")
    return markdown(
        ("source", "mean best F1", "concepts averaged", "left out", "features / concepts F1 > 0.5"),
        (
            (
                named(row["source"]),
                interval(row["mean_f1_per_domain"]),
                str(row["n_concepts"]),
                str(row["n_dropped"]),
                f"{row['features_found_by_f1_alone']} / {row['concepts_found_by_f1_alone']}",
            )
            for row in table.iter_rows(named=True)
        ),
    )


def in_words(run: Run) -> str:
    """What the intervals of the differences amount to; "" where the SAE is alone, as in a run from
    parts."""
    comparison = run.table("concepts", "comparison").filter(convention="strict")
    if comparison.height == 1:
        return ""
    seeds = comparison.filter(source="sae")["seeds"].item()
    return verdict(run.table("concepts", "differences"), seeds)


def fidelity(run: Run) -> str:
    """Loss recovered, quality and use of the SAE and of a random one."""
    measured, use = run.table("train", "fidelity"), run.table("train", "use")
    quality = run.table("train", "quality")
    rows = []
    for (measure,), part in measured.group_by("measure", maintain_order=True):
        by = {row["source"]: row for row in part.iter_rows(named=True)}
        cells = [by.get(source) for source in FAITHFUL]
        shown = [
            interval(
                cell["loss_recovered"], cell["loss_recovered_low"], cell["loss_recovered_high"]
            )
            if cell
            else ""
            for cell in cells
        ]
        rows.append((f"loss recovered, {measure}", *shown))
    for name, words in (("fvu", "FVU, residues of validation"), ("l0", "L0")):
        rows.append((words, *(f"{_of(quality, s, name):.3g}" for s in FAITHFUL)))
    for name, words in (
        ("silent", "features silent on train"),
        ("rare", "rare: on fewer than 1 in 10,000 residues"),
        ("effective", "effective number of features"),
    ):
        rows.append((words, *(f"{_of(use, s, name):,.0f}" for s in FAITHFUL)))
    return markdown(("", *map(named, FAITHFUL)), rows)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown.

    >>> print(markdown(("source", "F1"), [("SAE", "0.23")]))
    | source | F1 |
    | --- | --- |
    | SAE | 0.23 |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def interval(
    value: float | None, low: float | None = None, high: float | None = None, digits: int = 3
) -> str:
    """A figure, with its interval where it has one.

    >>> interval(0.5, 0.4, 0.6, digits=1), interval(0.5), interval(None)
    ('0.5 (0.4 to 0.6)', '0.500', 'not defined')
    """
    if value is None:
        return "not defined"
    if low is None or high is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def named(source: str) -> str:
    """A source as a table's row begins.

    >>> named("pca")
    'Principal components'
    """
    words = scored_source(source).words
    return words[0].upper() + words[1:]


def _of(table: pl.DataFrame, source: str, column: str) -> float:
    return table.row(by_predicate=pl.col("source") == source, named=True)[column]


def _range(row: dict[str, Any]) -> str:
    if row["lowest_seed"] is None:
        return ""
    return f"; {row['seeds']} seeds: {row['lowest_seed']:.3f} to {row['highest_seed']:.3f}"
