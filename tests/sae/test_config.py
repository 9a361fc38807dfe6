"""Recipes, schedules and what a config refuses."""

import json

import pytest

from interplm_nb.sae.architectures import BatchTopK, Gated, JumpReLU, Matryoshka, ReLU, TopK
from interplm_nb.sae.config import RECIPES, SAEConfig


def test_schedules_of_the_papers_recipe():
    config = SAEConfig.recipe("interplm-paper", 8, lr=0.5, sparsity=0.2)
    assert [config.lr_at(step, 200) for step in (0, 1, 5, 10, 11, 199)] == pytest.approx(
        [0, 0.05, 0.25, 0.5, 0.5, 0.5]
    )
    assert [config.sparsity_at(step, 200) for step in (0, 5, 10, 199)] == pytest.approx(
        [0, 0.1, 0.2, 0.2]
    )
    again = SAEConfig.recipe(
        "interplm-paper", 8, lr=0.5, dead="resample by error", resample_every=50
    )
    assert [again.lr_at(step, 200) for step in (49, 50, 55, 60)] == pytest.approx(
        [0.5, 0, 0.25, 0.5]
    )


def test_the_later_recipe_falls_to_zero_over_the_second_half():
    config = SAEConfig.recipe("interplm-v1", 8, lr=0.5)
    assert [config.lr_at(step, 200) for step in (10, 99, 100, 150, 199)] == pytest.approx(
        [0.5, 0.5, 0.5, 0.25, 0.005]
    )


def test_recipes_are_what_was_published():
    made = {name: SAEConfig.recipe(name, 4096, k=16) for name in RECIPES}
    kinds = (
        ReLU(),
        ReLU(),
        TopK(16),
        BatchTopK(16),
        JumpReLU(),
        Gated(),
        Matryoshka(16, (256, 512, 1024, 2048, 4096)),
    )
    assert tuple(made[name].architecture for name in RECIPES) == kinds
    assert made["topk"].lr == pytest.approx(4e-4) and made["topk"].auxk_alpha == 1 / 32
    assert (
        made["interplm-paper"].sparsity,
        made["interplm-paper"].lr,
        made["interplm-paper"].reconstruction,
    ) == (0.1, 1e-4, "norm")
    assert made["interplm-v1"].clip_before_projection and made["interplm-paper"].clip_norm is None
    assert made["jumprelu"].target_l0 == 16 and made["jumprelu"].betas == (0.0, 0.999)
    assert all(config.recipe_name == name for name, config in made.items())
    assert SAEConfig.recipe("topk", 10).lr_at(0, 10) == pytest.approx(
        SAEConfig.recipe("topk", 10).lr
    ), "5 % of 10 steps is no warm-up"


@pytest.mark.parametrize(("residues", "after"), [(3, 1), (614_400, 102_400), (10**9, 10_000_000)])
def test_auxk_waits_for_a_sixth_of_the_training_or_what_is_asked(residues, after):
    assert SAEConfig.recipe("topk", 8).revived_after(residues) == after
    assert SAEConfig.recipe("topk", 8, dead_after_tokens=77).revived_after(residues) == 77


def test_labels_name_folders():
    assert SAEConfig.recipe("topk", 64, k=8, layer=3).label == "layer_03-topk-k8-d64-s0"
    assert SAEConfig.recipe("jumprelu", 64, k=8, seed=2).label == "jumprelu-t8-d64-s2"
    assert SAEConfig.recipe("interplm-paper", 64, sparsity=0.07).label == "relu-l0.07-d64-s0"
    assert SAEConfig.recipe("matryoshka", 64, name="mine").label == "mine"


@pytest.mark.parametrize("name", RECIPES)
def test_a_record_is_json(name):
    config = SAEConfig.recipe(name, 64)
    assert json.loads(json.dumps(config.record())) == config.record()
    assert config.record()["architecture"]["name"] == config.architecture.name


def test_what_is_refused():
    with pytest.raises(ValueError, match="unknown recipe 'relu'; take one of interplm-paper"):
        SAEConfig.recipe("relu", 8)
    with pytest.raises(ValueError, match="d_sae must be at least 1; got 0"):
        SAEConfig(ReLU(), 0)
    with pytest.raises(ValueError, match="dead_after_tokens must be at least 1; got 0"):
        SAEConfig.recipe("topk", 8, dead_after_tokens=0)
    with pytest.raises(ValueError, match="lr must be above 0; got -1"):
        SAEConfig.recipe("topk", 8, lr=-1)
    with pytest.raises(
        ValueError, match="scaling must be one of 'none', 'scalar', 'dimension'; got 'zscore'"
    ):
        SAEConfig.recipe("topk", 8, scaling="zscore")
    with pytest.raises(ValueError, match="needs resample_every"):
        SAEConfig.recipe("interplm-paper", 8, dead="resample by error")
    with pytest.raises(ValueError, match=r"got '\.\./x'"):
        SAEConfig.recipe("topk", 8, name="../x")
    with pytest.raises(ValueError, match="prefixes are for the recipe 'matryoshka', not 'topk'"):
        SAEConfig.recipe("topk", 8, prefixes=(4, 8))
