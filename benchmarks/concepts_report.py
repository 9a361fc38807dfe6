"""The strict concept report of a finished run: counts, selection, AUPRC, intervals, nulls.

The run is the folder in the environment variable INTERPLM_NB_RUN, such as one of the profile
`proteomes`; nothing in it is changed. There is no other side to run; the goals are bounds: 2
minutes for counts, selection, AUPRC and 1,000 resamples, 1 minute for 1,000 draws of each null, on
2 cores.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import polars as pl

from benchmarks.harness import Figure
from interplm_nb.concepts.auprc import average_precision
from interplm_nb.concepts.best_pairs import strict
from interplm_nb.concepts.count import count
from interplm_nb.concepts.intervals import by_cluster, pair_intervals
from interplm_nb.concepts.links import linked
from interplm_nb.concepts.scored_concepts import scored_concepts
from interplm_nb.concepts.significance import significance
from interplm_nb.pipeline.run import Run

VARIABLE = "INTERPLM_NB_RUN"
SECONDS, TEST_SECONDS = 120.0, 60.0
DRAWS, MIN_F1 = 1000, 0.2
"""Linked pairs with at least this f1_per_domain on validation are tested as well as the best
ones."""

T = TypeVar("T")


def run() -> list[Figure]:
    """Wall seconds of the report and of the tests; nothing without a named run."""
    if not os.environ.get(VARIABLE):
        print(f"concepts_report: left out; name the folder of a finished run in {VARIABLE}")
        return []
    made = Run.open(Path(os.environ[VARIABLE]))
    proteins = made.proteins()
    annotations, source, clusters = (
        made.annotations(),
        made.scored("sae", "strict"),
        made.splits().filter(split="test"),
    )
    spent: dict[str, float] = {}
    scored = _timed(spent, "concepts", lambda: scored_concepts(annotations, made.splits()))
    validation, test = (
        _timed(spent, f"counts of {s}", lambda s=s: count(source, annotations, made.accessions(s)))
        for s in ("validation", "test")
    )
    pairs = _timed(spent, "selection", lambda: strict(validation, test, scored)).pairs
    _timed(
        spent,
        "AUPRC",
        lambda: average_precision(source, annotations, pairs, clusters["accession"].to_list()),
    )
    _timed(
        spent,
        "intervals",
        lambda: pair_intervals(by_cluster(source, annotations, pairs, clusters), DRAWS),
    )
    more = linked(validation, test, pairs["concept"].to_list(), MIN_F1)
    tested = pl.concat(
        [table.select("concept", "feature", "threshold") for table in (pairs, more)]
    ).unique(maintain_order=True)
    tests: dict[str, float] = {}
    _timed(tests, "tests", lambda: significance(source, annotations, tested, clusters, DRAWS))
    size = (
        f"{proteins.n_residues:,} residues, {source.n_features:,} features, {pairs.height} concepts"
    )
    parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in spent.items())
    return [
        Figure.within(
            "concepts: strict report", sum(spent.values()), SECONDS, "s", f"{size}; {parts}"
        ),
        Figure.within(
            "concepts: two nulls", tests["tests"], TEST_SECONDS, "s", f"{tested.height} pairs"
        ),
    ]


def _timed(spent: dict[str, float], name: str, work: Callable[[], T]) -> T:
    start = time.perf_counter()
    done = work()
    spent[name] = time.perf_counter() - start
    return done
