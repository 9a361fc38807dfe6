"""Halves and bins of the sampling, compared to the paper's sentences taken literally."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.activations import FeatureActivations
from interplm_nb.interpret.sampling import Sample, Sizes, bins, sample
from interplm_nb.proteins import Proteins


def activations(maxima: list[float], feature: int = 0, n_features: int = 1) -> FeatureActivations:
    """One feature with these maxima, at position 2 of proteins of three residues."""
    proteins = Proteins.from_sequences({f"P{i}": "MKV" for i in range(len(maxima))})
    values = np.zeros((3 * len(maxima), n_features), np.float32)
    values[1::3, feature] = maxima
    return FeatureActivations.from_dense(values, proteins, unit="max")


def dense(of: FeatureActivations) -> np.ndarray:
    return np.concatenate([block.values.toarray() for block in of.blocks()])


def drawn(found: Sample | None) -> Sample:
    assert found is not None
    return found


def many(per_bin: int = 40, silent: int = 60) -> list[float]:
    return [(k - 0.5) / 10 for k in range(1, 11) for _ in range(per_bin)] + [0.0] * silent + [1.0]


def plain_bin(value: float) -> int:
    """The k for which value lies in (0.1 (k - 1), 0.1 k], in decimals as a person writes them."""
    return 0 if value == 0 else min(10, math.ceil(round(value * 10, 6)))


@given(st.lists(st.integers(0, 130), max_size=40))
def test_bins_are_half_open_with_their_upper_edge(hundredths: list[int]) -> None:
    values = [h / 100 for h in hundredths]
    assert bins(np.array(values, np.float32)).tolist() == [plain_bin(v) for v in values]


def test_the_protein_with_the_maximum_is_in_the_last_bin() -> None:
    """Half-open bins of public code, [0.1 (k - 1), 0.1 k), never took it."""
    assert bins(np.array([1.0], np.float32)).tolist() == [10]
    found = drawn(sample(activations([1.0] * 20 + [0.0] * 20), 0))
    assert (found.training["bin"] == 10).sum() == (found.evaluation["bin"] == 10).sum() == 10


def test_the_sizes_of_the_paper() -> None:
    found = drawn(sample(activations(many()), 0))
    for half in (found.training, found.evaluation):
        of = Counter(half["bin"].to_list())
        assert of == {0: 10, 10: 10, **dict.fromkeys(range(1, 10), 2)}
        assert half.height == 38


@pytest.mark.parametrize(("top", "expected"), [(20, 20), (19, 19), (12, 12), (1, 1)])
def test_a_top_bin_that_is_too_small_is_filled_from_the_second_to_24(
    top: int, expected: int
) -> None:
    found = drawn(sample(activations([0.95] * top + [0.85] * 40 + [0.0] * 40), 0))
    of = Counter([*found.training["bin"], *found.evaluation["bin"]])
    assert of[10] == expected
    assert of[9] + of[10] == 24
    strong = [half.filter(half["bin"] >= 9).height for half in (found.training, found.evaluation)]
    assert strong == [12, 12]


def test_under_20_proteins_in_the_top_three_bins_a_feature_is_left_out() -> None:
    assert sample(activations([0.71] * 19 + [0.7] * 50), 0) is None  # 0.7 is in (0.6, 0.7]
    assert sample(activations([0.71] * 20), 0) is not None


def test_a_feature_whose_strong_proteins_are_one_cluster_is_left_out() -> None:
    """One half would have none: nothing to describe, or nothing to predict."""
    maxima = [1.0] * 30 + [0.2] * 30 + [0.0] * 30
    family = np.where(np.arange(90) < 30, 0, np.arange(90))
    assert sample(activations(maxima), 0, family) is None
    few = np.where(np.arange(90) < 26, 0, np.arange(90))  # 4 are others
    assert sample(activations(maxima), 0, few) is None
    enough = np.where(np.arange(90) < 25, 0, np.arange(90))
    assert sample(activations(maxima), 0, enough) is not None
    assert sample(activations(maxima), 0, np.zeros(90, np.int64)) is None


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 25)), min_size=40, max_size=120).map(
        lambda pairs: [*pairs, *[(90, 30 + i) for i in range(20)]]
    ),
    st.integers(0, 3),
)
def test_halves_share_no_protein_and_no_cluster(pairs: list[tuple[int, int]], seed: int) -> None:
    maxima, clusters = [h / 100 for h, _ in pairs], np.array([c for _, c in pairs])
    table = activations(maxima)
    found = drawn(sample(table, 0, clusters, seed=seed))
    halves = [set(half["accession"]) for half in (found.training, found.evaluation)]
    assert not halves[0] & halves[1]
    index = table.proteins.index
    of = [{int(clusters[index(a)]) for a in half} for half in halves]
    assert not of[0] & of[1]
    assert not set(clusters[found.in_training]) & set(clusters[~found.in_training])
    for half, belongs in ((found.training, True), (found.evaluation, False)):
        assert half["accession"].n_unique() == half.height
        for accession, maximum, place, position, kind in half.iter_rows():
            i = index(accession)
            assert found.in_training[i] == belongs
            assert maximum == np.float32(maxima[i])
            assert place == plain_bin(maxima[i])
            assert position == (2 if place else None)
            assert kind == ("active" if place else "silent")


def test_the_draw_depends_on_seed_and_feature_alone() -> None:
    table = activations(many(), feature=3, n_features=5)
    first = drawn(sample(table, 3, seed=1))
    np.random.default_rng().random(10)
    again = drawn(sample(table, 3, seed=1))
    assert first.training.equals(again.training)
    assert first.evaluation.equals(again.evaluation)
    other = drawn(sample(table, 3, seed=2))
    assert set(other.training["accession"]) != set(first.training["accession"])


def test_the_halves_differ_though_their_seed_is_the_same() -> None:
    """A public scorer drew train and test with the same seed: 10 to 20 of 50 were in both."""
    for seed in range(20):
        found = drawn(sample(activations(many(per_bin=12)), 0, seed=seed))
        assert not set(found.training["accession"]) & set(found.evaluation["accession"])


def test_examples_are_in_random_order() -> None:
    """An order by strength would tell the judge what it must predict."""
    found = drawn(sample(activations(many()), 0))
    for half in (found.training, found.evaluation):
        order = half["maximum"].to_numpy()
        assert abs(np.corrcoef(order, np.arange(len(order)))[0, 1]) < 0.5


def test_close_negatives_share_a_cluster_with_a_protein_that_fires() -> None:
    maxima = [0.95, 0.0] * 40 + [0.0] * 40
    clusters = np.array([i // 2 for i in range(80)] + list(range(40, 80)))
    found = drawn(sample(activations(maxima), 0, clusters, close=True))
    for half in (found.training, found.evaluation):
        assert half.filter(half["maximum"] == 0)["kind"].to_list() == ["close"] * 10
    plain = drawn(sample(activations(maxima), 0, clusters))
    assert "close" not in plain.training["kind"].to_list()


def test_refusals() -> None:
    table = activations([1.0] * 20)
    raw = FeatureActivations.from_dense(np.ones((3, 1)), Proteins.from_sequences({"P": "MKV"}))
    with pytest.raises(ValueError, match="unit 'raw'; use relative_to"):
        sample(raw, 0)
    with pytest.raises(ValueError, match=r"shape \(20,\), not \(3,\)"):
        sample(table, 0, np.zeros(3))
    with pytest.raises(ValueError, match="give the clusters"):
        sample(table, 0, close=True)
    with pytest.raises(ValueError, match="must be 1 or more"):
        Sizes(top=0)
