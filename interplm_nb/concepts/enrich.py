"""Which features are enriched in one set of proteins over another: how often and how strongly."""

from typing import Any, NamedTuple

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from interplm_nb.activations_writer import shape_of

ENRICHED: dict[str, Any] = {
    "feature": pl.UInt32,
    "members": pl.Int64,
    "share": pl.Float64,
    "background": pl.Int64,
    "background_share": pl.Float64,
    "p_count": pl.Float64,
    "q_count": pl.Float64,
    "auc": pl.Float64,
    "p_rank": pl.Float64,
    "q_rank": pl.Float64,
}
"""Columns of `enriched`: number and share of proteins that fire in both sets, and the two tests,
with q-values after Benjamini and Hochberg."""


class MannWhitney(NamedTuple):
    """How the members' values rank among the background's, per feature."""

    auc: np.ndarray
    """float64 [n_features]: P(member > other) + P(member = other) / 2 of a random pair; 0.5 if the
    two sets do not differ."""
    p: np.ndarray
    """float64 [n_features]: one-sided p-value that members lie above."""


def count_test(
    members: np.ndarray, n_members: int, background: np.ndarray, n_background: int
) -> np.ndarray:
    """Fisher's exact test, one-sided: float64 [n_features], P(X >= members) for

        X ~ Hypergeometric(N = n_members + n_background, K = members + background, n = n_members)

    The chance that this many of the firing proteins are members if members were drawn at random
    from both sets. `members` and `background` int [n_features]: how many of each set fire.
    """
    from scipy.stats import hypergeom

    return np.asarray(
        hypergeom.sf(members - 1, n_members + n_background, members + background, n_members),
        np.float64,
    )


def rank_test(members: csr_array, background: csr_array) -> MannWhitney:
    """Mann-Whitney test of each column, with mean ranks for ties.

    `members` float32 [n, n_features] and `background` float32 [n_background, n_features]: one
    value of 0 or more per protein, such as its maximum; zeros are not stored.

        W    = sum of the members' ranks among all N = n + n_background values
        auc  = (W - n (n + 1) / 2) / (n * n_background)
        p    = sum over m of P(m of the n are above 0) * P(W or more, given m)

    m is hypergeometric. W given m is approximated as normal, with the mean and variance of m ranks
    drawn without replacement from those of the values above 0, and a continuity correction of half
    a rank. If no value is 0, this is the usual normal approximation, which breaks down if most
    values are 0: if one of 9 members fires, more strongly than two of 10,000 others, it gives
    1e-82 instead of 0.001.
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
    """float64 [n_features]: P(W or more) of `rank_test`, from variances of the ranks above 0."""
    from scipy.stats import hypergeom, norm

    p = np.zeros(len(w))
    for m in range(n + 1):
        mean = m * (zeros + (above + 1) / 2) + (n - m) * (zeros + 1) / 2
        spread = np.sqrt(m * np.maximum(above - m, 0) / np.maximum(above - 1, 1) * variances)
        # Without a spread, W is its mean: half a rank less is below it, a whole rank more above.
        p += hypergeom.pmf(m, zeros + above, above, n) * norm.sf(
            (w - 0.5 - mean) / np.maximum(spread, 1e-9)
        )
    return np.minimum(p, 1.0)


def enriched(members: csr_array, background: csr_array, threshold: float) -> pl.DataFrame:
    """Test every feature that fires in either set, by count and by rank.

    Both tests treat proteins as independent. Members of a family are relatives, so q orders
    features; it is not the chance that a claim about the family is wrong. A longer protein has
    more residues on which to reach a high maximum: compare sets of similar lengths.

    Parameters
    ----------
    members, background : csr_array
        float32 [n_members, n_features] and [n_background, n_features]: each protein's maximum, in
        unit "max".
    threshold : float
        A protein fires if its maximum is strictly above it.

    Returns
    -------
    pl.DataFrame
        Columns of `ENRICHED`, sorted by p_count, then auc descending, then feature.

    Raises
    ------
    ValueError
        For an empty set, or different numbers of features.
    """
    from scipy.stats import false_discovery_control

    (n, width), (n_background, others_width) = shape_of(members), shape_of(background)
    if not n or not n_background or width != others_width:
        raise ValueError(
            "enrichment compares two sets of one or more proteins on the same features, not "
            f"{n} x {width} and {n_background} x {others_width}"
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
