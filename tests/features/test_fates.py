"""Fates of features, against loops over all pairs."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from interplm_nb.activations import FeatureActivations
from interplm_nb.features.coactivation import activation_correlation
from interplm_nb.features.families import BY_CHANCE, matches
from interplm_nb.features.fates import ALIKE, FATES, NAMES, STEPS, across_layers, fates
from interplm_nb.proteins import Proteins

VALUES = st.sampled_from([-0.5, 0.0, 0.25, 0.5, 0.6, 0.75, 1.0])
SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 5))


@given(arrays.arrays(np.float64, SHAPES, elements=VALUES), st.sampled_from([0.0, 0.6, 0.8]))
def test_fates_are_those_of_the_definition(similar: np.ndarray, null: float) -> None:
    n, m = similar.shape
    found = fates(similar, np.full((n, m), null))
    alike = [[similar[i, j] >= ALIKE and similar[i, j] > null for j in range(m)] for i in range(n)]
    origin: list[int] = []
    for j in range(m):
        own = [i for i in range(n) if alike[i][j]]
        origin.append(min(own, key=lambda i: (-similar[i, j], i)) if own else -1)
    assert found.origin.tolist() == origin
    for i in range(n):
        children = origin.count(i)
        assert found.n_descendants[i] == children
        expected = "split" if children > 1 else "kept" if children else ""
        assert found.fate[i] == (expected or ("merged" if any(alike[i]) else "lost"))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_without_features_on_one_side_all_are_lost_or_born(shape: tuple[int, int]) -> None:
    found = fates(np.zeros(shape), np.zeros(shape))
    assert found.fate.tolist() == ["lost"] * shape[0]
    assert found.origin.tolist() == [-1] * shape[1]


PROTEINS = Proteins.from_sequences({f"P{i}": "A" * 50 for i in range(12)})


def stretches(rng: np.random.Generator, n: int) -> np.ndarray:
    """float32 [600, n]: each feature fires on ten stretches of 4 residues of its own."""
    values = np.zeros((600, n), np.float32)
    starts = rng.permutation(150)[: 10 * n].reshape(n, 10)
    for f in range(n):
        for start in starts[f]:
            values[4 * start : 4 * start + 4, f] = 1
    return values


def two_layers() -> tuple[np.ndarray, np.ndarray]:
    """In the next layer 0 is kept, 1 splits in two, 2 and 3 become one, 4 is lost, one is born;
    feature 5 is silent in both."""
    own = stretches(np.random.default_rng(0), 6)
    early = np.column_stack([own[:, :5], np.zeros(600)])
    half = np.flatnonzero(own[:, 1])
    first, second = np.zeros(600), np.zeros(600)
    first[half[:20]], second[half[20:]] = 1, 1
    merged = 1.2 * own[:, 2] + own[:, 3]
    late = np.column_stack([2 * own[:, 0], first, second, merged, own[:, 5], np.zeros(600)])
    return early, late


def test_planted_fates_are_found_with_their_matches() -> None:
    early, late = two_layers()
    one, two = (FeatureActivations.from_dense(values, PROTEINS) for values in (early, late))
    found = across_layers({2: two, 1: one}, {2: one})
    assert dict(found.features.schema) == FATES and dict(found.steps.schema) == STEPS
    first, second = (found.features.filter(layer=k) for k in (1, 2))
    assert first["fate"].to_list() == ["kept", "split", "kept", "merged", "lost"]
    assert first["n_descendants"].to_list() == [1, 2, 1, 0, 0]
    assert first["born"].null_count() == 5 and second["fate"].null_count() == 5
    assert second["born"].to_list() == [False, False, False, False, True]
    assert second["origin"].to_list() == [0, 1, 1, 2, None]
    similarity = activation_correlation(one, two)[:5, :5]
    null = activation_correlation(one, two, shift=200)[:5, :5]
    table = matches(similarity, null)
    assert first.select("match", "similarity", "ambiguity", "by_chance").equals(
        table.select("match", "similarity", "ambiguity", "by_chance")
    )


def test_steps_count_the_fates_beside_their_nulls() -> None:
    early, late = two_layers()
    one, two = (FeatureActivations.from_dense(values, PROTEINS) for values in (early, late))
    random = FeatureActivations.from_dense(stretches(np.random.default_rng(9), 6), PROTEINS)
    found = across_layers({1: one, 2: two}, {2: random})
    assert found.steps["next"].to_list() == ["SAE", "random SAE", "shifted"]
    own, control, shifted = found.steps.iter_rows(named=True)
    counts = found.features.filter(layer=1)["fate"].value_counts()
    shares = {fate: n / 5 for fate, n in counts.iter_rows()}
    assert {name: own[name] for name in NAMES} == pytest.approx(
        {name: shares.get(name, 0) for name in NAMES}
    )
    assert (own["n_features"], own["n_next"], control["n_next"]) == (5, 5, 6)
    assert own["born"] == pytest.approx(0.2)
    assert control["lost"] == shifted["lost"] == 1.0 == control["born"]
    first = found.features.filter(layer=1)
    assert own["similarity"] == pytest.approx(first["similarity"].median())
    assert own["ambiguity"] == pytest.approx(first["ambiguity"].median())
    assert own["beyond_chance"] == pytest.approx((first["by_chance"] <= BY_CHANCE).mean())


def test_features_that_are_silent_on_the_chosen_proteins_are_left_out() -> None:
    early, late = two_layers()
    one, two = (FeatureActivations.from_dense(values, PROTEINS) for values in (early, late))
    chosen = PROTEINS.accessions[:4]
    found = across_layers({1: one, 2: two}, accessions=chosen)
    here = np.flatnonzero(early[:200].any(axis=0))
    assert found.features.filter(layer=1)["feature"].to_list() == here.tolist()
    assert found.steps.height == 2, "no control was given"


def test_three_layers_are_followed_in_order_and_the_middle_one_has_both_ends() -> None:
    early, late = two_layers()
    made = {
        k: FeatureActivations.from_dense(v, PROTEINS)
        for k, v in ((4, late), (9, early), (1, early))
    }
    found = across_layers(made)
    steps = found.steps.filter(pl.col("next") == "SAE")
    assert steps.select("layer", "next_layer").rows() == [(1, 4), (4, 9)]
    middle = found.features.filter(layer=4)
    assert middle["born"].null_count() == middle["fate"].null_count() == 0


def test_one_layer_and_other_proteins_are_refused() -> None:
    early, _ = two_layers()
    one = FeatureActivations.from_dense(early, PROTEINS)
    with pytest.raises(ValueError, match=r"followed over two layers or more, not over \[3\]"):
        across_layers({3: one})
    other = Proteins.from_sequences({f"Q{i}": "A" * 50 for i in range(12)})
    with pytest.raises(ValueError, match="have no common residues in one order; encode the same"):
        across_layers({1: one, 2: FeatureActivations.from_dense(early, other)})
