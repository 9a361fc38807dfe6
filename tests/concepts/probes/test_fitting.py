"""Probes against scikit-learn on dense arrays, and against loops over features and thresholds."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from sklearn.preprocessing import StandardScaler

from interplm_nb.activations import FeatureActivations
from interplm_nb.concepts.probes import fitting as probes
from interplm_nb.concepts.probes.examples import SPLITS, Examples
from interplm_nb.concepts.probes.fitting import (
    ONE_D,
    PROBES,
    association,
    k_sparse_probe,
    logistic_probe,
    one_d_probes,
    probe_table,
)
from interplm_nb.proteins import Proteins

N_FEATURES = 6


def made(seed: int, n: int = 300, dense: bool = False) -> tuple[Examples, np.ndarray, np.ndarray]:
    """Examples of sparse values, a label that features 1 and 4 partly predict, and the array.

    Feature 3 is active everywhere, feature 5 constant on train.
    """
    rng = np.random.default_rng(seed)
    values = (rng.random((n, N_FEATURES)) * (rng.random((n, N_FEATURES)) < 0.3)).astype(np.float32)
    carried = 3 * values[:, 1] - 2 * values[:, 4] + 0.3 * rng.standard_normal(n) > 0.4
    values[: n // 2, 5] = 0
    values[:, 3] += np.float32(0.01)
    if dense:
        values += rng.standard_normal(N_FEATURES).astype(np.float32)
    places: dict[str, np.ndarray] = dict(
        zip(SPLITS, np.split(np.arange(n), [n // 2, 3 * n // 4]), strict=True)
    )
    source = (
        values
        if dense
        else FeatureActivations.from_dense(values, Proteins.from_sequences({"P": "A" * n})).of("P")
    )
    return (
        Examples("residues", places, {s: source[rows] for s, rows in places.items()}),
        carried,
        values,
    )


def f1(labels: np.ndarray, called: np.ndarray) -> float:
    return 2 * (labels & called).sum() / (labels.sum() + called.sum())


@given(st.integers(0, 1000), st.booleans())
def test_association_is_the_difference_of_means_over_the_deviation(seed: int, dense: bool) -> None:
    examples, carried, values = made(seed, dense=dense)
    train, labels = (
        values[examples.places["train"]].astype(float),
        carried[examples.places["train"]],
    )
    found = association(examples, carried)
    for feature in range(N_FEATURES - 1):
        x = train[:, feature]
        assert found[feature] == pytest.approx(
            (x[labels].mean() - x[~labels].mean()) / x.std(), abs=1e-6
        )
    assert found[5] == 0


@pytest.mark.parametrize("dense", [False, True])
def test_a_probe_is_scikit_learns_on_standardised_values(
    dense: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples, carried, values = made(3, dense=dense)
    used = np.array([4, 1, 5])
    monkeypatch.setattr(probes, "PENALTIES", (1e-2,))
    probe = logistic_probe(examples, carried, used)
    scaler = StandardScaler().fit(values[examples.places["train"]][:, used])
    rows = examples.places["train"]
    model = LogisticRegression(C=1 / (1e-2 * len(rows)), solver="newton-cholesky", tol=1e-8).fit(
        scaler.transform(values[rows][:, used]), carried[rows]
    )
    for split in SPLITS:
        wanted = model.decision_function(scaler.transform(values[examples.places[split]][:, used]))
        assert_allclose(probe.log_odds(examples.values[split]), wanted, atol=2e-3)
    assert probe.weights[2] == 0
    test, labels = probe.log_odds(examples.values["test"]), carried[examples.places["test"]]
    assert probe.test.f1 == pytest.approx(f1_score(labels, test > probe.threshold))
    assert probe.test.auprc == pytest.approx(average_precision_score(labels, test))
    assert probe.n_train == len(rows)
    # The threshold is validation's, not test's.
    validation = probe.log_odds(examples.values["validation"])
    best = max(
        f1_score(carried[examples.places["validation"]], validation > t)
        for t in [-np.inf, *validation.tolist()[:-1]]
    )
    assert probe.validation.f1 == pytest.approx(best)


def test_wide_and_narrow_solvers_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    examples, carried, _ = made(5)
    narrow = logistic_probe(examples, carried)
    monkeypatch.setattr(probes, "_NEWTON_WIDTH", 2)
    wide = logistic_probe(examples, carried)
    assert narrow.penalty == wide.penalty
    assert_allclose(narrow.weights, wide.weights, rtol=0.05, atol=0.05)


def test_the_penalty_is_the_one_that_validation_ranks_best(monkeypatch: pytest.MonkeyPatch) -> None:
    examples, carried, _ = made(11)
    chosen = logistic_probe(examples, carried)
    worth = {}
    for penalty in probes.PENALTIES:
        monkeypatch.setattr(probes, "PENALTIES", (penalty,))
        worth[penalty] = logistic_probe(examples, carried).validation.auprc
    assert worth[chosen.penalty] == pytest.approx(max(worth.values()), abs=1e-3)


def test_a_sparse_probe_takes_the_strongest_features() -> None:
    examples, carried, _ = made(7, 2000)
    assert k_sparse_probe(examples, carried, 1).features.tolist() == [1]
    assert k_sparse_probe(examples, carried, 2).features.tolist() == [1, 4]
    five = k_sparse_probe(examples, carried, 20)
    assert sorted(five.features.tolist()) == [0, 1, 2, 3, 4]
    assert five.weights[0] > 0 > five.weights[1]
    assert five.test.f1 > k_sparse_probe(examples, carried, 1).test.f1 > 0.5
    with pytest.raises(ValueError, match="k = 1 or more, not 0"):
        k_sparse_probe(examples, carried, 0)


def test_nothing_is_learned_from_test() -> None:
    examples, carried, _ = made(2)
    other = carried.copy()
    other[examples.places["test"]] ^= True
    one, two = (k_sparse_probe(examples, c, 3) for c in (carried, other))
    assert_array_equal(one.weights, two.weights)
    assert (one.threshold, one.penalty) == (two.threshold, two.penalty)
    assert one.test != two.test
    tables = [
        one_d_probes(examples, c).select("feature", "direction", "threshold", "validation_f1")
        for c in (carried, other)
    ]
    assert tables[0].equals(tables[1])


@given(st.integers(0, 1000), st.booleans())
def test_one_d_probes_equal_a_loop_over_thresholds(seed: int, dense: bool) -> None:
    examples, carried, values = made(seed, 80, dense)
    table = one_d_probes(examples, carried)
    assert table.columns == list(ONE_D)
    assert sorted(table["feature"].to_list()) == [0, 1, 2, 3, 4]
    assert table["validation_f1"].is_sorted(descending=True)
    (v, vy), (t, ty) = (
        (values[examples.places[s]], carried[examples.places[s]]) for s in ("validation", "test")
    )
    for row in table.iter_rows(named=True):
        x = row["direction"] * v[:, row["feature"]]
        assert row["validation_f1"] == pytest.approx(
            max(f1(vy, x > c) for c in [-np.inf, *x.tolist()])
        )
        called = row["direction"] * t[:, row["feature"]] > row["direction"] * row["threshold"]
        assert row["f1"] == pytest.approx(f1(ty, called))
        assert row["recall"] == pytest.approx((called & ty).sum() / max(ty.sum(), 1))
        assert row["n"] == len(ty)
        assert row["auprc"] == pytest.approx(
            average_precision_score(ty, row["direction"] * t[:, row["feature"]])
        )


@given(st.integers(0, 1000))
def test_the_direction_is_the_sign_of_a_fitted_weight(seed: int) -> None:
    examples, carried, values = made(seed)
    table = one_d_probes(examples, carried)
    rows = examples.places["train"]
    for feature, direction in table.select("feature", "direction").iter_rows():
        fitted = LogisticRegression(C=1e4, solver="newton-cholesky").fit(
            values[rows][:, [feature]].astype(float), carried[rows]
        )
        assert np.sign(fitted.coef_[0, 0]) == direction


def test_the_table_has_the_probes_and_what_they_are_read_against() -> None:
    examples, carried, _ = made(4)
    embedding, _, _ = made(4, dense=True)
    table = probe_table(examples, embedding, {"first": carried, "second": ~carried}, ks=(1, 3))
    assert table.columns == list(PROBES)
    names = ["best single feature", "k = 1", "k = 3", "embedding", "all positive", "majority"]
    assert table["probe"].to_list() == names * 2
    assert table["task"].to_list() == ["first"] * 6 + ["second"] * 6
    assert table["n_features"].to_list()[:6] == [1, 1, 3, 6, 0, 0]
    assert table["features"].to_list()[2] == k_sparse_probe(examples, carried, 3).features.tolist()
    rows = {
        row["probe"]: row for row in table.filter(pl.col("task") == "first").iter_rows(named=True)
    }
    assert rows["best single feature"]["f1"] == one_d_probes(examples, carried)["f1"][0]
    assert rows["embedding"]["f1"] == logistic_probe(embedding, carried).test.f1
    share = carried[examples.places["test"]].mean()
    assert rows["all positive"]["f1"] == pytest.approx(2 * share / (1 + share))
    assert rows["majority"]["accuracy"] == pytest.approx(max(share, 1 - share))
    assert {row["n"] for row in rows.values()} == {75}


def test_features_that_never_vary_say_nothing() -> None:
    examples, carried, _ = made(4)
    probe = logistic_probe(examples, carried, np.array([5]))
    assert probe.weights.tolist() == [0]
    share = carried[examples.places["train"]].mean()
    assert probe.intercept == pytest.approx(np.log(share / (1 - share)))
    assert probe.threshold == -np.inf
    assert probe.test.auprc == pytest.approx(probe.test.prevalence)


def test_other_examples_are_refused() -> None:
    examples, carried, _ = made(4)
    with pytest.raises(ValueError, match=r"other examples in train \(150 residues, 100 residues\)"):
        probe_table(examples, made(4, 200, dense=True)[0], {"task": carried})
