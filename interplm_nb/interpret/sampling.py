"""Which proteins a describer sees of a feature, and which ones its description is judged on.

InterPLM's sampling: proteins in bins of 0.1 by their maximum activation, some of each bin, most of
the strongest, and some on which the feature is silent. Two halves are drawn. No protein is in
both, and with `clusters` no homology cluster is.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.features.examples import proteins_of

BINS = 10
_EDGES = (np.arange(1, BINS + 1) / BINS).astype(np.float32)
"""Upper edges, as float32: an activation of 0.3 is stored as float32 and is in (0.2, 0.3]."""


@dataclass(frozen=True)
class Sizes:
    """How many proteins each half has; the defaults are InterPLM's.

    Together the halves have up to 2 * (top + per_bin) = 24 proteins of the two strongest bins, and
    38 each.
    """

    per_bin: int = 2
    """Of each bin below the top, silent proteins aside."""
    top: int = 10
    """Of the top bin (0.9, 1]. Where it has too few, the bin below it fills up to top + per_bin."""
    silent: int = 10
    """With activation 0."""
    least: int = 20
    """Proteins that a feature needs above 0.7, in the whole run, and a quarter of it in each half;
    one with fewer is left out."""

    def __post_init__(self) -> None:
        if min(self.per_bin, self.top, self.least) < 1 or self.silent < 0:
            raise ValueError(
                f"per_bin, top and least must be 1 or more and silent 0 or more, not {self}"
            )


class Sample(NamedTuple):
    """The two halves of one feature's proteins, and what was drawn of each."""

    feature: int
    maximum: np.ndarray
    """float32 [n_proteins]: the feature's maximum over each protein, unit "max"."""
    in_training: np.ndarray
    """bool [n_proteins]: the half that each protein of the run belongs to, drawn or not."""
    training: pl.DataFrame
    """What a describer may see: accession, maximum (f32), bin (i64; 0: silent), position (i64, of
    the maximum, from 1; null: silent) and kind ("active", "silent", "close"), in random order."""
    evaluation: pl.DataFrame
    """What a description is judged on, likewise."""


def bins(maximum: np.ndarray) -> np.ndarray:
    """int64: the bin of each maximum: 0 for 0, k for (0.1 (k - 1), 0.1 k], and 10 above 1.

    The strongest protein has 1 and is in the last bin. One that is not among those of the maxima
    may exceed 1.

    Examples
    --------
    >>> bins(np.array([0.0, 0.1, 0.11, 1.0, 1.2], np.float32)).tolist()
    [0, 1, 2, 10, 10]
    """
    values = np.asarray(maximum, np.float32)
    place = np.minimum(np.searchsorted(_EDGES, values, side="left") + 1, BINS)
    return np.where(values > 0, place, 0)


def enough_examples(activations: FeatureActivations, sizes: Sizes | None = None) -> np.ndarray:
    """bool [n_features]: whether a feature has `least` proteins above 0.7; all features in one
    pass. Where clusters are few and large, `sample` may still leave one out."""
    _check_unit(activations)
    offsets = activations.proteins.offsets
    strong = np.zeros(activations.n_features, np.int64)
    for block in activations.blocks():
        values = block.values.tocoo()
        on = bins(values.data) > BINS - 3
        rows, features = (axis[on] for axis in values.coords)
        protein = np.searchsorted(offsets, rows + block.first_row, side="right") - 1
        pairs = np.unique(protein * activations.n_features + features)
        strong += np.bincount(pairs % activations.n_features, minlength=activations.n_features)
    return strong >= (sizes or Sizes()).least


def sample(
    activations: FeatureActivations,
    feature: int,
    clusters: np.ndarray | None = None,
    sizes: Sizes | None = None,
    seed: int = 0,
    close: bool = False,
) -> Sample | None:
    """Split the proteins into two halves for one feature, and draw the examples of each.

    Clusters are dealt to the halves from the strongest bin down, each to the half that has fewer
    proteins of its bin so far. Of a half's two strongest bins, up to `top` proteins come from the
    top bin and the next bin fills up to top + per_bin; each weaker bin gives per_bin, and silent
    proteins come last. A bin that has fewer gives what it has; where the bin below the top is
    empty, the top bin gives more.

    Parameters
    ----------
    activations : FeatureActivations
        In unit "max".
    feature : int
        Number of the feature.
    clusters : np.ndarray, optional
        int [n_proteins]: homology cluster of each protein. Without it only proteins are disjoint,
        as in the paper.
    sizes : Sizes, optional
        InterPLM's by default.
    seed : int
        The draw is a function of (seed, feature) alone.
    close : bool
        Take as silent proteins first those that share a cluster with a protein on which the
        feature fires: close negatives, which are harder to distinguish. Their kind is "close".

    Returns
    -------
    Sample, or None for a feature with fewer than `sizes.least` proteins above 0.7, or fewer than a
    quarter of that in one of the halves, as where one cluster holds them.

    Raises
    ------
    ValueError
        For another unit than "max", clusters that do not fit, or `close` without clusters.
    """
    _check_unit(activations)
    n, sizes = len(activations.proteins), sizes or Sizes()
    _check_clusters(clusters, n, close)
    maximum, position = _maxima(activations, feature)
    bin_of = bins(maximum)
    strong = bin_of > BINS - 3
    if np.count_nonzero(strong) < sizes.least:
        return None
    cluster_of = np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    random = np.random.default_rng([seed, feature])
    in_training = _dealt(bin_of, cluster_of, random)
    of_each = np.bincount(in_training[strong], minlength=2)
    if of_each.min() < max(1, sizes.least // 4):
        return None
    near = _near(bin_of, cluster_of) if close else np.zeros(n, bool)
    kind = np.where(bin_of > 0, "active", np.where(near, "close", "silent"))
    halves = []
    for half in (in_training, ~in_training):
        chosen = _drawn(np.flatnonzero(half), bin_of, near, sizes, random)
        halves.append(
            pl.DataFrame(
                {
                    "accession": [activations.proteins.accessions[i] for i in chosen],
                    "maximum": maximum[chosen],
                    "bin": bin_of[chosen],
                    "position": pl.Series(position[chosen]).replace(0, None),
                    "kind": kind[chosen],
                },
                schema_overrides={"accession": pl.String, "kind": pl.String},
            )
        )
    return Sample(feature, maximum, in_training, *halves)


def _check_unit(activations: FeatureActivations) -> None:
    if activations.unit != "max":
        raise ValueError(
            f"sampling needs fractions of each feature's maximum (unit 'max'), not unit "
            f"{activations.unit!r}; use relative_to"
        )


def _check_clusters(clusters: np.ndarray | None, n: int, close: bool) -> None:
    if clusters is not None and np.shape(clusters) != (n,):
        raise ValueError(
            f"clusters must be one number per protein, shape ({n},), not {np.shape(clusters)}"
        )
    if close and clusters is None:
        raise ValueError("close negatives are silent members of clusters; give the clusters")


def _maxima(activations: FeatureActivations, feature: int) -> tuple[np.ndarray, np.ndarray]:
    """Maximum, float32 [n_proteins], and its position, int64, from 1; both 0 where silent."""
    proteins, found = activations.proteins, proteins_of(activations, feature)
    maximum, position = np.zeros(len(proteins), np.float32), np.zeros(len(proteins), np.int64)
    place = np.array([proteins.index(a) for a in found["accession"]], np.int64)
    maximum[place], position[place] = found["maximum"].to_numpy(), found["position"].to_numpy()
    return maximum, position


def _near(bin_of: np.ndarray, cluster_of: np.ndarray) -> np.ndarray:
    """bool [n_proteins]: silent, in a cluster on which the feature fires."""
    fires = np.zeros(cluster_of.max(initial=0) + 1, bool)
    fires[cluster_of[bin_of > 0]] = True
    return (bin_of == 0) & fires[cluster_of]


def _dealt(bin_of: np.ndarray, cluster_of: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """bool [n_proteins]: whether each protein is of the training half."""
    n_clusters = int(cluster_of.max(initial=-1)) + 1
    members = np.zeros((n_clusters, BINS + 1), np.int64)
    np.add.at(members, (cluster_of, bin_of), 1)
    strongest = BINS - (members[:, ::-1] > 0).argmax(axis=1)
    order = np.lexsort((random.permutation(n_clusters), -strongest))
    coins = random.random(n_clusters) < 0.5
    counts = np.zeros((2, BINS + 1), np.int64)
    training = np.zeros(n_clusters, bool)
    for cluster in order.tolist():
        ours, others = counts[:, strongest[cluster]]
        training[cluster] = ours < others or (ours == others and coins[cluster])
        counts[0 if training[cluster] else 1] += members[cluster]
    return training[cluster_of]


def _drawn(
    half: np.ndarray,
    bin_of: np.ndarray,
    near: np.ndarray,
    sizes: Sizes,
    random: np.random.Generator,
) -> np.ndarray:
    """int64: the proteins drawn from one half, in random order."""
    half = random.permutation(half)
    of = {k: half[bin_of[half] == k] for k in range(BINS + 1)}
    strongest = (of[BINS][: sizes.top], of[BINS - 1], of[BINS][sizes.top :])
    strong = np.concatenate(strongest)[: sizes.top + sizes.per_bin]
    weak = [of[k][: sizes.per_bin] for k in range(1, BINS - 1)]
    silent = of[0][np.argsort(~near[of[0]], kind="stable")][: sizes.silent]
    return random.permutation(np.concatenate([strong, *weak, silent]))
