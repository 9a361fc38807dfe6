"""First weights, the decoder's constraint, the revival of dead features and the calibrated
threshold, against plain definitions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.sae.architectures import BatchTopK, ReLU
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.training.atoms import project_gradient, renormalise
from interplm_nb.sae.training.calibrate import calibrated_threshold
from interplm_nb.sae.training.dead import resample
from interplm_nb.sae.training.initial import geometric_median, new_sae
from tests.sae.small_sae import any_sae, examples


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_first_weights():
    sample = normal(100, 16) + 3
    paper = new_sae(SAEConfig.recipe("interplm-paper", 400), sample)
    torch.testing.assert_close(paper.W_dec.norm(dim=1), torch.ones(400))
    for weight in (paper.W_enc, paper.b_enc):
        assert 0.24 < weight.abs().max() <= 0.25
    assert not paper.b_dec.any()
    assert not new_sae(SAEConfig.recipe("interplm-v1", 400), sample).b_enc.any()
    tied = new_sae(SAEConfig.recipe("topk", 400, k=7), sample)
    torch.testing.assert_close(tied.W_enc, tied.W_dec.T.contiguous())
    torch.testing.assert_close(tied.b_dec.detach(), sample.mean(0))
    assert not tied.b_enc.any()
    assert (new_sae(SAEConfig.recipe("jumprelu", 400), sample).threshold == 0.001).all()
    assert new_sae(SAEConfig.recipe("gated", 40), sample.double()).r_mag.dtype == torch.float64


@given(seed=st.integers(0, 99))
def test_the_geometric_median_has_the_least_sum_of_distances(seed):
    x = normal(40, 3, seed=seed)
    x[:4] += 50  # outliers, which pull the mean
    centre = geometric_median(x)

    def cost(point: torch.Tensor) -> float:
        return float((x.double() - point).norm(dim=1).sum())

    assert cost(centre) <= cost(x.double().mean(0))
    for step in torch.eye(3, dtype=torch.float64) * 0.01:
        assert (
            cost(centre) <= cost(centre + step) + 1e-6
            and cost(centre) <= cost(centre - step) + 1e-6
        )


def test_the_gradient_along_an_atom_is_removed_and_atoms_stay_unit():
    atoms = normal(5, 3)
    renormalise(atoms)
    torch.testing.assert_close(atoms.norm(dim=1), torch.ones(5))
    atoms.requires_grad_()
    gradient = normal(5, 3, seed=1)
    atoms.grad = gradient.clone()
    project_gradient(atoms)
    for atom, before, after in zip(atoms.detach(), gradient, atoms.grad, strict=True):
        torch.testing.assert_close(after, before - (before @ atom) * atom)


def stepped(architecture, dead):
    """An SAE with an optimizer that has moments, its weights before, and inputs."""
    sae, x = any_sae(architecture), normal(30, 6)
    optimizer = torch.optim.Adam(sae.parameters())
    sum((weight * 3).sum() for weight in sae.parameters()).backward()
    optimizer.step()
    mask = torch.zeros(20, dtype=torch.bool)
    mask[list(dead)] = True
    return (
        sae,
        optimizer,
        {name: weight.detach().clone() for name, weight in sae.named_parameters()},
        x,
        mask,
    )


@pytest.mark.parametrize("architecture", examples(), ids=lambda kind: kind.name)
def test_dead_features_take_the_directions_of_badly_reconstructed_inputs(architecture):
    sae, optimizer, before, x, dead = stepped(architecture, {3, 11})
    assert resample(sae, x, dead, optimizer, seed=5) == 2
    living = before["W_enc"][:, ~dead].norm(dim=0).mean()
    for feature in (3, 11):
        source = int(((sae.W_dec[feature] - x / x.norm(dim=1, keepdim=True)) ** 2).sum(1).argmin())
        torch.testing.assert_close(sae.W_dec[feature].detach(), x[source] / x[source].norm())
        torch.testing.assert_close(sae.W_enc[:, feature].detach(), x[source] * living * 0.2)
        assert sae.b_enc[feature] == 0
        for name, weight in sae.named_parameters():
            moments = optimizer.state[weight]["exp_avg"]
            at = (
                moments[:, feature]
                if name == "W_enc"
                else moments
                if name == "b_dec"
                else moments[feature]
            )
            assert bool(at.any()) == (name == "b_dec"), name
    for name, weight in sae.named_parameters():
        kept = (
            (slice(None), ~dead)
            if name == "W_enc"
            else (slice(None),)
            if name == "b_dec"
            else (~dead,)
        )
        assert torch.equal(weight[kept], before[name][kept]), name
    assert resample(sae, x, torch.zeros(20, dtype=torch.bool), optimizer, seed=5) == 0
    assert resample(sae, x, torch.ones(20, dtype=torch.bool), optimizer, seed=5) == 0, (
        "with all dead there is no living norm"
    )


def test_at_random_the_encoder_is_the_atom_of_any_input():
    sae, optimizer, _, x, dead = stepped(ReLU(), {3, 11})
    assert resample(sae, x, dead, optimizer, seed=5, by_error=False) == 2
    for feature in (3, 11):
        torch.testing.assert_close(sae.W_enc[:, feature], sae.W_dec[feature])
        nearest = (sae.W_dec[feature] @ (x / x.norm(dim=1, keepdim=True)).T).max()
        assert 0.99 < nearest < 1 - 1e-7, "an input, with noise"


@given(k=st.integers(1, 12), seed=st.integers(0, 99))
def test_the_calibrated_threshold_gives_k_on_average(k, seed):
    sae = any_sae(BatchTopK(k), seed=seed)
    batches = [normal(30, 6, seed=seed + i) for i in range(4)]
    z = sae.pre_activation(torch.cat(batches)).detach().flatten()
    theta = calibrated_threshold(sae, k, batches)
    wanted = min(k * 120, int((z > 0).sum()))
    assert abs(int((z > theta).sum()) - wanted) <= 1
    assert theta >= 0


def test_the_threshold_is_exact_where_one_batch_has_nearly_all():
    """Its share of the largest is far above the bound of what is kept of a batch at first."""
    sae = any_sae(BatchTopK(2), seed=1)
    batches = [normal(30, 6, seed=1) * 0.01 + sae.b_dec.detach(), normal(30, 6, seed=2) * 50]
    z = sae.pre_activation(torch.cat(batches)).detach()
    theta = calibrated_threshold(sae, 2, batches)
    assert abs(int((z > theta).sum()) - 120) <= 1 and int((z[30:] > theta).sum()) > 110
