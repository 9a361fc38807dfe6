"""Yes or no from a score: rankings, the threshold with the best F1, and what a decision is worth, from integer counts."""

from typing import NamedTuple

import numpy as np


class Ranking(NamedTuple):
    """Examples from the highest score downward, one entry per distinct score."""

    scores: np.ndarray
    """Distinct scores, descending."""
    called: np.ndarray
    """int64: examples with this score or a higher one."""
    tp: np.ndarray
    """int64: those of them that carry the label."""

    @property
    def average_precision(self) -> float:
        """AUPRC as the step sum over distinct scores, sum of (R_i - R_(i-1)) P_i; 0 without a positive."""
        return float(
            (np.diff(self.tp, prepend=0) * (self.tp / self.called)).sum() / max(int(self.tp[-1]), 1)
        )

    def best(self) -> tuple[float, float]:
        """The threshold with the best F1, and that F1: called is what is above it, strictly. Of equals the one that calls fewest; -inf calls all."""
        f1 = 2 * self.tp / (self.called + self.tp[-1])
        i = int(f1.argmax())
        return (float(self.scores[i + 1]) if i + 1 < len(self.scores) else -np.inf), float(f1[i])


def ranking(scores: np.ndarray, positive: np.ndarray, total: np.ndarray | None = None) -> Ranking:
    """Rank scores [n]. An entry stands for `total` examples (int, 1 or more; 1 each, where None), of which `positive` (int or bool) carry the label.

    ValueError for no scores, or one that is not a number.
    """
    scores = np.asarray(scores)
    if not len(scores) or np.isnan(scores).any():
        raise ValueError(
            f"a ranking takes one or more scores that are numbers, not {len(scores)} with {int(np.isnan(scores).sum())} NaN"
        )
    # Stable sorting takes no longer than reading where the scores descend already.
    order = np.argsort(-scores, kind="stable")
    scores, positive = scores[order], np.asarray(positive)[order]
    last = np.append(scores[1:] != scores[:-1], True)
    total = np.ones(len(scores), np.int64) if total is None else np.asarray(total)[order]
    called, tp = (np.cumsum(counts, dtype=np.int64)[last] for counts in (total, positive))
    return Ranking(scores[last], called, tp)


def ranking_of_sparse(values: np.ndarray, positive: np.ndarray, n: int, n_positive: int) -> Ranking:
    """Rank n examples, n_positive of which carry the label, by the values that are stored, [k], and which of those do, bool [k]; the others are 0."""
    if len(values) == n:
        return ranking(values, positive)
    total = np.append(np.ones(len(values), np.int64), n - len(values))
    return ranking(
        np.append(values, np.float32(0)), np.append(positive, n_positive - positive.sum()), total
    )


class Figures(NamedTuple):
    """What a decision is worth on some examples; 0 where a ratio would be 0 / 0."""

    n: int
    n_positive: int
    prevalence: float
    """n_positive / n: the AUPRC of a score that knows nothing."""
    accuracy: float
    balanced_accuracy: float
    """Mean of the recalls of both classes; 0.5 for a constant decision."""
    precision: float
    recall: float
    f1: float
    auprc: float


def figures(tp: int, called: int, n_positive: int, n: int, auprc: float) -> Figures:
    """From counts: called examples, and those of them that carry the label (tp), among n examples with n_positive that do."""
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
    """The figures of calling what scores above a threshold, strictly: scores [n], labels bool [n]."""
    called = scores > threshold
    return figures(
        int(labels[called].sum()),
        int(called.sum()),
        int(labels.sum()),
        len(labels),
        ranking(scores, labels).average_precision,
    )


def constant(labels: np.ndarray, call: bool) -> Figures:
    """The figures of the same answer for every example: labels bool [n]."""
    n, n_positive = len(labels), int(labels.sum())
    return figures(n_positive * call, n * call, n_positive, n, _share(n_positive, n))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
