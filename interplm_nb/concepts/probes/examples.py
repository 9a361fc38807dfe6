"""Examples for probes: residues or whole proteins, in three splits without shared clusters."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import polars as pl

from interplm_nb.activations_writer import shape_of
from interplm_nb.concepts.by_protein.pool import PooledFeatures
from interplm_nb.concepts.source import Matrix, Source, joined, stacked
from interplm_nb.proteins import Proteins

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Examples:
    """The values of examples, shared by any number of labels.

    `kind` is "residues", or "proteins by max" and the like. `places`, by split: int64 [n],
    ascending, rows of the residue axis or indices of proteins. `values`, by split: float32
    [n, n_features], csr or ndarray.
    """

    kind: str
    places: Mapping[str, np.ndarray]
    values: Mapping[str, Matrix]

    @classmethod
    def residues(
        cls, source: Source, splits: pl.DataFrame, most: int = 200_000, seed: int = 0
    ) -> Self:
        """Draw residues of whole proteins at random, up to `most` per split.

        Residues without the label are negatives. If not every protein was examined for a label
        (helices are annotated only where a structure is known), pass the splits of those that
        were. Equal splits, `most` and `seed` give the same residues for every source on the same
        proteins. Memory for a dense source: 3 * most * n_features * 4 bytes.

        Parameters
        ----------
        source : Source
            In unit "max"; `DenseSource` for the dense baseline.
        splits : pl.DataFrame
            accession, cluster, split (train, validation, test), from `Run.splits` or
            `homology.split`. Other proteins are left out.
        most, seed : int
            Maximum residues per split, and the seed of the draw.

        Raises
        ------
        ValueError
            For a cluster in two splits.
        """
        chosen = {
            s: _drawn(names, source.proteins, most, seed)
            for s, names in by_split(splits, source.proteins).items()
        }
        parts = {s: _residues(source, names) for s, names in chosen.items()}
        return cls(
            "residues",
            {s: rows for s, (rows, _) in parts.items()},
            {s: values for s, (_, values) in parts.items()},
        )

    @classmethod
    def proteins(cls, pooled: PooledFeatures, splits: pl.DataFrame) -> Self:
        """All proteins of the splits, with each feature pooled over the residues (`pool`).

        `splits` as in `residues`; places are rows of `pooled`.
        """
        found = {
            s: np.sort(np.array([pooled.proteins.index(a) for a in names], np.int64))
            for s, names in by_split(splits, pooled.proteins).items()
        }
        values = {s: pooled.values[places] for s, places in found.items()}
        return cls(f"proteins by {pooled.how}", found, values)

    @property
    def n_features(self) -> int:
        """Number of features."""
        return shape_of(self.values["train"])[1]

    def only(self, features: np.ndarray) -> Self:
        """The same examples with these features only, int64 [k], in this order."""
        return replace(self, values={s: values[:, features] for s, values in self.values.items()})

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each feature on train, float64 [n_features].

        The deviation of a constant feature is exactly 0.
        """
        values = self.values["train"]
        if isinstance(values, np.ndarray):
            deviation = values.std(axis=0, dtype=np.float64)
            return values.mean(axis=0, dtype=np.float64), np.where(
                np.ptp(values, axis=0) > 0, deviation, 0.0
            )
        n, n_features = shape_of(values)
        data = values.data.astype(np.float64)
        mean, squares = (np.bincount(values.indices, w, n_features) / n for w in (data, data**2))
        varies = (values.max(axis=0) - values.min(axis=0)).toarray().ravel() > 0
        return mean, np.where(varies, np.sqrt(np.maximum(squares - mean**2, 0)), 0.0)

    def labels(self, carried: np.ndarray) -> dict[str, np.ndarray]:
        """bool [n] by split, from bool over all rows (or proteins).

        ValueError if a split lacks either class.
        """
        found = {s: np.asarray(carried, bool)[places] for s, places in self.places.items()}
        for split in SPLITS:
            n, n_positive = len(found[split]), int(found[split].sum())
            if not 0 < n_positive < n:
                raise ValueError(
                    f"{n_positive} of {n} {self.kind} of {split} carry the label; a probe needs "
                    "some "
                    "that do and some that do not: take more examples, or leave the label out"
                )
        return found


def by_split(splits: pl.DataFrame, proteins: Proteins) -> dict[str, list[str]]:
    """The accessions of train, validation and test.

    ValueError for missing columns, unknown proteins, an empty split, or a cluster in two splits.
    """
    missing = [name for name in ("accession", "cluster", "split") if name not in splits.columns]
    if missing:
        raise ValueError(
            f"splits need the columns accession, cluster and split; {missing} not among "
            f"{splits.columns}; homology.split makes them"
        )
    strangers = [accession for accession in splits["accession"] if accession not in proteins]
    if strangers:
        raise ValueError(
            f"{len(strangers)} proteins of the splits, such as {strangers[0]!r}, are not among "
            f"{proteins}; filter the splits"
        )
    torn = (
        splits.group_by("cluster")
        .agg(pl.col("split").unique().sort())
        .filter(pl.col("split").list.len() > 1)
        .sort("cluster")
    )
    if torn.height:
        cluster, names = torn.row(0)
        where = " and ".join(map(str, names))
        raise ValueError(
            f"cluster {cluster} is in {where} ({torn.height} such clusters); keep clusters "
            "whole, "
            "as homology.split does"
        )
    found = {
        split: splits.filter(pl.col("split") == split)["accession"].to_list() for split in SPLITS
    }
    empty = [split for split, names in found.items() if not names]
    if empty:
        raise ValueError(
            f"no protein in {' and '.join(empty)}; every protein needs a split: train, validation "
            "or "
            "test"
        )
    return found


def _drawn(accessions: list[str], proteins: Proteins, most: int, seed: int) -> list[str]:
    """Random proteins with at most `most` residues in total; at least one."""
    order = np.random.default_rng(seed).permutation(len(accessions))
    lengths = proteins.lengths[[proteins.index(a) for a in accessions]][order]
    return [accessions[i] for i in order[: max(1, int((lengths.cumsum() <= most).sum()))]]


def _residues(source: Source, accessions: list[str]) -> tuple[np.ndarray, Matrix]:
    rows, parts = zip(*joined(source, accessions), strict=True)
    return np.concatenate(rows), stacked(list(parts))
