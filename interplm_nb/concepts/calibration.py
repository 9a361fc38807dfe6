"""Calibrated confidence: the share of residues that carry a concept, by activation."""

from dataclasses import dataclass
from typing import Self

import numpy as np

MIN_CONFIDENCE = 0.5
"""Least confidence of a name and of a candidate, wherever none is requested: as likely as not."""


@dataclass(frozen=True)
class Calibration:
    """A confidence in [0, 1] that does not decrease with the score.

    Linear between knots, constant outside them. `scores` float32 [k], ascending; `confidences`
    float64 [k]. Fitted by isotonic regression (least squares among non-decreasing functions), so
    that fitted examples with confidence p carry the label with frequency p.

    Examples
    --------
    >>> fitted = Calibration.fit(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1], bool))
    >>> fitted(np.array([0.1, 0.5, 1.0])).round(2).tolist()
    [0.0, 0.5, 1.0]
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
        """Fit a calibration to scores [n] and labels bool [n].

        From the highest score downward, examples are pooled into steps of at least `per_step`
        examples and `groups_per_step` groups; the rest joins the last step. The fit takes, for
        each step, the mean over groups of each group's mean, weighted by the number of groups. A
        step of one example, or of a hundred residues of one protein, would give the strongest an
        unearned certainty.

        Parameters
        ----------
        scores : np.ndarray
            Finite, [n].
        labels : np.ndarray
            bool [n].
        groups : np.ndarray, optional
            int [n]: examples that count as one piece of evidence, such as the residues of a
            homology cluster (None: each example is its own group).
        per_step, groups_per_step : int
            Minimum examples and groups per step.

        Raises
        ------
        ValueError
            For no examples, unequal lengths, or a score that is not finite.
        """
        from sklearn.isotonic import IsotonicRegression

        scores, labels = np.asarray(scores, np.float32), np.asarray(labels, bool)
        if scores.ndim != 1 or scores.shape != labels.shape or not len(scores):
            raise ValueError(
                f"a calibration needs one or more scores with one label each, not {scores.shape} "
                f"scores and {labels.shape} labels"
            )
        if not np.isfinite(scores).all():
            raise ValueError(
                f"{int((~np.isfinite(scores)).sum())} of {len(scores)} scores are not finite; a "
                "calibration needs finite scores"
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
        """The confidences: float64, of the shape of `scores`."""
        return np.interp(scores, self.scores, self.confidences)


def _steps(
    order: np.ndarray, groups: np.ndarray, per_step: int, groups_per_step: int
) -> list[np.ndarray]:
    """Split the examples, in descending order of score, into steps."""
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
    """Mean over groups of each group's mean score and mean label, and the number of groups."""
    found, place, n = np.unique(groups, return_inverse=True, return_counts=True)
    score, label = (
        float((np.bincount(place, weights=values) / n).mean()) for values in (scores, labels)
    )
    return score, label, len(found)


@dataclass(frozen=True)
class Reliability:
    """Confidence against observed frequency, by bins of equal width over [0, 1].

    Empty bins are left out.
    """

    confidence: np.ndarray
    """float64: mean confidence of the bin's examples."""
    observed: np.ndarray
    """float64: share of the bin's examples that carry the label."""
    n: np.ndarray
    """int64: number of examples in the bin."""

    @property
    def error(self) -> float:
        """Expected calibration error (Naeini et al. 2015); 0 without examples.

        The mean of |confidence - observed| over bins, weighted by their number of examples.
        """
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
