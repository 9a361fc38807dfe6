"""Each loss against its definition written out, and the training step's gradients against autograd's."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.sae import reconstruct as reconstruct_module
from interplm_nb.sae.losses import auxiliary_k, fraction_unexplained, interplm_paper, squared_error
from interplm_nb.sae.model import SAE, ReLU, TopK
from interplm_nb.sae.reconstruct import reconstruct
from tests.sae.small_sae import any_sae

seeds = st.integers(0, 999)


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(seed=seeds, l1=st.floats(0, 1))
def test_the_papers_loss_is_the_mean_norm_and_l1_times_the_mean_l1_norm(seed, l1):
    x, x_hat, f = normal(5, 3, seed=seed), normal(5, 3, seed=seed + 1), normal(5, 7, seed=seed + 2).relu()
    reconstruction = sum(math.sqrt(sum((x[i, d] - x_hat[i, d]).item() ** 2 for d in range(3))) for i in range(5)) / 5
    sparsity = sum(abs(f[i, j].item()) for i in range(5) for j in range(7)) / 5
    loss, parts = interplm_paper(x, x_hat, f.sum(), l1)
    assert loss.item() == pytest.approx(reconstruction + l1 * sparsity, rel=1e-5)
    assert (parts["reconstruction"].item(), parts["l1_norm"].item()) == (pytest.approx(reconstruction, rel=1e-5), pytest.approx(sparsity, rel=1e-5))


@given(seed=seeds)
def test_squared_error_and_fvu(seed):
    x, x_hat = normal(5, 3, seed=seed), normal(5, 3, seed=seed + 1)
    error = sum((x[i, d] - x_hat[i, d]).item() ** 2 for i in range(5) for d in range(3))
    spread = sum((x[i, d] - x[:, d].mean()).item() ** 2 for i in range(5) for d in range(3))
    assert squared_error(x, x_hat).item() == pytest.approx(error / 5, rel=1e-4)
    assert fraction_unexplained(x, x_hat).item() == pytest.approx(error / spread, rel=1e-4)


@given(seed=seeds, dead=st.sets(st.integers(0, 19), min_size=1, max_size=12))
def test_auxk_is_the_dead_features_error_on_the_residual(seed, dead):
    sae = any_sae(TopK(4), seed=seed)
    x, x_hat = normal(6, 6, seed=seed), normal(6, 6, seed=seed + 1)
    dead = sorted(dead)
    e = (x - x_hat).numpy().astype(np.float64)
    z = sae.pre_activation(x).detach().numpy()
    e_hat = np.zeros_like(e)
    for i in range(6):
        for j in sorted(dead, key=lambda j: -z[i, j])[: min(3, len(dead))]:
            e_hat[i] += max(z[i, j], 0) * sae.W_dec[j].detach().numpy()
    expected = ((e - e_hat) ** 2).sum(1).mean() / ((e - e.mean(0)) ** 2).sum(1).mean()
    loss = auxiliary_k(sae, x, x_hat.requires_grad_(), torch.tensor(dead))
    assert loss.item() == pytest.approx(expected, rel=1e-3)
    loss.backward()
    assert x_hat.grad is None, "the residual carries no gradient"
    assert sae.W_dec.grad is not None and not sae.W_dec.grad[[j for j in range(20) if j not in dead]].any()


def test_auxk_of_a_perfect_reconstruction_is_zero():
    sae = any_sae(TopK(4))
    x = normal(3, 6, seed=0)
    loss = auxiliary_k(sae, x, x.clone(), torch.tensor([1, 2]))
    loss.backward()
    assert loss.item() == 0 and sae.W_enc.grad is not None and sae.W_enc.grad.isfinite().all()


def plain_gradients(sae: SAE, x: torch.Tensor, g: torch.Tensor, l1: float) -> list[torch.Tensor]:
    f, x_hat = sae(x)
    return list(torch.autograd.grad((x_hat * g).sum() + l1 * f.sum(), list(sae.parameters())))


@given(activation=st.just(ReLU()) | st.integers(1, 20).map(TopK), sparse_below=st.sampled_from([0.0, 2.0]), seed=seeds, l1=st.floats(0, 2))
def test_the_steps_gradients_are_autograds(activation, sparse_below, seed, l1):
    sae = any_sae(activation, seed=seed)
    x, g = normal(9, 6, seed=seed), normal(9, 6, seed=seed + 1)
    before, reconstruct_module.SPARSE_BELOW = reconstruct_module.SPARSE_BELOW, sparse_below
    try:
        output = reconstruct(sae, x)
        found = torch.autograd.grad((output.x_hat * g).sum() + l1 * output.activity, list(sae.parameters()))
    finally:
        reconstruct_module.SPARSE_BELOW = before
    f, x_hat = sae(x)
    torch.testing.assert_close(output.x_hat, x_hat, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(output.activity, f.sum(), rtol=1e-4, atol=1e-4)
    assert torch.equal(output.fired, (f > 0).any(0))
    assert output.l0.item() == pytest.approx((f > 0).sum().item() / 9)
    for one, other in zip(found, plain_gradients(sae, x, g, l1), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
