"""Which SAEs are compared, and which is chosen: a profile's grid, and the InterPLM paper's
procedure.

The paper trains 20 SAEs per layer over learning rate and L1 weight and takes, for each layer, the
one with the highest mean best F1 over the concepts of a fifth of the validation proteins (Simon &
Zou 2025). It states the ranges but not the values between; `paper_grid` takes five learning rates
and four L1 weights, evenly spaced on a logarithmic axis.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any, Literal

import numpy as np
import polars as pl

from interplm_nb.pipeline.parameters import L1_RECIPES, CompareParameters
from interplm_nb.sae.config import SAEConfig

PAPER_LRS = {"8M": (1e-4, 1e-5, 1e-6, 1e-7, 1e-8), "650M": (5e-4, 1.58e-4, 5e-5, 1.58e-5, 5e-6)}
"""Learning rates by size of ESM-2: 1e-4 to 1e-8 and 5e-4 to 5e-6."""

PAPER_L1S = {"8M": (0.07, 0.1, 0.14, 0.2), "650M": (0.04, 0.068, 0.117, 0.2)}
"""Weights of L1 by size of ESM-2: 0.07 to 0.2 and 0.04 to 0.2."""

MATCH = 1.25
"""SAEs whose L0 differ by at most this factor share a random control."""


def grid(params: CompareParameters, layers: Sequence[int]) -> list[SAEConfig]:
    """Layers x recipes x sparsities x learning rates x seeds, in that order, each with its own
    name, such as "layer_03-topk-k16-s0"."""
    return [
        _config(params, layer, recipe, *settings)
        for layer, recipe in product(layers, dict.fromkeys(params.recipes))
        for settings in product(
            _sparsities(params, recipe),
            dict.fromkeys(params.lrs) or [None],
            dict.fromkeys(params.seeds),
        )
    ]


def paper_grid(
    layer: int, d_sae: int, model: Literal["8M", "650M"] = "8M", seed: int = 0
) -> list[SAEConfig]:
    """The 20 SAEs of one layer that the paper's procedure compares: ReLU with L1, five learning
    rates and four L1 weights.

    The paper's d_sae is 10,240; it trains for 500,000 (8M) or 200,000 (650M) steps of 2,048
    residues.
    """
    if model not in PAPER_LRS:
        raise ValueError(f"the paper has settings for {' and '.join(PAPER_LRS)}, not for {model!r}")
    lrs, l1s = list(PAPER_LRS[model]), list(PAPER_L1S[model])
    values = {
        "recipes": ["interplm-paper"],
        "lrs": lrs,
        "l1s": l1s,
        "d_sae": d_sae,
        "seeds": [seed],
    }
    return grid(CompareParameters.checked(values, "paper_grid"), [layer])


def choose(table: pl.DataFrame) -> pl.DataFrame:
    """The SAE of each layer with the best f1_tuning, the first of equals: layer, label, f1_tuning.

    Controls are not chosen.

    `table` holds kind, layer, label, f1_tuning: `comparison.parquet` of stage `compare`.
    """
    saes = table.filter(pl.col("kind") == "sae", pl.col("f1_tuning").is_not_null())
    best = saes.group_by("layer", maintain_order=True).agg(
        pl.all().sort_by("f1_tuning", descending=True, maintain_order=True).first()
    )
    return best.select("layer", "label", "f1_tuning").sort("layer")


def random_ks(l0s: Sequence[float], d_sae: int) -> list[int]:
    """k of the random SAEs that control SAEs of these L0: every L0 is within a factor of
    sqrt(`MATCH`) of one of them, up to rounding."""
    groups: list[list[float]] = []
    for l0 in sorted(max(l0, 1.0) for l0 in l0s):
        if groups and l0 <= MATCH * groups[-1][0]:
            groups[-1].append(l0)
        else:
            groups.append([l0])
    return sorted(
        {min(d_sae, max(1, round(float(np.sqrt(group[0] * group[-1]))))) for group in groups}
    )


def nearest_k(l0: float, ks: Sequence[int]) -> int:
    """The k that is nearest to an L0, by ratio."""
    return min(ks, key=lambda k: abs(np.log(k / max(l0, 1.0))))


def _sparsities(params: CompareParameters, recipe: str) -> list[float | None]:
    return list(dict.fromkeys(params.l1s if recipe in L1_RECIPES else params.sparsities)) or [None]


def _config(
    params: CompareParameters,
    layer: int,
    recipe: str,
    sparsity: float | None,
    lr: float | None,
    seed: int,
) -> SAEConfig:
    changes: dict[str, Any] = {
        "layer": layer,
        "seed": seed,
        "dead_after_tokens": params.dead_after_tokens or None,
    }
    if lr is not None:
        changes["lr"] = lr
    if params.scaling != "own":
        changes["scaling"] = params.scaling
    if sparsity is not None and recipe in L1_RECIPES:
        changes["sparsity"] = sparsity
    k = None if sparsity is None or recipe in L1_RECIPES else int(sparsity)
    config = SAEConfig.recipe(recipe, params.d_sae, k=k, **changes)
    parts = [
        f"layer_{layer:02d}",
        recipe,
        config.sparsity_label,
        *([] if lr is None else [f"lr{lr:g}"]),
        f"s{seed}",
    ]
    return SAEConfig.recipe(recipe, params.d_sae, k=k, **changes, name="-".join(parts))
