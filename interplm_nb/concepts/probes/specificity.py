"""Family specificity: the protein families on which a feature fires strongly."""

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from interplm_nb.activations_writer import shape_of
from interplm_nb.concepts.by_protein.pool import pool
from interplm_nb.concepts.source import Source
from interplm_nb.proteins import Proteins

SPECIFICITY: dict[str, Any] = {
    "feature": pl.UInt32,
    "n_strong": pl.Int64,
    "family": pl.String,
    "n_family": pl.Int64,
    "n_both": pl.Int64,
    "share": pl.Float64,
    "recall": pl.Float64,
    "f1": pl.Float64,
    "p_value": pl.Float64,
    "q_value": pl.Float64,
}
"""Columns of `family_specificity`; counts are of proteins, or of clusters."""


def family_specificity(
    source: Source,
    families: pl.DataFrame,
    accessions: Collection[str],
    threshold: float = 0.5,
    clusters: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The best-matching family of each feature, by the proteins on which it fires strongly.

    Families are homologous, so the family cannot be chosen on one part and tested on another
    without shared clusters: both use these proteins. q accounts for the choice; share and recall
    do not. A long protein is strong more often by chance, so a common feature may seem to favour a
    family of long proteins, with a small share. (InterProt splits proteins at random and tests
    only the families of the strongest protein.)

    Parameters
    ----------
    source : Source
        In unit "max".
    families : pl.DataFrame
        accession, family. A protein may have several families; one without counts against all.
    accessions : collection of str
        Proteins to use.
    threshold : float
        A protein is strong if the feature's maximum on it is strictly above this.
    clusters : pl.DataFrame, optional
        accession, cluster, such as a run's splits. Counts each homology cluster once, as strong or
        in a family if at least half of its proteins are. Proteins of a cluster are not
        independent: only with clusters is q valid.

    Returns
    -------
    pl.DataFrame
        Columns of `SPECIFICITY`, one row per feature, in order. share = n_both / n_strong, recall
        = n_both / n_family, and their f1, by which the family is chosen (ties to the first name).
        p_value: hypergeometric, n_both or more among n_strong random proteins (or clusters).
        q_value: Benjamini-Hochberg over all pairs of a family and a feature with a strong protein.
        Without a strong protein in a family, family is null, figures are 0 and p is 1.

    Raises
    ------
    ValueError
        For another unit than "max", proteins without a cluster, or no family on these proteins.
    """
    if source.unit != "max":
        raise ValueError(
            "the threshold is a fraction of each feature's maximum (unit 'max'), but the source "
            "has "
            f"unit {source.unit!r}; use activations.relative_to(maxima)"
        )
    pooled = pool(source, "max", accessions)
    places = np.array([source.proteins.index(a) for a in pooled.accessions], np.int64)
    strong = csr_array(pooled.values > threshold, dtype=np.int64)
    member, names = _membership(families, places, source.proteins)
    if clusters is not None:
        groups = _groups(clusters, places, source.proteins)
        strong, member = _half(groups, strong), _half(groups, member)
    pairs = _pairs(strong, member)
    rows = _best(pairs, names, source.n_features)
    n_strong = pl.DataFrame(
        {"feature": np.arange(source.n_features, dtype=np.uint32), "n_strong": strong.sum(axis=0)}
    )
    table = n_strong.join(rows, on="feature", how="left").with_columns(
        pl.col("p_value", "q_value").fill_null(1.0)
    )
    return table.select(
        pl.col(name).cast(kind) if kind == pl.String else pl.col(name).fill_null(0).cast(kind)
        for name, kind in SPECIFICITY.items()
    )


class _Pairs(NamedTuple):
    """Pairs of feature and family that share a protein; int64 and float64 [n_pairs]."""

    feature: np.ndarray
    family: np.ndarray
    n_both: np.ndarray
    n_strong: np.ndarray
    n_family: np.ndarray
    p_value: np.ndarray
    q_value: np.ndarray


def _pairs(strong: csr_array, member: csr_array) -> _Pairs:
    from scipy.stats import false_discovery_control, hypergeom

    n_strong, n_family = np.asarray(strong.sum(axis=0)), np.asarray(member.sum(axis=0))
    both = csr_array(strong.T @ member).tocoo()
    feature, family = both.coords
    p = hypergeom.sf(both.data - 1, shape_of(strong)[0], n_family[family], n_strong[feature])
    # Pairs that share no protein have p = 1 and only add to the number of tests: q among all tests
    # is q among these times tests / len(p). Millions of them need not be listed.
    tests = int((n_strong > 0).sum()) * int((n_family > 0).sum())
    q = np.minimum(false_discovery_control(p) * (tests / len(p)), 1) if len(p) else np.empty(0)
    return _Pairs(feature, family, both.data, n_strong[feature], n_family[family], p, q)


def _best(pairs: _Pairs, names: list[str], n_features: int) -> pl.DataFrame:
    f1 = 2 * pairs.n_both / (pairs.n_strong + pairs.n_family)
    order = np.lexsort((pairs.family, -f1, pairs.feature))
    first = order[np.unique(pairs.feature[order], return_index=True)[1]]
    best = _Pairs(*(column[first] for column in pairs))
    return pl.DataFrame(
        {
            "feature": best.feature.astype(np.uint32),
            "family": pl.Series([names[i] for i in best.family], dtype=pl.String),
            "n_family": best.n_family,
            "n_both": best.n_both,
            "share": best.n_both / best.n_strong,
            "recall": best.n_both / best.n_family,
            "f1": f1[first],
            "p_value": best.p_value,
            "q_value": best.q_value,
        }
    )


def _membership(
    families: pl.DataFrame, places: np.ndarray, proteins: Proteins
) -> tuple[csr_array, list[str]]:
    """int64 [n_proteins, n_families] of 0 and 1, and the families' names, sorted."""
    row = {proteins.accessions[place]: i for i, place in enumerate(places.tolist())}
    known = (
        families.select("accession", "family")
        .drop_nulls()
        .unique()
        .filter(pl.col("accession").is_in(list(row)))
    )
    if not known.height:
        raise ValueError(
            f"none of the {families.height} rows of families is on these {len(row)} proteins; use "
            "the "
            "run's accessions"
        )
    names = known["family"].unique().sort().to_list()
    column = {name: j for j, name in enumerate(names)}
    where = [row[a] for a in known["accession"]], [column[f] for f in known["family"]]
    return csr_array((np.ones(known.height, np.int64), where), shape=(len(row), len(names))), names


def _groups(clusters: pl.DataFrame, places: np.ndarray, proteins: Proteins) -> csr_array:
    """int64 [n_clusters, n_proteins]: 1 where a protein belongs to a cluster."""
    cluster = dict(clusters.select("accession", "cluster").iter_rows())
    accessions = [proteins.accessions[place] for place in places.tolist()]
    missing = [accession for accession in accessions if accession not in cluster]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(accessions)} proteins have no cluster, such as "
            f"{missing[0]!r}; "
            "pass the clusters of all of them"
        )
    _, number = np.unique([cluster[accession] for accession in accessions], return_inverse=True)
    return csr_array((np.ones(len(number), np.int64), (number, np.arange(len(number)))))


def _half(groups: csr_array, marks: csr_array) -> csr_array:
    """1 for clusters with at least half of their proteins marked."""
    counts = csr_array(groups @ marks).tocoo()
    size = np.asarray(groups.sum(axis=1))
    enough = 2 * counts.data >= size[counts.coords[0]]
    where = tuple(c[enough] for c in counts.coords)
    return csr_array((np.ones(int(enough.sum()), np.int64), where), shape=counts.shape)
