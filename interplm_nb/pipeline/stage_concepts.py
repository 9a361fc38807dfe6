"""Stage `concepts`: which features match which annotated concepts, beside the controls, in both conventions."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
from tqdm.auto import tqdm

from interplm_nb.annotations import Annotations
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.layout import CONVENTIONS, SOURCES
from interplm_nb.pipeline.parameters import ConceptsParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins

if TYPE_CHECKING:
    from interplm_nb.concepts.intervals import ClusterCounts, Interval
    from interplm_nb.concepts.selection import Selected

SPLITS = ("validation", "test")


@dataclass(frozen=True)
class ConceptsStage:
    """What stage `concepts` made.

    `comparison`: one row per source and convention: mean best F1 over the concepts (with its 95 % interval, `strict`), what is found on both
    splits. `differences`: how far the SAE's mean lies above each control's, with its interval. `best`: source, convention, and the best feature of
    each concept, chosen on validation, its figures from test. `found`: all pairs with F1 above 0.5 on both splits.
    """

    comparison: pl.DataFrame
    differences: pl.DataFrame
    best: pl.DataFrame
    found: pl.DataFrame
    plm: str


def concepts(run: Run, params: ConceptsParameters) -> ConceptsStage:
    """Count on validation and test, choose on validation, read on test; goes on with the next source after a kill."""
    manifest.begin(run, params)
    proteins = run.proteins()
    annotations = {convention: run.annotations(convention, proteins) for convention in CONVENTIONS}
    work = [(source, convention, split) for source in SOURCES for convention in CONVENTIONS for split in SPLITS]
    for source, convention, split in tqdm(work, desc="count concepts", unit=" splits"):
        if not _counted(run, source, convention, split):
            _count(run, proteins, annotations[convention], source, convention, split)
    selected = {(source, convention): _select(run, params, source, convention) for source in SOURCES for convention in CONVENTIONS}
    intervals = _Intervals(run, params, proteins, annotations["strict"], {s: selected[s, "strict"] for s in SOURCES})
    return _write(run, selected, intervals)


def _counted(run: Run, source: str, convention: str, split: str) -> bool:
    try:
        run.scores(source, split, convention)
    except (PipelineError, KeyError, FileNotFoundError, ValueError):  # none yet, or a save that was cut off between its files
        return False
    return True


def _count(run: Run, proteins: Proteins, annotations: Annotations, source: str, convention: str, split: str) -> None:
    from interplm_nb.concepts.count import count

    values = run.scored(source, convention, proteins)
    scores = count(values, annotations, run.accessions(split, convention), overlap="keep" if convention == "strict" else "overwrite")
    about = run.about(source)
    record = {
        "source": source,
        "plm": about["plm"],
        "plm_revision": about["plm_revision"],
        "layer": about["layer"],
        "sequences": proteins.sequence_hash,
    }
    scores.save(run.source(source), split, convention, record)


def _select(run: Run, params: ConceptsParameters, source: str, convention: str) -> "Selected":
    from interplm_nb.concepts import selection

    validation, test = (run.scores(source, split, convention) for split in SPLITS)
    if convention == "strict":
        return selection.strict(validation, test, params.min_instances)
    return selection.published(validation, test)


class _Intervals:
    """95 % intervals of the strict means and of their differences, over resampled homology clusters; none where no concept is scored."""

    def __init__(self, run: Run, params: ConceptsParameters, proteins: Proteins, annotations: Annotations, selected: "dict[str, Selected]") -> None:
        from interplm_nb.concepts.intervals import by_cluster

        self._params = params
        self._counts: dict[str, ClusterCounts] = {}
        clusters = run.splits().filter(pl.col("split") == "test")
        if params.bootstrap and selected["sae"].pairs.height:
            for source, chosen in tqdm(selected.items(), desc="intervals", unit=" sources"):
                self._counts[source] = by_cluster(run.scored(source, "strict", proteins), annotations, chosen.pairs, clusters)

    def of(self, source: str) -> "Interval | None":
        from interplm_nb.concepts.intervals import interval

        return interval(self._counts[source], self._params.bootstrap, self._params.seed) if self._counts else None

    def differences(self) -> pl.DataFrame:
        """The SAE's mean best F1 less each control's: control, difference, low, high."""
        from interplm_nb.concepts.intervals import difference

        found = {s: difference(self._counts["sae"], self._counts[s], self._params.bootstrap, self._params.seed) for s in self._counts if s != "sae"}
        rows = [{"control": s, "difference": i.estimate, "low": i.low, "high": i.high} for s, i in found.items()]
        return pl.DataFrame(rows, schema={"control": pl.String, "difference": pl.Float64, "low": pl.Float64, "high": pl.Float64})


def _write(run: Run, selected: "dict[tuple[str, str], Selected]", intervals: _Intervals) -> ConceptsStage:
    summaries, best, found = [], [], []
    for (source, convention), chosen in selected.items():
        interval = intervals.of(source) if convention == "strict" else None
        low, high = (interval.low, interval.high) if interval else (None, None)
        bounds = (pl.lit(low, pl.Float64).alias("low"), pl.lit(high, pl.Float64).alias("high"))
        summaries.append(chosen.summary(source).with_columns(bounds))
        name = (pl.lit(source).alias("source"), pl.lit(convention).alias("convention"), pl.all())
        best.append(chosen.pairs.select(name).sort("f1_per_domain", "concept", descending=[True, False]))
        found.append(chosen.found.select(name))
    tables = {"comparison": pl.concat(summaries), "differences": intervals.differences(), "best": pl.concat(best), "found": pl.concat(found)}
    for name, table in tables.items():
        run.write_table("concepts", name, table)
    means = dict(tables["comparison"].filter(pl.col("convention") == "strict").select("source", "mean_f1_per_domain").iter_rows())
    run.write_summary("concepts", mean_f1_per_domain=means)
    return ConceptsStage(**tables, plm=str(run.about("sae")["plm"]))
