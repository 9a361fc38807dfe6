"""The loss recovered from sums over proteins, and its interval, against loops over proteins."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from interplm_nb.proteins import Proteins
from interplm_nb.sae.architectures import TopK
from interplm_nb.sae.evaluation.fidelity import fidelities
from interplm_nb.sae.evaluation.fidelity_sums import (
    _RESAMPLES,
    _SEED,
    FidelitySums,
    loss_recovered,
)
from tests.sae.evaluation.fitted import fitted
from tests.sae.fake_plm import FakePLM, FakeRecurrentPLM
from tests.sae.small_sae import any_sae

PROTEIN = st.tuples(
    st.integers(0, 40),
    st.floats(1.5, 3),
    st.floats(-0.05, 0.5),
    st.floats(-0.02, 1),
)
"""Residues that count, CE original, and what the SAE and zeros cost, in nats per residue."""


def made(proteins: list[tuple[int, float, float, float]]) -> FidelitySums:
    rows = [(n, n * ce, n * (ce + sae), n * (ce + zero)) for n, ce, sae, zero in proteins]
    counts, original, with_sae, zeros = zip(*rows, strict=True)
    names = tuple(f"P{i}" for i in range(len(rows)))
    return FidelitySums(names, counts, original, with_sae, zeros, (0.0,) * len(rows))


def slow_means(sums: FidelitySums, drawn: list[int], per_protein: bool) -> list[float]:
    """CE original, sae and zero of these proteins, each as often as it is drawn."""
    columns = (sums.ce_original, sums.ce_sae, sums.ce_zero)
    if per_protein:
        return [sum(c[i] / sums.n_residues[i] for i in drawn) / len(drawn) for c in columns]
    n = sum(sums.n_residues[i] for i in drawn)
    return [sum(c[i] for i in drawn) / n for c in columns]


def slow_ratio(sums: FidelitySums, drawn: list[int], per_protein: bool) -> float | None:
    original, with_sae, zero = slow_means(sums, drawn, per_protein)
    if zero - original < 0.01:
        return None
    ratio = (zero - with_sae) / (zero - original)
    return min(max(ratio, 0), 1) if per_protein else ratio


@settings(max_examples=8)
@given(st.lists(PROTEIN, min_size=2, max_size=6), st.booleans())
def test_the_interval_is_that_of_the_ratio_of_sums(proteins, per_protein):
    sums = made(proteins)
    there = [i for i, n in enumerate(sums.n_residues) if n]
    assume(there)
    assert sums.means(per_protein)[:3] == pytest.approx(slow_means(sums, there, per_protein))
    times = np.random.default_rng(_SEED).multinomial(
        len(there), [1 / len(there)] * len(there), _RESAMPLES
    )
    ratios = [
        slow_ratio(
            sums, [i for i, n in zip(there, row, strict=True) for _ in range(n)], per_protein
        )
        for row in times.tolist()
    ]
    known = [ratio for ratio in ratios if ratio is not None]
    low, high = sums.interval(per_protein, clip=per_protein)
    # a resample within rounding of 0.01 nats may fall on either side
    assume(len(known) < 0.97 * _RESAMPLES or len(known) > 0.98 * _RESAMPLES)
    if len(there) < 2 or len(known) < 0.975 * _RESAMPLES:
        assert low is high is None
    else:
        assert (low, high) == pytest.approx(np.quantile(known, [0.025, 0.975]).tolist(), abs=1e-6)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Proteins of unlike lengths from a known population: its ratio is in 95 % intervals."""
    generator = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        n = generator.integers(20, 400, 40)
        sae, zero = generator.normal(0.2, 0.1, 40), generator.normal(0.8, 0.2, 40)
        sums = made(list(zip(n.tolist(), [2.0] * 40, sae, zero, strict=True)))
        low, high = sums.interval(per_protein=False, clip=False)
        assert low is not None and high is not None
        inside += low <= 0.75 <= high
    assert 0.88 <= inside / 200 <= 0.98


def test_a_ratio_of_almost_nothing_is_not_defined():
    assert loss_recovered(1.0, 5.0, 2.0, clip=False) == -3
    assert loss_recovered(1.0, 5.0, 2.0, clip=True) == 0
    assert loss_recovered(2.0, 3.0, 2.0, clip=False) is None
    assert loss_recovered(2.0, 2.001, 2.0099, clip=True) is None
    assert loss_recovered(2.0, 2.5, 1.5, clip=False) is None  # zeros did good
    assert loss_recovered(2.0, 2.0101, 2.0101, clip=False) == 0


def test_where_zeros_cost_little_in_many_resamples_the_figure_has_no_interval():
    sums = made([(10, 2.0, 0.01, 0.3), (10, 2.0, 0.01, 0.0), (10, 2.0, 0.01, 0.0)])
    assert loss_recovered(*sums.means(False)[:3], clip=False) == pytest.approx(0.9)
    assert sums.interval(per_protein=False, clip=False) == (None, None)


def test_every_measure_has_the_interval_of_its_own_sums():
    letters = "".join(np.random.default_rng(0).choice(list("ACDEFGHIKLMNPQRSTVWY"), 400))
    proteins = Proteins.from_sequences(
        {f"P{i}": letters[20 * i : 20 * i + 20 + i] for i in range(12)}
    )
    sae = any_sae(TopK(5), seed=3)
    masked, recurrent = (fitted(p, proteins) for p in (FakePLM(), FakeRecurrentPLM(start=True)))
    measured = [
        found
        for plm, layer in ((masked, 0), (masked, 1), (recurrent, 1))
        for found in fidelities(sae, plm, proteins, layer, progress=False)
    ]
    assert len(measured) == 8
    for found in measured:
        published = found.measure == "published"
        assert (found.loss_recovered is None) == (found.ce_zero - found.ce_original < 0.01)
        if found.loss_recovered is not None:
            ends = found.sums.interval(per_protein=published, clip=published)
            assert (found.loss_recovered_low, found.loss_recovered_high) == ends
            if ends[0] is not None and ends[1] is not None:
                assert ends[0] <= found.loss_recovered <= ends[1]
    (alone,) = (
        f
        for f in fidelities(sae, masked, proteins.select(["P3"]), 0, False)
        if f.measure == "published"
    )
    assert alone.loss_recovered_low is alone.loss_recovered_high is None
