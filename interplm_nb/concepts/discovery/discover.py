"""Missing annotations: proteins where a concept's feature fires as on its annotated examples, and the label is absent.

InterPLM shows three examples (Simon & Zou 2024, "Identifying missing annotations"; f/939, a Nudix box) and no procedure. Ours: a pair of concept and
feature, chosen on validation, fires in sites; on the proteins of train we see how often a site of that strength carries the concept; sites that lack
it are ranked by that.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.calibration import Calibration
from interplm_nb.concepts.discovery.evidence import with_evidence
from interplm_nb.concepts.discovery.sites import firing_sites
from interplm_nb.concepts.source import check_source
from interplm_nb.saving import atomic_path

PER_CONCEPT = 3
"""Best features that speak for a concept: with many, the most confident of them is one that was lucky on train."""

CANDIDATES: dict[str, Any] = {
    "rank": pl.Int64, "accession": pl.String, "concept": pl.String, "category": pl.String, "confidence": pl.Float64, "feature": pl.UInt32,
    "threshold": pl.Float64, "start": pl.Int64, "end": pl.Int64, "position": pl.Int64, "maximum": pl.Float32, "total": pl.Float32,
    "as_strong_as": pl.Float64, "n_annotated": pl.Int64,
}  # fmt: skip
"""Columns of `candidates`, explained there."""

SITES_PER_STEP = 25
"""Sites behind each step of a confidence, at least."""

_BEST_FIRST: dict[str, Any] = {
    "by": ("confidence", "as_strong_as", "concept", "accession", "feature"),
    "descending": [True, True, False, False, False],
}


def discover(
    source: FeatureActivations,
    annotations: Annotations,
    pairs: pl.DataFrame,
    train: Collection[str],
    among: Collection[str] | None = None,
    min_confidence: float = 0.5,
    per_concept: int = PER_CONCEPT,
    structures: Mapping[str, Path] | None = None,
) -> pl.DataFrame:
    """The table that a curator works from: `candidates` of at least `min_confidence`, each with its evidence.

    pairs: `ConceptLinks.table`, the best of a concept first; the first `per_concept` of each are used. Other arguments as of `candidates`.

    Columns of `CANDIDATES`, what the proteins' table says of each (entry_name, protein_name, gene_names, organism, where it has them), and those of
    `EVIDENCE` (see `with_evidence`). structures: the structure file of an accession, named in column `structure`. `write_tsv` exports it.
    """
    first = pairs.group_by("concept", maintain_order=True).head(per_concept)
    found = candidates(source, annotations, first, train, among).filter(
        pl.col("confidence") >= min_confidence
    )
    names = [
        name
        for name in ("entry_name", "protein_name", "gene_names", "organism")
        if name in source.proteins.table.columns
    ]
    about = source.proteins.table.select("accession", *names)
    table = with_evidence(found, source, annotations, structures or {}).join(
        about, on="accession", how="left", maintain_order="left"
    )
    return table.select("rank", "accession", *names, pl.exclude("rank", "accession", *names))


def candidates(
    source: FeatureActivations,
    annotations: Annotations,
    pairs: pl.DataFrame,
    train: Collection[str],
    among: Collection[str] | None = None,
) -> pl.DataFrame:
    """Sites without the label, best first: one row per concept and protein of `among` (None: all), its most believable site.

    source: activations in unit "max". pairs: concept, category, feature, threshold, such as `ConceptLinks.table`. A site (`firing_sites`) is as
    strong as its total activation: on long concepts the length of a site tells more than its maximum. Columns of `CANDIDATES`:

    confidence: of the pair's sites on the proteins of train that are as strong, the share that carries the concept (isotonic regression, at least
    `SITES_PER_STEP` sites to a step). Annotations are incomplete, which is the premise, so more of such sites are truly of the concept; but the
    surest of several pairs is named, which flatters it, and these sites are known to lack the label: `among_unlabelled` says what is left.
    start, end, position (of the maximum), maximum, total: of the site. as_strong_as: share of the pair's annotated sites, on all proteins, that are
    not stronger. n_annotated: instances of the concept elsewhere in the protein; 0 where it lacks the concept. rank: from 1, by confidence.

    Proteins are comparable where someone looked: those of one reviewed database. A concept without an instance on train gets confidence 0. ValueError
    for no pairs, a concept that the annotations lack, activations in another unit or of other proteins; KeyError for an unknown accession.
    """
    check_source(source, annotations)
    _check_pairs(pairs, annotations, source.n_features)
    chosen = _places(source, among)
    table = pl.concat(
        [
            pl.DataFrame(schema=CANDIDATES),
            *_by_pair(source, annotations, pairs, _places(source, train), chosen),
        ]
    )
    best = table.sort(**_BEST_FIRST).unique(
        ["concept", "accession"], keep="first", maintain_order=True
    )
    return best.with_columns(pl.int_range(1, pl.len() + 1).alias("rank")).select(
        pl.col(name).cast(kind) for name, kind in CANDIDATES.items()
    )


def among_unlabelled(confidence: np.ndarray, missing: float) -> np.ndarray:
    """What a confidence is worth on sites that lack the label, if annotations lack a share `missing` of the true ones, at random:

        P(true | site, no label) = missing / (1 - missing) * confidence / (1 - confidence), at most 1

    (Elkan & Noto 2008, equation 3, with c = 1 - missing.) float64. It never reverses the order. ValueError for a share outside [0, 1).
    """
    if not 0 <= missing < 1:
        raise ValueError(
            f"missing is the share of true sites without a label, from 0 to below 1, not {missing}"
        )
    p = np.asarray(confidence, float)
    odds = np.divide(p, 1 - p, out=np.full(p.shape, np.inf), where=p < 1)
    return np.minimum(missing / (1 - missing) * odds, 1) if missing else np.zeros(p.shape)


def write_tsv(table: pl.DataFrame, path: Path) -> None:
    """Write a table of candidates as TSV with a header line, atomically; cells that hold a tab, a quote or a line break are quoted."""
    with atomic_path(path) as draft:
        table.write_csv(draft, separator="\t", float_precision=4)


def _by_pair(
    source: FeatureActivations,
    annotations: Annotations,
    pairs: pl.DataFrame,
    train: np.ndarray,
    chosen: np.ndarray,
) -> Iterator[pl.DataFrame]:
    """Pair by pair, so that the sites of one pair are in memory: the strongest site of each protein that lacks the label there."""
    accessions = pl.Series("accession", source.proteins.accessions, pl.String)
    for (concept,), own in pairs.sort("concept", "feature").group_by(
        "concept", maintain_order=True
    ):
        carried = annotations.mask(str(concept))
        instances = _instances(annotations, str(concept))
        for pair in own.iter_rows(named=True):
            sites = firing_sites(source, pair["feature"], pair["threshold"], carried)
            place = sites["protein"].to_numpy()
            known, totals = sites["annotated"].to_numpy(), sites["total"].to_numpy()
            calibration = _calibrated(totals[train[place]], known[train[place]])
            best = sites.filter(pl.Series(chosen[place] & ~known)).sort(
                "protein", "total", "start", descending=[False, True, False]
            )
            best = best.unique("protein", keep="first", maintain_order=True)
            strength = best["total"].to_numpy()
            annotated = np.sort(totals[known])
            yield best.with_columns(
                pl.lit(0, pl.Int64).alias("rank"),
                accessions.gather(best["protein"]),
                *(
                    pl.lit(pair[name], CANDIDATES[name]).alias(name)
                    for name in ("concept", "category", "feature", "threshold")
                ),
                pl.Series(
                    "confidence",
                    calibration(strength) if calibration else np.zeros(best.height),
                    pl.Float64,
                ),
                pl.Series(
                    "as_strong_as",
                    np.searchsorted(annotated, strength, side="right") / max(len(annotated), 1),
                    pl.Float64,
                ),
                pl.Series("n_annotated", instances[best["protein"].to_numpy()], pl.Int64),
            ).select(CANDIDATES.keys())


def _calibrated(totals: np.ndarray, annotated: np.ndarray) -> Calibration | None:
    """None where the feature never fires on these proteins."""
    return Calibration.fit(totals, annotated, per_step=SITES_PER_STEP) if len(totals) else None


def _instances(annotations: Annotations, concept: str) -> np.ndarray:
    """int64 [n_proteins]: instances of a concept on each."""
    proteins = annotations.proteins
    counts = (
        annotations.only([concept]).table.group_by("accession").agg(pl.col("instance").n_unique())
    )
    n = np.zeros(len(proteins), np.int64)
    n[[proteins.index(a) for a in counts["accession"]]] = counts["instance"].to_numpy()
    return n


def _places(source: FeatureActivations, accessions: Collection[str] | None) -> np.ndarray:
    """bool [n_proteins]: which proteins are meant."""
    if accessions is None:
        return np.ones(len(source.proteins), bool)
    chosen = np.zeros(len(source.proteins), bool)
    chosen[[source.proteins.index(a) for a in accessions]] = True
    return chosen


def _check_pairs(pairs: pl.DataFrame, annotations: Annotations, n_features: int) -> None:
    lacking = [
        name
        for name in ("concept", "category", "feature", "threshold")
        if name not in pairs.columns
    ]
    if lacking:
        raise ValueError(
            f"pairs have the columns concept, category, feature, threshold (ConceptLinks.table); {lacking} not among {pairs.columns}"
        )
    if pairs.height == 0:
        raise ValueError(
            "no pair of concept and feature is given, so nothing can be discovered; link at a lower min_f1"
        )
    if (top := pairs["feature"].max()) is None or int(str(top)) >= n_features:
        raise ValueError(
            f"pairs name feature {top}, but features are 0 to {n_features - 1}; give the links of this source"
        )
    unknown = sorted(set(pairs["concept"]) - set(annotations.concepts))
    if unknown:
        raise ValueError(
            f"{len(unknown)} concepts of the pairs have no instance in the annotations, such as {unknown[0]!r}; give the annotations that they were "
            "linked on, or leave these pairs out"
        )
