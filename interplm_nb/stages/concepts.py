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
from interplm_nb.pipeline.scored_sources import (
    CONVENTIONS,
    COUNTED,
    PROBES,
    PROJECTIONS,
    SOURCES,
    scored_source,
)
from interplm_nb.stages.activations import write_dense_about

if TYPE_CHECKING:
    from interplm_nb.concepts.best_pairs import BestPairs
    from interplm_nb.concepts.intervals import ClusterCounts
    from interplm_nb.concepts.scored_concepts import ScoredConcepts
    from interplm_nb.concepts.scores import ConceptScores

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
    `concept_statistics.STATISTICS`. `found`: all pairs with F1 above 0.5 on both splits and support
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
    from interplm_nb.concepts.repeats import merge_repeats
    from interplm_nb.concepts.scored_concepts import scored_concepts
    from interplm_nb.concepts.support import with_support
    from interplm_nb.stages.concept_overview import overview
    from interplm_nb.stages.concept_statistics import STATISTICS, links_of, with_statistics
    from interplm_nb.stages.concept_summary import verdict

    manifest.begin(run, params)
    annotations = {convention: run.annotations(convention) for convention in CONVENTIONS}
    strict = annotations["strict"]
    if params.merge_repeats:
        annotations[MERGED] = merge_repeats(strict)
    work = _work(run.possible(COUNTED), params.merge_repeats)
    for counted, split in tqdm(
        [(c, s) for c in work for s in SPLITS], desc="count concepts", unit=" splits"
    ):
        if not _is_counted(run, counted, split):
            _count(run, annotations[counted.convention], counted, split, params.device)
    splits = run.splits()
    scored = {
        convention: scored_concepts(own, splits, params.min_instances, params.min_clusters)
        for convention, own in annotations.items()
        if convention != "published"
    }
    selected = {}
    for counted in work:
        selected[counted] = _selected(
            run.scores(counted.source, "validation", counted.convention),
            run.scores(counted.source, "test", counted.convention),
            scored.get(counted.convention),
        )
    names = scored["strict"].names
    clusters = {split: part for (split,), part in splits.group_by("split", maintain_order=True)}
    learned = run.proteins().select(run.accessions("train"))
    if not strict.only(names).of(learned).table.is_empty():
        for probe in PROBES:
            selected[_Counted(probe, "strict")] = _probe(
                run, strict, scored["strict"], params, probe
            )
    sae = run.scored("sae", "strict")
    scores = (run.scores("sae", "validation"), run.scores("sae", "test"))
    links = links_of(sae, strict, scores, names, clusters["test"], clusters["train"], params)
    links.save(run.source("sae"), _record(run, "sae") | {"min_instances": params.min_instances})
    best, found, counts = {}, {}, {}
    for counted, chosen in tqdm(selected.items(), desc="intervals and chance", unit=" sources"):
        values = run.scored(counted.source, counted.rules)
        on_test = splits.filter(pl.col("accession").is_in(run.accessions("test", counted.rules)))
        found[counted] = with_support(
            values, annotations[counted.convention], chosen.candidates, on_test
        )
        if counted.convention != "strict":
            best[counted] = chosen.pairs.with_columns(
                pl.lit(None, kind).alias(name) for name, kind in STATISTICS.items()
            )
            continue
        best[counted], by_cluster = with_statistics(
            values, strict, chosen.pairs, clusters["test"], params
        )
        if by_cluster is not None:
            counts[counted.source] = by_cluster
    tables = _tables(run, selected, best, found, counts, params, scored)
    tables |= {"links": links.table, **overview(run, strict, names)}
    for name, table in tables.items():
        run.write_table("concepts", name, table)
    comparison = tables["comparison"].filter(pl.col("convention") == "strict")
    means = dict(comparison.select("source", "mean_f1_per_domain").iter_rows())
    run.write_summary("concepts", mean_f1_per_domain=means)
    words = verdict(tables["differences"])
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

    name = f"{counted.source.replace('/', '_')}_{counted.rules}_{split}.safetensors"
    state = run.work("concepts") / name
    scores = count_resumed(
        run.scored(counted.source, counted.rules),
        annotations,
        state,
        run.accessions(split, counted.rules),
        overlap="overwrite" if counted.convention == "published" else "keep",
        sums=sums,
    )
    about = _record(run, counted.source) | {"source": counted.source}
    folder = run.of_source(counted.source, "scores").parent
    scores.save(folder, split, counted.convention, about)


def _record(run: Run, source: str) -> dict[str, Any]:
    """What tables on a source say of where they come from."""
    about = run.about(source)
    record = {name: about[name] for name in ("plm", "plm_revision", "layer")}
    return record | {"sequences": run.proteins().sequence_hash}


def _selected(
    validation: "ConceptScores", test: "ConceptScores", scored: "ScoredConcepts | None"
) -> "BestPairs":
    """`published` has its own rule for which concepts are scored."""
    from interplm_nb.concepts import best_pairs

    if scored is None:
        return best_pairs.published(validation, test)
    return best_pairs.strict(validation, test, scored)


def _probe(
    run: Run,
    annotations: Annotations,
    scored: "ScoredConcepts",
    params: ConceptsParameters,
    source: str,
) -> "BestPairs":
    """The reference with labels, on the concepts that are scored: fitted on train, thresholds
    chosen on validation, figures from test."""
    from interplm_nb.concepts.controls.linear_probe import (
        BACKGROUND,
        affordable,
        linear_probes,
        probe_pairs,
    )

    inputs = run.inputs(source)
    if not run.of_source(source, "about").exists():
        # All probes are fitted on one sample: the widest says how large it may be.
        background = min(BACKGROUND, *(affordable(run.inputs(probe).d_in) for probe in PROBES))
        train = run.accessions("train")
        probes = linear_probes(
            inputs, annotations, train, scored.names, background=background, seed=params.seed
        )
        probes.save(run.source(source))
        write_dense_about(run, source, len(probes.names))
    validation, test = (run.accessions(split) for split in SPLITS)
    return probe_pairs(run.projection(source), inputs, annotations, validation, test, scored)


def _tables(
    run: Run,
    selected: "Mapping[_Counted, BestPairs]",
    best: Mapping[_Counted, pl.DataFrame],
    found: Mapping[_Counted, pl.DataFrame],
    counts: "Mapping[str, ClusterCounts]",
    params: ConceptsParameters,
    scored: "Mapping[str, ScoredConcepts]",
) -> dict[str, pl.DataFrame]:
    from interplm_nb.concepts.controls.seeds import stacked
    from interplm_nb.stages.concept_summary import differences, over_seeds, summary
    from interplm_nb.stages.partial_relatives import with_mean_apart

    rows, pairs, high = [], [], []
    by_source = {
        source: stacked([counts[member] for member in SOURCES[source].members])
        for source in counts
        if source in SOURCES
    }
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
        ]
        whole = by_source.get(source) if convention == "strict" else None
        row = over_seeds(parts, whole, params)
        rows.append(row.with_columns(pl.lit(_note(run, source), pl.String).alias("note")))
        named = (pl.lit(source).alias("source"), pl.lit(convention).alias("convention"), pl.all())
        ordered = best[counted].sort("f1_per_domain", "concept", descending=[True, False])
        pairs.append(ordered.select(named))
        high.append(found[counted].select(named))
    above_half = pl.concat(high)
    return {
        "comparison": with_mean_apart(pl.concat(rows), by_source, run),
        "scored": pl.concat(
            own.table.select(pl.lit(convention).alias("convention"), pl.all())
            for convention, own in scored.items()
        ),
        "differences": differences(by_source, params),
        "best": pl.concat(pairs),
        "found": above_half.filter("supported").drop("supported"),
        "unsupported": above_half.filter(~pl.col("supported")).drop("supported"),
    }


def _note(run: Run, source: str) -> str | None:
    """What weakens a source's figures, if anything does."""
    if source not in PROJECTIONS:
        return None
    settings = run.projection(source).settings
    if settings.get("converged", True):
        return None
    return f"not converged: gradient {settings['gradient']:.1e} after {settings['steps']} steps"
