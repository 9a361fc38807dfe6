"""What an activation is worth: the share of residues that carry a concept, as a function of how strongly its feature fires."""

from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True)
class Calibration:
    """A confidence in [0, 1] that never falls as a score rises: straight lines between knots, level outside them.

    scores: float32 [k], ascending; confidences: float64 [k]. Fitted by isotonic regression (least squares among non-decreasing functions), so that
    among the examples that were fitted, those with confidence p carry the label with frequency p.
    """

    scores: np.ndarray
    confidences: np.ndarray

    @classmethod
    def fit(
        cls,
        scores: np.ndarray,
        labels: np.ndarray,
        groups: np.ndarray | None = None,
        per_step: int = 1,
        groups_per_step: int = 1,
    ) -> Self:
        """From examples: scores [n], labels bool [n]. ValueError for none, other lengths, or a score that is not finite.

        groups: int [n], examples that are one piece of evidence, such as the residues of a homology cluster (None: each is its own). From the
        highest score downward, examples are taken together until they are `per_step` and of `groups_per_step` groups, at least; what is left joins
        the last; of these steps the mean over groups of each group's mean is fitted, by the number of groups. With a step of a single example, the
        strongest would be sure of itself for nothing; with a hundred residues of one protein, that protein would be.
        """
        from sklearn.isotonic import IsotonicRegression

        scores, labels = np.asarray(scores, np.float32), np.asarray(labels, bool)
        if scores.ndim != 1 or scores.shape != labels.shape or not len(scores):
            raise ValueError(
                f"a calibration is fitted on one label for each of one or more scores, not on {scores.shape} scores, {labels.shape} labels"
            )
        if not np.isfinite(scores).all():
            raise ValueError(
                f"{int((~np.isfinite(scores)).sum())} of {len(scores)} scores are not finite; a calibration takes numbers only"
            )
        groups = np.arange(len(scores)) if groups is None else np.asarray(groups)
        steps = _steps(np.argsort(scores, kind="stable")[::-1], groups, per_step, groups_per_step)
        means = np.array([_means(groups[step], scores[step], labels[step]) for step in steps])
        fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(
            means[:, 0], means[:, 1], sample_weight=means[:, 2]
        )
        return cls(
            np.asarray(fitted.X_thresholds_, np.float32),
            np.asarray(fitted.y_thresholds_, np.float64),
        )

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """float64, of the shape of `scores`."""
        return np.interp(scores, self.scores, self.confidences)


def _steps(
    order: np.ndarray, groups: np.ndarray, per_step: int, groups_per_step: int
) -> list[np.ndarray]:
    """Examples, the highest score first, cut into steps."""
    steps: list[np.ndarray] = []
    waiting = order[:0]
    for part in np.array_split(order, max(1, len(order) // per_step)):
        waiting = np.concatenate([waiting, part])
        if groups_per_step == 1 or len(np.unique(groups[waiting])) >= groups_per_step:
            steps.append(waiting)
            waiting = order[:0]
    if len(waiting):
        steps[-1:] = [np.concatenate([*steps[-1:], waiting])]
    return steps


def _means(groups: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> tuple[float, float, int]:
    """Means over groups of their mean score and mean label, and how many groups."""
    found, place, n = np.unique(groups, return_inverse=True, return_counts=True)
    score, label = (
        float((np.bincount(place, weights=values) / n).mean()) for values in (scores, labels)
    )
    return score, label, len(found)


@dataclass(frozen=True)
class Reliability:
    """Confidences against what was so: one entry per bin of equal width over [0, 1] that holds an example."""

    confidence: np.ndarray
    """float64: mean confidence of the bin's examples."""
    observed: np.ndarray
    """float64: share of them that carry the label."""
    n: np.ndarray
    """int64: examples of the bin."""

    @property
    def error(self) -> float:
        """Expected calibration error: mean |confidence - observed|, bins weighted by their examples (Naeini et al. 2015). 0 without examples."""
        return float(
            (np.abs(self.confidence - self.observed) * self.n).sum() / max(self.n.sum(), 1)
        )


def reliability(confidences: np.ndarray, labels: np.ndarray, bins: int = 10) -> Reliability:
    """Compare confidences [n] with labels, bool [n]."""
    place = np.minimum((np.asarray(confidences) * bins).astype(np.int64), bins - 1)
    n = np.bincount(place, minlength=bins)
    there = n > 0
    sums = (
        np.bincount(place, weights=np.asarray(w, float), minlength=bins)
        for w in (confidences, labels)
    )
    confidence, observed = (s[there] / n[there] for s in sums)
    return Reliability(confidence, observed, n[there])
