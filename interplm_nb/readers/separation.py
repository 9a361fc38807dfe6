"""The check of a split: relatives on both sides of it, full and partial, and what is done.

Clustering aligns the pairs that share similar k-mers, so a check that chose its pairs in the same
way would miss the same relatives. This one aligns every pair of proteins of different splits, in
both directions: substitution scores are adjusted to the query, so the two can differ. Clusters that
it connects are merged, and the merged one goes where most of its residues are. What moved is
searched again, until nothing is found.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
import polars as pl

from interplm_nb.proteins import Proteins
from interplm_nb.readers.homology import (
    E_VALUE,
    SPLITS,
    ClusterReport,
    Clusters,
    check_no_split_is_empty,
    components,
    covered,
    numbered,
    sizes,
)
from interplm_nb.readers.mmseqs import alignments

log = logging.getLogger(__name__)

EXHAUSTIVE_RESIDUES = 1_000_000
"""Residues in all up to which every pair is aligned (80 seconds of a core, at the demo's rate);
above, those that MMseqs2 finds at `SENSITIVITY`."""

SENSITIVITY = 7.5
"""MMseqs2's highest usual sensitivity; the clusters are made at 5.7."""

PARTIAL_E_VALUE = 1e-3
"""Highest E-value of partial relatives, in a search of all proteins: MMseqs2's own cut-off. A false
one leaves a protein out, so it is stricter than that of the clusters."""

RELATIVES: dict[str, Any] = {
    "accession": pl.String,
    "split": pl.String,
    "relative": pl.String,
    "relative_split": pl.String,
    "identity": pl.Float64,
    "coverage": pl.Float64,
    "e_value": pl.Float64,
}
"""Columns of tables of pairs across splits: `split` is test, or validation where the other is
train. Coverage is the larger of both directions, identity is that alignment's, and the E-value is
the lower one, in a search of all proteins."""


@dataclass(frozen=True)
class Separation:
    """A split without relatives across it, and how it came about."""

    clusters: Clusters
    """After merging."""
    splits: pl.DataFrame
    """accession, cluster, split, in protein order."""
    merged: pl.DataFrame
    """Relatives that were found across the splits and share a split now. `search` (0: in the splits
    as given; from 1: after moving), then columns of `RELATIVES` with the splits of that search."""
    partial_relatives: pl.DataFrame
    """Pairs across the final splits whose alignment covers less than the clusters ask for; columns
    of `RELATIVES`."""
    n_moved: int
    """Proteins whose split changed."""
    n_left: int
    """Relatives across the splits in the last search."""
    exhaustive: bool
    """Whether every pair was aligned."""

    def __str__(self) -> str:
        how = (
            "aligned every pair of proteins of different splits"
            if self.exhaustive
            else f"had sensitivity {SENSITIVITY} instead of {self.clusters.report.sensitivity}"
        )
        as_given = self.merged.filter(search=0).height
        done = (
            f": their clusters, and those of {self.merged.height - as_given:,} more pairs that "
            f"moving brought about, were merged, which moved {self.n_moved:,} proteins. "
            f"The last search found {self.n_left}"
            if as_given
            else ""
        )
        return (
            f"A second search, which {how}, found {as_given:,} pairs of relatives across the "
            f"splits{done}.\n{self._partial()}"
        )

    def _partial(self) -> str:
        report = self.clusters.report
        of = "the shorter" if report.coverage_mode == "shorter" else "both"
        counts = partial_counts(self.splits, self.partial_relatives)
        words = " and ".join(f"{n:,} {name} proteins" for name, n in counts.items())
        return (
            f"Partial relatives in train ({report.identity:.0%} identity over less than "
            f"{report.coverage:.0%} of {of}): {words} have some."
        )


def separate(
    proteins: Proteins, clusters: Clusters, splits: pl.DataFrame, threads: int | None = None
) -> Separation:
    """Look for relatives across the splits, and merge the clusters that they connect.

    Relatives are those of `cluster`: the same identity, coverage and E-value. A merged cluster goes
    to the split that holds most of its residues, so that few proteins move.

    Parameters
    ----------
    proteins
        The residue axis.
    clusters
        From `homology.cluster`, of these proteins.
    splits
        accession, split, in the order of the proteins: from `homology.split`.
    threads
        Threads of MMseqs2 (default: all cores).

    Returns
    -------
    Separation
        With no relative across its splits.

    Raises
    ------
    ValueError
        If splits are of other proteins, or a split would be empty after merging.
    FileNotFoundError
        Without MMseqs2; the message says how to get it.
    """
    _check_listed(splits, proteins)
    report = clusters.report
    dealt = home = (
        splits["split"].replace_strict(SPLITS, range(3), return_dtype=pl.Int64).to_numpy()
    )
    labels = clusters.table["cluster"].to_numpy()
    exhaustive = proteins.n_residues <= EXHAUSTIVE_RESIDUES
    sensitivity = None if exhaustive else SENSITIVITY
    fresh, found, merged = np.ones(len(proteins), bool), [], []
    for search in count():
        pairs = _across(proteins, home, fresh, report, sensitivity, threads)
        close = pairs.filter(pl.col("coverage") >= report.coverage)
        found.append(pairs)
        merged.append(
            _named(close, proteins, home).select(pl.lit(search, pl.Int64).alias("search"), pl.all())
        )
        if close.is_empty():
            break
        labels = _joined(labels, close)
        moved = _where_most_residues_are(labels, home, proteins)
        fresh, home = moved != home, moved
    made = Clusters(numbered(labels, proteins), replace(report, **sizes(labels, proteins)))
    final = made.table.with_columns(split=pl.Series([SPLITS[i] for i in home], dtype=pl.String))
    check_no_split_is_empty(final)
    partial = _partial(pl.concat(found), report.coverage)
    result = Separation(
        clusters=made,
        splits=final.drop("residues"),
        merged=pl.concat(merged),
        partial_relatives=_named(partial, proteins, home),
        n_moved=int((home != dealt).sum()),
        n_left=close.height,
        exhaustive=exhaustive,
    )
    log.info("%s", result)
    return result


def without_partial_relatives(
    splits: pl.DataFrame, partial_relatives: pl.DataFrame, split: str = "test"
) -> list[str]:
    """The proteins of a split that have no partial relative in train.

    Parameters
    ----------
    splits
        accession, split.
    partial_relatives
        Columns of `RELATIVES`, from `separate`.
    split
        "test" or "validation".

    Returns
    -------
    list of str
        Accessions, in the order of `splits`.

    Examples
    --------
    >>> splits = pl.DataFrame({"accession": ["A", "B", "C"], "split": ["test", "test", "train"]})
    >>> partial = pl.DataFrame({"accession": ["B"], "relative_split": ["train"]})
    >>> without_partial_relatives(splits, partial)
    ['A']
    """
    related = partial_relatives.filter(relative_split="train")["accession"]
    return splits.filter(pl.col("split") == split, ~pl.col("accession").is_in(related.implode()))[
        "accession"
    ].to_list()


def partial_counts(splits: pl.DataFrame, partial_relatives: pl.DataFrame) -> dict[str, int]:
    """How many proteins of validation and of test have a partial relative in train."""
    return {
        split: splits.filter(split=split).height
        - len(without_partial_relatives(splits, partial_relatives, split))
        for split in ("validation", "test")
    }


def _check_listed(splits: pl.DataFrame, proteins: Proteins) -> None:
    if splits["accession"].to_list() != proteins.accessions:
        raise ValueError(
            f"the splits list {splits.height:,} proteins, not these {len(proteins):,} in their "
            "order; split the clusters of exactly these proteins"
        )


def _partial(pairs: pl.DataFrame, coverage: float) -> pl.DataFrame:
    """Each pair of partial relatives once."""
    return _distinct(
        pairs.filter(pl.col("coverage") < coverage, pl.col("e_value") <= PARTIAL_E_VALUE)
    )


def _across(
    proteins: Proteins,
    home: np.ndarray,
    fresh: np.ndarray,
    report: ClusterReport,
    sensitivity: float | None,
    threads: int | None,
) -> pl.DataFrame:
    """Pairs of different splits of which one protein is fresh: query < target (u32), identity,
    coverage, e_value."""
    tables = [
        _search(proteins, queries, targets, report, sensitivity, threads)
        for queries, targets in _searches(home, fresh)
    ]
    either = pl.concat(tables).select(
        pl.min_horizontal("query", "target").alias("query"),
        pl.max_horizontal("query", "target").alias("target"),
        "identity",
        "coverage",
        "e_value",
    )
    return _distinct(either)


def _searches(home: np.ndarray, fresh: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Queries and targets (bool [n] each): every ordered pair of different splits with a fresh
    protein, once."""
    for part in range(len(SPLITS)):
        inside = home == part
        yield inside & fresh, ~inside
        yield inside & ~fresh, ~inside & fresh


def _search(
    proteins: Proteins,
    queries: np.ndarray,
    targets: np.ndarray,
    report: ClusterReport,
    sensitivity: float | None,
    threads: int | None,
) -> pl.DataFrame:
    """query, target (u32, in all proteins), identity, coverage, e_value (in a search of all)."""
    ask, among = (
        proteins.select(proteins.accessions[i] for i in np.flatnonzero(mask))
        for mask in (queries, targets)
    )
    # E-values grow in proportion to the residues that are searched.
    scale = proteins.n_residues / max(among.n_residues, 1)
    pairs = alignments(ask, among, report.identity, E_VALUE / scale, sensitivity, threads)
    return pairs.select(
        *(
            pl.Series(name, np.flatnonzero(mask), pl.UInt32).gather(pairs[name])
            for name, mask in (("query", queries), ("target", targets))
        ),
        "identity",
        covered(report.coverage_mode).alias("coverage"),
        pl.col("e_value") * scale,
    )


def _distinct(pairs: pl.DataFrame) -> pl.DataFrame:
    """Each pair once: its largest coverage, that alignment's identity, and its lowest E-value."""
    return pairs.group_by("query", "target").agg(
        pl.col("identity").sort_by("coverage", "identity", descending=True).first(),
        pl.col("coverage").max(),
        pl.col("e_value").min(),
    )


def _joined(labels: np.ndarray, pairs: pl.DataFrame) -> np.ndarray:
    """The clusters after those that a pair connects are merged."""
    first = np.unique(labels, return_index=True)[1][labels]
    members = pl.DataFrame(
        {"query": np.arange(len(labels)), "target": first},
        schema={"query": pl.UInt32, "target": pl.UInt32},
    )
    return components(pl.concat([members, pairs.select("query", "target")]), len(labels))


def _where_most_residues_are(
    labels: np.ndarray, home: np.ndarray, proteins: Proteins
) -> np.ndarray:
    """int64 [n]: the split that holds most residues of each protein's cluster; in a tie the first
    of `SPLITS`."""
    held = np.zeros((labels.max() + 1, len(SPLITS)))
    np.add.at(held, (labels, home), proteins.lengths)
    return held.argmax(axis=1)[labels]


def _named(pairs: pl.DataFrame, proteins: Proteins, home: np.ndarray) -> pl.DataFrame:
    """Pairs of different splits with the columns of `RELATIVES`, closest first."""
    names = pl.Series(proteins.accessions, dtype=pl.String)
    turn = home[pairs["query"].to_numpy()] < home[pairs["target"].to_numpy()]
    held_out, other = (
        pairs[a].zip_with(pl.Series(~turn, dtype=pl.Boolean), pairs[b])
        for a, b in (("query", "target"), ("target", "query"))
    )
    splits = pl.Series([SPLITS[i] for i in home], dtype=pl.String)
    return (
        pairs.select("identity", "coverage", "e_value")
        .with_columns(
            accession=names.gather(held_out),
            split=splits.gather(held_out),
            relative=names.gather(other),
            relative_split=splits.gather(other),
        )
        .filter(pl.col("split") != pl.col("relative_split"))
        .sort("identity", "accession", "relative", descending=[True, False, False])
        .select(RELATIVES.keys())
    )
