"""Every column as a score of examples: its best threshold, AUPRC and rank correlation at once."""

from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from interplm_nb.activations_writer import shape_of
from interplm_nb.concepts.source import Matrix

_ENTRIES = 2_000_000
"""Values that are sorted at once."""


class Columns(NamedTuple):
    """Figures of each column, float64 [n_columns]."""

    f1: np.ndarray
    """The best F1 of calling what is strictly above a threshold."""
    threshold: np.ndarray
    """That threshold; of equal F1 the one that calls fewest; -inf calls all."""
    auprc: np.ndarray


def as_scores(values: Matrix, direction: np.ndarray, positive: np.ndarray) -> Columns:
    """Rank the examples by each column times its direction.

    values [n, n_columns]; direction int [n_columns], 1 or -1; positive bool [n], some of each. As
    `decisions.ranking` of each column, in blocks of columns.
    """
    n, m = shape_of(values)
    parts = [_block(_dense(values, part) * direction[part], positive) for part in _parts(n, m)] or [
        Columns(*(np.empty(0) for _ in Columns._fields))
    ]
    return Columns(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def rank_correlations(values: Matrix, numbers: np.ndarray) -> np.ndarray:
    """float64 [n_columns]: Spearman's rank correlation of each column with `numbers` [n].

    0 for a constant column; equal values share their mean rank.
    """
    wanted = _centred(rankdata(numbers)[:, None])
    found = [
        (_centred(rankdata(_dense(values, part), axis=0)) * wanted).sum(axis=0)
        for part in _parts(*shape_of(values))
    ]
    return np.concatenate(found) if found else np.empty(0)


def _parts(n: int, m: int) -> list[slice]:
    width = max(1, _ENTRIES // max(n, 1))
    return [slice(first, first + width) for first in range(0, m, width)]


def _dense(values: Matrix, columns: slice) -> np.ndarray:
    part = values[:, columns]
    return part if isinstance(part, np.ndarray) else part.toarray()


def _centred(ranks: np.ndarray) -> np.ndarray:
    """Centred and of length 1; 0 where constant."""
    centred = ranks - ranks.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)


def _block(scores: np.ndarray, positive: np.ndarray) -> Columns:
    order = np.argsort(-scores, axis=0, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=0)
    # Only the last of equal scores is a threshold: what is above it are all of them.
    last = np.vstack([ranked[1:] != ranked[:-1], np.ones((1, scores.shape[1]), bool)])
    called = np.arange(1, len(scores) + 1)[:, None]
    tp = np.cumsum(positive[order], axis=0)
    f1 = np.where(last, 2 * tp / (called + tp[-1]), -1.0)
    best = f1.argmax(axis=0)
    columns = np.arange(scores.shape[1])
    below = np.vstack([ranked[1:], np.full((1, scores.shape[1]), -np.inf)])
    # Positives of a tie count at its end: the difference to the tie before.
    before = np.maximum.accumulate(np.where(last, tp, 0), axis=0)
    new = np.diff(before, axis=0, prepend=0)
    auprc = (new * (tp / called)).sum(axis=0) / np.maximum(tp[-1], 1)
    return Columns(f1[best, columns], below[best, columns].astype(np.float64), auprc)
