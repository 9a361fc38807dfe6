"""The features that chosen proteins have in common, more often than the run's other proteins."""

from collections.abc import Collection
from math import ceil

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.concepts.enrich import count_test
from interplm_nb.widgets.packing import WAITED_FOR, pack

COMMON = ("members", "share", "background", "background_share", "p_count", "q_count")
"""Columns of `in_common`, named as in `concepts.enrich.ENRICHED`."""

LEAST_SHARE = 0.5
"""Share of the chosen proteins in which a feature must fire to be in common; of several, two."""


def least_members(n: int) -> int:
    """In how many of n chosen proteins a feature must fire: half of them, two where it can be."""
    return max(ceil(LEAST_SHARE * n), min(2, n))


def firing(activations: FeatureActivations) -> np.ndarray:
    """bool [n_proteins, n_features]: is the maximum there above 0.15 of the feature's maximum?

    0.15 is `questions.annotate.FIRES`.
    """
    from interplm_nb.questions.annotate import FIRES
    from interplm_nb.questions.background import protein_maxima

    return protein_maxima(activations).toarray() > np.float32(FIRES)


def in_common(fires: np.ndarray, chosen: Collection[int]) -> pl.DataFrame:
    """Features that fire in `least_members` of the chosen proteins, and more often than in others.

    Fisher's exact test, one-sided, against the run's other proteins; q-values after Benjamini and
    Hochberg over every feature that fires in any protein. Proteins of one family are relatives, so
    q orders features; it is not an error rate. With few proteins no q is small.

    Parameters
    ----------
    fires
        bool [n_proteins, n_features], as `firing` has it.
    chosen
        Numbers of proteins, from 0.

    Returns
    -------
    pl.DataFrame
        feature (u32) and `COMMON`: number and share of the chosen proteins, then of the others, in
        which it fires, p and q. Sorted by p, then share, then feature.

    Examples
    --------
    >>> in_common(np.array([[True, True], [True, False], [False, True]]), [0, 1]).rows()
    [(0, 2, 1.0, 0, 0.0, 0.3333333333333333, 0.6666666666666666)]
    """
    from scipy.stats import false_discovery_control

    n, others = len(chosen), len(fires) - len(chosen)
    members = fires[sorted(chosen)].sum(axis=0)
    background = fires.sum(axis=0) - members
    alive = np.flatnonzero(members + background)
    p = count_test(members[alive], n, background[alive], others)
    table = pl.DataFrame(
        {
            "feature": alive.astype(np.uint32),
            "members": members[alive],
            "share": members[alive] / max(1, n),
            "background": background[alive],
            "background_share": background[alive] / max(1, others),
            "p_count": p,
            "q_count": false_discovery_control(p) if len(p) else p,
        }
    )
    return table.filter(
        pl.col("members") >= least_members(n),
        pl.col("share") > pl.col("background_share"),
    ).sort("p_count", "share", "feature", descending=[False, True, False])


def packed_firing(fires: np.ndarray) -> bytes:
    """`firing` for the browser: a bit per cell, each protein from its own byte.

    The record holds n_features, and `above` and `least_share`, the rule's numbers.
    """
    from interplm_nb.questions.annotate import FIRES

    record = {"n_features": fires.shape[1], "above": FIRES, "least_share": LEAST_SHARE}
    return pack(record, {"bits": np.packbits(fires, axis=1).ravel()}, WAITED_FOR)
