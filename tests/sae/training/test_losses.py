"""Each loss against its definition written out, and the training step's gradients against
autograd's."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.sae.architectures import BatchTopK, Gated, JumpReLU, Matryoshka, ReLU, TopK
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.model import SAE
from interplm_nb.sae.training import choice
from interplm_nb.sae.training.distributed import ALONE
from interplm_nb.sae.training.losses import auxiliary_k, fraction_unexplained, loss
from interplm_nb.sae.training.reconstruct import (
    Reconstruction,
    reconstruction_error,
    squared_error,
)
from tests.sae.small_sae import any_sae, every_architecture, every_listed

seeds = st.integers(0, 999)


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def reconstruct(sae: SAE, x: torch.Tensor) -> Reconstruction:
    return sae.architecture.reconstruct(sae, x, ALONE)


def by_autograd(sae: SAE, x: torch.Tensor) -> Reconstruction:
    return sae.architecture.by_autograd(sae, x, ALONE)


def config_of(recipe: str, **changes: object) -> SAEConfig:
    return SAEConfig.recipe(recipe, 20, **changes)  # pyright: ignore[reportArgumentType]


def plain_activations(sae: SAE, x: torch.Tensor) -> torch.Tensor:
    """f [B, d_sae] as it is trained, by autograd's own operations."""
    z = (x - sae.b_dec) @ sae.W_enc + sae.b_enc
    if isinstance(sae.architecture, TopK):
        lowest = z.topk(sae.architecture.k, dim=1).values[:, -1:]
        return torch.where(z >= lowest, z, 0).relu()
    if isinstance(sae.architecture, BatchTopK):
        lowest = z.flatten().topk(sae.architecture.k * len(x)).values[-1]
        return torch.where(z >= lowest, z, 0).relu()
    assert isinstance(sae.architecture, ReLU)
    return z.relu()


def plain_prefixes(sae: SAE, f: torch.Tensor) -> torch.Tensor:
    sizes = sae.architecture.prefixes if isinstance(sae.architecture, Matryoshka) else (sae.d_sae,)
    return torch.stack([f[:, :m] @ sae.W_dec[:m] + sae.b_dec for m in sizes])


def gradients(total: torch.Tensor, sae: SAE) -> dict[str, torch.Tensor]:
    found = torch.autograd.grad(total, list(sae.parameters()), allow_unused=True)
    return {
        name: torch.zeros_like(w) if g is None else g
        for (name, w), g in zip(sae.named_parameters(), found, strict=True)
    }


@every_listed
@given(
    way=st.sampled_from(["sparse", "dense", "autograd"]),
    seed=seeds,
    l1=st.floats(0, 2),
)
def test_the_steps_gradients_are_autograds(architecture, way, seed, l1):
    sae = any_sae(architecture, seed=seed)
    x, weights = normal(9, 6, seed=seed), normal(5, 9, 6, seed=seed + 1)
    before = choice.SPARSE_BELOW, choice.CELLS
    choice.SPARSE_BELOW, choice.CELLS = 0.0 if way == "dense" else 2.0, 40
    try:
        output = by_autograd(sae, x) if way == "autograd" else reconstruct(sae, x)
        found = gradients(
            (output.prefixes * weights[: len(output.prefixes)]).sum() + l1 * output.activity, sae
        )
    finally:
        choice.SPARSE_BELOW, choice.CELLS = before
    f = plain_activations(sae, x)
    prefixes = plain_prefixes(sae, f)
    torch.testing.assert_close(output.prefixes, prefixes, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(output.activity, f.sum(), rtol=1e-4, atol=1e-4)
    assert torch.equal(output.counts, (f > 0).sum(0))
    expected = gradients((prefixes * weights[: len(prefixes)]).sum() + l1 * f.sum(), sae)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-3)
    if isinstance(architecture, BatchTopK):
        lowest = f[f > 0].min().item() if (f > 0).sum() == architecture.k * 9 else 0
        assert output.threshold is not None and output.threshold.item() == pytest.approx(lowest)


@every_listed
@given(seed=seeds)
def test_half_precision_changes_little_and_gradients_stay_float32(architecture, seed):
    """What a GPU does under autocast, on a CPU."""
    sae, x = any_sae(architecture, seed=seed), normal(9, 6, seed=seed)
    with torch.autocast("cpu", torch.bfloat16):
        output = by_autograd(sae, x)
        total = squared_error(x, output.prefixes)
    found = gradients(total, sae)
    assert all(
        gradient.dtype == torch.float32 and gradient.isfinite().all() for gradient in found.values()
    )
    exact = by_autograd(sae, x)
    near = (output.counts - exact.counts).abs().sum() <= 0.2 * exact.counts.sum() + 3
    assert (
        near and squared_error(output.x_hat, exact.x_hat) < 0.2 * squared_error(x, exact.x_hat) + 1
    )


@every_listed
@given(way=st.sampled_from(["sparse", "dense"]), seed=seeds)
def test_bfloat16_on_a_cpu_chooses_as_its_products_and_decodes_in_float32(architecture, way, seed):
    """z is the product of rounded factors; values, decoder and gradients are float32."""
    sae, x = any_sae(architecture, seed=seed), normal(9, 6, seed=seed)
    weights = normal(5, 9, 6, seed=seed + 1)
    before = choice.SPARSE_BELOW
    choice.SPARSE_BELOW = 0.0 if way == "dense" else 2.0
    try:
        with torch.autocast("cpu", torch.bfloat16):
            output = reconstruct(sae, x)
            code = architecture.code(sae, x, ALONE)
        found = gradients((output.prefixes * weights[: len(output.prefixes)]).sum(), sae)
    finally:
        choice.SPARSE_BELOW = before
    if isinstance(code, choice.DenseCode):
        f = code.f.float()
    else:
        f = torch.zeros(9, sae.d_sae)
        f[np.repeat(np.arange(9), np.diff(code.offsets)), code.features] = torch.from_numpy(
            code.values
        )
    z = (x - sae.b_dec).bfloat16().float() @ sae.W_enc.bfloat16().float()
    z = z + sae.b_enc.bfloat16().float()
    torch.testing.assert_close(f[f > 0], z.detach()[f > 0], rtol=0.01, atol=0.02)
    torch.testing.assert_close(output.prefixes, plain_prefixes(sae, f), rtol=1e-4, atol=1e-4)
    prefixes = plain_prefixes(sae, _like(sae, x, f))
    expected = gradients((prefixes * weights[: len(prefixes)]).sum(), sae)
    for name, gradient in expected.items():
        assert found[name].dtype == torch.float32
        scale = gradient.abs().max().item()
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=0.02 * scale + 1e-3)


def _like(sae: SAE, x: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """The values f with the gradients of z, where f is active."""
    z = (x - sae.b_dec) @ sae.W_enc + sae.b_enc
    return torch.where(f > 0, f + z - z.detach(), 0)


@given(
    seed=seeds,
    n=st.sampled_from([1, 24, 37, 64, 160, 512]),
    k=st.integers(1, 24),
    alike=st.booleans(),
)
def test_the_largest_of_groups_are_the_largest_of_all(seed, n, k, alike):
    """Also among equal values, and where all are below 0."""
    z = normal(5, n, seed=seed) - (3 if seed % 3 == 0 else 0)
    z = z.round() if alike else z
    k = min(k, n)
    values, chosen = choice.top_k(z, k)
    assert torch.equal(values, z.gather(1, chosen))
    assert all(len(set(row)) == k for row in chosen.tolist())
    assert torch.equal(values.sort(1).values, z.sort(1).values[:, n - k :])


@given(seed=seeds, k=st.integers(1, 20), rows=st.sampled_from([3, 40, 64]))
def test_the_batchs_largest_are_found_without_sorting_all(seed, k, rows):
    """Also where a sample of rows misleads: rows of very different size."""
    sae = any_sae(BatchTopK(k), seed=seed)
    x = normal(rows, 6, seed=seed) * torch.arange(rows).remainder(16).add(1)[:, None] ** 2
    f = plain_activations(sae, x).detach()
    entries = choice.batch_top_k_entries(sae, x, k)
    dense = np.zeros((rows, 20), np.float32)
    dense[np.repeat(np.arange(rows), np.diff(entries.offsets)), entries.features] = entries.values
    np.testing.assert_allclose(dense, f.numpy(), rtol=1e-4, atol=1e-3)


@given(seed=seeds, l1=st.floats(0, 1))
def test_relu_l1(seed, l1):
    """mean ||x - x_hat|| + l1 * mean ||f||_1, one residue at a time."""
    sae, x = any_sae(ReLU(), seed=seed), normal(5, 6, seed=seed)
    f, x_hat = sae(x)
    norms = (
        sum(math.sqrt(sum((x[i, d] - x_hat[i, d]).item() ** 2 for d in range(6))) for i in range(5))
        / 5
    )
    sparsity = sum(abs(f[i, j].item()) for i in range(5) for j in range(20)) / 5
    found = loss(sae, x, config_of("interplm-paper"), l1)
    assert found.total.item() == pytest.approx(norms + l1 * sparsity, rel=1e-4)
    assert {name: part.item() for name, part in found.parts.items()} == pytest.approx(
        {"reconstruction": norms, "sparsity": sparsity}, rel=1e-4
    )


@given(seed=seeds, recipe=st.sampled_from(["topk", "batchtopk", "matryoshka"]))
def test_the_top_k_family(seed, recipe):
    """The mean squared error, over Matryoshka's prefixes too."""
    config = config_of(recipe, k=4)
    sae, x = any_sae(config.architecture, seed=seed), normal(5, 6, seed=seed)
    prefixes = plain_prefixes(sae, plain_activations(sae, x))
    errors = [
        sum((x[i, d] - x_hat[i, d]).item() ** 2 for i in range(5) for d in range(6)) / 5
        for x_hat in prefixes
    ]
    found = loss(sae, x, config, 0.0)
    assert found.total.item() == pytest.approx(sum(errors) / len(errors), rel=1e-3)
    assert set(found.parts) == {"reconstruction"}


@given(seed=seeds, weight=st.floats(0, 1), bandwidth=st.sampled_from([0.1, 0.5, 2.0]))
def test_jumprelu_and_its_straight_through_gradients(seed, weight, bandwidth):
    """The paper's pseudo-gradients, one entry at a time."""
    config = config_of("jumprelu", k=4, bandwidth=bandwidth)
    sae, x = any_sae(JumpReLU(), seed=seed), normal(5, 6, seed=seed)
    found = loss(sae, x, config, weight)
    theta = sae.threshold.detach()
    z = sae.pre_activation(x).detach()
    f = torch.where((z > theta) & (z > 0), z, 0)
    x_hat = f @ sae.W_dec.detach() + sae.b_dec.detach()
    l0 = (f > 0).sum(1).float().mean().item()
    assert found.total.item() == pytest.approx(
        squared_error(x, x_hat).item() + weight * (l0 / 4 - 1) ** 2, rel=1e-3, abs=1e-4
    )
    df = -2 * (x - x_hat) @ sae.W_dec.detach().T / 5
    dl0 = weight * 2 * (l0 / 4 - 1) / 4 / 5
    expected = torch.zeros(20)
    for i in range(5):
        for j in range(20):
            if abs(z[i, j] - theta[j]) < bandwidth / 2 and z[i, j] > 0:
                expected[j] += -theta[j] / bandwidth * df[i, j] - dl0 / bandwidth
    found_gradients = gradients(found.total, sae)
    torch.testing.assert_close(found_gradients["threshold"], expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(
        found_gradients["b_enc"], torch.where(f > 0, df, 0).sum(0), rtol=1e-3, atol=1e-3
    )


@given(seed=seeds, weight=st.floats(0, 1))
def test_gated_and_where_its_gradients_go(seed, weight):
    sae, x = any_sae(Gated(), seed=seed), normal(5, 6, seed=seed)
    found = loss(sae, x, config_of("gated"), weight)
    u = (x - sae.b_dec) @ sae.W_enc
    f = torch.where(u + sae.b_gate > 0, (sae.r_mag.exp() * u + sae.b_enc).relu(), 0)
    gate = (u + sae.b_gate).relu()
    frozen = squared_error(x, gate @ sae.W_dec.detach() + sae.b_dec.detach())
    total = squared_error(x, f @ sae.W_dec + sae.b_dec) + weight * gate.sum(1).mean() + frozen
    assert found.total.item() == pytest.approx(total.item(), rel=1e-4)
    expected = gradients(total, sae)
    for name, gradient in gradients(found.total, sae).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=1e-3)
    assert set(found.parts) == {"reconstruction", "sparsity", "gate"}


@given(seed=seeds)
def test_squared_error_norm_and_fvu(seed):
    x, x_hat = normal(5, 3, seed=seed), normal(5, 3, seed=seed + 1)
    error = sum((x[i, d] - x_hat[i, d]).item() ** 2 for i in range(5) for d in range(3))
    norms = sum(
        math.sqrt(sum((x[i, d] - x_hat[i, d]).item() ** 2 for d in range(3))) for i in range(5)
    )
    spread = sum((x[i, d] - x[:, d].mean()).item() ** 2 for i in range(5) for d in range(3))
    assert squared_error(x, x_hat).item() == pytest.approx(error / 5, rel=1e-4)
    assert reconstruction_error("norm", x, x_hat[None]).item() == pytest.approx(norms / 5, rel=1e-4)
    assert fraction_unexplained(x, x_hat).item() == pytest.approx(error / spread, rel=1e-4)


@every_architecture
@given(
    seed=seeds,
    dead=st.sets(st.integers(0, 19), min_size=1, max_size=12),
)
def test_auxk_is_the_dead_features_error_on_the_residual(architecture, seed, dead):
    sae = any_sae(architecture, seed=seed)
    x, x_hat = normal(6, 6, seed=seed), normal(6, 6, seed=seed + 1)
    dead = sorted(dead)
    e = (x - x_hat).numpy().astype(np.float64)
    z = (
        (sae.pre_activation(x) + (sae.b_gate if isinstance(architecture, Gated) else 0))
        .detach()
        .numpy()
    )
    e_hat = np.zeros_like(e)
    for i in range(6):
        for j in sorted(dead, key=lambda j: -z[i, j])[: min(3, len(dead))]:
            e_hat[i] += max(z[i, j], 0) * sae.W_dec[j].detach().numpy()
    expected = ((e - e_hat) ** 2).sum(1).mean() / ((e - e.mean(0)) ** 2).sum(1).mean()
    found = auxiliary_k(sae, x, x - x_hat.requires_grad_(), torch.tensor(dead))
    assert found.item() == pytest.approx(expected, rel=1e-3)
    found.backward()
    assert x_hat.grad is None, "the residual carries no gradient"
    others = [j for j in range(20) if j not in dead]
    assert sae.W_dec.grad is not None and not sae.W_dec.grad[others].any()
    assert sae.W_enc.grad is not None and not sae.W_enc.grad[:, others].any()


def test_auxk_joins_the_loss_with_its_weight():
    config = config_of("topk", k=4, auxk_alpha=0.5)
    sae, x = any_sae(config.architecture), normal(6, 6, seed=1)
    without, found = loss(sae, x, config, 0.0), loss(sae, x, config, 0.0, dead=torch.tensor([1, 2]))
    assert found.total.item() == pytest.approx(
        without.total.item() + 0.5 * found.parts["auxiliary"].item()
    )


def test_auxk_of_a_perfect_reconstruction_is_zero():
    sae = any_sae(TopK(4))
    x = normal(3, 6, seed=0)
    found = auxiliary_k(sae, x, torch.zeros_like(x), torch.tensor([1, 2]))
    found.backward()
    assert found.item() == 0 and sae.W_enc.grad is not None and sae.W_enc.grad.isfinite().all()
