"""Which layer to open: what the table takes from the comparison of SAEs."""

from typing import Any

import polars as pl
import pytest

from interplm_nb.stages.compare_tables import COMPARISON, STABILITY
from interplm_nb.stages.layers import LAYERS, layers_table


def row(layer: int, seed: int, f1: float, tuning: float, **values: Any) -> dict[str, Any]:
    about = {"kind": "sae", "recipe": "topk", "sparsity": "k8", "label": f"l{layer}-s{seed}"}
    figures = {"control": f"l{layer}-random", "fidelity_measure": "strict", "silent": 3}
    figures |= {f"loss_recovered{end}_strict": layer / 10 for end in ("", "_low", "_high")}
    own = {"layer": layer, "seed": seed, "mean_f1_per_domain": f1, "f1_tuning": tuning}
    return about | figures | own | {"chosen": seed == 0} | values


def control(layer: int, kind: str, f1: float, **values: Any) -> dict[str, Any]:
    about = {"kind": kind, "layer": layer, "label": f"l{layer}-{kind}", "chosen": False}
    return about | {"mean_f1_per_domain": f1, "fidelity_measure": None} | values


@pytest.fixture
def comparison() -> pl.DataFrame:
    rows = [row(1, 0, 0.3, 0.4), row(1, 1, 0.2, 0.35), row(1, 2, 0.5, 0.39)]
    rows += [row(1, 3, 0.9, 0.1, recipe="jumprelu", sparsity="t8")]
    rows += [row(2, 0, 0.1, 0.45, f1_low=0.05, f1_high=0.2), row(2, 1, 0.2, 0.4)]
    rows += [control(1, "neurons", 0.15), control(2, "neurons", 0.16)]
    fidelity = {"fidelity_measure": "strict", "loss_recovered_strict": 0.01, "concepts_found": 4}
    rows += [control(k, "random", 0.07 * k, **fidelity) for k in (1, 2)]
    return pl.DataFrame([{n: r.get(n) for n in COMPARISON} for r in rows], schema=COMPARISON)


def test_each_layer_has_its_chosen_sae_its_controls_and_the_spread_of_its_seeds(comparison):
    pairs = [
        {"layer": 1, "recipe": "topk", "sparsity": "k8", "recur": r, "recur_rotated": 0.1}
        for r in (0.4, 0.6)
    ]
    pairs += [{"layer": 1, "recipe": "jumprelu", "sparsity": "t8", "recur": 1.0}]
    stability = pl.DataFrame([dict.fromkeys(STABILITY) | p for p in pairs], schema=STABILITY)
    table = layers_table(comparison, stability)
    assert dict(table.schema) == LAYERS
    first, second = table.iter_rows(named=True)
    assert (first["label"], first["seeds"]) == ("l1-s0", 3)
    assert (first["lowest_seed"], first["highest_seed"]) == (0.2, 0.5)
    assert (first["random_f1"], first["neurons_f1"], first["random_found"]) == (0.07, 0.15, 4)
    assert (first["recur"], first["recur_rotated"]) == (pytest.approx(0.5), 0.1)
    assert (first["loss_recovered"], first["random_loss_recovered"]) == (0.1, 0.01)
    assert (second["f1_low"], second["f1_high"], second["recur"]) == (0.05, 0.2, None)
    assert table["best"].to_list() == [False, True], "by the tuning part, not by test"


def test_one_seed_has_no_spread_and_a_model_without_fidelity_no_loss(comparison):
    few = comparison.filter(pl.col("seed").is_null() | (pl.col("seed") == 0)).with_columns(
        fidelity_measure=pl.lit(None, pl.String)
    )
    table = layers_table(few, pl.DataFrame(schema=STABILITY))
    assert table["seeds"].to_list() == [1, 1]
    for name in ("lowest_seed", "highest_seed", "recur", "loss_recovered"):
        assert table[name].null_count() == 2


def test_without_a_chosen_sae_the_table_is_empty():
    empty = pl.DataFrame(schema=COMPARISON)
    table = layers_table(empty, pl.DataFrame(schema=STABILITY))
    assert table.is_empty() and dict(table.schema) == LAYERS
