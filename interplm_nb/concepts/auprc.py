"""Average precision: how well a feature ranks the residues that carry a concept.

The area under the precision-recall curve, over all thresholds at once.
"""

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
"""Columns of a dense source in memory at once."""

_Entries = tuple[int, np.ndarray, np.ndarray]


def average_precision(
    source: Source, annotations: Annotations, pairs: pl.DataFrame, accessions: Collection[str]
) -> pl.DataFrame:
    """Average precision of each pair over the residues of these proteins.

    Positives carry the concept; the score is the activation.

        AP = sum_n (R_n - R_{n-1}) P_n

    over the distinct scores in descending order, with recall R_n and precision P_n of the residues
    at or above the n-th. Residues of equal score, such as all silent ones, enter together (as in
    scikit-learn's `average_precision_score`). Memory: the non-zero values of the pairs' features,
    or 32 columns of a dense source.

    Parameters
    ----------
    source : Source
        Values in unit "max".
    annotations : Annotations
        The labels, on the source's proteins.
    pairs : pl.DataFrame
        concept, feature (null: all residues tie), threshold (not used), such as `BestPairs.pairs`.
    accessions : collection of str
        The proteins to rank, such as the test proteins.

    Returns
    -------
    pl.DataFrame
        Columns of `AUPRC`, one row per pair, in their order. prevalence is the share of positives:
        the average precision of a random ranking. auprc is 0 where no residue carries the concept.

    Examples
    --------
    >>> from interplm_nb.activations import FeatureActivations
    >>> from interplm_nb.proteins import Proteins
    >>> proteins = Proteins.from_sequences({"P1": "MKVL"})
    >>> segment = {"accession": "P1", "concept": "Helix", "category": "Helix", "level": "instance"}
    >>> segment |= {"start": 2, "end": 3, "instance": 0}
    >>> annotations = Annotations(pl.DataFrame([segment]), proteins)
    >>> values = np.array([[0.0], [0.9], [0.2], [0.5]])
    >>> source = FeatureActivations.from_dense(values, proteins, unit="max")
    >>> pairs = pl.DataFrame({"concept": ["Helix"], "feature": [0], "threshold": [0.15]})
    >>> average_precision(source, annotations, pairs, ["P1"])["auprc"].round(3).to_list()
    [0.833]
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
    """Each feature with the places and values of its entries, the highest first.

    Places count along the rows of these proteins.
    """
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
            # Sorted once for all pairs of the feature.
            order = np.argsort(values)[::-1]
            yield feature, places[order], values[order]


def _column(columns: np.ndarray | csc_array, j: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and values of a column's entries."""
    if isinstance(columns, np.ndarray):
        places = np.flatnonzero(columns[:, j])
        return places, columns[places, j]
    entries = slice(columns.indptr[j], columns.indptr[j + 1])
    return columns.indices[entries], np.asarray(columns.data[entries])
