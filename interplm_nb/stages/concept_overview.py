"""What the sources find by category, what they leave without a label, and how much of an instance
their features cover: tables for the figures."""

from collections.abc import Iterator

import polars as pl

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.by_category import LIMITS, best_of_feature, by_category, unlabelled
from interplm_nb.concepts.links import linked
from interplm_nb.concepts.point_or_domain import domain_coverage
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import MATCHED


def overview(run: Run, annotations: Annotations, concepts: list[str]) -> dict[str, pl.DataFrame]:
    """`strict`, by source: `categories` (`by_category`), `unlabelled` (of features that fire on
    validation), `coverage` (`domain_coverage`, on test).

    Coverage is of each feature's best concept among those with f1_per_domain above the lowest of
    `LIMITS` on validation and on test.
    """
    parts: dict[str, list[pl.DataFrame]] = {"categories": [], "unlabelled": [], "coverage": []}
    for source in run.possible(MATCHED):
        validation, test = (run.scores(source, split) for split in ("validation", "test"))
        links = linked(validation, test, concepts, LIMITS[0])
        both = pl.min_horizontal("validation_f1_per_domain", "f1_per_domain")
        best = best_of_feature(links.filter(both > LIMITS[0]))
        values, accessions = run.scored(source, "strict"), run.accessions("test")
        tables = {
            "categories": by_category(links),
            "unlabelled": unlabelled(links, validation.active[:, 0] > 0),
            "coverage": domain_coverage(values, annotations, best, accessions),
        }
        for name, table in tables.items():
            parts[name].append(table.select(pl.lit(source).alias("source"), pl.all()))
    return {name: pl.concat(tables) for name, tables in parts.items()}


def by_source(coverage: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """A table of `overview`, source by source, in its order."""
    for (source,), part in coverage.group_by("source", maintain_order=True):
        yield str(source), part
