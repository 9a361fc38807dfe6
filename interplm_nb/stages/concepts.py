"""Stage `concepts`: which features match which annotated concepts, beside the controls, in both conventions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import polars as pl
from tqdm.auto import tqdm

from interplm_nb.annotations import Annotations
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.layout import CONVENTIONS, IN_PUBLISHED, PROBE, SOURCES
from interplm_nb.pipeline.parameters import ConceptsParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins
from interplm_nb.stages.activations import write_dense_about

if TYPE_CHECKING:
    from interplm_nb.concepts.best_pairs import BestPairs
    from interplm_nb.concepts.intervals import ClusterCounts
    from interplm_nb.concepts.links import ConceptLinks

SPLITS = ("validation", "test")

MERGED = "strict, repeats merged"
"""`strict` once more, with numbered repeats as one concept."""


@dataclass(frozen=True)
class ConceptsStage:
    """What stage `concepts` made.

    `comparison`: one row per source and convention: mean best F1 over the concepts (with its 95 % interval, `strict`), how many concepts beat chance,
    what is found on both splits. `differences`: how far the SAE's mean lies above each control's, with its interval. `best`: source,
    convention, and the best feature of each concept, chosen on validation, its figures from test, with the statistics of
    `concept_statistics.STATISTICS`. `found`: all pairs with F1 above 0.5 on both splits. `links`: the SAE's features that speak for a concept.
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
    """Count on validation and test, choose on validation, read on test; goes on within the count that a kill stopped."""
    from interplm_nb.stages.concept_overview import overview

    manifest.begin(run, params)
    proteins = run.proteins()
    work = list(_work(run, params))
    annotations = _annotations(run, proteins, params)
    for counted, split in tqdm(
        [(c, s) for c in work for s in SPLITS], desc="count concepts", unit=" splits"
    ):
        if not _is_counted(run, counted, split):
            _count(run, proteins, annotations[counted.convention], counted, split)
    selected = {counted: _select(run, params, counted) for counted in work}
    scored = selected[_Counted("sae", "strict")].pairs["concept"].to_list()
    if (
        not annotations["strict"]
        .only(scored)
        .of(proteins.select(run.accessions("train")))
        .table.is_empty()
    ):
        selected[_Counted(PROBE, "strict")] = _probe(run, annotations["strict"], scored, params)
    links = _links(run, proteins, annotations["strict"], scored, params)
    best, counts = _statistics(run, proteins, annotations["strict"], selected, params)
    return _write(
        run,
        params,
        selected,
        best,
        counts,
        {"links": links.table, **overview(run, proteins, annotations["strict"], scored)},
    )


def _work(run: Run, params: ConceptsParameters) -> Iterator[_Counted]:
    for source in run.possible(SOURCES):
        yield _Counted(source, "strict")
        if source in IN_PUBLISHED:
            yield _Counted(source, "published")
        if params.merge_repeats:
            yield _Counted(source, MERGED)


def _annotations(
    run: Run, proteins: Proteins, params: ConceptsParameters
) -> dict[str, Annotations]:
    from interplm_nb.concepts.repeats import merge_repeats

    parsed = {convention: run.annotations(convention, proteins) for convention in CONVENTIONS}
    return parsed | ({MERGED: merge_repeats(parsed["strict"])} if params.merge_repeats else {})


def _is_counted(run: Run, counted: _Counted, split: str) -> bool:
    try:
        run.scores(counted.source, split, counted.convention)
    except (
        PipelineError,
        KeyError,
        FileNotFoundError,
        ValueError,
    ):  # none yet, or a save that was cut off between its files
        return False
    return True


def _count(
    run: Run, proteins: Proteins, annotations: Annotations, counted: _Counted, split: str
) -> None:
    from interplm_nb.concepts.resumed import count_resumed

    values = run.scored(counted.source, counted.rules, proteins)
    state = run.work("concepts") / f"{counted.source}_{counted.rules}_{split}.safetensors"
    accessions = run.accessions(split, counted.rules)
    overlap = "overwrite" if counted.convention == "published" else "keep"
    scores = count_resumed(values, annotations, state, accessions, overlap=overlap)
    about = run.about(counted.source)
    record = {name: about[name] for name in ("plm", "plm_revision", "layer")} | {
        "source": counted.source,
        "sequences": proteins.sequence_hash,
    }
    scores.save(run.source(counted.source), split, counted.convention, record)


def _select(run: Run, params: ConceptsParameters, counted: _Counted) -> "BestPairs":
    from interplm_nb.concepts import best_pairs

    validation, test = (run.scores(counted.source, split, counted.convention) for split in SPLITS)
    if counted.convention == "published":
        return best_pairs.published(validation, test)
    return best_pairs.strict(validation, test, params.min_instances)


def _probe(
    run: Run, annotations: Annotations, scored: list[str], params: ConceptsParameters
) -> "BestPairs":
    """The upper bound on the concepts that are scored: fitted on train, thresholds chosen on validation, read on test."""
    from interplm_nb.concepts.controls.linear_probe import linear_probes, probe_pairs

    embeddings = run.embeddings()
    if not (run.source(PROBE) / "about.json").exists():
        probes = linear_probes(
            embeddings, annotations, run.accessions("train"), scored, seed=params.seed
        )
        probes.save(run.source(PROBE))
        write_dense_about(run, PROBE, len(probes.names))
    validation, test = (run.accessions(split) for split in SPLITS)
    return probe_pairs(
        run.projection(PROBE), embeddings, annotations, validation, test, params.min_instances
    )


def _links(
    run: Run,
    proteins: Proteins,
    annotations: Annotations,
    scored: list[str],
    params: ConceptsParameters,
) -> "ConceptLinks":
    from interplm_nb.stages.concept_statistics import links_of

    scores = (run.scores("sae", "validation"), run.scores("sae", "test"))
    test, train = (run.splits().filter(pl.col("split") == split) for split in ("test", "train"))
    links = links_of(
        run.scored("sae", "strict", proteins), annotations, scores, scored, test, train, params
    )
    about = run.about("sae")
    record = {name: about[name] for name in ("plm", "plm_revision", "layer")}
    links.save(
        run.source("sae"),
        record | {"sequences": proteins.sequence_hash, "min_instances": params.min_instances},
    )
    return links


def _statistics(
    run: Run,
    proteins: Proteins,
    annotations: Annotations,
    selected: "dict[_Counted, BestPairs]",
    params: ConceptsParameters,
) -> "tuple[dict[_Counted, pl.DataFrame], dict[str, ClusterCounts]]":
    """The pairs of every table, those of `strict` with their statistics; and their counts by cluster, by source."""
    from interplm_nb.stages.concept_statistics import STATISTICS, with_statistics

    clusters = run.splits().filter(pl.col("split") == "test")
    best, counts = {}, {}
    for counted, chosen in tqdm(selected.items(), desc="intervals and chance", unit=" sources"):
        if counted.convention != "strict":
            best[counted] = chosen.pairs.with_columns(
                pl.lit(None, kind).alias(name) for name, kind in STATISTICS.items()
            )
            continue
        source = run.scored(counted.source, "strict", proteins)
        best[counted], found = with_statistics(source, annotations, chosen.pairs, clusters, params)
        if found is not None:
            counts[counted.source] = found
    return best, counts


def _write(
    run: Run,
    params: ConceptsParameters,
    selected: "dict[_Counted, BestPairs]",
    best: dict[_Counted, pl.DataFrame],
    counts: "dict[str, ClusterCounts]",
    further: dict[str, pl.DataFrame],
) -> ConceptsStage:
    from interplm_nb.stages.concept_summary import differences, summary

    named = {
        c: (pl.lit(c.source).alias("source"), pl.lit(c.convention).alias("convention"), pl.all())
        for c in selected
    }
    rows = [
        summary(
            c.source,
            c.convention,
            selected[c],
            best[c],
            counts if c.convention == "strict" else {},
            params,
        )
        for c in selected
    ]
    tables = {
        "comparison": pl.concat(rows),
        "differences": differences(counts, params),
        "best": pl.concat(
            [
                best[c].select(named[c]).sort("f1_per_domain", "concept", descending=[True, False])
                for c in selected
            ]
        ),
        "found": pl.concat([selected[c].found.select(named[c]) for c in selected]),
        **further,
    }
    for name, table in tables.items():
        run.write_table("concepts", name, table)
    means = dict(
        tables["comparison"]
        .filter(pl.col("convention") == "strict")
        .select("source", "mean_f1_per_domain")
        .iter_rows()
    )
    run.write_summary("concepts", mean_f1_per_domain=means)
    return ConceptsStage(**tables, plm=str(run.about("sae")["plm"]))
