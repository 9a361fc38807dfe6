"""Are missing annotations found? Hide a fifth of the known ones and compare with homology.

Proteins lose whole categories of annotations (so that `Domain_any` does not reveal
`Domain_Kinase`), in all splits. Everything is done without the hidden labels: pairs are chosen on
validation and calibrated on train; proteins of test that lack a concept are ranked. The SAE cannot
use relatives, since clusters never cross splits. MMseqs2 can: it searches all proteins, including
those of test that keep their label. Hidden by protein, a label has relatives that keep theirs, as
if a curator had missed one; hidden by cluster, it has no close relatives with the label, as in a
family that nobody has annotated.
"""

import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.calibration import Reliability, reliability
from interplm_nb.concepts.count import count
from interplm_nb.concepts.discovery.discover import PER_CONCEPT, among_unlabelled, candidates
from interplm_nb.concepts.discovery.ranking import Ranked, quality, resamples, spread
from interplm_nb.concepts.discovery.relatives import nearest_relatives
from interplm_nb.concepts.links import linked
from interplm_nb.concepts.same_residues import same_residues
from interplm_nb.concepts.scored_concepts import is_amino_acid

METHODS = ("sae", "mmseqs2", "both")
"""`both` adds 1 / (60 + rank) of the two (reciprocal rank fusion, Cormack et al. 2009). Controls
appear under their own names."""

KS = (10, 50, 100, 500)

_FUSION = 60
_PAIR = ["accession", "concept"]


@dataclass(frozen=True)
class Hiding:
    """What `hide_and_refind` hides, and what it searches with.

    Attributes
    ----------
    share : float
        Share of the annotations to hide, above 0 and below 1.
    by : {"protein", "cluster"}
        Unit that is hidden.
    min_f1 : float
        Concepts need a feature with this validation f1_per_domain.
    per_concept : int
        How many of the best features of a concept are used.
    min_instances : int
        Concepts need this many instances left on validation.
    seed, n_resamples : int
        Of the hidden units and resamples; number of resampled cluster sets.
    """

    share: float = 0.2
    by: Literal["protein", "cluster"] = "protein"
    min_f1: float = 0.1
    per_concept: int = PER_CONCEPT
    min_instances: int = 10
    seed: int = 0
    n_resamples: int = 1000


_DEFAULT = Hiding()


@dataclass(frozen=True)
class Refound:
    """Result of `hide_and_refind`. A case is a test protein and a concept that it lacks.

    Attributes
    ----------
    ranking : pl.DataFrame
        Cases that a method ranks: accession, cluster, concept, category, hidden (it had the
        label), at_place (the SAE's site overlaps the hidden one), feature, start, end, confidence,
        e_value, relative, rank_sae, rank_mmseqs2, rank_both (null: not ranked).
    precision : pl.DataFrame
        method, k (null: average precision), precision, low, high (95 %, clusters of test
        resampled). Method "sae - mmseqs2" is the difference, "random" the share of hidden cases.
    overlap : pl.DataFrame
        k (null: all ranked), sae, mmseqs2, common, only_sae, only_mmseqs2: hidden cases in the
        first k of each.
    concepts : pl.DataFrame
        Concepts with a hidden case: concept, category, n_cases, n_hidden, average precision of
        each method.
    calibration : Reliability
        `among_unlabelled(confidence, share)` against at_place, over the cases that the SAE ranks.
    n_pairs, n_cases, n_hidden : int
        Numbers of pairs, cases and hidden cases.
    """

    ranking: pl.DataFrame
    precision: pl.DataFrame
    overlap: pl.DataFrame
    concepts: pl.DataFrame
    calibration: Reliability
    n_pairs: int
    n_cases: int
    n_hidden: int


def hide_and_refind(
    source: FeatureActivations,
    annotations: Annotations,
    splits: pl.DataFrame,
    controls: Mapping[str, FeatureActivations] | None = None,
    hiding: Hiding = _DEFAULT,
) -> Refound:
    """Hide some annotations and compare how well the SAE and MMseqs2 find them again.

    Concepts on the same residues (`same_residues`, of the labels that are left) count once.

    Parameters
    ----------
    source : FeatureActivations
        The SAE's activations, in unit "max".
    annotations : Annotations
        All known labels.
    splits : pl.DataFrame
        accession, cluster, split.
    controls : mapping of str to FeatureActivations, optional
        Other activations by name (a random SAE, an SAE on a PLM with shuffled weights), with their
        best features for the same concepts, however weak.
    hiding : Hiding
        What is hidden, and which pairs search for it.

    Returns
    -------
    Refound

    Raises
    ------
    ValueError
        If no pair is left, or a control has a method's name.
    """
    _check_names(controls or {})
    gone = hidden(annotations, splits, hiding.share, hiding.by, hiding.seed)
    left = Annotations(
        annotations.table.join(gone, on=["accession", "category"], how="anti"), annotations.proteins
    )
    pairs = _pairs(source, left, splits, hiding)
    concepts = pairs.select("concept", "category").unique()
    found = _found(source, left, pairs, splits)
    ranks = {
        "sae": found,
        "mmseqs2": nearest_relatives(left, concepts["concept"].to_list(), _of(splits, "test")),
    }
    for name, control in (controls or {}).items():
        however_weak = replace(hiding, min_f1=0.0, min_instances=0)
        own = _pairs(control, left, splits, however_weak, concepts["concept"].to_list())
        ranks[name] = _found(control, left, own, splits)
    cases = _judged(
        _placed(_cases(concepts, left, splits), ranks),
        annotations.table.join(gone, on=["accession", "category"], how="semi"),
    )
    n_clusters = splits.filter(pl.col("split") == "test")["cluster"].n_unique()
    return _refound(cases, [*METHODS, *(controls or {})], hiding, n_clusters, pairs.height)


def hidden(
    annotations: Annotations,
    splits: pl.DataFrame,
    share: float,
    by: Literal["protein", "cluster"],
    seed: int,
) -> pl.DataFrame:
    """accession, category: a `share` of the proteins (or clusters) with each category.

    Drawn by `seed` and the category's name only.
    """
    if not 0 < share < 1:
        raise ValueError(
            f"share must be the fraction of annotations to hide, above 0 and below 1, not {share}"
        )
    if by not in ("protein", "cluster"):
        raise ValueError(f"labels can be hidden by 'protein' or 'cluster', not by {by!r}")
    unit = "accession" if by == "protein" else "cluster"
    members = (
        annotations.table.select("accession", "category")
        .unique()
        .join(splits.select("accession", "cluster"), on="accession")
    )
    parts = [members.select("accession", "category").clear()]
    for (category,), own in members.sort("category").group_by("category", maintain_order=True):
        units = own[unit].unique().sort()
        rng = np.random.default_rng([seed, zlib.crc32(str(category).encode())])
        drawn = units.gather(np.sort(rng.permutation(len(units))[: round(share * len(units))]))
        parts.append(
            own.filter(pl.col(unit).is_in(drawn.implode())).select("accession", "category")
        )
    return pl.concat(parts).sort("category", "accession")


def _check_names(controls: Mapping[str, FeatureActivations]) -> None:
    taken = sorted(set(controls) & {*METHODS, "random", "sae - mmseqs2"})
    if taken:
        raise ValueError(
            f"a control cannot be called {taken[0]!r}, the name of a method; use random_sae, "
            "shuffled_sae or similar"
        )


def _of(splits: pl.DataFrame, split: str) -> list[str]:
    return splits.filter(pl.col("split") == split)["accession"].to_list()


def _pairs(
    source: FeatureActivations,
    left: Annotations,
    splits: pl.DataFrame,
    hiding: Hiding,
    concepts: Collection[str] | None = None,
) -> pl.DataFrame:
    scores = count(source, left, _of(splits, "validation"))
    enough = scores.concepts.filter(pl.col("n_instances") >= hiding.min_instances)
    names = [
        name
        for name in enough["concept"]
        if not is_amino_acid(name) and (concepts is None or name in concepts)
    ]
    again = same_residues(left, names)
    # Validation is passed as test too: no test figures are needed here.
    links = linked(scores, scores, [n for n in names if n not in again], hiding.min_f1)
    if links.height == 0:
        raise ValueError(
            f"no feature reaches an F1 of {hiding.min_f1} for a concept with "
            f"{hiding.min_instances} instances left on validation; lower min_f1 or min_instances"
        )
    return links.group_by("concept", maintain_order=True).head(hiding.per_concept)


def _found(
    source: FeatureActivations, left: Annotations, pairs: pl.DataFrame, splits: pl.DataFrame
) -> pl.DataFrame:
    """Sites on proteins of test that lack the concept, best first."""
    found = candidates(source, left, pairs, _of(splits, "train"), _of(splits, "test"))
    return found.filter(pl.col("n_annotated") == 0, pl.col("confidence") > 0).select(
        *_PAIR, "feature", "start", "end", "confidence"
    )


def _cases(concepts: pl.DataFrame, left: Annotations, splits: pl.DataFrame) -> pl.DataFrame:
    """Every protein of test with every concept that it lacks; cluster_code: its cluster, from 0."""
    test = splits.filter(pl.col("split") == "test").select("accession", "cluster")
    codes = (pl.col("cluster").rank("dense") - 1).cast(pl.Int64).alias("cluster_code")
    return (
        test.with_columns(codes)
        .join(concepts, how="cross")
        .join(left.table, on=_PAIR, how="anti")
        .sort(_PAIR)
    )


def _placed(cases: pl.DataFrame, ranks: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The cases with rank_<method>, from 1, and the details of the SAE and MMseqs2."""
    kept = {"sae": ("feature", "start", "end", "confidence"), "mmseqs2": ("relative", "e_value")}
    for method, found in ranks.items():
        own = found.join(cases, on=_PAIR, how="semi", maintain_order="left").select(
            *_PAIR, *kept.get(method, ())
        )
        cases = cases.join(
            own.with_columns(pl.int_range(1, pl.len() + 1).alias(f"rank_{method}")),
            on=_PAIR,
            how="left",
        )
    fused = pl.sum_horizontal(
        (1 / (_FUSION + pl.col(f"rank_{method}"))).fill_null(0) for method in ("sae", "mmseqs2")
    )
    cases = cases.with_columns(fused=fused).sort("fused", *_PAIR, descending=[True, False, False])
    return cases.with_columns(
        rank_both=pl.when(pl.col("fused") > 0).then(pl.int_range(1, pl.len() + 1))
    ).drop("fused")


def _judged(cases: pl.DataFrame, segments: pl.DataFrame) -> pl.DataFrame:
    """Add hidden and at_place: the only step that sees the hidden labels."""
    over = cases.select(*_PAIR, "start", "end").join(
        segments.select(*_PAIR, pl.col("start").alias("from"), pl.col("end").alias("to")), on=_PAIR
    )
    truth = over.group_by(_PAIR).agg(
        ((pl.col("from") <= pl.col("end")) & (pl.col("to") >= pl.col("start")))
        .any()
        .alias("at_place")
    )
    return cases.join(truth.with_columns(hidden=True), on=_PAIR, how="left").with_columns(
        pl.col("hidden", "at_place").fill_null(False)
    )


def _refound(
    cases: pl.DataFrame, methods: Sequence[str], hiding: Hiding, n_clusters: int, n_pairs: int
) -> Refound:
    """The figures of judged cases; `n_clusters` of test are resampled."""
    seen = cases.filter(pl.col("rank_sae").is_not_null())
    return Refound(
        ranking=cases.filter(pl.col("rank_both").is_not_null())
        .sort("rank_both")
        .drop("cluster_code"),
        precision=_precision(
            cases, methods, resamples(n_clusters, hiding.n_resamples, hiding.seed)
        ),
        overlap=_overlap(cases),
        concepts=_by_concept(cases, methods),
        calibration=reliability(
            among_unlabelled(seen["confidence"].to_numpy(), hiding.share),
            seen["at_place"].to_numpy(),
        ),
        n_pairs=n_pairs,
        n_cases=cases.height,
        n_hidden=int(cases["hidden"].sum()),
    )


def _ranked(cases: pl.DataFrame, method: str, n_clusters: int) -> Ranked:
    order = cases.filter(pl.col(f"rank_{method}").is_not_null()).sort(f"rank_{method}")
    right = np.bincount(cases.filter("hidden")["cluster_code"].to_numpy(), minlength=n_clusters)
    return Ranked(order["hidden"].to_numpy(), order["cluster_code"].to_numpy(), right)


def _precision(cases: pl.DataFrame, methods: Sequence[str], weights: np.ndarray) -> pl.DataFrame:
    values = {m: quality(_ranked(cases, m, weights.shape[1]), KS, weights) for m in methods}
    values["sae - mmseqs2"] = values["sae"] - values["mmseqs2"]
    totals, right = (
        np.bincount(part["cluster_code"].to_numpy(), minlength=weights.shape[1])
        for part in (cases, cases.filter("hidden"))
    )
    values["random"] = np.repeat(
        (weights @ right / np.maximum(weights @ totals, 1))[:, None], len(KS) + 1, axis=1
    )
    parts = []
    for method, found in values.items():
        estimate, low, high = spread(found)
        columns = {
            "method": [method] * len(estimate),
            "k": [*KS, None],
            "precision": estimate,
            "low": low,
            "high": high,
        }
        parts.append(pl.DataFrame(columns, schema_overrides={"k": pl.Int64}))
    return pl.concat(parts)


def _overlap(cases: pl.DataFrame) -> pl.DataFrame:
    found = cases.filter("hidden")
    rows = []
    for k in (*KS, None):
        first = [
            (found[f"rank_{m}"] <= (k or cases.height)).fill_null(False) for m in ("sae", "mmseqs2")
        ]
        sae, mmseqs2 = (part.to_numpy() for part in first)
        counts = (sae, mmseqs2, sae & mmseqs2, sae & ~mmseqs2, mmseqs2 & ~sae)
        rows.append((k, *(int(part.sum()) for part in counts)))
    names = ("k", "sae", "mmseqs2", "common", "only_sae", "only_mmseqs2")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Int64), orient="row")


def _by_concept(cases: pl.DataFrame, methods: Sequence[str]) -> pl.DataFrame:
    rows: list[dict[str, Any]] = []
    for (concept, category), own in cases.sort("concept").group_by(
        "concept", "category", maintain_order=True
    ):
        n_clusters = int(own["cluster_code"].to_numpy().max()) + 1
        average = {
            m: float(quality(_ranked(own, m, n_clusters), (), np.ones((1, n_clusters)))[0, 0])
            for m in methods
        }
        rows.append(
            {
                "concept": concept,
                "category": category,
                "n_cases": own.height,
                "n_hidden": int(own["hidden"].sum()),
                **average,
            }
        )
    schema = {
        "concept": pl.String,
        "category": pl.String,
        "n_cases": pl.Int64,
        "n_hidden": pl.Int64,
        **dict.fromkeys(methods, pl.Float64),
    }
    return pl.DataFrame(rows, schema=schema).filter(pl.col("n_hidden") > 0)
