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
    """By instances: instance_hits / n_instances; for a residue-level concept, `recall`."""
    f1: np.ndarray
    """Harmonic mean of precision and recall."""
    f1_per_domain: np.ndarray
    """Harmonic mean of precision and recall_per_domain: InterPLM's headline figure, in both
    conventions."""


def measures(
    tp: np.ndarray,
    active: np.ndarray,
    instance_hits: np.ndarray,
    n_residues: np.ndarray,
    n_instances: np.ndarray,
    residue_level: np.ndarray,
) -> Measures:
    """Precision, recall and F1 from counts, broadcast against each other.

    Parameters
    ----------
    tp : np.ndarray
        Active residues that carry the concept.
    active : np.ndarray
        Active residues.
    instance_hits : np.ndarray
        Instances with an active residue.
    n_residues, n_instances : np.ndarray
        Residues and instances of the concept.
    residue_level : np.ndarray
        bool: recall counts residues.

    Examples
    --------
    >>> found = measures(*map(np.array, (3, 4, 1, 6, 1, False)))
    >>> [round(float(value), 2) for value in found]
    [0.75, 0.5, 1.0, 0.6, 0.86]
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
