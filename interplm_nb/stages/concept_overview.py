"""What the sources find by category, what they leave without a label, and how much of an instance
their features cover: tables for the figures."""

from collections.abc import Iterator

import polars as pl

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.by_category import LIMITS, above, best_of_feature, by_category, unlabelled
from interplm_nb.concepts.links import linked
from interplm_nb.concepts.point_or_domain import domain_coverage
from interplm_nb.concepts.scores import ConceptScores
from interplm_nb.concepts.source import Source


def overview(
    values: Source,
    annotations: Annotations,
    validation: ConceptScores,
    test: ConceptScores,
    concepts: list[str],
    accessions: list[str],
) -> dict[str, pl.DataFrame]:
    """`strict`, of one source: `categories` (`by_category`), `unlabelled` (of features that fire on
    validation), `coverage` (`domain_coverage`, on `accessions`: the test proteins).

    Coverage is of each feature's best concept among those with f1_per_domain above the lowest of
    `LIMITS` on validation and on test.
    """
    links = linked(validation, test, concepts, LIMITS[0])
    best = best_of_feature(links.filter(above(LIMITS[0])))
    return {
        "categories": by_category(links),
        "unlabelled": unlabelled(links, validation.active[:, 0] > 0),
        "coverage": domain_coverage(values, annotations, best, accessions),
    }


def by_source(coverage: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """A table of `overview`, source by source, in its order."""
    for (source,), part in coverage.group_by("source", maintain_order=True):
        yield str(source), part
