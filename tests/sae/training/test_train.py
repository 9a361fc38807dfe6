"""Training: the step against plain Adam, NaN, memory that runs out, and what a folder refuses; see
test_resume.py for killing it."""

import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
import torch

from interplm_nb.sae.architectures import ARCHITECTURES
from interplm_nb.sae.checkpoint import load
from interplm_nb.sae.config import SAEConfig
from interplm_nb.sae.model import SAE
from interplm_nb.sae.training import train as train_module
from interplm_nb.sae.training import trainee
from interplm_nb.sae.training.initial import new_sae
from interplm_nb.sae.training.progress import read_metrics, states
from interplm_nb.sae.training.train import train_on
from tests.sae.gaussian_training import CONFIGS, PAPER, STEPS, TOPK, Gaussian, on_cpu, run, same


def test_the_papers_steps_are_plain_adam_on_the_plain_loss(tmp_path):
    """The whole recipe written out with autograd and Adam's formulas."""
    config = SAEConfig.recipe("interplm-paper", 24, lr=0.01, sparsity=0.05)
    batches = Gaussian()
    sae = new_sae(config, batches.batch(0)[2]).double()
    weights = list(sae.parameters())
    m, v = [torch.zeros_like(w) for w in weights], [torch.zeros_like(w) for w in weights]
    for step in range(40):
        x = batches.batch(step)[2].double()
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
                w -= (
                    0.01
                    * min(step / 2, 1)
                    * (m[i] / (1 - 0.9 ** (step + 1)))
                    / ((v[i] / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)
                )
            sae.W_dec /= sae.W_dec.norm(dim=1, keepdim=True)
    trained = run(tmp_path, config, steps=40)
    for one, other in zip(trained.parameters(), weights, strict=True):
        torch.testing.assert_close(one.detach(), other.detach().float(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", CONFIGS)
def test_training_is_seeded_learns_and_writes_what_it_measured(tmp_path, name):
    config, seen = CONFIGS[name], []
    sae = run(tmp_path / "a", config, log=lambda values: seen.append(dict(values)), log_every=10)
    lines = read_metrics(tmp_path / "a" / "metrics.jsonl")
    assert [{"sae": config.label, **line} for line in lines] == seen and [
        line["step"] for line in lines
    ] == [10, 20, 30, 40, 50, 60]
    assert {
        "loss",
        "reconstruction",
        "fvu",
        "l0",
        "silent_in_window",
        "window",
        "moved",
        "density",
        "lr",
        "tokens_per_second",
    } <= set(lines[0])
    assert all(sum(line["density"]) == 24 for line in lines)
    assert min(line["fvu"] for line in lines) < 0.7 * lines[0]["fvu"], (
        "the last line may follow a resampling"
    )
    assert same(sae, run(tmp_path / "b", config)) and same(
        sae, load(tmp_path / "a", plm="fake", layer=2)
    )
    assert not same(sae, run(tmp_path / "c", replace(config, seed=4)))
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(24))
    about = sae.about
    assert (
        about is not None
        and about.recipe == config.recipe_name
        and about.training["lr"] == config.lr
    )
    assert (about.training["steps"], about.training["batch_size"], about.training["layer"]) == (
        60,
        32,
        2,
    )
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
        "config.json",
        "metrics.jsonl",
        "sae.safetensors",
    ]
    assert not sae.training


@pytest.mark.parametrize("name", ["batchtopk", "matryoshka"])
def test_a_batchs_choice_is_replaced_by_a_threshold_of_the_same_l0(tmp_path, name):
    sae = run(tmp_path, CONFIGS[name], steps=400)
    with torch.no_grad():
        active = (
            (sae.encode(torch.cat([Gaussian().batch(1000 + i)[2] for i in range(20)])) > 0)
            .sum(1)
            .float()
            .mean()
        )
    assert active.item() == pytest.approx(3, abs=0.3)


def test_the_trainings_here_cover_every_architecture():
    assert {config.architecture.name for config in CONFIGS.values()} == set(ARCHITECTURES)


def test_jumprelu_reaches_its_target(tmp_path):
    run(tmp_path, CONFIGS["jumprelu"], steps=400, log_every=100)
    assert read_metrics(tmp_path / "metrics.jsonl")[-1]["l0"] == pytest.approx(3, abs=0.6)


def test_saes_of_one_pass_are_those_trained_alone(tmp_path):
    plan = {tmp_path / "all" / name: config for name, config in CONFIGS.items()}
    together = train_on(Gaussian(), plan, STEPS, on_cpu())
    for sae, (name, config) in zip(together, CONFIGS.items(), strict=True):
        assert same(sae, run(tmp_path / name, config)), name


def test_metrics_name_the_window_of_what_is_silent_and_the_atoms_that_moved(tmp_path, monkeypatch):
    monkeypatch.setattr(trainee, "WINDOW", 150)  # 5 steps of 32 residues
    seen = []
    counted = trainee.Trainee._count

    def count(self, output):
        seen.append(output.counts.clone())
        counted(self, output)

    monkeypatch.setattr(trainee.Trainee, "_count", count)
    config = replace(TOPK, lr=0.003)
    sae = run(tmp_path, config, steps=12, log_every=4)
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert [line["window"] for line in lines] == [128, 160, 160]
    for line in lines:
        last = torch.stack(seen[: line["step"]][-line["window"] // 32 :]).sum(0)
        assert line["silent_in_window"] == pytest.approx((last == 0).float().mean().item())
    first = torch.randn(24, sae.d_in, generator=torch.Generator().manual_seed(config.seed))
    cosines = torch.cosine_similarity(sae.W_dec, first, dim=1)
    assert lines[-1]["moved"] == pytest.approx((cosines < 0.8).float().mean().item())


def test_auxk_joins_after_a_sixth_of_a_training_of_any_length(tmp_path, monkeypatch):
    begin = trainee.Trainee.begin

    def with_a_feature_that_is_never_active(self, sample, target=None):
        begin(self, sample, target)
        with torch.no_grad():
            self.sae.b_enc[3] = -100

    monkeypatch.setattr(trainee.Trainee, "begin", with_a_feature_that_is_never_active)
    for steps in (24, 60):
        folder = tmp_path / str(steps)
        run(folder, replace(TOPK, dead_after_tokens=None), steps=steps, log_every=1)
        lines = read_metrics(folder / "metrics.jsonl")
        assert next(line["step"] for line in lines if "auxiliary" in line) == steps // 6 + 1


def test_auxk_joins_once_a_feature_is_dead(tmp_path):
    run(tmp_path, TOPK, log_every=10)
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert "auxiliary" not in lines[0] and any("auxiliary" in line for line in lines)


def test_a_nan_loss_stops_with_the_step_and_the_way_out(tmp_path):
    with pytest.raises(
        FloatingPointError,
        match=r"NaN or infinite at step 34 of 60 .*good checkpoint is kept.*train again "
        r"with a smaller lr",
    ):
        run(tmp_path, PAPER, Gaussian(bad_step=33), log_every=10, checkpoint_every=20)
    assert not (tmp_path / "sae.safetensors").exists() and [p.stem for p in states(tmp_path)] == [
        "step_00000020"
    ]


def test_the_newest_checkpoints_are_kept(tmp_path):
    with pytest.raises(FloatingPointError):
        run(tmp_path, TOPK, Gaussian(bad_step=55), checkpoint_every=10, keep=3, log_every=5)
    assert [p.stem for p in states(tmp_path)] == ["step_00000030", "step_00000040", "step_00000050"]


@pytest.mark.parametrize(("best_is", "kept"), [("lowest", 1), ("highest", 5)])
def test_the_best_by_a_metric_is_kept_beside_the_last(tmp_path, best_is, kept):
    """The last evaluation counts too."""
    measured, seen = {10: 0.5, 20: 0.2, 30: 0.4, 40: 0.6, 50: 0.7, 60: 0.9}, []

    def evaluate(sae: SAE) -> dict[str, float]:
        seen.append(sae)
        return {"made_up": measured[10 * len(seen)]}

    run(
        tmp_path,
        TOPK,
        evaluate=evaluate,
        evaluate_every=10,
        best="made_up",
        best_is=best_is,
        log_every=10,
    )
    assert same(load(tmp_path / "best"), seen[kept])
    assert not same(seen[1], seen[5])
    about = load(tmp_path / "best").about
    assert about is not None and about.training["kept"] == {
        "step": 10 * (kept + 1),
        "metric": "made_up",
        "value": measured[10 * (kept + 1)],
    }


@pytest.mark.parametrize(
    "values, best",
    [
        ([0.2, None, 0.4, 0.6], (20, 0.2)),
        ([0.4, 0.2, None, 0.6], (40, 0.2)),
        ([0.4, 0.6, None, 0.2], (60, 0.2)),  # the last: trained and saved, and evaluated next time
    ],
)
def test_a_kill_does_not_forget_the_best(tmp_path, values, best):
    values = iter(values)

    def evaluate(sae: SAE) -> dict[str, float]:
        value = next(values)
        if value is None:
            raise RuntimeError("killed here")
        return {"made_up": value}

    options = {
        "evaluate": evaluate,
        "evaluate_every": 20,
        "best": "made_up",
        "best_is": "lowest",
        "log_every": 10,
    }
    with pytest.raises(RuntimeError, match="killed here"):
        run(tmp_path, TOPK, **options)
    run(tmp_path, TOPK, **options)
    about = load(tmp_path / "best").about
    assert about is not None and about.training["kept"] == {
        "step": best[0],
        "metric": "made_up",
        "value": best[1],
    }


def test_a_model_gives_batches_and_is_evaluated_with_one_at_a_time(tmp_path):
    """Hooks of an evaluation on a shared module would change the next batch."""
    inside = threading.Lock()

    def alone(values: Any) -> Any:
        assert inside.acquire(blocking=False), "the model is used twice at once"
        time.sleep(0.005)
        inside.release()
        return values

    class OfOneModel(Gaussian):
        def batch(self, step: int) -> dict[int, torch.Tensor]:
            return alone(super().batch(step))

    run(
        tmp_path,
        TOPK,
        OfOneModel(),
        evaluate=lambda sae: alone({"made_up": 1.0}),
        evaluate_every=1,
    )


def test_a_best_that_is_no_metric_or_says_no_direction_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match="best='l00' is not a metric of this training; take one of"
    ):
        run(tmp_path / "a", TOPK, best="l00", best_is="lowest")
    with pytest.raises(ValueError, match="best='f2' is not a metric of this training"):
        run(tmp_path / "b", TOPK, best="f2", best_is="highest", evaluate=lambda sae: {"f1": 1.0})
    with pytest.raises(
        ValueError, match=r"best='f1': is the lowest or the highest value the best\? Give best_is="
    ):
        run(tmp_path / "c", TOPK, best="f1")
    with pytest.raises(ValueError, match=r"best='fvu': .* got 'highest'"):
        run(tmp_path / "c", TOPK, best="fvu", best_is="highest")


def test_an_sae_that_diverges_stops_no_other(tmp_path, caplog):
    """One learning rate of a sweep that is too large."""
    wild = replace(PAPER, lr=1e30, name="wild")
    with pytest.raises(FloatingPointError, match="wild: the loss became NaN or infinite at step"):
        train_on(
            Gaussian(),
            {tmp_path / "wild": wild, tmp_path / "tame": TOPK},
            STEPS,
            on_cpu(log_every=10),
        )
    assert (
        "wild: the loss became NaN" in caplog.text
        and not (tmp_path / "wild" / "sae.safetensors").exists()
    )
    assert same(load(tmp_path / "tame"), run(tmp_path / "alone", TOPK))


@pytest.mark.parametrize("lr", [1e20, 1e39])
def test_weights_that_are_no_numbers_are_divergence_too(tmp_path, lr):
    """Also where the loss was a number to the end, or the threshold alone is too large for one."""
    plan = {
        tmp_path / "wild": replace(CONFIGS["batchtopk"], lr=lr, name="wild"),
        tmp_path / "tame": TOPK,
    }
    with pytest.raises(FloatingPointError, match="wild: the loss became NaN or infinite"):
        train_on(Gaussian(), plan, 3, on_cpu(log_every=1, checkpoint_every=1, keep=1))
    assert load(tmp_path / "tame").about is not None


def test_an_evaluation_that_fails_costs_no_other_sae_its_end(tmp_path):
    def fails(sae: SAE) -> dict[str, float]:
        raise RuntimeError("not at home")

    with pytest.raises(RuntimeError, match="not at home"):
        train_on(
            Gaussian(),
            {tmp_path / "a": TOPK, tmp_path / "b": PAPER},
            STEPS,
            on_cpu(evaluate=fails),
        )
    assert same(load(tmp_path / "b"), run(tmp_path / "alone", PAPER))


def test_a_batch_that_was_not_shared_is_refused(tmp_path):
    class Whole(Gaussian):
        def batch(self, step: int) -> dict[int, torch.Tensor]:
            return {2: super().batch(step)[2][:16]}

    with pytest.raises(
        ValueError,
        match=r"one of 1 processes that share 32 residues got a batch of 16; make batches "
        r"with share=",
    ):
        run(tmp_path, TOPK, Whole())


def test_an_evaluation_that_was_cut_off_is_made_when_training_goes_on(tmp_path):
    calls = []

    def evaluate(sae: SAE) -> dict[str, float]:
        calls.append(sae)
        if len(calls) in (2, 4):
            raise RuntimeError("killed here")
        return {"made_up": float(len(calls))}

    for _ in range(2):
        with pytest.raises(RuntimeError, match="killed here"):
            run(tmp_path / "a", TOPK, evaluate=evaluate, evaluate_every=20, log_every=10)
    run(tmp_path / "a", TOPK, evaluate=evaluate, evaluate_every=20, log_every=10)
    lines = read_metrics(tmp_path / "a" / "metrics.jsonl")
    assert [(line["step"], line["made_up"]) for line in lines if "made_up" in line] == [
        (20, 1),
        (40, 3),
        (60, 5),
    ]
    run(tmp_path / "b", TOPK, log_every=10)
    trained = [line for line in lines if "loss" in line]
    assert [line["density"] for line in trained] == [
        line["density"] for line in read_metrics(tmp_path / "b" / "metrics.jsonl")
    ]


def test_an_evaluation_that_fails_loses_nothing(tmp_path):
    def fails(sae: SAE) -> dict[str, float]:
        raise RuntimeError("the judge is not at home")

    with pytest.raises(RuntimeError, match="not at home"):
        run(tmp_path / "middle", TOPK, evaluate=fails, evaluate_every=20, log_every=20)
    assert [p.stem for p in states(tmp_path / "middle")] == ["step_00000020"]
    with pytest.raises(RuntimeError, match="not at home"):
        run(tmp_path / "end", TOPK, evaluate=fails)
    whole = run(tmp_path / "whole", TOPK)
    assert same(load(tmp_path / "end"), whole) and same(run(tmp_path / "middle", TOPK), whole)


@pytest.mark.parametrize("name", ["topk", "gated"])
def test_a_batch_that_does_not_fit_is_halved_and_said(tmp_path, monkeypatch, caplog, name):
    """Where each residue stands for itself, the gradients are those of the whole batch."""
    whole = run(tmp_path / "whole", replace(CONFIGS[name], dead="none"))
    plain, sizes = trainee.loss, []

    def small(sae: SAE, x: torch.Tensor, *rest: object) -> object:
        sizes.append(len(x))
        if len(x) > 10:
            raise torch.OutOfMemoryError("made up")
        return plain(sae, x, *rest)

    monkeypatch.setattr(trainee, "loss", small)
    halved = run(tmp_path / "halved", replace(CONFIGS[name], dead="none"))
    assert "out of memory with 32 residues at once; continuing with 16 at once" in caplog.text
    assert "out of memory with 16 residues at once; continuing with 8 at once" in caplog.text
    assert sizes.count(32) == 1 and sizes.count(16) == 1
    for one, other in zip(whole.parameters(), halved.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_a_folder_is_not_shared_by_two_trainings(tmp_path):
    sae = run(tmp_path, PAPER)
    assert same(sae, run(tmp_path, PAPER)), "a finished training is loaded"
    other = replace(PAPER, sparsity=0.3)
    with pytest.raises(
        ValueError,
        match=r"finished training with other settings \(sparsity 0.1 there, 0.3 "
        r"now\).*restart=True",
    ):
        run(tmp_path, other)
    with pytest.raises(ValueError, match="data 'gaussian-0' there, 'gaussian-1' now"):
        run(tmp_path, PAPER, Gaussian(1))
    with pytest.raises(ValueError, match="steps 60 there, 70 now"):
        run(tmp_path, PAPER, steps=70)
    assert not same(sae, run(tmp_path, other, restart=True))


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    with pytest.raises(FloatingPointError):
        run(tmp_path, PAPER, Gaussian(bad_step=33), checkpoint_every=20, log_every=10)
    with pytest.raises(
        ValueError, match=r"stopped after step 20 with other settings \(seed 3 there, 5 now\)"
    ):
        run(tmp_path, replace(PAPER, seed=5))


def test_a_checkpoint_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(FloatingPointError):
        run(tmp_path, PAPER, Gaussian(bad_step=33), checkpoint_every=10, log_every=10)
    newest = states(tmp_path)[-1]
    newest.write_bytes(newest.read_bytes()[:100])
    with pytest.raises(
        ValueError,
        match=r"step_00000030.safetensors: cannot read this training state .* remove it to "
        r"resume from the one before",
    ):
        run(tmp_path, PAPER)
    newest.unlink()
    assert same(run(tmp_path, PAPER), run(tmp_path / "whole", PAPER))


def test_a_cut_off_line_of_metrics_is_left_out(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(
        json.dumps({"step": 1, "loss": 2.0}) + '\n{"step": 2, "lo'
    )
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"step": 1, "loss": 2.0}]
    assert read_metrics(tmp_path / "none") == []


def test_what_is_refused(tmp_path):
    with pytest.raises(ValueError, match="steps must be at least 1; got 0"):
        run(tmp_path, TOPK, steps=0)
    with pytest.raises(ValueError, match="is for layer 5; the batches hold layers 2"):
        run(tmp_path, replace(TOPK, layer=5))
    with pytest.raises(ValueError, match="keep must be at least 1; got 0"):
        run(tmp_path, TOPK, keep=0)
    with pytest.raises(ValueError, match=r"precision must be one of 'auto'.*got 'half'"):
        run(tmp_path, TOPK, precision="half")


def test_bfloat16_is_refused_where_nothing_multiplies_it(tmp_path, monkeypatch):
    monkeypatch.setattr(train_module, "multiplies_bfloat16", lambda device: False)
    with pytest.raises(
        ValueError, match=r"'bfloat16' needs a device that multiplies it .*, which this cpu is not"
    ):
        run(tmp_path, TOPK, precision="bfloat16")


@pytest.mark.parametrize("name", CONFIGS)
def test_bfloat16_trains_as_well_and_resumes_with_the_same_bits(name, tmp_path, monkeypatch):
    """torch multiplies bfloat16 on every processor, on some of them slowly."""
    monkeypatch.setattr(train_module, "multiplies_bfloat16", lambda device: True)
    whole = run(tmp_path / "whole", CONFIGS[name], precision="bfloat16")
    with pytest.raises(FloatingPointError):
        run(
            tmp_path / "killed",
            CONFIGS[name],
            Gaussian(bad_step=33),
            precision="bfloat16",
            checkpoint_every=20,
            log_every=10,
        )
    with pytest.raises(ValueError, match="precision 'bfloat16' there, 'float32' now"):
        run(tmp_path / "killed", CONFIGS[name])
    assert same(run(tmp_path / "killed", CONFIGS[name], precision="bfloat16"), whole)
    assert all(weight.dtype == torch.float32 for weight in whole.state_dict().values())
    plain = run(tmp_path / "plain", CONFIGS[name])
    fvu, expected = (
        read_metrics(tmp_path / way / "metrics.jsonl")[-1]["fvu"] for way in ("whole", "plain")
    )
    assert not same(plain, whole) and fvu < 1.1 * expected
