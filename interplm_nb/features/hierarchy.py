"""The hierarchy of a Matryoshka SAE: the broader feature, of a smaller prefix, that is active where
a feature is."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from scipy import sparse

from interplm_nb.activations import FeatureActivations
from interplm_nb.activations_writer import shape_of
from interplm_nb.features.families import BY_CHANCE
from interplm_nb.progress import progress_bar

LEAST_LIFT = 2.0
"""A parent is active on a child's residues at least this many times as often as anywhere: a feature
that is always on is nobody's parent."""
LEAST_SHARE = 0.5
"""Least share of a child's residues that a parent covers. Chance alone is too low a bar: features
of a random SAE, too, fire together more often than shifted ones, on few of their residues."""
SHIFTS = 99
"""Shifts along the axis behind `by_chance`."""

HIERARCHY: dict[str, Any] = {
    "feature": pl.UInt32,
    "prefix": pl.Int64,
    "n_active": pl.Int64,
    "parent": pl.UInt32,
    "n_both": pl.Int64,
    "share": pl.Float64,
    "lift": pl.Float64,
    "by_chance": pl.Float64,
}
"""Columns of `hierarchy`."""


def hierarchy(
    activations: FeatureActivations,
    prefixes: Sequence[int],
    threshold: float = 0.0,
    accessions: Iterable[str] | None = None,
    seed: int = 0,
) -> pl.DataFrame:
    """The parent of each feature that the smaller prefixes of its SAE lack.

    A residue is active strictly above `threshold`. Of n residues, a child is active on a, another
    feature on b, and both on n_both:

        share = n_both / a, P(parent active | child active)      lift = n n_both / (a b)

    The parent is the feature of the next smaller prefix with the highest share among those with a
    lift of at least `LEAST_LIFT`; of equals the lower number. by_chance is (1 + c) / (1 +
    `SHIFTS`): of as many shifts of the prefix along the residue axis, around its end and by no
    less than the longest protein, c give some feature of it as high a share. A shift keeps how
    often, and in what stretches, features fire: to a child with few residues chance gives a high
    share, and its by_chance says so.

    Parameters
    ----------
    activations : FeatureActivations
        In either unit.
    prefixes : sequence of int
        Numbers of features, ascending: `Matryoshka.prefixes`.
    threshold : float
        In the unit of the activations.
    accessions : iterable of str, optional
        The proteins whose residues count (None: all), such as `coactivation.sampled`.
    seed : int
        Of the shifts.

    Returns
    -------
    pl.DataFrame
        Columns of `HIERARCHY`, a row per feature that is active, by number. prefix: the smallest
        that holds it. Features of the first prefix have no parent, and by_chance null; others
        without one have n_both, share and lift 0, and by_chance 1.

    Raises
    ------
    ValueError
        For prefixes that do not ascend to the number of features.

    Examples
    --------
    >>> from interplm_nb.proteins import Proteins
    >>> proteins = Proteins.from_sequences({"P1": "MKVLAGST" * 8})
    >>> values = np.zeros((64, 3))
    >>> values[10:14, 0] = values[10:12, 1] = values[12:14, 2] = 1
    >>> found = hierarchy(FeatureActivations.from_dense(values, proteins), (1, 3))
    >>> found.select("feature", "prefix", "parent", "share", "lift").rows()
    [(0, 1, None, 0.0, 0.0), (1, 3, 0, 1.0, 16.0), (2, 3, 0, 1.0, 16.0)]
    """
    sizes = [0, *prefixes]
    if any(a >= b for a, b in pairwise(sizes)) or sizes[-1] != activations.n_features:
        raise ValueError(
            f"prefixes are numbers of features, ascending to all {activations.n_features}, not "
            f"{list(prefixes)}"
        )
    on = _active(activations, threshold, None if accessions is None else list(accessions))
    n_active = np.asarray(on.sum(axis=0), np.int64)
    parent, share, lift = _parents(on, n_active, prefixes)
    above = np.zeros(len(parent), np.int64)
    for shift in progress_bar(_shifts(activations, shape_of(on)[0], seed), desc="shifts"):
        rows = (np.arange(shape_of(on)[0]) - shift) % max(1, shape_of(on)[0])
        above += _parents(on, n_active, prefixes, on[rows])[1] >= share
    numbers = np.arange(len(parent))
    table = pl.DataFrame(
        {
            "feature": numbers,
            "prefix": np.asarray(prefixes)[np.searchsorted(prefixes, numbers, side="right")],
            "n_active": n_active,
            "parent": parent,
            "n_both": np.rint(share * n_active),
            "share": share,
            "lift": lift,
            "by_chance": (1 + above) / (1 + SHIFTS),
        }
    ).with_columns(
        parent=pl.when(pl.col("parent") >= 0).then("parent"),
        by_chance=pl.when(pl.col("feature") >= prefixes[0]).then("by_chance"),
    )
    typed = [pl.col(name).cast(kind) for name, kind in HIERARCHY.items()]
    return table.filter(pl.col("n_active") > 0).select(typed)


def beyond_first(table: pl.DataFrame) -> pl.DataFrame:
    """Of a `hierarchy`, the features that the first prefix lacks: those that can have a parent."""
    return table.filter(pl.col("by_chance").is_not_null())


def with_parent(table: pl.DataFrame) -> pl.DataFrame:
    """Of a `hierarchy`, the features whose parent is beyond chance (`families.BY_CHANCE`) and
    covers at least `LEAST_SHARE` of their residues."""
    return table.filter(pl.col("by_chance") <= BY_CHANCE, pl.col("share") >= LEAST_SHARE)


def _active(
    activations: FeatureActivations, threshold: float, accessions: list[str] | None
) -> sparse.csr_array:
    """int32 [n, n_features]: 1 where a feature is active."""
    parts = [sparse.csr_array((0, activations.n_features), dtype=np.int32)]
    for block in activations.blocks(accessions):
        on = block.values > np.float32(threshold)
        parts.append(sparse.csr_array(on, dtype=np.int32))
    return sparse.csr_array(sparse.vstack(parts, format="csr"))


def _shifts(activations: FeatureActivations, n: int, seed: int) -> list[int]:
    """Rows to shift by, at least a protein where there is room."""
    low = max(1, min(int(activations.proteins.lengths.max(initial=1)), n // 4))
    return np.random.default_rng(seed).integers(low, max(low, n - low) + 1, SHIFTS).tolist()


def _parents(
    on: sparse.csr_array,
    n_active: np.ndarray,
    prefixes: Sequence[int],
    candidates: sparse.csr_array | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parent (-1: none), share and lift of each feature; `candidates`: `on`, or it shifted."""
    n, n_features = shape_of(on)
    parent, share, lift = np.full(n_features, -1), np.zeros(n_features), np.zeros(n_features)
    children, every = on.tocsc(), on if candidates is None else candidates
    for first, last in pairwise(prefixes):
        broad = sparse.csr_array(every[:, :first])
        step = max(1, _COUNTS // first)
        for low in range(first, last, step):
            these = np.arange(low, min(low + step, last))
            own_share = _n_both(children, broad, these) / np.maximum(n_active[these], 1)[:, None]
            own_lift = n * own_share / np.maximum(n_active[:first], 1)
            own_share[own_lift < LEAST_LIFT] = 0
            best = own_share.argmax(axis=1)  # of equals the lower number
            places = np.arange(len(these)), best
            has = own_share[places] > 0
            parent[these[has]] = best[has]
            share[these[has]], lift[these[has]] = own_share[places][has], own_lift[places][has]
    return parent, share, lift


_COUNTS = 2**19
"""Counts that `_n_both` holds at a time: they fit into a processor's cache."""


def _n_both(children: sparse.csc_array, broad: sparse.csr_array, these: np.ndarray) -> np.ndarray:
    """int64 [len(these), width]: residues on which each of these and each broader feature are
    active. Counting is four times as fast as a sparse product, which links its entries."""
    edges = children.indptr[these[0] : these[-1] + 2]
    width, found = shape_of(broad)[1], broad[children.indices[edges[0] : edges[-1]]]
    start = np.repeat(np.arange(len(these)) * width, np.diff(edges))
    place = np.repeat(start, np.diff(found.indptr)) + found.indices
    return np.bincount(place, minlength=len(these) * width).reshape(len(these), width)
