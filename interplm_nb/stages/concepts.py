"""Stage `concepts`: which features match which annotated concepts, with the controls, in both
conventions."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.best_pairs import without_statistics
from interplm_nb.concepts.controls.seeds import stacked
from interplm_nb.concepts.count import Counting, MakeSums, SparseSums
from interplm_nb.concepts.repeats import merge_repeats
from interplm_nb.concepts.resumed import count_resumed
from interplm_nb.concepts.scored_concepts import scored_concepts
from interplm_nb.concepts.scores import ConceptScores
from interplm_nb.concepts.support import with_support
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.nearest_run import RunToRead
from interplm_nb.pipeline.parameters import ConceptsParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.scored_sources import (
    CONVENTIONS,
    COUNTED,
    MATCHED,
    PROBES,
    PROJECTIONS,
    SOURCES,
    scored_source,
)
from interplm_nb.progress import progress_bar
from interplm_nb.scale.address import workers_at
from interplm_nb.scale.shard_task import Workers
from interplm_nb.stages.activations import dense_about
from interplm_nb.stages.concept_overview import overview
from interplm_nb.stages.concept_statistics import links_of, with_statistics
from interplm_nb.stages.concept_summary import differences, over_seeds, summary, verdict
from interplm_nb.stages.partial_relatives import related_clusters, with_mean_apart

if TYPE_CHECKING:
    from interplm_nb.concepts.best_pairs import BestPairs
    from interplm_nb.concepts.controls.projection import Projection
    from interplm_nb.concepts.intervals import ClusterCounts
    from interplm_nb.concepts.links import ConceptLinks
    from interplm_nb.concepts.scored_concepts import ScoredConcepts

_log = logging.getLogger(__name__)

SPLITS = ("validation", "test")

MERGED = "strict, repeats merged"
"""`strict` once more, with numbered repeats as one concept."""


@dataclass(frozen=True)
class ConceptsStage:
    """What stage `concepts` made.

    `comparison`: one row per source and convention: mean best F1 over the concepts (with its 95 %
    interval and without partial relatives of train, `strict`), how many concepts beat chance, what
    is found on both splits; of a control with several seeds, `concept_summary.over_seeds`.
    `scored`: the concepts with enough instances, by convention, and the name that each is counted
    under. `differences`: how far the SAE's mean lies above each control's and reference's, with its
    interval; `verdict` says it in words. `best`: source, convention, and the best feature of each
    concept, chosen on validation, its figures from test, with the statistics of
    `best_pairs.STATISTICS`. `found`: all pairs with F1 above 0.5 on both splits and support
    (`concepts.support`), `unsupported`: those without. `links`: the SAE's features that are linked
    to a concept.
    `categories`, `unlabelled`, `coverage`: `concept_overview.overview`.
    """

    comparison: pl.DataFrame
    scored: pl.DataFrame
    differences: pl.DataFrame
    best: pl.DataFrame
    found: pl.DataFrame
    unsupported: pl.DataFrame
    links: pl.DataFrame
    categories: pl.DataFrame
    unlabelled: pl.DataFrame
    coverage: pl.DataFrame
    verdict: str
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
    if isinstance(run, RunToRead):
        return _made(run)
    manifest.begin(run, params)
    annotations = {convention: run.annotations(convention) for convention in CONVENTIONS}
    strict = annotations["strict"]
    if params.merge_repeats:
        annotations[MERGED] = merge_repeats(strict)
    splits = run.splits()
    scored = {
        convention: scored_concepts(own, splits, params.min_instances, params.min_clusters)
        for convention, own in annotations.items()
        if convention != "published"
    }
    selected = _count_all(run, params, annotations, scored) | _probe_all(
        run, params, strict, scored["strict"]
    )
    links = _linked(run, params, strict, scored["strict"].names)
    best, found, counts = _judged(run, params, annotations, selected)
    by_source = {
        source: stacked([counts[m] for m in SOURCES[source].members if m in counts])
        for source in counts
        if source in SOURCES
    }
    notes = {source: _note(run.projection(source)) for source in PROJECTIONS}
    tables = _tables(selected, best, found, counts, by_source, params, scored, notes)
    tables["comparison"] = with_mean_apart(tables["comparison"], by_source, _related(run))
    tables |= {"links": links.table, **_overview(run, strict, scored["strict"].names)}
    for name, table in tables.items():
        run.write_table("concepts", name, table)
    comparison = tables["comparison"].filter(pl.col("convention") == "strict")
    means = dict(comparison.select("source", "mean_f1_per_domain").iter_rows())
    run.write_summary("concepts", mean_f1_per_domain=means)
    return _made(run)


def _made(run: Run) -> ConceptsStage:
    """Read what the stage has made."""
    names = [f.name for f in fields(ConceptsStage) if f.name not in ("verdict", "plm")]
    tables = {name: run.table("concepts", name) for name in names}
    own = tables["comparison"].filter(pl.col("convention") == "strict", pl.col("source") == "sae")
    words = verdict(tables["differences"], own["seeds"].item())
    return ConceptsStage(**tables, verdict=words, plm=str(run.about("sae")["plm"]))


def _work(sources: list[str], merged: bool) -> list[_Counted]:
    work = []
    for source in sources:
        work.append(_Counted(source, "strict"))
        if scored_source(source).published:
            work.append(_Counted(source, "published"))
        if merged:
            work.append(_Counted(source, MERGED))
    return work


def _count_all(
    run: Run,
    params: ConceptsParameters,
    annotations: Mapping[str, Annotations],
    scored: "Mapping[str, ScoredConcepts]",
) -> "dict[_Counted, BestPairs]":
    """Count what is not counted yet, and choose each concept's best pair."""
    sums = _sums(params.device)
    work = _work(run.possible(COUNTED), params.merge_repeats)
    with workers_at(params.scheduler) as workers:
        for counted, split in progress_bar(
            [(c, s) for c in work for s in SPLITS],
            desc=f"count concepts{workers.where}",
            unit=" splits",
        ):
            folder = run.of_source(counted.source, "scores").parent
            if not _is_counted(folder, split, counted.convention):
                _count(run, counted, split, annotations, sums, workers)
    return {
        counted: _selected(
            run.scores(counted.source, "validation", counted.convention),
            run.scores(counted.source, "test", counted.convention),
            scored.get(counted.convention),
        )
        for counted in work
    }


def _count(
    run: Run,
    counted: _Counted,
    split: str,
    annotations: Mapping[str, Annotations],
    sums: MakeSums,
    workers: Workers,
) -> None:
    counting = Counting(
        run.scored(counted.source, counted.rules),
        annotations[counted.convention],
        run.accessions(split, counted.rules),
        overlap="overwrite" if counted.convention == "published" else "keep",
        sums=sums,
    )
    scores = count_resumed(counting, run.work("concepts") / "counts", workers, progress=False)
    about = _provenance(run.about(counted.source), annotations["strict"])
    folder = run.of_source(counted.source, "scores").parent
    scores.save(folder, split, counted.convention, about | {"source": counted.source})


def _is_counted(folder: Path, split: str, convention: str) -> bool:
    try:
        ConceptScores.load(folder, split, convention)
    except (KeyError, FileNotFoundError, ValueError):
        return False  # not counted yet, or a save that was cut off between its files
    return True


def _sums(device: str) -> MakeSums:
    if device in ("auto", "cpu"):
        return SparseSums
    from interplm_nb.sae.count_on_device import on_device  # only here: it needs torch

    return on_device(device)


def _provenance(about: Mapping[str, Any], annotations: Annotations) -> dict[str, Any]:
    """What tables on a source say of where they come from; `about`: `Run.about`."""
    record = {name: about[name] for name in ("plm", "plm_revision", "layer")}
    return record | {"sequences": annotations.proteins.sequence_hash}


def _selected(
    validation: "ConceptScores", test: "ConceptScores", scored: "ScoredConcepts | None"
) -> "BestPairs":
    """`published` has its own rule for which concepts are scored."""
    from interplm_nb.concepts import best_pairs

    if scored is None:
        return best_pairs.published(validation, test)
    return best_pairs.strict(validation, test, scored)


def _probe_all(
    run: Run, params: ConceptsParameters, annotations: Annotations, scored: "ScoredConcepts"
) -> "dict[_Counted, BestPairs]":
    """The references with labels, on the concepts that are scored: fitted on train, thresholds
    chosen on validation, figures from test. None where no such concept is in train."""
    from interplm_nb.concepts.controls.linear_probe import (
        ProbeFit,
        affordable,
        linear_probes,
        probe_pairs,
    )

    train, validation, test = (run.accessions(split) for split in ("train", *SPLITS))
    if annotations.only(scored.names).of(run.proteins().select(train)).table.is_empty():
        return {}
    inputs = {probe: run.inputs(probe) for probe in PROBES}
    # All probes are fitted on one sample: the widest says how large it may be.
    background = min(ProbeFit.background, *(affordable(own.d_in) for own in inputs.values()))
    fit = ProbeFit(background=background, seed=params.seed)
    selected = {}
    for probe, own in inputs.items():
        if not run.of_source(probe, "about").exists():
            found = linear_probes(own, annotations, train, scored.names, fit)
            found.save(run.source(probe))
            run.write_about(probe, **dense_about(probe, own, len(found.names)))
        selected[_Counted(probe, "strict")] = probe_pairs(
            run.projection(probe), own, annotations, validation, test, scored
        )
    return selected


def _split(run: Run, name: str) -> pl.DataFrame:
    """The proteins of a split, in order, as in `Run.splits`."""
    return run.splits().filter(pl.col("split") == name)


def _linked(
    run: Run, params: ConceptsParameters, annotations: Annotations, concepts: list[str]
) -> "ConceptLinks":
    """The SAE's features linked to these concepts, saved."""
    links = links_of(
        run.scored("sae", "strict"),
        annotations,
        (run.scores("sae", "validation"), run.scores("sae", "test")),
        concepts,
        _split(run, "test"),
        _split(run, "train"),
        params,
    )
    about = _provenance(run.about("sae"), annotations) | {"min_instances": params.min_instances}
    links.save(run.source("sae"), about)
    return links


def _judged(
    run: Run,
    params: ConceptsParameters,
    annotations: Mapping[str, Annotations],
    selected: "Mapping[_Counted, BestPairs]",
) -> "tuple[dict[_Counted, pl.DataFrame], dict[_Counted, pl.DataFrame], dict[str, ClusterCounts]]":
    """The best pairs with their statistics, which `strict` alone has; the pairs with F1 above 0.5
    on both splits with their support; each source's counts by cluster of test, `strict`."""
    best, found, counts = {}, {}, {}
    splits, clusters = run.splits(), _split(run, "test")
    for counted, chosen in progress_bar(
        selected.items(), desc="intervals and chance", unit=" sources"
    ):
        values = run.scored(counted.source, counted.rules)
        on_test = splits.filter(pl.col("accession").is_in(run.accessions("test", counted.rules)))
        found[counted] = with_support(
            values, annotations[counted.convention], chosen.candidates, on_test
        )
        if counted.convention != "strict":
            best[counted] = without_statistics(chosen.pairs)
            continue
        best[counted], by_cluster = with_statistics(
            values, annotations["strict"], chosen.pairs, clusters, params
        )
        if by_cluster is not None:
            counts[counted.source] = by_cluster
    return best, found, counts


def _related(run: Run) -> set[int] | None:
    """`related_clusters` of the run; None, logged, where its partial relatives are not known."""
    try:
        return related_clusters(run.splits(), run.partial_relatives())
    except PipelineError as error:
        _log.warning("no mean without partial relatives: %s", error)
        return None


def _overview(
    run: Run, annotations: Annotations, concepts: list[str]
) -> Mapping[str, pl.DataFrame]:
    test = run.accessions("test")
    tables: dict[str, list[pl.DataFrame]] = {}
    for source in run.possible(MATCHED):
        validation, on_test = (run.scores(source, split) for split in SPLITS)
        values = run.scored(source, "strict")
        own = overview(values, annotations, validation, on_test, concepts, test)
        for name, table in own.items():
            tables.setdefault(name, []).append(
                table.select(pl.lit(source).alias("source"), pl.all())
            )
    return {name: pl.concat(parts) for name, parts in tables.items()}


def _tables(
    selected: "Mapping[_Counted, BestPairs]",
    best: Mapping[_Counted, pl.DataFrame],
    found: Mapping[_Counted, pl.DataFrame],
    counts: "Mapping[str, ClusterCounts]",
    by_source: "Mapping[str, ClusterCounts]",
    params: ConceptsParameters,
    scored: "Mapping[str, ScoredConcepts]",
    notes: Mapping[str, str | None],
) -> dict[str, pl.DataFrame]:
    """The tables of `ConceptsStage` that compare sources. counts: by seed; by_source: seeds of a
    source as one; notes: by source."""
    rows, pairs, high = [], [], []
    for counted in selected:
        source, convention = counted
        if source not in SOURCES:
            continue  # a further seed: part of its source's row
        by_cluster = counts if convention == "strict" else {}
        seeds = [counted._replace(source=member) for member in SOURCES[source].members]
        parts = [
            summary(
                seed.source,
                convention,
                selected[seed],
                best[seed],
                found[seed],
                by_cluster,
                params,
                scored.get(convention),
            )
            for seed in seeds
            if seed in selected
        ]
        whole = by_source.get(source) if convention == "strict" else None
        row = over_seeds(parts, whole, params)
        rows.append(row.with_columns(pl.lit(notes.get(source), pl.String).alias("note")))
        named = (pl.lit(source).alias("source"), pl.lit(convention).alias("convention"), pl.all())
        ordered = best[counted].sort("f1_per_domain", "concept", descending=[True, False])
        pairs.append(ordered.select(named))
        high.append(found[counted].select(named))
    above_half = pl.concat(high)
    return {
        "comparison": pl.concat(rows),
        "scored": pl.concat(
            own.table.select(pl.lit(convention).alias("convention"), pl.all())
            for convention, own in scored.items()
        ),
        "differences": differences(by_source, params),
        "best": pl.concat(pairs),
        "found": above_half.filter("supported").drop("supported"),
        "unsupported": above_half.filter(~pl.col("supported")).drop("supported"),
    }


def _note(projection: "Projection") -> str | None:
    """What weakens the figures of principal or independent components, if anything does."""
    settings = projection.settings
    if settings.get("converged", True):
        return None
    return f"not converged: gradient {settings['gradient']:.1e} after {settings['steps']} steps"
