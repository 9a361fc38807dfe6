"""The SAE's equation, TopK's choice, subsets of features, sparse codes and folding."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.sae.controls import random_sae
from interplm_nb.sae.model import SAE, ReLU, TopK
from tests.sae.small_sae import any_sae


def plain_code(sae: SAE, x: np.ndarray) -> np.ndarray:
    """The definition, one residue and one feature at a time."""
    W_enc, b_enc, b_dec = (w.detach().double().numpy() for w in (sae.W_enc, sae.b_enc, sae.b_dec))
    f = np.zeros((len(x), sae.d_sae))
    for i, row in enumerate(x):
        z = [sum((row[d] - b_dec[d]) * W_enc[d, j] for d in range(sae.d_in)) + b_enc[j] for j in range(sae.d_sae)]
        kept = range(sae.d_sae) if isinstance(sae.activation, ReLU) else sorted(range(sae.d_sae), key=lambda j: -z[j])[: sae.activation.k]
        for j in kept:
            f[i, j] = max(z[j], 0)
    return f


activations = st.just(ReLU()) | st.integers(1, 20).map(TopK)


@given(activation=activations, seed=st.integers(0, 99), n=st.integers(1, 6))
def test_encode_and_decode_are_the_equation(activation, seed, n):
    sae = any_sae(activation, seed=seed)
    x = torch.randn(n, 6, generator=torch.Generator().manual_seed(seed + 1))
    expected = plain_code(sae, x.numpy().astype(np.float64))
    f, x_hat = sae(x)
    np.testing.assert_allclose(f.detach(), expected, atol=1e-5)
    np.testing.assert_allclose(x_hat.detach(), expected @ sae.W_dec.detach().numpy() + sae.b_dec.detach().numpy(), atol=1e-4)


@given(activation=activations, seed=st.integers(0, 99), features=st.lists(st.integers(0, 19), max_size=8))
def test_a_subset_of_features_is_a_slice(activation, seed, features):
    sae = any_sae(activation, seed=seed)
    x = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(seed))
    chosen = torch.tensor(features, dtype=torch.int64)
    torch.testing.assert_close(sae.encode(x, chosen), sae.encode(x)[..., chosen])


@given(activation=activations, seed=st.integers(0, 99))
def test_the_sparse_code_is_the_dense_one(activation, seed):
    sae = any_sae(activation, seed=seed)
    x = torch.randn(7, 6, generator=torch.Generator().manual_seed(seed))
    rows, features, values = sae.encode_sparse(x)
    dense = np.zeros((7, 20), np.float32)
    dense[rows, features] = values
    np.testing.assert_array_equal(dense, sae.encode(x).detach())
    assert (np.diff(rows * 20 + features) > 0).all() and (values > 0).all()


@given(activation=activations, seed=st.integers(0, 99), dead=st.sets(st.integers(0, 19), max_size=6))
def test_folding_is_division_by_the_maxima(activation, seed, dead):
    sae = any_sae(activation, seed=seed)
    x = torch.randn(9, 6, generator=torch.Generator().manual_seed(seed))
    maxima = np.random.default_rng(seed).uniform(0.1, 5, 20).astype(np.float32)
    maxima[list(dead)] = 0
    f = sae.encode(x)
    f[:, list(dead)] = 0
    folded = sae.folded(maxima)
    assert (sae.unit, folded.unit) == ("raw", "max")
    torch.testing.assert_close(folded.encode(x), f / torch.from_numpy(np.where(maxima > 0, maxima, 1)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(folded.decode(folded.encode(x)), sae.decode(f), rtol=1e-4, atol=1e-4)
    assert folded.weight_hash != sae.weight_hash


def test_what_is_refused():
    with pytest.raises(ValueError, match="at least 1 feature per residue, not k=0"):
        TopK(0)
    with pytest.raises(ValueError, match="k=21 of 20 features"):
        SAE(6, 20, TopK(21))
    with pytest.raises(ValueError, match=r"shape \(20,\), not \(3,\)"):
        any_sae(ReLU()).folded(np.ones(3))
    with pytest.raises(ValueError, match="unit 'max' already"):
        any_sae(ReLU()).folded(np.ones(20)).folded(np.ones(20))
    with pytest.raises(TypeError, match="TopK activation"):
        any_sae(ReLU()).top_k(torch.zeros(1, 6))


def test_the_random_control_has_unit_atoms_a_tied_encoder_and_k_active_features():
    mean = torch.arange(16.0)
    sae = random_sae(16, 64, k=5, b_dec=mean, seed=3)
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(64))
    torch.testing.assert_close(sae.W_enc, sae.W_dec.T.contiguous())
    torch.testing.assert_close(sae.b_dec.detach(), mean)
    assert not sae.b_enc.any()
    assert ((sae.encode(torch.randn(50, 16)) > 0).sum(1) == 5).all()
    assert sae.weight_hash == random_sae(16, 64, 5, mean, 3).weight_hash != random_sae(16, 64, 5, mean, 4).weight_hash
    with pytest.raises(ValueError, match=r"shape \(16,\), not \(3,\)"):
        random_sae(16, 64, 5, torch.zeros(3), 0)
