"""First weights, schedules, the decoder's constraint and the revival of dead features, against plain definitions."""

import pytest
import torch

from interplm_nb.sae.model import ReLU, TopK
from interplm_nb.sae.recipes import TrainConfig, new_sae, project_gradient, renormalise, resample
from tests.sae.small_sae import any_sae


def test_schedules_of_the_papers_recipe():
    config = TrainConfig("interplm-paper", d_sae=8, steps=200, lr=0.5, l1=0.2)
    assert [config.lr_at(step) for step in (0, 1, 5, 10, 11, 199)] == pytest.approx([0, 0.05, 0.25, 0.5, 0.5, 0.5])
    assert [config.l1_at(step) for step in (0, 5, 10, 199)] == pytest.approx([0, 0.1, 0.2, 0.2])
    again = TrainConfig("interplm-paper", d_sae=8, steps=200, lr=0.5, resample_every=50)
    assert [again.lr_at(step) for step in (49, 50, 55, 60)] == pytest.approx([0.5, 0, 0.25, 0.5])
    assert TrainConfig("topk", d_sae=4096, steps=10).learning_rate == pytest.approx(4e-4)
    assert TrainConfig("topk", d_sae=4096, steps=10).lr_at(0) == pytest.approx(4e-4), "5 % of 10 steps is no warm-up"


def test_first_weights():
    sample = torch.randn(100, 16, generator=torch.Generator().manual_seed(0)) + 3
    paper = new_sae(TrainConfig("interplm-paper", d_sae=400, steps=10), sample)
    assert paper.activation == ReLU()
    torch.testing.assert_close(paper.W_dec.norm(dim=1), torch.ones(400))
    for weight in (paper.W_enc, paper.b_enc):
        assert 0.24 < weight.abs().max() <= 0.25
    assert not paper.b_dec.any()
    tied = new_sae(TrainConfig("topk", d_sae=400, steps=10, k=7), sample)
    assert tied.activation == TopK(7)
    torch.testing.assert_close(tied.W_enc, tied.W_dec.T.contiguous())
    torch.testing.assert_close(tied.b_dec.detach(), sample.mean(0))
    assert not tied.b_enc.any()


def test_the_gradient_along_an_atom_is_removed_and_atoms_stay_unit():
    atoms = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    gradient = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    atoms.grad = gradient.clone()
    project_gradient(atoms)
    for atom, before, after in zip(atoms.detach(), gradient, atoms.grad, strict=True):
        unit = atom / atom.norm()
        torch.testing.assert_close(after, before - (before @ unit) * unit)
    renormalise(atoms)
    torch.testing.assert_close(atoms.norm(dim=1), torch.ones(5))


def test_dead_features_take_the_directions_of_badly_reconstructed_inputs():
    sae = any_sae(ReLU())
    x = torch.randn(30, 6, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(sae.parameters())
    sae(x).x_hat.sum().backward()
    optimizer.step()
    before = {name: weight.detach().clone() for name, weight in sae.named_parameters()}
    dead = torch.zeros(20, dtype=torch.bool)
    dead[[3, 11]] = True
    assert resample(sae, x, dead, optimizer, seed=5) == 2
    living = before["W_enc"][:, ~dead].norm(dim=0).mean()
    for feature in (3, 11):
        source = int(((sae.W_dec[feature] - x / x.norm(dim=1, keepdim=True)) ** 2).sum(1).argmin())
        torch.testing.assert_close(sae.W_dec[feature].detach(), x[source] / x[source].norm())
        torch.testing.assert_close(sae.W_enc[:, feature].detach(), x[source] * living * 0.2)
        assert sae.b_enc[feature] == 0
        assert not optimizer.state[sae.W_dec]["exp_avg"][feature].any() and not optimizer.state[sae.W_enc]["exp_avg_sq"][:, feature].any()
    assert torch.equal(sae.W_dec[~dead], before["W_dec"][~dead]) and torch.equal(sae.W_enc[:, ~dead], before["W_enc"][:, ~dead])
    assert resample(sae, x, torch.zeros(20, dtype=torch.bool), optimizer, seed=5) == 0


def test_what_is_refused():
    with pytest.raises(ValueError, match="'interplm-paper' or 'topk', not 'relu'"):
        TrainConfig("relu", d_sae=8, steps=1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="steps is at least 1, not 0"):
        TrainConfig("topk", d_sae=8, steps=0)
    with pytest.raises(ValueError, match=r"lr is above 0 .* not -1"):
        TrainConfig("topk", d_sae=8, steps=1, lr=-1)
