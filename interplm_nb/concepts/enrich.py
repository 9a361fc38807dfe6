"""Which features fire more in one set of proteins than in another: by how many fire, and by how strongly."""

from typing import Any, NamedTuple

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from interplm_nb.activations_writer import shape_of

ENRICHED: dict[str, Any] = {
    "feature": pl.UInt32, "members": pl.Int64, "share": pl.Float64, "background": pl.Int64, "background_share": pl.Float64,
    "p_count": pl.Float64, "q_count": pl.Float64, "auc": pl.Float64, "p_rank": pl.Float64, "q_rank": pl.Float64,
}  # fmt: skip
"""Columns of `enriched`: how many fire above the threshold, and what share, in both sets; the two tests, q after Benjamini and Hochberg."""


class MannWhitney(NamedTuple):
    """How the members' values stand among those of the background, per feature."""

    auc: np.ndarray
    """float64 [n_features]: P(member > other) + P(member = other) / 2 of a random pair; 0.5 where nothing tells them apart."""
    p: np.ndarray
    """float64 [n_features]: one-sided, that members lie above."""


def count_test(
    members: np.ndarray, n_members: int, background: np.ndarray, n_background: int
) -> np.ndarray:
    """float64: P(X >= members) for X ~ Hypergeometric(N = n_members + n_background, K = members + background, n = n_members).

    The chance that so many of those that fire are members if members were drawn blindly from both sets (Fisher's exact test, one-sided).
    members, background: int [n_features], how many of each set fire.
    """
    from scipy.stats import hypergeom

    return np.asarray(
        hypergeom.sf(members - 1, n_members + n_background, members + background, n_members),
        np.float64,
    )


def rank_test(members: csr_array, background: csr_array) -> MannWhitney:
    """Mann and Whitney's test of each column, ties at their mean rank. Values are 0 or more, zeros not stored.

    members float32 [n, n_features], background float32 [n_background, n_features]: a value per protein, such as its maximum.

        W    = sum of the members' ranks among all N = n + n_background values
        auc  = (W - n (n + 1) / 2) / (n * n_background)
        p    = sum over m of P(m of the n are above 0) * P(W or more, given m)

    The chance of m is hypergeometric; W given m is taken for normal, with the mean and variance of m ranks drawn without replacement from those of
    the values above 0, and half a rank of continuity. Where no value is 0 this is the usual normal approximation. That one breaks down where most
    values are 0: where one of 9 members fires, more strongly than two of 10,000 others, it gives 1e-82 in place of 0.001.
    """
    from scipy.stats import rankdata

    (n, n_features), (n_background, _) = shape_of(members), shape_of(background)
    ours, others = members.tocsc(), background.tocsc()
    sums, variances = np.zeros(n_features), np.zeros(n_features)
    for f in range(n_features):
        own = ours.data[ours.indptr[f] : ours.indptr[f + 1]]
        ranks = rankdata(
            np.concatenate([own, others.data[others.indptr[f] : others.indptr[f + 1]]])
        )
        sums[f], variances[f] = ranks[: len(own)].sum(), ranks.var() if len(ranks) else 0.0
    k, above = np.diff(ours.indptr), np.diff(ours.indptr) + np.diff(others.indptr)
    zeros = n + n_background - above
    w = sums + k * zeros + (n - k) * (zeros + 1) / 2
    return MannWhitney(
        (w - n * (n + 1) / 2) / (n * n_background), _tail(w, n, zeros, above, variances)
    )


def _tail(
    w: np.ndarray, n: int, zeros: np.ndarray, above: np.ndarray, variances: np.ndarray
) -> np.ndarray:
    """float64 [n_features]: P(W or more) of `rank_test`; variances are those of the ranks of the values above 0."""
    from scipy.stats import hypergeom, norm

    p = np.zeros(len(w))
    for m in range(n + 1):
        mean = m * (zeros + (above + 1) / 2) + (n - m) * (zeros + 1) / 2
        spread = np.sqrt(m * np.maximum(above - m, 0) / np.maximum(above - 1, 1) * variances)
        # without a spread W is its mean: half a rank less is surely below it, and a whole one more surely above
        p += hypergeom.pmf(m, zeros + above, above, n) * norm.sf(
            (w - 0.5 - mean) / np.maximum(spread, 1e-9)
        )
    return np.minimum(p, 1.0)


def enriched(members: csr_array, background: csr_array, threshold: float) -> pl.DataFrame:
    """Both tests of every feature that fires at all in one of the sets; columns of `ENRICHED`, the surest by count first.

    members float32 [n_members, n_features], background float32 [n_background, n_features]: each protein's maximum, unit "max"; a protein fires where
    it is above the threshold, strictly. ValueError for a set without proteins or of another number of features.

    Both tests take proteins for independent draws. Members of a family are relatives, so q orders features; it is not the chance that a claim about
    the family is wrong. A longer protein has more residues on which to reach a high maximum: compare sets of like lengths.
    """
    from scipy.stats import false_discovery_control

    (n, width), (n_background, others_width) = shape_of(members), shape_of(background)
    if not n or not n_background or width != others_width:
        raise ValueError(
            f"enrichment compares two sets of one or more proteins on the same features, not {n} x {width} and {n_background} x {others_width}"
        )
    fired, others = (
        np.bincount(m.indices[m.data > np.float32(threshold)], minlength=width)
        for m in (members, background)
    )
    alive = np.flatnonzero(
        np.bincount(members.indices, minlength=width)
        + np.bincount(background.indices, minlength=width)
    )
    if not alive.size:
        return pl.DataFrame(schema=ENRICHED)
    p = count_test(fired[alive], n, others[alive], n_background)
    ranked = rank_test(
        csr_array(members.tocsc()[:, alive]), csr_array(background.tocsc()[:, alive])
    )
    columns = {
        "feature": alive,
        "members": fired[alive],
        "share": fired[alive] / n,
        "background": others[alive],
    }
    columns |= {
        "background_share": others[alive] / n_background,
        "p_count": p,
        "q_count": false_discovery_control(p),
    }
    columns |= {"auc": ranked.auc, "p_rank": ranked.p, "q_rank": false_discovery_control(ranked.p)}
    table = pl.DataFrame(columns).select(pl.col(name).cast(kind) for name, kind in ENRICHED.items())
    return table.sort("p_count", "auc", "feature", descending=[False, True, False])
