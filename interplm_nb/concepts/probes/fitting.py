"""Probes of a binary label: how well a few features, one feature, or the embedding predict it.

Features are ranked and weights fitted on train, penalty and threshold chosen on validation, figures
read on test.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from interplm_nb.activations_writer import shape_of
from interplm_nb.concepts.decisions import (
    Figures,
    Ranking,
    constant,
    decided,
    figures,
    ranking,
    ranking_of_sparse,
)
from interplm_nb.concepts.probes.examples import Examples
from interplm_nb.concepts.source import Matrix

PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""Strengths of the L2 penalty that validation chooses from; see `logistic_probe`."""

# Newton steps are exact and few, but each costs the square of the width: wide inputs use L-BFGS.
_NEWTON_WIDTH = 512
_FEW_EXAMPLES = 20_000

_FIGURES: dict[str, Any] = dict.fromkeys(Figures._fields, pl.Float64) | {
    "n": pl.Int64,
    "n_positive": pl.Int64,
}
PROBES: dict[str, Any] = {
    "task": pl.String,
    "examples": pl.String,
    "probe": pl.String,
    "n_features": pl.Int64,
    "features": pl.List(pl.UInt32),
    "penalty": pl.Float64,
    "n_train": pl.Int64,
    "validation_f1": pl.Float64,
    **_FIGURES,
}
"""Columns of `probe_table`. The fields of `Figures` describe the test split; a sparse probe lists
its features, strongest first."""

ONE_D: dict[str, Any] = {
    "feature": pl.UInt32,
    "direction": pl.Int8,
    "threshold": pl.Float64,
    "validation_f1": pl.Float64,
    **_FIGURES,
}
"""Columns of `one_d_probes`."""


@dataclass(frozen=True)
class Probe:
    """A logistic regression and its figures."""

    features: np.ndarray
    """int64 [k]: its features, in the order of `weights`."""
    weights: np.ndarray
    """float64 [k]: change in log odds per unit of a feature's value."""
    intercept: float
    penalty: float
    """Chosen from `PENALTIES` by average precision on validation."""
    threshold: float
    """An example is called strictly above these log odds; best F1 on validation."""
    n_train: int
    validation: Figures
    test: Figures

    def log_odds(self, values: Matrix) -> np.ndarray:
        """float64 [n], from values [n, n_features] of all features."""
        return _log_odds(values[:, self.features], self.weights, self.intercept)


def association(examples: Examples, carried: np.ndarray) -> np.ndarray:
    """float64 [n_features]: standardised difference of means on train; 0 for a constant feature.

    (mean with the label - mean without) / standard deviation: the correlation of feature and label
    up to a common factor. Its absolute value ranks the features of a sparse probe. (SAEBench does
    not divide, which favours features with large values.)
    """
    labels = examples.labels(carried)["train"]
    mean, deviation = examples.moments()
    with_label = np.asarray(examples.values["train"].T @ labels.astype(np.float64)) / labels.sum()
    # mean = p with + (1 - p) without, so with - without = (with - mean) / (1 - p).
    return np.divide(with_label - mean, deviation, out=np.zeros(len(mean)), where=deviation > 0) / (
        1 - labels.mean()
    )


def k_sparse_probe(examples: Examples, carried: np.ndarray, k: int) -> Probe:
    """Fit a logistic regression on the k features most associated with a label.

    SAEBench's sparse probing: the largest absolute `association`, ties to the lowest feature.
    `carried` is bool over all rows of the residue axis, or over all proteins. If fewer than k
    features vary on train, fewer are used. ValueError for k below 1.
    """
    if k < 1:
        raise ValueError(f"a sparse probe needs k = 1 or more, not {k}")
    strength = np.abs(association(examples, carried))
    order = np.argsort(-strength, kind="stable")[:k]
    return logistic_probe(examples, carried, order[strength[order] > 0])


def logistic_probe(
    examples: Examples, carried: np.ndarray, features: np.ndarray | None = None
) -> Probe:
    """Fit a logistic regression on these features (int64; None: all), by scikit-learn.

    Minimises mean log loss + penalty / 2 * |w|^2, with w in units of each feature's standard
    deviation on train and an unpenalised intercept. `carried` as in `k_sparse_probe`. A feature
    that is constant on train has weight 0.
    """
    labels = examples.labels(carried)
    used = np.arange(examples.n_features) if features is None else np.asarray(features, np.int64)
    chosen = examples if features is None else examples.only(used)
    penalty, weights, intercept = _fitted(chosen, labels)
    scores = {s: _log_odds(chosen.values[s], weights, intercept) for s in ("validation", "test")}
    threshold, _ = ranking(scores["validation"], labels["validation"]).best()
    found = {s: decided(scores[s], labels[s], threshold) for s in scores}
    return Probe(
        used,
        weights,
        intercept,
        penalty,
        threshold,
        len(labels["train"]),
        found["validation"],
        found["test"],
    )


def one_d_probes(examples: Examples, carried: np.ndarray) -> pl.DataFrame:
    """The logistic regression on each single feature (InterProt's 1-D probe), without fitting.

    A logistic function of one feature is monotonic, so its decisions are thresholds on the feature
    itself; the sign of its weight is that of the difference of means on train (the log loss is
    convex, and decreases that way at weight 0).

    Returns
    -------
    pl.DataFrame
        Columns of `ONE_D`, best on validation first. direction is 1 if values strictly above
        `threshold` are called, -1 if values strictly below it are. The threshold is in the unit of
        the values and has the best F1 on validation. A feature that is constant on train has no
        row.
    """
    labels, directions = (
        examples.labels(carried),
        np.sign(association(examples, carried)).astype(np.int64),
    )
    columns = {s: _Columns(examples.values[s], labels[s]) for s in ("validation", "test")}
    rows = []
    for feature in np.flatnonzero(directions).tolist():
        direction = int(directions[feature])
        threshold, validation_f1 = columns["validation"].ranking(feature, direction).best()
        test = columns["test"].ranking(feature, direction)
        about = {
            "feature": feature,
            "direction": direction,
            "threshold": direction * threshold,
            "validation_f1": validation_f1,
        }
        rows.append(about | _at(test, threshold, len(labels["test"]))._asdict())
    return pl.DataFrame(rows, schema=ONE_D).sort(
        "validation_f1", "feature", descending=[True, False]
    )


def probe_table(
    examples: Examples,
    embedding: Examples,
    tasks: Mapping[str, np.ndarray],
    ks: Sequence[int] = (1, 5, 20),
) -> pl.DataFrame:
    """Probe every task with one feature, with k features, and with the baselines to compare.

    Parameters
    ----------
    examples : Examples
        The features.
    embedding : Examples
        The same examples with the PLM's dimensions (`DenseSource`), for a dense probe.
    tasks : mapping of str to np.ndarray
        Name to bool over all rows, or over all proteins.
    ks : sequence of int
        Sizes of the sparse probes.

    Returns
    -------
    pl.DataFrame
        Columns of `PROBES`. Probes of a task: "best single feature" (of `one_d_probes`, chosen on
        validation), "k = 1", ..., "embedding", "all positive" and "majority" (of train).
    """
    check_same(examples, embedding)
    rows = []
    for task, carried in tasks.items():
        about = {"task": task, "examples": examples.kind}
        labels = examples.labels(carried)
        best = one_d_probes(examples, carried).head(1)
        for row in best.iter_rows(named=True):
            single = {
                "probe": "best single feature",
                "n_features": 1,
                "features": [row["feature"]],
                "n_train": len(labels["train"]),
            }
            rows.append(
                about | single | {name: row[name] for name in ("validation_f1", *Figures._fields)}
            )
        for k in ks:
            probe = k_sparse_probe(examples, carried, k)
            rows.append(
                about | probe_row(f"k = {k}", probe) | {"features": probe.features.tolist()}
            )
        rows.append(about | probe_row("embedding", logistic_probe(embedding, carried)))
        rows += [about | row for row in constant_rows(labels)]
    return pl.DataFrame(rows, schema=PROBES)


def probe_row(name: str, probe: Probe) -> dict[str, Any]:
    """A probe as a table row: probe, n_features, penalty, n_train, validation_f1, test figures."""
    about = {
        "probe": name,
        "n_features": len(probe.features),
        "penalty": probe.penalty,
        "n_train": probe.n_train,
    }
    return about | {"validation_f1": probe.validation.f1, **probe.test._asdict()}


def constant_rows(labels: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Constant answers as table rows.

    "all positive" has their best F1, "majority" (of train) their best accuracy.
    """
    answers = {"all positive": True, "majority": bool(labels["train"].mean() > 0.5)}
    return [
        {
            "probe": name,
            "n_features": 0,
            "n_train": len(labels["train"]),
            "validation_f1": constant(labels["validation"], call).f1,
        }
        | constant(labels["test"], call)._asdict()
        for name, call in answers.items()
    ]


def check_same(examples: Examples, others: Examples) -> None:
    """Raise ValueError unless two sets hold the same residues or proteins."""
    for split, places in examples.places.items():
        if not np.array_equal(places, others.places[split]):
            raise ValueError(
                f"the two sets have other examples in {split} ({len(places)} {examples.kind}, "
                f"{len(others.places[split])} {others.kind}); take both from the same proteins, "
                "with the same splits, number and seed"
            )


class _Columns:
    """One feature at a time, with all zeros as one entry."""

    def __init__(self, values: Matrix, labels: np.ndarray) -> None:
        self._values = values if isinstance(values, np.ndarray) else values.tocsc()
        self._labels = labels

    def ranking(self, feature: int, direction: int) -> Ranking:
        """Rank direction * value."""
        if isinstance(self._values, np.ndarray):
            return ranking(direction * self._values[:, feature], self._labels)
        entries = slice(self._values.indptr[feature], self._values.indptr[feature + 1])
        positive, scores = (
            self._labels[self._values.indices[entries]],
            direction * self._values.data[entries],
        )
        return ranking_of_sparse(scores, positive, len(self._labels), int(self._labels.sum()))


def _at(ranked: Ranking, threshold: float, n: int) -> Figures:
    """Figures of calling what is above the threshold."""
    i = int((ranked.scores > threshold).sum()) - 1
    called, tp = (int(ranked.called[i]), int(ranked.tp[i])) if i >= 0 else (0, 0)
    return figures(tp, called, int(ranked.tp[-1]), n, ranked.average_precision)


def _fitted(
    examples: Examples, labels: Mapping[str, np.ndarray]
) -> tuple[float, np.ndarray, float]:
    """Penalty, weights and intercept of the probe with the best average precision on validation.

    Ties go to the strongest penalty.
    """
    mean, deviation = examples.moments()
    alive = np.flatnonzero(deviation > 0)
    train, centre = _standardised(examples.values["train"][:, alive], mean[alive], deviation[alive])
    best, found = (
        -1.0,
        (
            PENALTIES[0],
            np.zeros(len(mean)),
            float(np.log(labels["train"].sum() / (~labels["train"]).sum())),
        ),
    )
    for penalty, coefficients, offset in _path(train, labels["train"]) if len(alive) else ():
        weights = np.zeros(len(mean))
        weights[alive] = coefficients / deviation[alive]
        intercept = offset - float(weights[alive] @ centre)
        worth = ranking(
            _log_odds(examples.values["validation"], weights, intercept), labels["validation"]
        ).average_precision
        if worth > best:
            best, found = worth, (penalty, weights, intercept)
    return found


def _standardised(
    values: Matrix, mean: np.ndarray, deviation: np.ndarray
) -> tuple[Matrix, np.ndarray]:
    """Values in units of the deviation, and the centre that was subtracted.

    Dense values are centred, which speeds up the solver; sparse ones are not, to stay sparse,
    unless they are few: a nearly constant feature that is not centred, or is in float32, makes the
    solver's matrix singular.
    """
    n, width = shape_of(values)
    if n <= _FEW_EXAMPLES and width <= _NEWTON_WIDTH:
        dense = values if isinstance(values, np.ndarray) else values.toarray()
        return (dense - mean) / deviation, mean
    if isinstance(values, np.ndarray):
        return (values - mean.astype(np.float32)) / deviation.astype(np.float32), mean
    return csr_array(
        (values.data / deviation.astype(np.float32)[values.indices], values.indices, values.indptr),
        shape=values.shape,
    ), mean * 0


def _path(train: Matrix, labels: np.ndarray) -> Iterator[tuple[float, np.ndarray, float]]:
    """Yield penalty, weights and intercept for each penalty."""
    from sklearn.linear_model import LogisticRegression

    newton = shape_of(train)[1] <= _NEWTON_WIDTH
    # A Newton step from the previous solution may be lost in float32's last digits, so start at 0.
    model = LogisticRegression(
        solver="newton-cholesky" if newton else "lbfgs", max_iter=1000, warm_start=not newton
    )
    for penalty in PENALTIES:
        model.set_params(C=1 / (penalty * len(labels))).fit(train, labels)
        yield (
            penalty,
            np.ravel(model.coef_).astype(np.float64),
            float(np.ravel(model.intercept_)[0]),
        )


def _log_odds(values: Matrix, weights: np.ndarray, intercept: float) -> np.ndarray:
    return np.asarray(values @ weights) + intercept
