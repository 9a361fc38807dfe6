"""Each architecture's equation, TopK's choice, subsets of features, sparse codes, and scales folded
into weights."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.sae.architectures import (
    ARCHITECTURES,
    Architecture,
    BatchTopK,
    Gated,
    JumpReLU,
    Matryoshka,
    ReLU,
    TopK,
    from_record,
)
from interplm_nb.sae.model import SAE
from interplm_nb.sae.random_sae import random_sae
from interplm_nb.sae.residue_norm import ResidueNorm
from interplm_nb.sae.training.input_scaling import InputScaling
from tests.sae.small_sae import any_sae, every_architecture

seeds = st.integers(0, 99)


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plain_gated(weight: dict[str, float], u: float) -> float:
    """exp(r_mag) * u + b_enc, where the gate is open."""
    value = math.exp(weight["r_mag"]) * u + weight["b_enc"]
    return max(value, 0.0) if u + weight["b_gate"] > 0 else 0.0


def plain_threshold(weight: dict[str, float], u: float) -> float:
    """z, where it is above the threshold."""
    z = u + weight["b_enc"]
    return z if z > weight["threshold"] else 0.0


def plain_relu(weight: dict[str, float], u: float) -> float:
    return max(u + weight["b_enc"], 0.0)


PLAIN: dict[type[Architecture], Callable[[dict[str, float], float], float]] = {
    ReLU: plain_relu,
    TopK: plain_relu,
    BatchTopK: plain_threshold,
    Matryoshka: plain_threshold,
    JumpReLU: plain_threshold,
    Gated: plain_gated,
}
"""The definition of each kind: one activation from one feature's weights and
u = (x - b_dec) @ W_enc[:, j]. A kind that joins the table needs its own here."""
assert set(PLAIN) == set(ARCHITECTURES.values())


def plain_feature(sae: SAE, u: float, j: int) -> float:
    weights = {
        name: float(value[j])
        for name, value in sae.state_dict().items()
        if name == "b_enc" or name in sae.architecture.own_weights
    }
    return PLAIN[type(sae.architecture)](weights, u)


def plain_code(sae: SAE, x: np.ndarray) -> np.ndarray:
    """One residue and one feature at a time."""
    W_enc, b_enc, b_dec = (w.detach().double().numpy() for w in (sae.W_enc, sae.b_enc, sae.b_dec))
    f = np.zeros((len(x), sae.d_sae))
    for i, row in enumerate(x):
        u = [
            sum((row[d] - b_dec[d]) * W_enc[d, j] for d in range(sae.d_in))
            for j in range(sae.d_sae)
        ]
        kept = range(sae.d_sae)
        if isinstance(sae.architecture, TopK):
            kept = sorted(kept, key=lambda j: -(u[j] + b_enc[j]))[: sae.architecture.k]
        for j in kept:
            f[i, j] = plain_feature(sae, u[j], j)
    return f


def assert_close_but_for_ties(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal within 1e-4, except values that a threshold decides within rounding."""
    differs = ~np.isclose(found, expected, atol=1e-4)
    assert differs.mean() < 0.02, (found[differs], expected[differs])


@every_architecture
@given(seed=seeds, n=st.integers(1, 6))
def test_encode_and_decode_are_the_equation(architecture, seed, n):
    sae = any_sae(architecture, seed=seed)
    x = normal(n, 6, seed=seed + 1)
    f, x_hat = sae(x)
    assert_close_but_for_ties(f.detach().numpy(), plain_code(sae, x.numpy().astype(np.float64)))
    np.testing.assert_allclose(
        x_hat.detach(),
        f.detach().numpy() @ sae.W_dec.detach().numpy() + sae.b_dec.detach().numpy(),
        atol=1e-4,
    )
    assert (f >= 0).all() and f.isfinite().all()


@every_architecture
@given(seed=seeds, features=st.lists(st.integers(0, 19), max_size=8))
def test_a_subset_of_features_is_a_slice(architecture, seed, features):
    sae = any_sae(architecture, seed=seed)
    x = normal(2, 3, 6, seed=seed)
    chosen = torch.tensor(features, dtype=torch.int64)
    torch.testing.assert_close(sae.encode(x, chosen), sae.encode(x)[..., chosen])


@every_architecture
@given(seed=seeds)
def test_a_residues_features_do_not_depend_on_its_batch(architecture, seed):
    sae = any_sae(architecture, seed=seed)
    x = normal(40, 6, seed=seed)
    with torch.no_grad():
        together, alone = sae.encode(x), torch.cat([sae.encode(row[None]) for row in x])
        z = sae.pre_activation(x)
    close_to_a_tie = torch.zeros(40, dtype=torch.bool)
    if isinstance(architecture, TopK):
        best = z.sort(dim=1, descending=True).values
        if architecture.k < 20:
            close_to_a_tie = (best[:, architecture.k - 1] - best[:, architecture.k]).abs() < 1e-6
    elif isinstance(architecture, Gated):
        close_to_a_tie = ((z + sae.b_gate).abs() < 1e-6).any(1)
    else:
        z = z if hasattr(sae, "threshold") else z.abs()
        close_to_a_tie = ((z - getattr(sae, "threshold", 0)).abs() < 1e-6).any(1)
    clear = ~close_to_a_tie
    assert torch.equal(together[clear] > 0, alone[clear] > 0)
    torch.testing.assert_close(together[clear], alone[clear], rtol=1e-5, atol=1e-5)


@every_architecture
@given(seed=seeds)
def test_the_sparse_code_is_the_dense_one(architecture, seed):
    sae = any_sae(architecture, seed=seed)
    x = normal(7, 6, seed=seed)
    rows, features, values = sae.encode_sparse(x)
    dense = np.zeros((7, 20), np.float32)
    dense[rows, features] = values
    np.testing.assert_array_equal(dense, sae.encode(x).detach())
    assert (np.diff(rows * 20 + features) > 0).all() and (values > 0).all()


@every_architecture
@given(seed=seeds, dead=st.sets(st.integers(0, 19), max_size=6))
def test_folding_is_division_by_the_maxima(architecture, seed, dead):
    sae = any_sae(architecture, seed=seed)
    x = normal(9, 6, seed=seed)
    maxima = np.random.default_rng(seed).uniform(0.1, 5, 20).astype(np.float32)
    maxima[list(dead)] = 0
    f = sae.encode(x).detach()
    f[:, list(dead)] = 0
    folded = sae.folded(maxima)
    assert (sae.unit, folded.unit) == ("raw", "max")
    found = folded.encode(x).detach()
    assert_close_but_for_ties(
        found.numpy(), (f / torch.from_numpy(np.where(maxima > 0, maxima, 1))).numpy()
    )
    assert not found[:, list(dead)].any(), "a dead feature is 0"
    both = (found > 0) == (f > 0)
    torch.testing.assert_close(
        folded.decode(torch.where(both, found, 0)),
        sae.decode(torch.where(both, f, 0)),
        rtol=1e-3,
        atol=1e-3,
    )
    assert folded.weight_hash != sae.weight_hash


@every_architecture
@given(kind=st.sampled_from(["none", "scalar", "dimension"]), seed=seeds)
def test_folding_the_scale_of_inputs_changes_nothing(architecture, kind, seed):
    """Neither which features are active, nor what is reconstructed; and atoms have unit norm
    again."""
    sae = any_sae(architecture, seed=seed)
    with torch.no_grad():
        sae.W_dec /= sae.W_dec.norm(dim=1, keepdim=True)
    x = normal(30, 6, seed=seed) * torch.tensor([1.0, 2, 3, 4, 0.5, 10]) + 3
    scaling = InputScaling.of(kind, x)
    folded = scaling.folded_into(sae)
    with torch.no_grad():
        f, x_hat = sae(scaling(x))
        found, found_hat = folded(x)
        expected_hat = x_hat * scaling.scale + scaling.shift
    same = ((f > 0) == (found > 0)).all(1)
    assert same.float().mean() > 0.9, "except ties within rounding"
    torch.testing.assert_close(found_hat[same], expected_hat[same], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(folded.W_dec.norm(dim=1), torch.ones(20))


@given(kind=st.sampled_from(["scalar", "dimension"]), seed=seeds)
def test_scaled_inputs_have_mean_squared_distance_one(kind, seed):
    x = normal(50, 6, seed=seed) * torch.tensor([1.0, 2, 3, 4, 0.5, 10]) + 3
    scaling = InputScaling.of(kind, x)
    scaled = scaling(x)
    assert (scaled - scaled.mean(0)).square().sum(1).mean().item() == pytest.approx(1, rel=1e-4)
    torch.testing.assert_close(scaled * scaling.scale + scaling.shift, x, rtol=1e-4, atol=1e-4)
    constant = torch.cat([x, torch.ones(50, 1)], dim=1)
    assert InputScaling.of(kind, constant)(constant).isfinite().all()


@pytest.mark.parametrize("kind", ["layer-norm", "sqrt-d"])
def test_a_residues_own_norm_is_undone(kind):
    """An SAE that reconstructs everything gives x back, whatever each residue's scale."""
    identity = SAE(6, 12, ReLU(), ResidueNorm(kind))
    with torch.no_grad():
        identity.W_enc.copy_(torch.cat([torch.eye(6), -torch.eye(6)], dim=1))
        identity.W_dec.copy_(identity.W_enc.T)
    x = normal(9, 6, seed=0) * 7 + 2
    f, x_hat = identity(x)
    torch.testing.assert_close(x_hat, x, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(identity.decode(f, x), x, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(identity.encode(3 * x), f, rtol=1e-3, atol=1e-4)
    with pytest.raises(
        ValueError, match=rf"normalises each residue \({kind}\); give decode\(\) the x"
    ):
        identity.decode(f)


@pytest.mark.parametrize("kind", ["layer-norm", "sqrt-d"])
def test_a_residues_norm_is_its_definition(kind):
    x = normal(4, 6, seed=1) + 1
    rows = [
        (r - r.mean()) / (r.std() + 1e-5)
        if kind == "layer-norm"
        else r * 6**0.5 / (r.norm() + 1e-5)
        for r in x
    ]
    torch.testing.assert_close(ResidueNorm(kind)(x).x, torch.stack(rows))


@every_architecture
def test_a_record_names_the_architecture(architecture):
    assert from_record(architecture.record(), "config.json") == architecture


def test_a_kind_that_lacks_its_equation_is_no_relu():
    """Nothing stands in for what a new architecture does not say."""

    @dataclass(frozen=True)
    class Unfinished(Architecture):
        name: ClassVar[str] = "unfinished"

    with pytest.raises(TypeError, match=r"abstract methods?.*encode.*rescale.*training_pass"):
        SAE(6, 20, Unfinished())  # pyright: ignore[reportAbstractUsage]


def test_what_is_refused():
    with pytest.raises(ValueError, match="TopK needs k of at least 1; got 0"):
        TopK(0)
    with pytest.raises(ValueError, match="TopK cannot keep k=21 of 20 features"):
        SAE(6, 20, TopK(21))
    with pytest.raises(ValueError, match=r"ascending, with d_sae last; got \[4, 4\]"):
        Matryoshka(2, (4, 4))
    with pytest.raises(ValueError, match="last prefix must be all 20 features; got 8"):
        SAE(6, 20, Matryoshka(2, (4, 8)))
    with pytest.raises(ValueError, match=r"config.json: unknown architecture \{'name': 'moe'\}"):
        from_record({"name": "moe"}, "config.json")
    with pytest.raises(ValueError, match=r"config.json: unknown architecture .*k"):
        from_record({"name": "topk"}, "config.json")
    with pytest.raises(ValueError, match="layer-norm, sqrt-d; got 'batch'"):
        ResidueNorm("batch")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"shape \(20,\); got shape \(3,\)"):
        any_sae(ReLU()).folded(np.ones(3))
    with pytest.raises(ValueError, match="unit 'max' already"):
        any_sae(ReLU()).folded(np.ones(20)).folded(np.ones(20))
    batch_top_k = any_sae(BatchTopK(2))
    assert batch_top_k.architecture.choice(batch_top_k, torch.zeros(1, 6)) is None


def test_the_random_control_has_unit_atoms_a_tied_encoder_and_k_active_features():
    mean = torch.arange(16.0)
    sae = random_sae(16, 64, k=5, b_dec=mean, seed=3)
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(64))
    torch.testing.assert_close(sae.W_enc, sae.W_dec.T.contiguous())
    torch.testing.assert_close(sae.b_dec.detach(), mean)
    assert not sae.b_enc.any()
    assert ((sae.encode(torch.randn(50, 16)) > 0).sum(1) == 5).all()
    assert (
        sae.weight_hash
        == random_sae(16, 64, 5, mean, 3).weight_hash
        != random_sae(16, 64, 5, mean, 4).weight_hash
    )
    with pytest.raises(ValueError, match=r"shape \(16,\), not \(3,\)"):
        random_sae(16, 64, 5, torch.zeros(3), 0)
