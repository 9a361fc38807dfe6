"""How well a feature ranks the residues that carry a concept, at all thresholds at once: the area under its precision-recall curve."""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import polars as pl
from scipy.sparse import csc_array, vstack

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.decisions import ranking_of_sparse
from interplm_nb.concepts.pairs import ChosenPairs
from interplm_nb.concepts.source import Source, joined

AUPRC: dict[str, Any] = {
    "concept": pl.String,
    "feature": pl.UInt32,
    "auprc": pl.Float64,
    "prevalence": pl.Float64,
}
"""Columns of `average_precision`."""

_DENSE_FEATURES = 32
"""Columns of a dense source that are held at once."""

_Entries = tuple[int, np.ndarray, np.ndarray]


def average_precision(
    source: Source, annotations: Annotations, pairs: pl.DataFrame, accessions: Collection[str]
) -> pl.DataFrame:
    """Average precision of each pair over the residues of these proteins: positives carry the concept, the score is the activation.

        AP = sum_n (R_n - R_{n-1}) P_n

    over the distinct scores from the highest down, R_n and P_n being recall and precision of the residues at or above the n-th; residues of one
    score, such as all silent ones, come in together (as in scikit-learn's `average_precision_score`). Prevalence, the share of positives, is what a
    random ranking has. pairs: concept, feature (null: all residues rank the same), threshold (not used). One row per pair, in their order, columns
    `AUPRC`; 0 where no residue carries the concept. Memory: the non-zero values of the pairs' features, or 32 columns of a dense source.
    """
    accessions = sorted(set(accessions), key=source.proteins.index)
    chosen = ChosenPairs.of(source, annotations, pairs, accessions)
    rows = source.proteins.rows_of(accessions)
    carried = csc_array(chosen.labels.carried[rows])
    n_positive = np.diff(carried.indptr)[chosen.concept].astype(np.int64)
    prevalence = n_positive / max(len(rows), 1)
    found = prevalence.copy()
    for feature, places, values in _ranked(
        source, np.unique(chosen.feature[chosen.there]), accessions
    ):
        for p in np.flatnonzero(chosen.there & (chosen.feature == feature)):
            carries = np.zeros(len(rows), bool)
            carries[
                carried.indices[
                    carried.indptr[chosen.concept[p]] : carried.indptr[chosen.concept[p] + 1]
                ]
            ] = True
            found[p] = ranking_of_sparse(
                values, carries[places], len(rows), int(n_positive[p])
            ).average_precision
    columns = {
        "concept": pairs["concept"],
        "feature": pairs["feature"],
        "auprc": found,
        "prevalence": prevalence,
    }
    return pl.DataFrame(columns, schema=AUPRC)


def _ranked(source: Source, features: np.ndarray, accessions: list[str]) -> Iterator[_Entries]:
    """Each feature with the places (along the rows of these proteins) and values where it is not 0, the highest first."""
    first = next(iter(source.blocks(accessions[:1])), None)
    width = (
        _DENSE_FEATURES
        if first is not None and isinstance(first.values, np.ndarray)
        else max(len(features), 1)
    )
    for start in range(0, len(features), width):
        group = features[start : start + width]
        parts = [values[:, group] for _, values in joined(source, accessions)]
        if not parts:
            return
        # A source's blocks are all sparse, or all dense.
        columns = (
            np.concatenate(parts) if isinstance(parts[0], np.ndarray) else csc_array(vstack(parts))
        )
        del parts
        for j, feature in enumerate(group.tolist()):
            places, values = _column(columns, j)
            # Once for all pairs of the feature: the ranking of each finds them in order.
            order = np.argsort(values)[::-1]
            yield feature, places[order], values[order]


def _column(columns: np.ndarray | csc_array, j: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and values of a column's entries."""
    if isinstance(columns, np.ndarray):
        places = np.flatnonzero(columns[:, j])
        return places, columns[places, j]
    entries = slice(columns.indptr[j], columns.indptr[j + 1])
    return columns.indices[entries], np.asarray(columns.data[entries])
