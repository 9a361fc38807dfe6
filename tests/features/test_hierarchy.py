"""Parents of features, against a look at every pair, residue by residue."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.activations import FeatureActivations
from interplm_nb.features.families import BY_CHANCE
from interplm_nb.features.hierarchy import HIERARCHY, LEAST_LIFT, SHIFTS, hierarchy
from interplm_nb.proteins import Proteins

PREFIXES = (2, 4, 7)


def parents(on: np.ndarray, candidates: np.ndarray) -> dict[int, tuple[int | None, float, float]]:
    """By child: the parent, its share and its lift."""
    found: dict[int, tuple[int | None, float, float]] = {}
    n = len(on)
    for child in range(PREFIXES[0], on.shape[1]):
        size = max(m for m in PREFIXES if m <= child)
        found[child] = None, 0.0, 0.0
        for f in range(size):
            both = int((on[:, child] & candidates[:, f]).sum())
            if both:
                share = both / on[:, child].sum()
                lift = share / (candidates[:, f].sum() / n)
                if lift >= LEAST_LIFT - 1e-12 and share > found[child][1]:
                    found[child] = f, share, lift
    return found


@given(st.integers(0, 10_000), st.floats(0.05, 0.5), st.booleans())
def test_parents_are_those_of_a_look_at_every_pair(seed: int, density: float, some: bool) -> None:
    rng = np.random.default_rng(seed)
    proteins = Proteins.from_sequences({f"P{i}": "A" * n for i, n in enumerate((7, 3, 9, 5))})
    dense = (rng.random((24, 7)) * (rng.random((24, 7)) < density)).astype(np.float32)
    chosen = ["P0", "P2"] if some else None
    table = hierarchy(
        FeatureActivations.from_dense(dense, proteins), PREFIXES, 0.1, chosen, seed=seed
    )
    assert dict(table.schema) == HIERARCHY
    on = dense[proteins.rows_of(chosen or proteins.accessions)] > np.float32(0.1)
    assert table["feature"].to_list() == np.flatnonzero(on.any(axis=0)).tolist()
    expected = parents(on, on)
    for row in table.iter_rows(named=True):
        f = row["feature"]
        assert row["n_active"] == on[:, f].sum()
        assert row["prefix"] == min(m for m in PREFIXES if m > f)
        if f < PREFIXES[0]:
            assert (row["parent"], row["by_chance"]) == (None, None)
            continue
        parent, share, lift = expected[f]
        assert row["parent"] == parent
        assert (row["share"], row["lift"]) == pytest.approx((share, lift))
        assert row["n_both"] == round(share * row["n_active"])
        assert 1 / (1 + SHIFTS) <= row["by_chance"] <= 1
        assert parent is not None or row["by_chance"] == 1


def planted() -> FeatureActivations:
    """Feature 0 fires in two stretches of each protein, 1 and 2 in one of them each; 3 fires
    anywhere; 4 is always on."""
    proteins = Proteins.from_sequences({f"P{i}": "A" * 60 for i in range(20)})
    rng = np.random.default_rng(0)
    dense = np.zeros((1200, 5), np.float32)
    for i in range(20):
        start = 60 * i + int(rng.integers(0, 10))
        dense[start : start + 6, [0, 1]] = 1
        dense[start + 30 : start + 36, [0, 2]] = 1
    dense[rng.choice(1200, 60, replace=False), 3] = 1
    dense[:, 4] = 1
    order = [4, 0, 1, 2, 3]  # the prefix: always on, and the parent
    return FeatureActivations.from_dense(dense[:, order], proteins)


def test_what_splits_has_its_parent_and_what_fires_anywhere_has_none_beyond_chance() -> None:
    table = hierarchy(planted(), (2, 5))
    by = {row["feature"]: row for row in table.iter_rows(named=True)}
    for child in (2, 3):
        assert (by[child]["parent"], by[child]["share"]) == (1, 1.0)
        assert by[child]["lift"] == pytest.approx(1200 / 240)
        assert by[child]["by_chance"] <= BY_CHANCE
    assert by[4]["by_chance"] > BY_CHANCE
    assert 0 not in table["parent"].to_list(), "what is always on is nobody's parent"


def test_by_chance_counts_shifts_that_do_as_well() -> None:
    """The same shifts, drawn and counted one at a time."""
    activations = planted()
    table = hierarchy(activations, (2, 5), seed=5)
    dense = np.zeros((1200, 5), bool)
    for f in range(5):
        dense[activations.feature(f)[0], f] = True
    shifts = np.random.default_rng(5).integers(60, 1200 - 60 + 1, SHIFTS)
    for child in (2, 3, 4):
        own = table.filter(feature=child).row(0, named=True)
        c = 0
        for shift in shifts:
            best = 0.0
            for f in (0, 1):
                both = (dense[:, child] & np.roll(dense[:, f], shift)).sum()
                share = both / dense[:, child].sum()
                if share / dense[:, f].mean() >= LEAST_LIFT:
                    best = max(best, share)
            c += best >= own["share"]
        assert own["by_chance"] == pytest.approx((1 + c) / (1 + SHIFTS))


@pytest.mark.parametrize("prefixes", [(), (2, 4), (4, 2, 5), (0, 5), (2, 2, 5)])
def test_prefixes_that_do_not_ascend_to_all_features_are_refused(prefixes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"prefixes are numbers of features, ascending to all 5"):
        hierarchy(planted(), prefixes)


def test_one_prefix_has_no_parents_and_silent_features_no_row() -> None:
    proteins = Proteins.from_sequences({"P1": "MKV"})
    values = np.array([[1, 0], [0, 0], [2, 0]])
    table = hierarchy(FeatureActivations.from_dense(values, proteins), (2,))
    assert table.select("feature", "parent", "by_chance").rows() == [(0, None, None)]
    assert isinstance(table, pl.DataFrame)
