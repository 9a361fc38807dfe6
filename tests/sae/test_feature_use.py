"""Silent, rare, effective and moved, each by its definition, one feature at a time."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from interplm_nb.activations import FeatureActivations
from interplm_nb.proteins import Proteins
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.feature_use import FeatureSums
from interplm_nb.sae.training.atoms import share_moved
from interplm_nb.sae.training.initial import new_sae

PROTEINS = Proteins.from_sequences({"P1": "MKTAY", "P2": "GGSA", "P3": "LKE"})
VALUES = hnp.arrays(np.float32, (12, 4), elements=st.sampled_from([0.0, 0.0, 0.5, 2.0]))


@given(VALUES, st.sets(st.sampled_from(["P1", "P2", "P3"])))
def test_sums_and_use_are_those_of_each_feature_alone(values, accessions):
    rows = [r for a in sorted(accessions) for r in range(*PROTEINS.rows(a).indices(12))]
    sums = FeatureSums.of(FeatureActivations.from_dense(values, PROTEINS), sorted(accessions))
    of = [[float(values[row, feature]) for row in rows] for feature in range(4)]
    assert sums.n_active.tolist() == [sum(v > 0 for v in column) for column in of]
    assert sums.maximum.tolist() == [max(column, default=0) for column in of]
    use, mass = sums.use(), sum(map(sum, of))
    assert use.n_residues == len(rows)
    assert use.silent == sum(not any(column) for column in of)
    entropy = -sum(sum(c) / mass * math.log(sum(c) / mass) for c in of if any(c))
    assert use.effective == pytest.approx(math.exp(entropy) if mass else 0)


@pytest.mark.parametrize(
    ("n_active", "silent", "rare"), [(0, 1, 0), (1, 0, 1), (9, 0, 1), (10, 0, 0)]
)
def test_a_feature_is_rare_below_one_residue_in_ten_thousand(n_active, silent, rare):
    counts = np.array([n_active, 5000])
    use = FeatureSums(100_000, counts, counts.astype(float), np.float32([1, 1])).use()
    assert (use.silent, use.rare) == (silent, rare)


def test_equal_features_are_all_effective():
    counts = np.full(50, 7)
    assert FeatureSums(350, counts, counts * 3.0, np.ones(50)).use().effective == pytest.approx(50)


def test_atoms_moved_where_their_cosine_with_the_first_is_below_the_limit():
    first = torch.eye(4, dtype=torch.float64)
    angles = torch.tensor([0.0, 0.643, 0.644, 1.5], dtype=torch.float64)  # cos 0.8 is at 0.6435
    atoms = angles.cos()[:, None] * first + angles.sin()[:, None] * first.roll(1, dims=0)
    assert share_moved(atoms, first) == 0.5


def test_first_atoms_depend_on_the_seed_alone():
    sample = torch.randn(50, 6, generator=torch.Generator().manual_seed(1))
    topk, gated, other = (
        new_sae(SAEConfig.recipe(recipe, 20, k=3, seed=seed), sample)
        for recipe, seed in (("topk", 5), ("gated", 5), ("topk", 6))
    )
    assert share_moved(topk.W_dec, gated.W_dec) == 0 and share_moved(topk.W_dec, other.W_dec) > 0.5
