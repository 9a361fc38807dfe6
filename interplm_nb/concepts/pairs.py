"""Pairs chosen earlier, on the proteins where they are read.

Intervals, AUPRC, permutation tests and coverage start from these.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.labels import Labels
from interplm_nb.concepts.source import Matrix, Source, check_source


@dataclass(frozen=True)
class ChosenPairs:
    """Pairs of concept and feature chosen earlier, on the proteins where they are read.

    `labels` of the pairs' concepts, with overlapping instances kept; `concept` int64 [n_pairs],
    the row in `labels.concepts`; `feature` int64 [n_pairs], 0 if missing; `threshold` float32
    [n_pairs], in unit "max"; `there` bool [n_pairs], whether the pair has a feature.
    """

    labels: Labels
    concept: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    there: np.ndarray

    @classmethod
    def of(
        cls,
        source: Source,
        annotations: Annotations,
        pairs: pl.DataFrame,
        accessions: Collection[str],
    ) -> Self:
        """Read pairs of concept, feature (null: missing) and threshold, in any order.

        A concept may have several features; one that these proteins lack has no residue.
        ValueError for a concept that the annotations lack, or a feature that the source lacks.
        """
        check_source(source, annotations)
        labels = Labels.of(annotations.only(pairs["concept"].unique()), accessions, "keep")
        place = {name: c for c, name in enumerate(labels.concepts["concept"])}
        lacking = sorted(set(pairs["concept"]) - set(place))
        if lacking:
            raise ValueError(
                f"the annotations lack {lacking[:3]}; pass those that the pairs were chosen on"
            )
        feature = pairs["feature"].fill_null(0).to_numpy().astype(np.int64)
        if (feature >= source.n_features).any():
            raise ValueError(
                f"the pairs name feature {feature.max()}, but the source has 0 to "
                f"{source.n_features - 1}; pass the source they were chosen on"
            )
        concept = np.array([place[name] for name in pairs["concept"]], np.int64)
        threshold = pairs["threshold"].fill_null(0.0).to_numpy().astype(np.float32)
        return cls(labels, concept, feature, threshold, pairs["feature"].is_not_null().to_numpy())

    def __len__(self) -> int:
        return len(self.concept)

    @property
    def residue_level(self) -> np.ndarray:
        """bool [n_pairs]: recall counts residues."""
        return (self.labels.concepts["level"] == "residue").to_numpy()[self.concept]

    def active(self, values: Matrix) -> csr_array:
        """int32 [n, n_pairs]: 1 where each pair's feature is strictly above its threshold."""
        columns = values[:, self.feature]
        if isinstance(columns, np.ndarray):
            return csr_array(((columns > self.threshold) & self.there).astype(np.int32))
        on = (columns.data > self.threshold[columns.indices]) & self.there[columns.indices]
        indptr = np.concatenate([[0], np.cumsum(on)])[columns.indptr]
        return csr_array(
            (np.ones(indptr[-1], np.int32), columns.indices[on], indptr), shape=columns.shape
        )
