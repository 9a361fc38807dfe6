"""Training: the step against plain Adam, NaN, and what a folder refuses; see test_resume.py for killing it."""

import json

import numpy as np
import pytest
import torch

from interplm_nb.sae.checkpoint import load
from interplm_nb.sae.progress import read_metrics
from interplm_nb.sae.recipes import TrainConfig, new_sae
from interplm_nb.sae.train import train
from tests.sae.gaussian_training import PAPER, TOPK, Gaussian, run, same


def test_the_papers_steps_are_plain_adam_on_the_plain_loss(tmp_path):
    """The whole recipe written out with autograd and Adam's formulas."""
    config = TrainConfig("interplm-paper", d_sae=24, steps=40, batch_size=32, lr=0.01, l1=0.05)
    batches = Gaussian()
    sae = new_sae(config, batches.batch(0)).double()
    weights = list(sae.parameters())
    m, v = [torch.zeros_like(w) for w in weights], [torch.zeros_like(w) for w in weights]
    for step in range(40):
        x = batches.batch(step).double()
        f = torch.relu((x - sae.b_dec) @ sae.W_enc + sae.b_enc)
        x_hat = f @ sae.W_dec + sae.b_dec
        loss = (x - x_hat).norm(dim=1).mean() + 0.05 * min(step / 2, 1) * f.abs().sum(1).mean()
        gradients = list(torch.autograd.grad(loss, weights))
        with torch.no_grad():
            for i, (w, g) in enumerate(zip(weights, gradients, strict=True)):
                if w is sae.W_dec:
                    g = g - (g * w).sum(1, keepdim=True) * w
                m[i] = 0.9 * m[i] + 0.1 * g
                v[i] = 0.999 * v[i] + 0.001 * g**2
                w -= 0.01 * min(step / 2, 1) * (m[i] / (1 - 0.9 ** (step + 1))) / ((v[i] / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)
            sae.W_dec /= sae.W_dec.norm(dim=1, keepdim=True)
    trained = run(tmp_path, config)
    for one, other in zip(trained.parameters(), weights, strict=True):
        torch.testing.assert_close(one.detach(), other.detach().float(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("config", [PAPER, TOPK], ids=["paper", "topk"])
def test_training_is_seeded_learns_and_writes_what_it_measured(tmp_path, config):
    seen: list[dict] = []
    sae = run(tmp_path / "a", config, log=lambda values: seen.append(dict(values)), log_every=10)
    lines = read_metrics(tmp_path / "a" / "metrics.jsonl")
    assert lines == seen and [line["step"] for line in lines] == [10, 20, 30, 40, 50, 60]
    assert {"loss", "fvu", "l0", "dead", "lr", "tokens_per_second"} <= set(lines[0])
    assert lines[-1]["loss"] < 0.7 * lines[0]["loss"]
    assert same(sae, run(tmp_path / "b", config)) and same(sae, load(tmp_path / "a", plm="fake", layer=2))
    assert not same(sae, run(tmp_path / "c", TrainConfig(**{**config.__dict__, "seed": 4})))
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(24))
    assert sae.about is not None and sae.about.training == config.__dict__ and sae.about.recipe == config.recipe
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["config.json", "metrics.jsonl", "sae.safetensors"]
    assert not sae.training


def test_auxk_joins_once_a_feature_is_dead(tmp_path):
    run(tmp_path, TOPK, log_every=10)
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert "auxiliary" not in lines[0] and any("auxiliary" in line for line in lines)


def test_a_nan_loss_stops_with_the_step_and_the_way_out(tmp_path):
    with pytest.raises(FloatingPointError, match=r"NaN or infinite at step 34 of 60 .*a good checkpoint is kept; train again with a smaller lr"):
        train(Gaussian(bad_step=33), PAPER, tmp_path, device="cpu", progress=False, log_every=10, checkpoint_every=20)
    assert not (tmp_path / "sae.safetensors").exists()


def test_a_folder_is_not_shared_by_two_trainings(tmp_path):
    sae = run(tmp_path, PAPER)
    assert same(sae, run(tmp_path, PAPER)), "a finished training is loaded"
    other = TrainConfig(**{**PAPER.__dict__, "l1": 0.3})
    with pytest.raises(ValueError, match=r"finished training with other settings \(l1 0.1 there, 0.3 now\).*restart=True"):
        run(tmp_path, other)
    with pytest.raises(ValueError, match="data 'gaussian-0' there, 'gaussian-1' now"):
        train(Gaussian(1), PAPER, tmp_path, device="cpu", progress=False)
    assert not same(sae, run(tmp_path, other, restart=True))
    with pytest.raises(ValueError, match="batch_size=32, the batches have 16"):
        train(Gaussian(batch_size=16), PAPER, tmp_path, device="cpu", progress=False)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    with pytest.raises(FloatingPointError):
        train(Gaussian(bad_step=33), PAPER, tmp_path, device="cpu", progress=False, checkpoint_every=20, log_every=10)
    with pytest.raises(ValueError, match=r"stopped after step 20 with other settings \(seed 3 there, 5 now\)"):
        run(tmp_path, TrainConfig(**{**PAPER.__dict__, "seed": 5}))


def test_a_cut_off_line_of_metrics_is_left_out(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 1, "loss": 2.0}) + '\n{"step": 2, "lo')
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"step": 1, "loss": 2.0}]
    assert read_metrics(tmp_path / "none") == []


def test_threads_are_left_alone(tmp_path):
    before = torch.get_num_threads()
    run(tmp_path, TOPK)
    assert torch.get_num_threads() == before and np.isfinite(before)
