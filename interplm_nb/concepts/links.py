"""Features linked to concepts, with calibrated confidence: what names the features of a
sequence.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from scipy.sparse import csc_array

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.best_pairs import PAIRS, ranked_pairs
from interplm_nb.concepts.calibration import Calibration
from interplm_nb.concepts.labels import Labels
from interplm_nb.concepts.scores import ConceptScores
from interplm_nb.concepts.source import Source, check_source, joined
from interplm_nb.saving import read_parquet, write_parquet

LINKS = {
    name: PAIRS[name]
    for name in (
        "concept",
        "category",
        "level",
        "feature",
        "threshold",
        "validation_f1_per_domain",
        "n_residues",
        "n_instances",
        "precision",
        "recall",
        "recall_per_domain",
        "f1",
        "f1_per_domain",
    )
}
"""Columns of `linked`, as in `PAIRS`: feature and threshold are chosen on validation; n_residues
and what follows describe the test split."""

PER_STEP, CLUSTERS_PER_STEP = 100, 30
"""Minimum residues and homology clusters per step of a confidence. With fewer, the strongest
residues of train, or those of one family, would be overconfident by chance."""

KNOTS: dict[str, Any] = {
    "concept": pl.String,
    "feature": pl.UInt32,
    "score": pl.Float32,
    "confidence": pl.Float64,
}


def linked(
    validation: ConceptScores, test: ConceptScores, concepts: Collection[str], min_f1: float
) -> pl.DataFrame:
    """All features that match these concepts on validation: `ranked_pairs` with columns `LINKS`."""
    return ranked_pairs(validation, test, concepts, min_f1).select(LINKS.keys())


def strongest(pairs: pl.DataFrame, min_f1: float, most: int) -> pl.DataFrame:
    """A concept's best feature, and its other features with at least this validation F1.

    `pairs`: rows of `linked`, best first. At most `most` features per concept.
    """
    rank = pl.int_range(pl.len()).over("concept")
    strong = (rank < most) & (pl.col("validation_f1_per_domain") >= min_f1)
    return pairs.filter((rank == 0) | strong)


@dataclass(frozen=True)
class ConceptLinks:
    """Pairs of concept and feature, each with the calibrated confidence of an activation.

    `table` has the columns of `LINKS` and others (such as q_value). `knots`: concept, feature,
    score (activation in unit "max"), confidence.

    Examples
    --------
    >>> knots = {"concept": "Helix", "feature": 3, "score": [0.2, 1.0], "confidence": [0.5, 0.9]}
    >>> links = ConceptLinks(pl.DataFrame(schema=LINKS), pl.DataFrame(knots, schema=KNOTS))
    >>> links.confidence("Helix", 3, np.array([0.0, 0.6, 1.0])).round(2).tolist()
    [0.0, 0.7, 0.9]
    """

    table: pl.DataFrame
    knots: pl.DataFrame

    @classmethod
    def fit(
        cls, table: pl.DataFrame, source: Source, annotations: Annotations, clusters: pl.DataFrame
    ) -> Self:
        """Calibrate each pair: P(a residue carries the concept | activation).

        Fitted where the feature is active, with equal weight for each homology cluster. `clusters`:
        accession, cluster, of train. A pair whose feature is never active there has no knots, and
        confidence 0.
        """
        check_source(source, annotations)
        accessions = clusters["accession"].to_list()
        features = table["feature"].unique().sort().to_numpy().astype(np.int64)
        entries = _entries(source, features, accessions)
        cluster_of_row = np.zeros(source.proteins.n_residues, np.int64)
        for accession, cluster in clusters.select("accession", "cluster").iter_rows():
            cluster_of_row[source.proteins.rows(accession)] = cluster
        labels = Labels.of(annotations.only(table["concept"].unique()), accessions, "keep")
        carried = labels.carried.tocsc()
        place = {name: c for c, name in enumerate(labels.concepts["concept"])}
        parts = [pl.DataFrame(schema=KNOTS)]
        for concept, feature in table.select("concept", "feature").iter_rows():
            rows, values = entries[feature]
            if len(rows) == 0 or concept not in place:
                continue
            column = slice(carried.indptr[place[concept]], carried.indptr[place[concept] + 1])
            right = np.isin(rows, carried.indices[column])
            fitted = Calibration.fit(
                values, right, cluster_of_row[rows], PER_STEP, CLUSTERS_PER_STEP
            )
            knots = {
                "concept": concept,
                "feature": feature,
                "score": fitted.scores,
                "confidence": fitted.confidences,
            }
            parts.append(pl.DataFrame(knots, schema=KNOTS))
        return cls(table, pl.concat(parts))

    @cached_property
    def _calibrations(self) -> dict[tuple[Any, ...], Calibration]:
        parts = self.knots.partition_by("concept", "feature", as_dict=True, maintain_order=True)
        return {
            pair: Calibration(knots["score"].to_numpy(), knots["confidence"].to_numpy())
            for pair, knots in parts.items()
        }

    def confidence(self, concept: str, feature: int, values: np.ndarray) -> np.ndarray:
        """float64: calibrated probability that a residue carries the concept, by activation.

        `values` in unit "max"; 0 where the feature is silent.
        """
        if (concept, feature) not in self._calibrations:
            return np.zeros(np.shape(values))
        return np.where(
            np.asarray(values) > 0, self._calibrations[concept, feature](np.asarray(values)), 0.0
        )

    def save(self, folder: Path, about: Mapping[str, Any]) -> None:
        """Write `links.parquet` and `calibration.parquet` into a source's folder.

        `about` (PLM, layer, sequences, ...) is added to their records.
        """
        write_parquet(
            self.table, folder / "links.parquet", {**about, "type": "ConceptLinks", "version": 1}
        )
        write_parquet(
            self.knots,
            folder / "calibration.parquet",
            {**about, "type": "ConceptLinks.calibration", "version": 1},
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        return cls(
            read_parquet(folder / "links.parquet", "ConceptLinks", 1)[0],
            read_parquet(folder / "calibration.parquet", "ConceptLinks.calibration", 1)[0],
        )


def _entries(
    source: Source, features: np.ndarray, accessions: Collection[str]
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Rows and values where each of these features is above 0."""
    rows: dict[int, list[np.ndarray]] = {int(f): [] for f in features}
    values: dict[int, list[np.ndarray]] = {int(f): [] for f in features}
    for axis, block in joined(source, accessions):
        columns = csc_array(block[:, features])
        for f, first, last in zip(rows, columns.indptr, columns.indptr[1:], strict=False):
            on = columns.data[first:last] > 0
            rows[f].append(axis[columns.indices[first:last][on]])
            values[f].append(columns.data[first:last][on])
    return {
        f: (
            np.concatenate(rows[f] or [np.empty(0, np.int64)]),
            np.concatenate(values[f] or [np.empty(0, np.float32)]),
        )
        for f in rows
    }
