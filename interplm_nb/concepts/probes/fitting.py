"""Probes of one binary label: how much of it a few features say, one feature, and the embedding.

Features are ranked and weights fitted on train, the penalty and the threshold are chosen on validation, figures are of test.
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

# Newton's steps are exact and few; each costs the square of the width, so that wide inputs are left to L-BFGS.
_NEWTON_WIDTH = 512

_FIGURES: dict[str, Any] = dict.fromkeys(Figures._fields, pl.Float64) | {
    "n": pl.Int64,
    "n_positive": pl.Int64,
}
PROBES: dict[str, Any] = {
    "task": pl.String, "examples": pl.String, "probe": pl.String, "n_features": pl.Int64, "features": pl.List(pl.UInt32), "penalty": pl.Float64,
    "n_train": pl.Int64, "validation_f1": pl.Float64, **_FIGURES,
}  # fmt: skip
"""Columns of `probe_table`: the fields of `Figures` are of the test split; features are listed for a sparse probe, strongest first."""

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
    """A logistic regression, and what it is worth."""

    features: np.ndarray
    """int64 [k]: the features it uses, in the order of `weights`."""
    weights: np.ndarray
    """float64 [k]: change of the log odds per unit of a feature's value."""
    intercept: float
    penalty: float
    """Chosen from `PENALTIES` by average precision on validation."""
    threshold: float
    """Log odds above which, strictly, an example is called; the best F1 on validation."""
    n_train: int
    validation: Figures
    test: Figures

    def log_odds(self, values: Matrix) -> np.ndarray:
        """float64 [n], of values [n, n_features] of all features."""
        return _log_odds(values[:, self.features], self.weights, self.intercept)


def association(examples: Examples, carried: np.ndarray) -> np.ndarray:
    """float64 [n_features]: the standardised difference of means on train; 0 for a feature that is constant there.

    (mean over examples with the label - mean over those without) / standard deviation over all: the correlation of feature and label up to a factor
    that is the same for every feature. Its absolute value ranks the features of a sparse probe. (SAEBench ranks by the difference without dividing,
    which favours features with large values.)
    """
    labels = examples.labels(carried)["train"]
    mean, deviation = examples.moments()
    with_label = np.asarray(examples.values["train"].T @ labels.astype(np.float64)) / labels.sum()
    # mean = p with_label + (1 - p) without, so that with_label - without = (with_label - mean) / (1 - p).
    return np.divide(with_label - mean, deviation, out=np.zeros(len(mean)), where=deviation > 0) / (
        1 - labels.mean()
    )


def k_sparse_probe(examples: Examples, carried: np.ndarray, k: int) -> Probe:
    """A logistic regression on the k features with the largest absolute `association`, ties to the lowest feature (SAEBench's sparse probing).

    `carried` is bool over all rows of the residue axis, or over all proteins. Fewer than k features are used where fewer vary on train.
    """
    if k < 1:
        raise ValueError(f"a sparse probe uses k = 1 feature or more, not {k}")
    strength = np.abs(association(examples, carried))
    order = np.argsort(-strength, kind="stable")[:k]
    return logistic_probe(examples, carried, order[strength[order] > 0])


def logistic_probe(
    examples: Examples, carried: np.ndarray, features: np.ndarray | None = None
) -> Probe:
    """A logistic regression on these features (int64; all, where None), by scikit-learn.

    Minimises mean log loss + penalty / 2 * |w|^2 with w in units of each feature's standard deviation on train, intercept free. `carried` as in
    `k_sparse_probe`. A feature that is constant on train has weight 0.
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
    """The logistic regression on each feature alone (InterProt's 1-D probe), without fitting any: columns of `ONE_D`, the best on validation first.

    A logistic function of one feature rises or falls with it, so its decisions are thresholds on the feature itself; the sign of its weight is that
    of the difference of means on train (the log loss is convex, and falls that way at weight 0). direction: 1 where values above `threshold` are
    called, -1 where values below it; strictly. The threshold is in the unit of the values and has the best F1 on validation.
    A feature that is constant on train has no row.
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
    """Every task (bool over all rows, or all proteins) by a 1-D probe, sparse probes, and what they are to be read against: columns of `PROBES`.

    `embedding`: the same examples with the PLM's dimensions (`DenseSource`), on which a dense probe is fitted. Probes of a task: "best single
    feature" (of `one_d_probes`, chosen on validation), "k = 1", ..., "embedding", "all positive" and "majority" (of train).
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
    """A probe as a row of a table: probe, n_features, penalty, n_train, validation_f1, and its figures on test."""
    about = {
        "probe": name,
        "n_features": len(probe.features),
        "penalty": probe.penalty,
        "n_train": probe.n_train,
    }
    return about | {"validation_f1": probe.validation.f1, **probe.test._asdict()}


def constant_rows(labels: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """What is worth nothing, as rows: "all positive" has the best F1 of a constant answer, "majority" (of train) the best accuracy."""
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
    """ValueError where two sets of examples are not of the same residues or proteins."""
    for split, places in examples.places.items():
        if not np.array_equal(places, others.places[split]):
            raise ValueError(
                f"the two sets have other examples in {split} ({len(places)} {examples.kind}, {len(others.places[split])} {others.kind}); "
                "take both from the same proteins, with the same splits, number and seed"
            )


class _Columns:
    """One feature at a time, with what is not stored as one entry."""

    def __init__(self, values: Matrix, labels: np.ndarray) -> None:
        self._values = values if isinstance(values, np.ndarray) else values.tocsc()
        self._labels = labels

    def ranking(self, feature: int, direction: int) -> Ranking:
        """Of direction * value."""
        if isinstance(self._values, np.ndarray):
            return ranking(direction * self._values[:, feature], self._labels)
        entries = slice(self._values.indptr[feature], self._values.indptr[feature + 1])
        positive, scores = (
            self._labels[self._values.indices[entries]],
            direction * self._values.data[entries],
        )
        return ranking_of_sparse(scores, positive, len(self._labels), int(self._labels.sum()))


def _at(ranked: Ranking, threshold: float, n: int) -> Figures:
    """The figures of calling what is above the threshold."""
    i = int((ranked.scores > threshold).sum()) - 1
    called, tp = (int(ranked.called[i]), int(ranked.tp[i])) if i >= 0 else (0, 0)
    return figures(tp, called, int(ranked.tp[-1]), n, ranked.average_precision)


def _fitted(
    examples: Examples, labels: Mapping[str, np.ndarray]
) -> tuple[float, np.ndarray, float]:
    """Penalty, weights and intercept of the probe with the best average precision on validation; of equals the strongest penalty."""
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
    """In units of the deviation, and the centre that was taken off: dense values are centred, which speeds the solver, sparse ones stay sparse."""
    if isinstance(values, np.ndarray):
        return (values - mean.astype(np.float32)) / deviation.astype(np.float32), mean
    return csr_array(
        (values.data / deviation.astype(np.float32)[values.indices], values.indices, values.indptr),
        shape=values.shape,
    ), mean * 0


def _path(train: Matrix, labels: np.ndarray) -> Iterator[tuple[float, np.ndarray, float]]:
    """Penalty, weights and intercept, for each penalty."""
    from sklearn.linear_model import LogisticRegression

    newton = shape_of(train)[1] <= _NEWTON_WIDTH
    # A Newton step from where the last penalty ended may be lost in float32's last digits: it starts from 0.
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
