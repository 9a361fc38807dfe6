"""Binary decisions from scores: rankings, the threshold with the best F1, and their figures."""

from typing import NamedTuple

import numpy as np


class Ranking(NamedTuple):
    """Examples in descending order of score, one entry per distinct score."""

    scores: np.ndarray
    """Distinct scores, descending."""
    called: np.ndarray
    """int64: number of examples with this score or a higher one."""
    tp: np.ndarray
    """int64: how many of them carry the label."""

    @property
    def average_precision(self) -> float:
        """AUPRC: the sum of (R_i - R_(i-1)) P_i over distinct scores; 0 without positives."""
        return float(
            (np.diff(self.tp, prepend=0) * (self.tp / self.called)).sum() / max(int(self.tp[-1]), 1)
        )

    def best(self) -> tuple[float, float]:
        """The threshold with the best F1, and that F1. What is strictly above it is called.

        Ties go to the threshold that calls fewest; -inf calls all.
        """
        f1 = 2 * self.tp / (self.called + self.tp[-1])
        i = int(f1.argmax())
        return (float(self.scores[i + 1]) if i + 1 < len(self.scores) else -np.inf), float(f1[i])


def ranking(scores: np.ndarray, positive: np.ndarray, total: np.ndarray | None = None) -> Ranking:
    """Rank scores [n].

    An entry represents `total` examples (int, 1 or more; None: 1 each), of which `positive` (int
    or bool) carry the label. ValueError for no scores, or NaN.
    """
    scores = np.asarray(scores)
    if not len(scores) or np.isnan(scores).any():
        raise ValueError(
            f"a ranking needs one or more scores without NaN, not {len(scores)} with "
            f"{int(np.isnan(scores).sum())} NaN"
        )
    # A stable sort is fast where the scores already descend.
    order = np.argsort(-scores, kind="stable")
    scores, positive = scores[order], np.asarray(positive)[order]
    last = np.append(scores[1:] != scores[:-1], True)
    total = np.ones(len(scores), np.int64) if total is None else np.asarray(total)[order]
    called, tp = (np.cumsum(counts, dtype=np.int64)[last] for counts in (total, positive))
    return Ranking(scores[last], called, tp)


def ranking_of_sparse(values: np.ndarray, positive: np.ndarray, n: int, n_positive: int) -> Ranking:
    """Rank n examples by k stored values; the others are 0.

    `positive` bool [k]: which of the stored examples carry the label; n_positive of all n do.
    """
    if len(values) == n:
        return ranking(values, positive)
    total = np.append(np.ones(len(values), np.int64), n - len(values))
    return ranking(
        np.append(values, np.float32(0)), np.append(positive, n_positive - positive.sum()), total
    )


class Figures(NamedTuple):
    """Figures of a decision on some examples; 0 / 0 is 0."""

    n: int
    n_positive: int
    prevalence: float
    """n_positive / n: the AUPRC of a random score."""
    accuracy: float
    balanced_accuracy: float
    """Mean of the recalls of both classes; 0.5 for a constant decision."""
    precision: float
    recall: float
    f1: float
    auprc: float


def figures(tp: int, called: int, n_positive: int, n: int, auprc: float) -> Figures:
    """Figures from counts: n examples, n_positive with the label; called, tp of them with it."""
    correct_negatives = n - n_positive - (called - tp)
    recalls = _share(tp, n_positive), _share(correct_negatives, n - n_positive)
    accuracy, f1 = _share(tp + correct_negatives, n), _share(2 * tp, called + n_positive)
    return Figures(
        n,
        n_positive,
        _share(n_positive, n),
        accuracy,
        sum(recalls) / 2,
        _share(tp, called),
        recalls[0],
        f1,
        auprc,
    )


def decided(scores: np.ndarray, labels: np.ndarray, threshold: float) -> Figures:
    """Figures of calling what scores strictly above a threshold: scores [n], labels bool [n]."""
    called = scores > threshold
    return figures(
        int(labels[called].sum()),
        int(called.sum()),
        int(labels.sum()),
        len(labels),
        ranking(scores, labels).average_precision,
    )


def constant(labels: np.ndarray, call: bool) -> Figures:
    """Figures of one answer for every example: labels bool [n]."""
    n, n_positive = len(labels), int(labels.sum())
    return figures(n_positive * call, n * call, n_positive, n, _share(n_positive, n))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
