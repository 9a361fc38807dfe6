"""How well a description predicts a feature's maximum over proteins that its author did not see.

The judge sees a description and what is known of a protein, never an activation. Here are what its
predictions score, and the judge of `statistical` descriptions: a ridge regression on what they
state. Every description is compared with its nulls, which take the same path: the statements of
another feature, proteins' length without a description, their length and composition, the mean.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from sklearn.linear_model import RidgeCV

from interplm_nb.interpret.known import Known, Sees
from interplm_nb.interpret.sampling import Sample
from interplm_nb.interpret.statements import Statement
from interplm_nb.interpret.statistical import Stated

LEVEL = 0.95
DRAWS = 1000
"""Resamples of homology clusters behind an interval."""
PENALTIES = np.logspace(-1, 4, 11)
"""Penalties of the ridge; leave-one-out on the training examples chooses."""

JUDGED: dict[str, Any] = {
    "feature": pl.UInt32,
    "judge": pl.String,
    "describer": pl.String,
    "given": pl.String,
    "sees": pl.String,
    "n": pl.Int64,
    "pearson": pl.Float64,
    "pearson_low": pl.Float64,
    "pearson_high": pl.Float64,
    "spearman": pl.Float64,
    "spearman_low": pl.Float64,
    "spearman_high": pl.Float64,
    "mean_error": pl.Float64,
    "failed": pl.String,
}
"""Columns of tables of judgements. judge: "ridge", or a language model; describer: whose
description, "" if absent; given: "description", "another description" (of another
feature), "no description", "composition", "the mean"; sees: what the judge sees of a protein;
failed: why there is no judgement, null where there is one. A correlation is null where the
predictions are all equal or failed."""


class Agreement(NamedTuple):
    """Predicted against measured maxima of n proteins.

    A correlation and its interval are None where predicted or measured values are all equal: a
    constant predicts nothing.
    """

    n: int
    pearson: float | None
    pearson_low: float | None
    pearson_high: float | None
    spearman: float | None
    spearman_low: float | None
    spearman_high: float | None
    mean_error: float
    """Mean absolute error, as a fraction of the feature's maximum."""


def agreement(
    predicted: np.ndarray, measured: np.ndarray, clusters: np.ndarray | None = None, seed: int = 0
) -> Agreement:
    """Pearson's r, Spearman's rho and the mean absolute error, with 95 % intervals.

    Intervals are percentiles over `DRAWS` resamples of homology clusters (of proteins where none
    are given). Resamples whose values are all equal have no correlation and are left out.

    Parameters
    ----------
    predicted, measured : np.ndarray
        float [n], finite.
    clusters : np.ndarray, optional
        int [n]: the cluster of each protein.
    seed : int
        Of the resamples.

    Returns
    -------
    Agreement

    Raises
    ------
    ValueError
        For arrays of different lengths, fewer than two values, or a value that is not finite.

    Examples
    --------
    >>> agreement(np.array([0.1, 0.5, 0.9]), np.array([0.0, 0.5, 1.0])).pearson
    1.0
    >>> agreement(np.full(3, 0.5), np.array([0.0, 0.5, 1.0])).pearson is None
    True
    """
    x, y = (np.asarray(values, np.float64) for values in (predicted, measured))
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2:
        raise ValueError(f"agreement takes two arrays of one length, not {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("agreement takes finite values; leave out proteins without a prediction")
    group = np.arange(len(x)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    weights = _resamples(int(group.max()) + 1, seed)[:, group]
    once = np.ones((1, len(x)))
    figures: dict[str, Any] = {}
    for name, of in (("pearson", _pearson), ("spearman", _spearman)):
        drawn = of(x, y, weights)
        drawn = drawn[np.isfinite(drawn)]
        estimate = float(of(x, y, once)[0])
        if np.isfinite(estimate) and len(drawn):
            tails = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
            low, high = np.quantile(drawn, tails).tolist()
        else:
            estimate = low = high = None
        figures |= {name: estimate, f"{name}_low": low, f"{name}_high": high}
    return Agreement(n=len(x), mean_error=float(np.abs(x - y).mean()), **figures)


@lru_cache(maxsize=16)
def _resamples(n: int, seed: int) -> np.ndarray:
    """float64 [DRAWS, n]: how often each of n groups is drawn. Kept, because each judge of a
    feature is scored on the same ones."""
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), DRAWS)
    return drawn.astype(np.float64)


def _pearson(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 [n_draws]: weighted correlations, NaN where values are all equal."""
    x, y = (np.broadcast_to(values, weights.shape) for values in (x, y))
    total = weights.sum(axis=1, keepdims=True)
    x, y = (v - (weights * v).sum(axis=1, keepdims=True) / total for v in (x, y))
    variances = [(weights * v**2).sum(axis=1) / total[:, 0] for v in (x, y)]
    scale = np.sqrt(variances[0] * variances[1])
    enough = (variances[0] > 1e-16) & (variances[1] > 1e-16)
    covariance = (weights * x * y).sum(axis=1) / total[:, 0]
    found = np.divide(covariance, scale, out=np.full(len(scale), np.nan), where=enough)
    return found.clip(-1, 1).round(12)


def _spearman(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return _pearson(_ranks(x, weights), _ranks(y, weights), weights)


def _ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 [n_draws, n]: mean ranks, where value i occurs weights[d, i] times."""
    # As float64, or the products would not be BLAS's.
    below = (values[:, None] > values[None, :]).astype(np.float64)
    same = (values[:, None] == values[None, :]).astype(np.float64)
    return weights @ below.T + (weights @ same.T + 1) / 2


def other_features(features: Sequence[int], n: int = 1, seed: int = 0) -> dict[int, list[int]]:
    """For each feature n others (fewer where there are too few), whose descriptions are the null.

    The features in random order are a ring, and those that follow are the others.

    Examples
    --------
    >>> sorted(other for others in other_features([3, 5, 9]).values() for other in others)
    [3, 5, 9]
    """
    order = np.random.default_rng(seed).permutation(np.asarray(features, np.int64)).tolist()
    shifts = range(1, min(n, len(order) - 1) + 1)
    return {f: [order[(i + by) % len(order)] for by in shifts] for i, f in enumerate(order)}


def judge_statistically(
    found: Sample,
    stated: Stated,
    others: Sequence[Stated],
    known: Known,
    clusters: np.ndarray | None = None,
    sees: Sees = "annotations",
    seed: int = 0,
) -> pl.DataFrame:
    """Predict the maxima of the evaluation examples by a ridge regression, with the nulls.

    The regression is fitted on the training examples, on the values of what the description
    states (`Statement.values`) and the logarithm of the protein's length, standardised;
    leave-one-out chooses the penalty. A value that cannot be known, as of a protein without a
    structure, counts as the mean of those that are known in training. The nulls are fitted
    likewise: on the length and what each of `others` states, on the length alone, on the length and
    the composition (shares of the 20 amino acids), and on nothing, which predicts the mean.

    Parameters
    ----------
    found : Sample
        The feature's halves.
    stated : Stated
        What is stated of this feature.
    others : sequence of Stated
        What is stated of other features.
    known : Known
        What is known of the proteins.
    clusters : np.ndarray, optional
        int [n_proteins]: homology clusters, which are resampled for intervals.
    sees : {"sequence", "names", "annotations"}
        What the judge sees of a protein: only statements that need no more are used.
    seed : int
        Of the resamples.

    Returns
    -------
    pl.DataFrame
        Columns of `JUDGED`, one row for each thing given; of another description one for each
        other feature.
    """
    train, test = (known.places(half["accession"].to_list()) for half in found[3:])
    measured = found.maximum[test]
    of_test = None if clusters is None else clusters[test]

    def values(statements: Sequence[Statement], places: np.ndarray) -> np.ndarray:
        """float64 [n, n_statements]: each statement's value on the proteins at `places`."""
        columns = [statement.values(known, places) for statement in statements]
        return np.stack(columns, axis=1) if columns else np.empty((len(places), 0))

    composition = [_composition(known, p) for p in (train, test)]
    length = [c[:, :1] for c in composition]

    def of(what: Stated) -> list[np.ndarray]:
        """The regression's columns, of training and of test: what is stated, then the length."""
        return [
            np.column_stack([values(what.for_a_judge_who(sees), p), of_length])
            for p, of_length in zip((train, test), length, strict=True)
        ]

    inputs = [
        ("statistical", "description", of(stated)),
        *(("statistical", "another description", of(other)) for other in others),
        ("", "no description", length),
        ("", "composition", composition),
        ("", "the mean", [np.empty((len(p), 0)) for p in (train, test)]),
    ]
    maxima = found.maximum[train]
    predicted = [(who, given, _ridge(x, maxima, new)) for who, given, (x, new) in inputs]
    about = {"feature": found.feature, "judge": "ridge", "sees": sees}
    return judgements(about, predicted, measured, of_test, seed)


def judgements(
    about: Mapping[str, Any],
    predicted: Iterable[tuple[str, str, np.ndarray | str]],
    measured: np.ndarray,
    clusters: np.ndarray | None = None,
    seed: int = 0,
) -> pl.DataFrame:
    """Columns of `JUDGED`: the agreement of each prediction, or why there is none (a str).

    `about`: feature, judge, sees; `predicted`: describer, what was given, and the predictions.
    """
    rows = []
    for describer, given, values in predicted:
        row = {**about, "describer": describer, "given": given}
        if isinstance(values, str):
            rows.append(row | {"n": 0, "failed": values})
        else:
            rows.append(row | agreement(values, measured, clusters, seed)._asdict())
    return pl.DataFrame(rows, schema=JUDGED)


def _composition(known: Known, proteins: np.ndarray) -> np.ndarray:
    """float64 [n, 21]: log length and the share of each amino acid."""
    lengths = known.proteins.lengths[proteins]
    return np.column_stack([np.log(lengths), known.letters_of[proteins] / lengths[:, None]])


def _ridge(train: np.ndarray, measured: np.ndarray, test: np.ndarray) -> np.ndarray:
    known = np.isfinite(train)
    n = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, train, 0).sum(axis=0) / n
    train, test = (np.where(np.isfinite(x), x, centre) for x in (train, test))
    spread = np.sqrt(((train - centre) ** 2).sum(axis=0) / n)
    varies = spread > 1e-9  # a mean of equal values may be off by a bit
    if not varies.any():
        return np.full(len(test), float(measured.mean()))
    scaled = [((x - centre) / np.where(varies, spread, 1))[:, varies] for x in (train, test)]
    model = RidgeCV(PENALTIES).fit(scaled[0], measured.astype(np.float64))
    return np.asarray(model.predict(scaled[1]))


MEDIANS: dict[str, Any] = {
    "judge": pl.String,
    "describer": pl.String,
    "given": pl.String,
    "sees": pl.String,
    "features": pl.Int64,
    "judged": pl.Int64,
    "constant": pl.Int64,
    "median_pearson": pl.Float64,
    "median_low": pl.Float64,
    "median_high": pl.Float64,
    "median_spearman": pl.Float64,
    "mean_error": pl.Float64,
}
"""Columns of `medians`."""


def medians(judged: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """The median correlation over features, for each thing that judges were given.

    features: how many; judged: judgements that did not fail. Failed ones are left out. A constant
    prediction counts as a correlation of 0, because it tells no protein from another. median_low
    and median_high are 95 % percentiles over resamples of features.

    `judged`: columns of `JUDGED`. Returns columns of `MEDIANS`, in the order of first rows.
    """
    rows = []
    for keys, group in judged.group_by(list(MEDIANS)[:4], maintain_order=True):
        there = group.filter(pl.col("failed").is_null())
        row: dict[str, Any] = dict(zip(MEDIANS, keys, strict=False))
        row |= {"features": group["feature"].n_unique(), "judged": there.height}
        row["constant"] = there["pearson"].null_count()
        if there.height:
            r = there.select("feature", pl.col("pearson").fill_null(0.0))
            low, high = _resampled_median(r, seed)
            row |= {"median_low": low, "median_high": high}
            row["median_pearson"] = r["pearson"].median()
            row["median_spearman"] = there["spearman"].fill_null(0.0).median()
            row["mean_error"] = there["mean_error"].mean()
        rows.append(row)
    return pl.DataFrame(rows, schema=MEDIANS)


def _resampled_median(r: pl.DataFrame, seed: int) -> tuple[float, float]:
    """95 % percentiles of the median over resamples of features, each with all its rows."""
    of = [part["pearson"].to_numpy() for part in r.partition_by("feature", maintain_order=True)]
    random = np.random.default_rng(seed)
    drawn = random.integers(0, len(of), (DRAWS, len(of)))
    medians = [np.median(np.concatenate([of[i] for i in draw])) for draw in drawn.tolist()]
    low, high = np.quantile(medians, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)
