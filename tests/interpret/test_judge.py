"""Scores of descriptions, against plain definitions; nulls; what cannot be scored."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, rankdata, spearmanr
from sklearn.linear_model import RidgeCV

from interplm_nb.interpret.judge import (
    JUDGED,
    PENALTIES,
    _pearson,
    _ranks,
    agreement,
    judge_statistically,
    judgements,
    medians,
    other_features,
)
from interplm_nb.interpret.statistical import Stated, describe_statistically
from tests.interpret.planted import drawn, planted

ACTIVATIONS, KNOWN, CLUSTERS = planted()
FOUND = drawn(ACTIVATIONS, 0, CLUSTERS)
STATED = describe_statistically(FOUND, ACTIVATIONS, KNOWN)
OTHER = describe_statistically(drawn(ACTIVATIONS, 1, CLUSTERS), ACTIVATIONS, KNOWN)

numbers = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=30)


@given(numbers)
def test_agreement_is_pearsons_and_spearmans(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, float).T / 10
    found = agreement(x, y)
    assert found.mean_error == pytest.approx(
        np.mean([abs(a - b) for a, b in zip(x, y, strict=True)])
    )
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert (found.pearson, found.spearman) == (None, None)
    else:
        assert found.pearson == pytest.approx(pearsonr(x, y).statistic, abs=1e-9)
        assert found.spearman == pytest.approx(spearmanr(x, y).statistic, abs=1e-9)


@given(numbers, st.integers(0, 10))
def test_a_resample_is_scored_as_if_its_proteins_were_written_out(
    pairs: list[tuple[int, int]], seed: int
) -> None:
    x, y = np.array(pairs, float).T
    weights = np.random.default_rng(seed).integers(0, 3, (1, len(x)))
    a, b = np.repeat(x, weights[0]), np.repeat(y, weights[0])
    if len(a) and len(set(a)) > 1 and len(set(b)) > 1:
        assert _pearson(x, y, weights)[0] == pytest.approx(pearsonr(a, b).statistic, abs=1e-9)
    present = weights[0] > 0
    written = dict(zip(a, rankdata(a), strict=True))
    for value, rank in zip(x[present], _ranks(x, weights)[0, present], strict=True):
        assert rank == written[value]


def test_intervals_resample_clusters_and_not_proteins() -> None:
    """40 copies of 4 proteins hold no more than 4."""
    random = np.random.default_rng(0)
    x, noise = np.arange(4.0), random.normal(0, 1.5, 4)
    copies = np.repeat(np.arange(4), 10)
    by_protein = agreement(x[copies], (x + noise)[copies])
    by_cluster = agreement(x[copies], (x + noise)[copies], copies)
    assert by_protein.pearson == by_cluster.pearson
    widths = [(a.pearson_high or 0) - (a.pearson_low or 0) for a in (by_protein, by_cluster)]
    assert widths[1] > 2 * widths[0]


MEASURED = np.linspace(0, 1, 10)


def judgement(feature: int, predicted: np.ndarray | str) -> pl.DataFrame:
    about = {"feature": feature, "judge": "ridge", "sees": "names"}
    return judgements(about, [("statistical", "description", predicted)], MEASURED)


def test_a_constant_prediction_has_no_correlation_and_counts_as_0() -> None:
    table = pl.concat(
        [
            judgement(1, np.full(10, 0.5)),
            judgement(2, MEASURED),
            judgement(3, MEASURED),
        ]
    )
    assert table["pearson"].to_list() == [None, 1.0, 1.0]
    (row,) = medians(table).iter_rows(named=True)
    assert (row["features"], row["judged"], row["constant"]) == (3, 3, 1)
    assert row["median_pearson"] == 1.0
    assert medians(table[:2])["median_pearson"][0] == 0.5


def test_failures_are_counted() -> None:
    """Public code reported 0 failures, whatever happened."""
    table = pl.concat(
        [
            judgement(1, "no answer in 3 tries"),
            judgement(2, MEASURED),
        ]
    )
    assert table.columns == list(JUDGED)
    (row,) = medians(table).iter_rows(named=True)
    assert (row["features"], row["judged"], row["median_pearson"]) == (2, 1, 1.0)
    only_failures = medians(table[:1])
    assert only_failures["median_pearson"].to_list() == [None]


def rows(**options: str) -> dict[str, dict[str, object]]:
    table = judge_statistically(FOUND, STATED, [OTHER], KNOWN, CLUSTERS, **options)  # type: ignore
    return {row["given"]: row for row in table.iter_rows(named=True)}


def test_a_planted_feature_is_predicted_and_its_nulls_are_not() -> None:
    found = rows(sees="annotations")
    assert list(found) == [
        "description",
        "another description",
        "no description",
        "composition",
        "the mean",
    ]
    assert found["description"]["pearson"] > 0.6  # type: ignore[operator]
    for null in ("another description", "no description"):  # all lengths are equal
        assert found[null]["pearson"] is None
    assert found["the mean"]["pearson"] is None
    assert found["description"]["mean_error"] < found["the mean"]["mean_error"]  # type: ignore
    assert {row["n"] for row in found.values()} == {FOUND.evaluation.height}


def test_the_ridge_sees_the_training_examples_alone() -> None:
    places = [KNOWN.places(half["accession"].to_list()) for half in FOUND[3:]]
    inputs = [np.stack([s.values(KNOWN, p) for s in STATED.statements], axis=1) for p in places]
    centre, spread = inputs[0].mean(axis=0), inputs[0].std(axis=0)
    model = RidgeCV(PENALTIES).fit((inputs[0] - centre) / spread, FOUND.maximum[places[0]])
    predicted = model.predict((inputs[1] - centre) / spread)
    r = pearsonr(predicted, FOUND.maximum[places[1]]).statistic
    assert rows(sees="annotations")["description"]["pearson"] == pytest.approx(r, abs=1e-6)


def test_annotations_are_hidden_from_a_judge_who_must_predict_them() -> None:
    """Public judges were shown the domains that the description names."""
    relabelled = planted()[1]
    empty = type(relabelled)(KNOWN.proteins, relabelled.annotations.only([]))
    concept = STATED.statements[0]
    assert concept.needs == "annotations"
    table = judge_statistically(FOUND, STATED, [OTHER], empty, CLUSTERS, "names")
    assert table.drop("sees").equals(
        judge_statistically(FOUND, STATED, [OTHER], KNOWN, CLUSTERS, "names").drop("sees")
    )
    alone = Stated(0, (concept,), 1, "point")
    hidden = judge_statistically(FOUND, alone, [], KNOWN, CLUSTERS, "names")
    assert hidden.filter(given="description")["pearson"].to_list() == [None]


def test_other_features_are_others_and_each_serves_as_often() -> None:
    for n, wanted in ((2, 1), (3, 5), (50, 5)):
        found = other_features(range(n), wanted)
        k = min(wanted, n - 1)
        assert all(f not in others and len(set(others)) == k for f, others in found.items())
        served = [other for others in found.values() for other in others]
        assert sorted(served) == sorted(list(range(n)) * k)
    assert other_features([4]) == {4: []}


def test_a_feature_with_several_rows_is_resampled_with_all_of_them() -> None:
    table = pl.concat([judgement(1, MEASURED), judgement(1, -MEASURED), judgement(2, MEASURED)])
    (row,) = medians(table).iter_rows(named=True)
    assert (row["features"], row["judged"], row["median_pearson"]) == (2, 3, 1.0)
    assert row["median_low"] == 0.0  # feature 1 twice: 1 and -1


def test_refusals() -> None:
    with pytest.raises(ValueError, match="arrays of one length"):
        agreement(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="finite values"):
        agreement(np.array([np.nan, 1]), np.ones(2))
