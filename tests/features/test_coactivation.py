"""Features that fire together, against counts residue by residue and numpy's correlation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.activations import FeatureActivations
from interplm_nb.features.coactivation import (
    COACTIVE,
    activation_correlation,
    coactivation,
    sampled,
)
from interplm_nb.proteins import Proteins


@st.composite
def drawn(draw: st.DrawFn) -> tuple[Proteins, np.ndarray]:
    lengths = draw(st.lists(st.integers(1, 12), min_size=1, max_size=5))
    proteins = Proteins.from_sequences({f"P{i}": "A" * n for i, n in enumerate(lengths)})
    seed, density = draw(st.integers(0, 10_000)), draw(st.floats(0, 1))
    rng = np.random.default_rng(seed)
    dense = rng.choice([0.1, 0.5, 2.0], (sum(lengths), 4)) * (
        rng.random((sum(lengths), 4)) < density
    )
    return proteins, dense.astype(np.float32)


@given(drawn(), st.sampled_from([0.0, 0.3]))
def test_counts_of_pairs_equal_a_look_at_every_residue(
    given_: tuple[Proteins, np.ndarray], threshold: float
) -> None:
    proteins, dense = given_
    table = coactivation(FeatureActivations.from_dense(dense, proteins), 1, threshold)
    assert dict(table.schema) == COACTIVE
    on = dense > threshold
    expected = {}
    for other in (0, 2, 3):
        both = int((on[:, 1] & on[:, other]).sum())
        if both:
            constant = on[:, 1].all() or on[:, other].all()
            phi = 0.0 if constant else np.corrcoef(on[:, 1], on[:, other])[0, 1]
            expected[other] = (both, both / on[:, 1].sum(), both / on[:, other].sum(), phi)
    assert set(table["feature"]) == set(expected)
    for feature, n_both, share, share_of_other, lift, phi in table.iter_rows():
        assert (n_both, share, share_of_other, phi) == pytest.approx(expected[feature], abs=1e-9)
        assert lift == pytest.approx(share / on[:, feature].mean())
    assert table["phi"].is_sorted(descending=True)


@given(drawn(), st.integers(0, 5), st.booleans())
def test_correlations_of_all_pairs_are_numpys(
    given_: tuple[Proteins, np.ndarray], shift: int, some: bool
) -> None:
    proteins, dense = given_
    other = np.roll(dense[:, ::-1], 3, axis=1)[:, :3]
    chosen = proteins.accessions[::2] if some else None
    found = activation_correlation(
        FeatureActivations.from_dense(dense, proteins),
        FeatureActivations.from_dense(other, proteins),
        chosen,
        shift,
    )
    rows = proteins.rows_of(chosen or proteins.accessions)
    moved = np.roll(other[rows], shift, axis=0)
    for i in range(4):
        for j in range(3):
            a, b = dense[rows, i].astype(np.float64), moved[:, j].astype(np.float64)
            constant = np.ptp(a) == 0 or np.ptp(b) == 0
            expected = 0.0 if constant else np.corrcoef(a, b)[0, 1]
            assert found[i, j] == pytest.approx(expected, abs=1e-5)


def test_sources_on_other_proteins_are_refused() -> None:
    one, two = (
        FeatureActivations.from_dense(np.ones((2, 1)), Proteins.from_sequences({name: "MK"}))
        for name in ("P1", "P2")
    )
    with pytest.raises(ValueError, match="have no common residues in one order; encode the same"):
        activation_correlation(one, two)


def test_a_sample_is_whole_proteins_by_its_seed_alone() -> None:
    proteins = Proteins.from_sequences({f"P{i}": "A" * 10 for i in range(30)})
    drawn = sampled(proteins, 95, seed=1)
    assert len(drawn) == 10 and drawn == sorted(drawn, key=proteins.index)
    assert drawn == sampled(proteins, 95, seed=1) != sampled(proteins, 95, seed=2)
    assert sampled(proteins, 10_000) == proteins.accessions
