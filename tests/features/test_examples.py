import numpy as np
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.activations import FeatureActivations
from interplm_nb.features.examples import histogram, proteins_of
from interplm_nb.features.statistics import feature_statistics
from interplm_nb.proteins import Proteins

N_FEATURES = 4


@st.composite
def activations(draw: st.DrawFn) -> tuple[Proteins, np.ndarray]:
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    proteins = Proteins.from_sequences({f"P{i}": "A" * n for i, n in enumerate(lengths)})
    values = st.sampled_from([0.0, 0.0, 0.0, 0.15, 0.5, 1.0, 1.7])
    rows = draw(st.lists(st.lists(values, min_size=N_FEATURES, max_size=N_FEATURES), min_size=sum(lengths), max_size=sum(lengths)))
    return proteins, np.array(rows, dtype=np.float32)


@given(activations())
def test_statistics_equal_a_loop_over_features_and_proteins(drawn: tuple[Proteins, np.ndarray]) -> None:
    proteins, dense = drawn
    table = feature_statistics(FeatureActivations.from_csr(sp.csr_array(dense), proteins, "max"))
    assert table["feature"].to_list() == list(range(N_FEATURES))
    for f, row in enumerate(table.iter_rows(named=True)):
        on = dense[:, f] > 0
        assert row["n_active"] == on.sum()
        assert row["n_proteins"] == sum(on[proteins.rows(a)].any() for a in proteins.accessions)
        assert row["maximum"] == dense[:, f].max()
        assert np.isclose(row["density"], on.mean())
        assert np.isclose(row["mean_active"], dense[on, f].mean() if on.any() else 0.0)


@given(activations(), st.integers(0, N_FEATURES - 1))
def test_proteins_of_a_feature_equal_a_loop(drawn: tuple[Proteins, np.ndarray], feature: int) -> None:
    proteins, dense = drawn
    table = proteins_of(FeatureActivations.from_csr(sp.csr_array(dense), proteins, "max"), feature)
    expected = []
    for i, accession in enumerate(proteins.accessions):
        values = dense[proteins.rows(accession), feature]
        if values.any():
            expected.append((-values.max(), i, accession, (values > 0).sum(), int(values.argmax()) + 1, len(values)))
    assert table.select("accession", "n_active", "position", "length").rows() == [(a, n, p, length) for _, _, a, n, p, length in sorted(expected)]


@given(activations(), st.integers(0, N_FEATURES - 1))
def test_the_histogram_accounts_for_every_residue(drawn: tuple[Proteins, np.ndarray], feature: int) -> None:
    proteins, dense = drawn
    counted = histogram(FeatureActivations.from_csr(sp.csr_array(dense), proteins, "max"), feature, bins=10)
    assert counted.counts.sum() + counted.n_zero == proteins.n_residues
    assert counted.n_zero == (dense[:, feature] == 0).sum()
    assert counted.edges[0] == 0 and counted.edges[-1] >= max(1.0, dense[:, feature].max()) - 1e-6


def test_a_dead_feature_has_no_protein_and_an_empty_histogram() -> None:
    proteins = Proteins.from_sequences({"A": "MK"})
    activations = FeatureActivations.from_csr(sp.csr_array(np.zeros((2, 1), np.float32)), proteins, "max")
    assert proteins_of(activations, 0).is_empty()
    assert histogram(activations, 0).n_zero == 2
