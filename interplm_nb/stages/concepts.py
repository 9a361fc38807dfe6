"""Stage `concepts`: which features match which annotated concepts, beside the controls, in both
conventions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl
from tqdm.auto import tqdm

from interplm_nb.annotations import Annotations
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.parameters import ConceptsParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import CONVENTIONS, MATCHED, PROBE, SOURCES
from interplm_nb.stages.activations import write_dense_about

if TYPE_CHECKING:
    from interplm_nb.concepts.best_pairs import BestPairs
    from interplm_nb.concepts.intervals import ClusterCounts
    from interplm_nb.concepts.scores import ConceptScores

SPLITS = ("validation", "test")

MERGED = "strict, repeats merged"
"""`strict` once more, with numbered repeats as one concept."""


@dataclass(frozen=True)
class ConceptsStage:
    """What stage `concepts` made.

    `comparison`: one row per source and convention: mean best F1 over the concepts (with its 95 %
    interval and without partial relatives of train, `strict`), how many concepts beat chance, what
    is found on both splits.
    `differences`: how far the SAE's mean lies above each control's, with its interval. `best`:
    source, convention, and the best feature of each concept, chosen on validation, its figures
    from test, with the statistics of `concept_statistics.STATISTICS`. `found`: all pairs with F1
    above 0.5 on both splits. `links`: the SAE's features that are linked to a concept.
    `categories`, `unlabelled`, `coverage`: `concept_overview.overview`.
    """

    comparison: pl.DataFrame
    differences: pl.DataFrame
    best: pl.DataFrame
    found: pl.DataFrame
    links: pl.DataFrame
    categories: pl.DataFrame
    unlabelled: pl.DataFrame
    coverage: pl.DataFrame
    plm: str


class _Counted(NamedTuple):
    """One table of counts: a source under a convention."""

    source: str
    convention: str

    @property
    def rules(self) -> str:
        """The convention whose splits and maxima are taken."""
        return "strict" if self.convention == MERGED else self.convention


def concepts(run: Run, params: ConceptsParameters) -> ConceptsStage:
    """Count on validation and test, choose on validation, report test.

    After a kill it resumes within the count that was cut off.
    """
    from interplm_nb.concepts.repeats import merge_repeats
    from interplm_nb.stages.concept_overview import overview
    from interplm_nb.stages.concept_statistics import STATISTICS, links_of, with_statistics
    from interplm_nb.stages.partial_relatives import with_mean_apart

    manifest.begin(run, params)
    annotations = {convention: run.annotations(convention) for convention in CONVENTIONS}
    strict = annotations["strict"]
    if params.merge_repeats:
        annotations[MERGED] = merge_repeats(strict)
    work = _work(run.possible(MATCHED), params.merge_repeats)
    for counted, split in tqdm(
        [(c, s) for c in work for s in SPLITS], desc="count concepts", unit=" splits"
    ):
        if not _is_counted(run, counted, split):
            _count(run, annotations[counted.convention], counted, split, params.device)
    selected = {}
    for counted in work:
        selected[counted] = _selected(
            run.scores(counted.source, "validation", counted.convention),
            run.scores(counted.source, "test", counted.convention),
            counted.convention,
            params.min_instances,
        )
    names = selected[_Counted("sae", "strict")].pairs["concept"].to_list()
    clusters = {
        split: part for (split,), part in run.splits().group_by("split", maintain_order=True)
    }
    learned = run.proteins().select(run.accessions("train"))
    if not strict.only(names).of(learned).table.is_empty():
        selected[_Counted(PROBE, "strict")] = _probe(run, strict, names, params)
    sae = run.scored("sae", "strict")
    scores = (run.scores("sae", "validation"), run.scores("sae", "test"))
    links = links_of(sae, strict, scores, names, clusters["test"], clusters["train"], params)
    links.save(run.source("sae"), _record(run, "sae") | {"min_instances": params.min_instances})
    best, counts = {}, {}
    for counted, chosen in tqdm(selected.items(), desc="intervals and chance", unit=" sources"):
        if counted.convention != "strict":
            best[counted] = chosen.pairs.with_columns(
                pl.lit(None, kind).alias(name) for name, kind in STATISTICS.items()
            )
            continue
        best[counted], found = with_statistics(
            run.scored(counted.source, "strict"), strict, chosen.pairs, clusters["test"], params
        )
        if found is not None:
            counts[counted.source] = found
    tables = _tables(selected, best, counts, params)
    tables["comparison"] = with_mean_apart(tables["comparison"], counts, run)
    tables |= {"links": links.table, **overview(run, strict, names)}
    for name, table in tables.items():
        run.write_table("concepts", name, table)
    comparison = tables["comparison"].filter(pl.col("convention") == "strict")
    means = dict(comparison.select("source", "mean_f1_per_domain").iter_rows())
    run.write_summary("concepts", mean_f1_per_domain=means)
    return ConceptsStage(**tables, plm=str(run.about("sae")["plm"]))


def _work(sources: list[str], merged: bool) -> list[_Counted]:
    work = []
    for source in sources:
        work.append(_Counted(source, "strict"))
        if SOURCES[source].published:
            work.append(_Counted(source, "published"))
        if merged:
            work.append(_Counted(source, MERGED))
    return work


def _is_counted(run: Run, counted: _Counted, split: str) -> bool:
    try:
        run.scores(counted.source, split, counted.convention)
    except (PipelineError, KeyError, FileNotFoundError, ValueError):
        return False  # not counted yet, or a save that was cut off between its files
    return True


def _count(run: Run, annotations: Annotations, counted: _Counted, split: str, device: str) -> None:
    from interplm_nb.concepts.count import SparseSums
    from interplm_nb.concepts.resumed import count_resumed

    sums = SparseSums
    if device not in ("auto", "cpu"):  # only then: this stage needs no torch
        from interplm_nb.sae.count_on_device import on_device

        sums = on_device(device)

    state = run.work("concepts") / f"{counted.source}_{counted.rules}_{split}.safetensors"
    scores = count_resumed(
        run.scored(counted.source, counted.rules),
        annotations,
        state,
        run.accessions(split, counted.rules),
        overlap="overwrite" if counted.convention == "published" else "keep",
        sums=sums,
    )
    about = _record(run, counted.source) | {"source": counted.source}
    scores.save(run.source(counted.source), split, counted.convention, about)


def _record(run: Run, source: str) -> dict[str, Any]:
    """What tables on a source say of where they come from."""
    about = run.about(source)
    record = {name: about[name] for name in ("plm", "plm_revision", "layer")}
    return record | {"sequences": run.proteins().sequence_hash}


def _selected(
    validation: "ConceptScores", test: "ConceptScores", convention: str, min_instances: int
) -> "BestPairs":
    from interplm_nb.concepts import best_pairs

    if convention == "published":
        return best_pairs.published(validation, test)
    return best_pairs.strict(validation, test, min_instances)


def _probe(
    run: Run, annotations: Annotations, concepts: list[str], params: ConceptsParameters
) -> "BestPairs":
    """The upper bound on the concepts that are scored: fitted on train, thresholds chosen on
    validation, figures from test."""
    from interplm_nb.concepts.controls.linear_probe import linear_probes, probe_pairs

    embeddings = run.embeddings()
    if not run.of_source(PROBE, "about").exists():
        train = run.accessions("train")
        probes = linear_probes(embeddings, annotations, train, concepts, seed=params.seed)
        probes.save(run.source(PROBE))
        write_dense_about(run, PROBE, len(probes.names))
    validation, test = (run.accessions(split) for split in SPLITS)
    return probe_pairs(
        run.projection(PROBE), embeddings, annotations, validation, test, params.min_instances
    )


def _tables(
    selected: "Mapping[_Counted, BestPairs]",
    best: Mapping[_Counted, pl.DataFrame],
    counts: "Mapping[str, ClusterCounts]",
    params: ConceptsParameters,
) -> dict[str, pl.DataFrame]:
    from interplm_nb.stages.concept_summary import differences, summary

    rows, pairs, found = [], [], []
    for counted, chosen in selected.items():
        source, convention = counted
        named = (pl.lit(source).alias("source"), pl.lit(convention).alias("convention"), pl.all())
        by_cluster = counts if convention == "strict" else {}
        rows.append(summary(source, convention, chosen, best[counted], by_cluster, params))
        ordered = best[counted].sort("f1_per_domain", "concept", descending=[True, False])
        pairs.append(ordered.select(named))
        found.append(chosen.found.select(named))
    return {
        "comparison": pl.concat(rows),
        "differences": differences(counts, params),
        "best": pl.concat(pairs),
        "found": pl.concat(found),
    }
