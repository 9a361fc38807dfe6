"""Precision, recall and F1 from counts."""

from typing import NamedTuple

import numpy as np


class Measures(NamedTuple):
    """float64 arrays of one shape; 0 where a ratio would be 0 / 0, never NaN."""

    precision: np.ndarray
    """By residues: tp / active."""
    recall: np.ndarray
    """By residues: tp / n_residues."""
    recall_per_domain: np.ndarray
    """By instances: instance_hits / n_instances; for a residue-level concept the recall by residues."""
    f1: np.ndarray
    """Of precision and recall."""
    f1_per_domain: np.ndarray
    """Of precision and recall_per_domain: the headline figure of InterPLM, in both conventions."""


def measures(
    tp: np.ndarray,
    active: np.ndarray,
    instance_hits: np.ndarray,
    n_residues: np.ndarray,
    n_instances: np.ndarray,
    residue_level: np.ndarray,
) -> Measures:
    """The measures of counts, broadcast against each other.

    tp: active residues that carry the concept; active: active residues; instance_hits: instances with an active residue; n_residues, n_instances:
    of the concept; residue_level: bool, recall counts residues.
    """
    precision = _ratio(tp, active)
    recall = _ratio(tp, n_residues)
    recall_per_domain = np.where(residue_level, recall, _ratio(instance_hits, n_instances))
    return Measures(
        precision,
        recall,
        recall_per_domain,
        _f1(precision, recall),
        _f1(precision, recall_per_domain),
    )


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    return np.divide(
        numerator,
        denominator,
        out=np.zeros(shape),
        where=np.broadcast_to(np.asarray(denominator) > 0, shape),
    )


def _f1(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    return _ratio(2 * precision * recall, precision + recall)
