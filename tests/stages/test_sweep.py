"""The grid of SAEs that are compared, and the one that is chosen."""

import polars as pl
import pytest

from interplm_nb.pipeline.parameters import CompareParameters
from interplm_nb.pipeline.profiles import load
from interplm_nb.sae.architectures import TopK
from interplm_nb.stages.sweep import MATCH, choose, grid, nearest_k, paper_grid, random_ks


def test_the_papers_grid_is_20_saes_within_its_ranges():
    for model, lrs, l1s in (("8M", (1e-8, 1e-4), (0.07, 0.2)), ("650M", (5e-6, 5e-4), (0.04, 0.2))):
        configs = paper_grid(3, 10_240, model)
        assert len({(c.lr, c.sparsity) for c in configs}) == len(configs) == 20
        assert (min(c.lr for c in configs), max(c.lr for c in configs)) == lrs
        assert (min(c.sparsity for c in configs), max(c.sparsity for c in configs)) == l1s
        assert {(c.layer, c.d_sae, c.recipe_name) for c in configs} == {
            (3, 10_240, "interplm-paper")
        }
    with pytest.raises(ValueError, match="settings for 8M and 650M, not for '3B'"):
        paper_grid(1, 64, "3B")  # type: ignore[arg-type]


def test_the_profile_is_the_papers_grid_of_every_layer():
    params = load("sweep-8m", ["proteins.path=x.tsv"]).stages["compare"]
    assert isinstance(params, CompareParameters)
    by_layer = {
        layer: [c for c in grid(params, params.layers) if c.layer == layer] for layer in range(1, 7)
    }
    for layer, configs in by_layer.items():
        paper = {c.label: c for c in paper_grid(layer, 10_240)}
        assert {c.label for c in configs} == set(paper)
        assert all(
            (c.lr, c.sparsity) == (paper[c.label].lr, paper[c.label].sparsity) for c in configs
        )


def test_each_recipe_takes_its_own_kind_of_sparsity():
    values = {
        "recipes": ["topk", "jumprelu", "gated"],
        "sparsities": [4, 8],
        "l1s": [0.1],
        "seeds": [0, 1],
        "d_sae": 64,
        "scaling": "none",
    }
    configs = grid(CompareParameters.checked(values, "test"), [2])
    assert [c.label for c in configs] == [
        *(f"layer_02-topk-k{k}-s{s}" for k in (4, 8) for s in (0, 1)),
        *(f"layer_02-jumprelu-t{k}-s{s}" for k in (4, 8) for s in (0, 1)),
        *(f"layer_02-gated-l0.1-s{s}" for s in (0, 1)),
    ]
    assert configs[0].architecture == TopK(4) and configs[4].target_l0 == 4
    assert {c.scaling for c in configs} == {"none"}


def test_what_is_not_given_is_the_recipes_own_and_what_is_given_twice_is_made_once():
    (config,) = grid(
        CompareParameters.checked(
            {"recipes": ["topk", "topk"], "d_sae": 64, "seeds": [3, 3]}, "test"
        ),
        [0],
    )
    assert (config.architecture, config.seed, config.label) == (TopK(32), 3, "layer_00-topk-k32-s3")
    with_lr = grid(CompareParameters.checked({"d_sae": 64, "lrs": [1e-3, 1e-4]}, "test"), [0])
    assert [c.label for c in with_lr] == [
        "layer_00-topk-k32-lr0.001-s0",
        "layer_00-topk-k32-lr0.0001-s0",
    ]


def test_the_best_of_each_layer_is_chosen_among_saes():
    rows = [
        ("sae", 1, "a", 0.2),
        ("sae", 1, "b", 0.4),
        ("sae", 1, "c", 0.4),
        ("neurons", 1, "n", 0.9),
        ("sae", 2, "d", 0.1),
        ("random", 2, "r", 0.3),
    ]
    table = pl.DataFrame(rows, schema=["kind", "layer", "label", "f1_tuning"], orient="row")
    assert choose(table).rows() == [(1, "b", 0.4), (2, "d", 0.1)]
    assert choose(table.clear()).is_empty()


@pytest.mark.parametrize(
    "l0s", [[16.0], [7.9, 8.0, 8.4, 31, 40], [0.0, 0.2], [1.0, 1.2, 1.5, 1.8, 2.2], [900.0]]
)
def test_every_sae_has_a_random_one_of_about_its_l0(l0s):
    ks = random_ks(l0s, 512)
    for l0 in l0s:
        k = nearest_k(l0, ks)
        assert 1 <= k <= 512
        assert abs(k - min(max(l0, 1), 512)) <= max(0.5, (MATCH**0.5 - 1) * l0) + 0.5
