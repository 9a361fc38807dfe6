"""Features whose change separates tolerated variants from damaging ones.

Half of the positions choose the features, the other half tests them: a variant belongs to the half
that all of its positions are in, and to none where they are in both. The value of a feature is its
summed change, and its figure the AUROC: the chance that a tolerated variant has the higher value.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from scipy.stats import false_discovery_control

from interplm_nb.concepts.intervals import middle
from interplm_nb.readers.variants import Variant
from interplm_nb.steering.experiments.variants.resampling import auroc, draws_of_positions

SEPARATING: dict[str, Any] = {
    "source": pl.String,
    "feature": pl.UInt32,
    "auroc_chosen": pl.Float64,
    "auroc": pl.Float64,
    "auroc_low": pl.Float64,
    "auroc_high": pl.Float64,
    "p_value": pl.Float64,
    "q_value": pl.Float64,
}
"""auroc_chosen: on the half that chose the feature; auroc: on the other half, with its 95 %
interval over positions. p_value: share of resamples of positions in which the AUROC is not on the
side of 0.5 that the first half says, at least 1 / (1 + resamples); q_value: false discovery rate
(Benjamini and Hochberg) over the features of a source."""


class Halves(NamedTuple):
    """Variants of each half of the positions."""

    chooses: np.ndarray
    """int64: places of the variants."""
    tests: np.ndarray
    """int64, likewise."""


def halves(variants: Sequence[Variant], seed: int) -> Halves:
    """Half of the mutated positions by seed, and the variants that are wholly in each."""
    positions = np.unique([m.position for variant in variants for m in variant])
    rng = np.random.default_rng(seed)
    chosen = set(rng.permutation(positions)[: len(positions) // 2].tolist())
    inside = np.array([np.mean([m.position in chosen for m in variant]) for variant in variants])
    return Halves(np.flatnonzero(inside == 1), np.flatnonzero(inside == 0))


def separating_features(
    variants: Sequence[Variant],
    tolerated: np.ndarray,
    summed: Mapping[str, np.ndarray],
    n: int,
    n_draws: int,
    seed: int,
) -> pl.DataFrame:
    """The `n` features of each source that separate best on half of the positions, on the other.

    Parameters
    ----------
    tolerated
        bool [n_variants].
    summed
        source -> float32 [n_variants, d_sae]: `FeatureChanges.summed`.
    n, n_draws, seed
        Features to choose, resamples, and the seed of halves and resamples.

    Returns
    -------
    pl.DataFrame
        Columns `SEPARATING`; empty where a half lacks tolerated or damaging variants.
    """
    chooses, tests = halves(variants, seed)
    tables = [pl.DataFrame(schema=SEPARATING)]
    if all(0 < tolerated[half].sum() < len(half) for half in (chooses, tests)):
        weights = draws_of_positions([variants[i] for i in tests], n_draws, seed)
        for source, values in summed.items():
            found = _tested(values, tolerated, chooses, tests, n, weights)
            tables.append(found.select(pl.lit(source).alias("source"), *found.columns))
    return pl.concat(tables)


def _tested(
    values: np.ndarray,
    tolerated: np.ndarray,
    chooses: np.ndarray,
    tests: np.ndarray,
    n: int,
    weights: np.ndarray,
) -> pl.DataFrame:
    changing = np.flatnonzero(values[chooses].any(axis=0) & values[tests].any(axis=0))
    one = np.ones((1, len(chooses)), np.int64)
    on_first = np.array([auroc(values[chooses, f], tolerated[chooses], one)[0] for f in changing])
    best = np.argsort(-np.abs(on_first - 0.5), kind="stable")[:n]
    rows = []
    for feature, chosen in zip(changing[best], on_first[best], strict=True):
        x, positive = values[tests, feature], tolerated[tests]
        drawn = auroc(x, positive, weights)
        wrong = (drawn <= 0.5) if chosen > 0.5 else (drawn >= 0.5)
        p = (1 + int(wrong.sum())) / (1 + len(drawn))
        whole = auroc(x, positive, np.ones((1, len(x)), np.int64))[0]
        rows.append((int(feature), float(chosen), float(whole), *middle(drawn).tolist(), p))
    table = pl.DataFrame(rows, {k: SEPARATING[k] for k in list(SEPARATING)[1:7]}, orient="row")
    p = table["p_value"].to_numpy()
    return table.with_columns(q_value=false_discovery_control(p) if len(p) else p)
