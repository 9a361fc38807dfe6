"""Missing annotations: sites where a concept's feature fires as on annotated ones, without a label.

InterPLM shows three examples (Simon & Zou 2024, "Identifying missing annotations"; f/939, a Nudix
box) but no procedure. Ours: the feature of a pair chosen on validation fires in sites; the proteins
of train show how often a site of a given strength carries the concept; sites without the label are
ranked by that.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.calibration import MIN_CONFIDENCE, Calibration
from interplm_nb.concepts.discovery.evidence import with_evidence
from interplm_nb.concepts.discovery.sites import firing_sites
from interplm_nb.concepts.source import check_source

PER_CONCEPT = 3
"""Linked features used per concept. With many, the most confident one was merely lucky on train."""

CANDIDATES: dict[str, Any] = {
    "rank": pl.Int64,
    "accession": pl.String,
    "concept": pl.String,
    "category": pl.String,
    "confidence": pl.Float64,
    "feature": pl.UInt32,
    "threshold": pl.Float64,
    "start": pl.Int64,
    "end": pl.Int64,
    "position": pl.Int64,
    "maximum": pl.Float32,
    "total": pl.Float32,
    "as_strong_as": pl.Float64,
    "n_annotated": pl.Int64,
}
"""Columns of `candidates`, which explains them."""

SITES_PER_STEP = 25
"""Minimum number of sites per step of a confidence."""

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
    min_confidence: float = MIN_CONFIDENCE,
    per_concept: int = PER_CONCEPT,
    structures: Mapping[str, Path] | None = None,
) -> pl.DataFrame:
    """A table for curators: `candidates` of at least `min_confidence`, each with its evidence.

    Parameters
    ----------
    source, annotations, train, among
        As for `candidates`.
    pairs : pl.DataFrame
        `ConceptLinks.table`, best of each concept first.
    min_confidence : float
        Lowest confidence listed.
    per_concept : int
        How many pairs of each concept are used.
    structures : mapping of str to Path, optional
        Accession to structure file, named in column `structure`.

    Returns
    -------
    pl.DataFrame
        Columns of `CANDIDATES`, the proteins' own entry_name, protein_name, gene_names and
        organism (if present), and columns of `EVIDENCE` (see `with_evidence`).
        `spreadsheet.write_tsv` exports it.
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
    """Sites without the label, best first: the best site of each concept and protein.

    The strength of a site (`firing_sites`) is its total activation: for long concepts, the length
    of a site says more than its maximum. Proteins are comparable if all were curated, as in one
    reviewed database. A concept without an instance on train gets confidence 0.

    Parameters
    ----------
    source : FeatureActivations
        In unit "max".
    annotations : Annotations
        The known labels.
    pairs : pl.DataFrame
        concept, category, feature, threshold, such as `ConceptLinks.table`.
    train : collection of str
        Proteins that confidences are calibrated on.
    among : collection of str, optional
        Proteins to search (None: all).

    Returns
    -------
    pl.DataFrame
        Columns of `CANDIDATES`:

        - rank: from 1, by confidence.
        - confidence: the share of the pair's sites of that strength on train that carry the
          concept (isotonic regression, at least `SITES_PER_STEP` sites per step). Annotations are
          incomplete, so more of these sites are true; but the most confident of several pairs is
          listed, which is optimistic, and these sites are known to lack the label:
          `among_unlabelled` corrects for that.
        - start, end, position (of the maximum), maximum, total: of the site.
        - as_strong_as: share of the pair's annotated sites, on all proteins, that are not stronger.
        - n_annotated: instances of the concept elsewhere in the protein.

    Raises
    ------
    ValueError
        For no pairs, a concept that the annotations lack, or activations in another unit or on
        other proteins.
    KeyError
        For an unknown accession.
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
    """Confidence given that the label is absent, if a share `missing` of true labels is, at random.

        P(true | site, no label) = min(1, missing / (1 - missing) * confidence / (1 - confidence))

    (Elkan & Noto 2008, equation 3, with c = 1 - missing.) Returns float64, in the same order.
    ValueError for a share outside [0, 1).

    Examples
    --------
    >>> among_unlabelled(np.array([0.5, 0.8]), missing=0.2).round(2).tolist()
    [0.25, 1.0]
    """
    if not 0 <= missing < 1:
        raise ValueError(
            f"missing must be the share of true sites without a label, from 0 to below 1, "
            f"not {missing}"
        )
    p = np.asarray(confidence, float)
    odds = np.divide(p, 1 - p, out=np.full(p.shape, np.inf), where=p < 1)
    return np.minimum(missing / (1 - missing) * odds, 1) if missing else np.zeros(p.shape)


def _by_pair(
    source: FeatureActivations,
    annotations: Annotations,
    pairs: pl.DataFrame,
    train: np.ndarray,
    chosen: np.ndarray,
) -> Iterator[pl.DataFrame]:
    """Yield each pair's strongest site without the label on each protein.

    Pair by pair, so that only the sites of one pair are in memory.
    """
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
    """None if the feature never fires on these proteins."""
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
    """bool [n_proteins]: whether each protein is among these (None: all)."""
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
            "pairs need the columns concept, category, feature, threshold (ConceptLinks.table); "
            f"{lacking} not among {pairs.columns}"
        )
    if pairs.height == 0:
        raise ValueError(
            "there are no pairs of concept and feature to discover with; link at a lower min_f1"
        )
    if (top := pairs["feature"].max()) is None or int(str(top)) >= n_features:
        raise ValueError(
            f"pairs name feature {top}, but features are 0 to {n_features - 1}; pass the links of "
            "this source"
        )
    unknown = sorted(set(pairs["concept"]) - set(annotations.concepts))
    if unknown:
        raise ValueError(
            f"{len(unknown)} concepts of the pairs have no instance in the annotations, such as "
            f"{unknown[0]!r}; pass the annotations that they were linked on, or leave these pairs "
            "out"
        )
