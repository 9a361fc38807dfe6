"""Stage `features`: what each feature is, beyond its concepts: statistics, motifs, families."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from interplm_nb.concepts.by_category import LIMITS, above
from interplm_nb.concepts.links import linked
from interplm_nb.features.cluster_names import named_clusters
from interplm_nb.features.coactivation import activation_correlation, sampled
from interplm_nb.features.families import BY_CHANCE, MATCHES, cosine, matches, neighbours
from interplm_nb.features.families import random_dictionary as random_vectors
from interplm_nb.features.hierarchy import HIERARCHY, hierarchy
from interplm_nb.features.known_motifs import KNOWN, compared_with_known
from interplm_nb.features.logos import composition
from interplm_nb.features.motifs import (
    SIGNIFICANT,
    LetterAxis,
    MotifSearch,
    feature_motifs,
    motif,
    sites,
)
from interplm_nb.features.statistic_shards import Measures, measure
from interplm_nb.features.statistics import MARKED_NEAR_ENDS
from interplm_nb.pipeline import manifest
from interplm_nb.pipeline.nearest_run import RunToRead
from interplm_nb.pipeline.parameters import FeaturesParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.run_files import FeatureTable
from interplm_nb.pipeline.scored_sources import SAES, SOURCES, scored_source
from interplm_nb.readers.motif_files import read_motifs
from interplm_nb.scale.address import workers_at
from interplm_nb.scale.shard_task import Workers

MATCHED = {"other": pl.String, "kind": pl.String, **MATCHES}
"""Columns of the matches: the other SAE, and what is alike: "decoder" or "activation"."""


@dataclass(frozen=True)
class FeaturesStage:
    """What stage `features` made. `statistics`, `motifs` and `overview` have a column `source`.

    `statistics`: columns of `features.statistics` in unit "max" of train, and of `SHAPE`.
    `motifs`: of `features.motifs`, made on train, patterns tested on test. `known`: of
    `features.known_motifs`, for the trained SAE; empty without a file. `neighbours`: of
    `features.families`, of kinds "decoder", "activation" and "concept". `matches`: `MATCHED`, the
    trained SAE's features in its other seeds, and in its controls. `clusters`: of
    `features.cluster_names`, the clusters of the map and their concepts. `hierarchy`: of
    `features.hierarchy`, for an SAE with prefixes, with the random SAE; else empty. `overview`: a
    row per source, counts of its features, see `_overview`.
    """

    statistics: pl.DataFrame
    motifs: pl.DataFrame
    known: pl.DataFrame
    neighbours: pl.DataFrame
    matches: pl.DataFrame
    clusters: pl.DataFrame
    hierarchy: pl.DataFrame
    overview: pl.DataFrame
    plm: str


def features(run: Run, params: FeaturesParameters) -> FeaturesStage:
    """Measure each feature of the SAE and of its controls; find its motif, its neighbours, its
    cluster's name, its parent, and the same feature in other seeds."""
    if isinstance(run, RunToRead):
        return _made(run)
    manifest.begin(run, params)
    sources = [s for s in SAES if s in run.with_activations()]
    lacking = [s for s in sources if not run.of_source(s, "statistics").exists()]
    with workers_at(params.scheduler if lacking else "") as workers:
        for source in lacking:
            table = _statistics(run, source, params, workers)
            run.write_feature_table("statistics", table, source)
    for source in sources:
        if not run.of_source(source, "motifs").exists():
            table, _ = feature_motifs(run.activations(source), _search(run, params))
            run.write_feature_table("motifs", table, source)
    for content, make in _OF_THE_TRAINED.items():
        if not run.of_source("sae", content).exists():
            run.write_feature_table(content, make(run, params), "sae")
    for source in (s for s in _IN_PREFIXES if s in run.with_activations()):
        if not run.of_source(source, "hierarchy").exists():
            run.write_feature_table("hierarchy", _hierarchy(run, source, params), source)
    overview = _overview(run)
    run.write_table("features", "overview", overview)
    counts = overview.filter(pl.col("source") == "sae").row(0, named=True)
    figures = {name: value for name, value in counts.items() if name != "source"}
    run.write_summary("features", device="cpu", threshold=params.threshold, **figures)
    return _made(run)


def _statistics(
    run: Run, source: str, params: FeaturesParameters, workers: Workers
) -> pl.DataFrame:
    relative = run.activations(source).relative_to(run.maxima(source).train)
    measures = Measures(params.threshold, shape=True)
    return measure(relative, measures, run.work("features") / "statistics", workers)


def _search(run: Run, params: FeaturesParameters) -> MotifSearch:
    clusters = dict(run.splits().select("accession", "cluster").iter_rows())
    train, test = run.accessions("train"), run.accessions("test")
    return MotifSearch(train, test, clusters, params.flank, params.shuffles, params.seed)


def _known(run: Run, params: FeaturesParameters) -> pl.DataFrame:
    """The known motifs that are most like those of the trained SAE."""
    if not params.motifs:
        return pl.DataFrame(schema=KNOWN)
    search, activations = _search(run, params), run.activations()
    own = run.feature_table("motifs").filter(pl.col("q_motif") <= SIGNIFICANT)["feature"].to_list()
    proteins = run.proteins()
    rows = {f: sites(activations, f, search.train, search.clusters) for f in own}
    axis, background = (
        LetterAxis(proteins, params.flank),
        composition(proteins.select(search.train)),
    )
    found = {f: motif(axis, rows[f], background, shuffles=0) for f in own}
    known = read_motifs(params.paths()["motifs"]).motifs
    return compared_with_known(found, rows, proteins, known, params.seed)


def _neighbours(run: Run, params: FeaturesParameters) -> pl.DataFrame:
    activations = run.activations()
    chosen = sampled(run.proteins(), params.correlated_residues, params.seed)
    similar = {
        "decoder": cosine(run.sae().W_dec.detach().numpy()),
        "activation": activation_correlation(activations, accessions=chosen),
        "concept": cosine(_profiles(run)),
    }
    return neighbours(similar, activations.n_active() > 0, params.neighbours)


def _profiles(run: Run) -> np.ndarray:
    """float64 [n_features, C]: each feature's F1 on each scored concept, on validation, at its
    best threshold."""
    scores, scored = run.scores("sae", "validation"), set(_scored(run))
    profiles = np.zeros((scores.n_features, max(1, scores.n_concepts)))
    for c, concept in enumerate(scores.concepts["concept"]):
        if concept in scored:
            profiles[:, c] = scores.measures(c).f1_per_domain.max(axis=1)
    return profiles


def _scored(run: Run) -> list[str]:
    """The concepts with enough instances, of which each one's best feature is linked: F1 on others
    is chance."""
    return run.links().table["concept"].unique(maintain_order=True).to_list()


def _matches(run: Run, params: FeaturesParameters) -> pl.DataFrame:
    mine = run.activations()
    alive = np.flatnonzero(mine.n_active())
    chosen = sampled(run.proteins(), params.correlated_residues, params.seed)
    n = run.proteins().select(chosen).n_residues
    decoder = run.sae().W_dec.detach().numpy()[alive]
    parts = [pl.DataFrame(schema=MATCHED)]
    for source in _others(run):
        theirs = run.activations(source)
        living = np.flatnonzero(theirs.n_active())
        alike = {}
        if not scored_source(source).shuffled:  # its vectors live in another model's space
            vectors = run.sae(source).W_dec.detach().numpy()[living]
            null = cosine(decoder, random_vectors(vectors, params.seed))
            alike["decoder"] = cosine(decoder, vectors), null
        place = np.ix_(alive, living)
        alike["activation"] = (
            activation_correlation(mine, theirs, chosen)[place],
            activation_correlation(mine, theirs, chosen, shift=n // 2)[place],
        )
        for kind, (similarity, null) in alike.items():
            found = matches(similarity, null, alive, living)
            named = [pl.lit(source).alias("other"), pl.lit(kind).alias("kind")]
            parts.append(found.select(*named, pl.all()))
    return pl.concat(parts)


def _others(run: Run) -> Iterator[str]:
    """The trained SAE's further seeds, then its controls."""
    there = [s for s in SOURCES["sae"].members[1:] if run.of_source(s, "activations").is_dir()]
    yield from there
    yield from (s for s in reversed(SAES) if s != "sae" and s in run.with_activations())


def _clusters(run: Run, params: FeaturesParameters) -> pl.DataFrame:
    """A feature matches a concept here as in the tables of stage `concepts`: F1 above the lowest of
    `LIMITS` on validation and on test."""
    validation, test = run.scores("sae", "validation"), run.scores("sae", "test")
    matched = linked(validation, test, _scored(run), LIMITS[0]).filter(above(LIMITS[0]))
    atlas = run.atlas()
    return named_clusters(atlas, matched, run.atlas_quality().why_no_clusters(atlas), params.seed)


def _hierarchy(run: Run, source: str, params: FeaturesParameters) -> pl.DataFrame:
    """Parents by the trained SAE's prefixes; the random SAE, which has none, is cut at the same."""
    from interplm_nb.sae.architectures import Matryoshka

    architecture = run.sae().architecture
    if not isinstance(architecture, Matryoshka):
        return pl.DataFrame(schema=HIERARCHY)
    relative = run.activations(source).relative_to(run.maxima(source).train)
    chosen = sampled(run.proteins(), params.correlated_residues, params.seed)
    return hierarchy(relative, architecture.prefixes, params.threshold, chosen, params.seed)


_OF_THE_TRAINED: dict[FeatureTable, Callable[[Run, FeaturesParameters], pl.DataFrame]] = {
    "known": _known,
    "neighbours": _neighbours,
    "matches": _matches,
    "clusters": _clusters,
}
"""The tables of the trained SAE alone, and what makes each."""
_IN_PREFIXES = ("sae", "random_sae")
"""SAEs whose features get parents."""


def _overview(run: Run) -> pl.DataFrame:
    """A row per SAE: source; n_features that are ever active; shares of these that are frequent or
    dense, periodic, or have most maxima near an end; n_tested, features with enough sites for a
    motif; of these share_motif (q at most `SIGNIFICANT`), median_information (bits) and
    information_by_chance; n_pattern, features with a pattern, and their median recall, precision
    and precision by chance on test; share_matched, of the trained SAE's features by activation, in
    this one, beyond chance (`BY_CHANCE`)."""
    matched = run.feature_table("matches").filter(pl.col("kind") == "activation")
    again = (pl.col("by_chance") <= BY_CHANCE).mean().alias("share")
    share = dict(matched.group_by("other").agg(again).iter_rows())
    rows = []
    for source in (s for s in SAES if run.of_source(s, "motifs").exists()):
        alive = run.feature_table("statistics", source).filter(pl.col("n_active") > 0)
        motifs = run.feature_table("motifs", source)
        stated = motifs.filter(pl.col("pattern") != "")
        rows.append(
            {
                "source": source,
                "n_features": alive.height,
                "share_frequent": _mean(alive["density_class"].is_in(["frequent", "dense"])),
                "share_periodic": _mean(alive["shape"] == "periodic"),
                "share_near_ends": _mean(alive["share_near_ends"] > MARKED_NEAR_ENDS),
                "n_tested": motifs.height,
                "share_motif": _mean(motifs["q_motif"] <= SIGNIFICANT),
                "median_information": motifs["information"].median(),
                "information_by_chance": motifs["information_by_chance"].median(),
                "n_pattern": stated.height,
                "pattern_recall": stated["pattern_recall"].median(),
                "pattern_precision": stated["pattern_precision"].median(),
                "precision_by_chance": stated["precision_by_chance"].median(),
                "share_matched": share.get(source),
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def _mean(kept: pl.Series) -> float:
    return float(kept.sum()) / max(1, len(kept))


def _made(run: Run) -> FeaturesStage:
    """Read what the stage has made."""
    there = [s for s in SAES if run.of_source(s, "motifs").exists()]
    return FeaturesStage(
        _by_source(run, "statistics", there),
        _by_source(run, "motifs", there),
        run.feature_table("known"),
        run.feature_table("neighbours"),
        run.feature_table("matches"),
        run.feature_table("clusters"),
        _by_source(run, "hierarchy", [s for s in _IN_PREFIXES if s in there]),
        run.table("features", "overview"),
        run.about("sae")["plm"],
    )


def _by_source(run: Run, content: FeatureTable, sources: list[str]) -> pl.DataFrame:
    """A table of several sources, with their names in a column in front."""
    parts = [run.feature_table(content, s).select(pl.lit(s).alias("source"), "*") for s in sources]
    return pl.concat(parts)
