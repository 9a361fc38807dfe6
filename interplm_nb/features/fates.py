"""A feature's fate from layer to layer: kept, split, merged or lost there, and born where none of
the layer before is like it."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from interplm_nb.activations import FeatureActivations
from interplm_nb.features.coactivation import activation_correlation
from interplm_nb.features.families import BY_CHANCE, matches

ALIKE = 0.5
"""Least correlation of two features that are alike. A feature that splits into n parts of equal
size and strength, active apart, correlates with each by about 1 / sqrt(n): four are still alike."""

RESIDUES = 100_000
"""Residues on which features of runs and layers are followed, at most."""

FATES: dict[str, Any] = {
    "layer": pl.Int64,
    "feature": pl.UInt32,
    "born": pl.Boolean,
    "origin": pl.UInt32,
    "fate": pl.String,
    "n_descendants": pl.Int64,
    "match": pl.UInt32,
    "similarity": pl.Float32,
    "ambiguity": pl.Float32,
    "by_chance": pl.Float64,
}
"""Columns of `Across.features`. born and origin are null in the first layer, what follows them in
the last; the match and its figures too for a feature that the assignment leaves out."""

NAMES = ("kept", "split", "merged", "lost")
"""Fates, as `fates` defines them."""

STEPS: dict[str, Any] = {
    "layer": pl.Int64,
    "next_layer": pl.Int64,
    "next": pl.String,
    "n_features": pl.Int64,
    **dict.fromkeys(NAMES, pl.Float64),
    "n_next": pl.Int64,
    "born": pl.Float64,
    "beyond_chance": pl.Float64,
    "similarity": pl.Float64,
    "ambiguity": pl.Float64,
}
"""Columns of `Across.steps`. next: what lies after the layer: "SAE", or a null, "random SAE" or
"shifted". The fates are shares of n_features, the features of the layer that fire, and born of
n_next; beyond_chance is the share of the matches whose by_chance is at most
`families.BY_CHANCE`, similarity and ambiguity are their medians."""


class Fates(NamedTuple):
    """What happens to the features of one layer in the next; numbers are places in the arrays."""

    fate: np.ndarray
    """object [n]: one of `NAMES` for each feature of the layer."""
    n_descendants: np.ndarray
    """int64 [n]: features of the next layer whose origin it is."""
    origin: np.ndarray
    """int64 [m]: for each feature of the next layer the one of this layer that it comes from; -1:
    it is born there."""


class Across(NamedTuple):
    """Features over several layers: `across_layers`."""

    features: pl.DataFrame
    """Columns of `FATES`: a row per layer and feature that fires on these residues."""
    steps: pl.DataFrame
    """Columns of `STEPS`: from each layer to the next, the SAE first, then the nulls."""


def fates(similarity: np.ndarray, null: np.ndarray) -> Fates:
    """What happens to each feature of a layer, from how similar it is to those of the next.

    Two features are alike if their similarity is at least `ALIKE` and above what all but
    `BY_CHANCE` of the layer's features find at best in the null. A feature of the next layer comes
    from the most similar of those that it is like, and is born if there are none. A feature of the
    layer is

    - lost if none of the next layer is like it;
    - split if two or more come from it, kept if one does;
    - merged if some are like it, and all of them come from others.

    Parameters
    ----------
    similarity : np.ndarray
        [n, m]: `activation_correlation` of the features of a layer with those of the next.
    null : np.ndarray
        [n, m']: the same with something that knows nothing, such as `shift`ed activations.

    Examples
    --------
    >>> similar = np.array([[0.7, 0.7, 0.0, 0.0], [0.0, 0.0, 0.9, 0.0], [0.0, 0.0, 0.6, 0.1]])
    >>> found = fates(similar, np.zeros((3, 4)))
    >>> found.fate.tolist(), found.origin.tolist()
    (['split', 'kept', 'merged'], [0, 0, 1, -1])
    """
    n, m = similarity.shape
    if not n or not m:
        return Fates(np.full(n, "lost", object), np.zeros(n, np.int64), np.full(m, -1))
    best = null.max(axis=1) if null.size else np.zeros(n)
    chance = np.quantile(best, 1 - BY_CHANCE)
    has_alike, is_alike = (
        (highest >= ALIKE) & (highest > chance)
        for highest in (similarity.max(axis=1), similarity.max(axis=0))
    )
    origin = np.where(is_alike, similarity.argmax(axis=0), -1)
    descendants = np.bincount(origin[origin >= 0], minlength=n)
    fate = np.full(n, "lost", object)
    fate[has_alike] = "merged"
    fate[descendants == 1] = "kept"
    fate[descendants > 1] = "split"
    return Fates(fate, descendants, origin)


def across_layers(
    layers: Mapping[int, FeatureActivations],
    controls: Mapping[int, FeatureActivations] | None = None,
    accessions: Iterable[str] | None = None,
) -> Across:
    """Follow features from layer to layer by their activations on the same residues.

    From each layer to the next of those given, features that fire are matched one to one
    (`families.matches`, with the next layer's activations shifted along the axis as the null), and
    each gets a fate (`fates`). Pearson correlation knows nothing about the vectors, whose spaces
    differ; it also sees what the letters alone make two features share. So `steps` tells the same
    of the next layer's random SAE, and of its activations shifted by another stretch.

    Parameters
    ----------
    layers : mapping of int to FeatureActivations
        By layer: activations of its SAE, all on the same proteins.
    controls : mapping of int to FeatureActivations, optional
        By layer: activations of an untrained SAE on it.
    accessions : iterable of str, optional
        The proteins whose residues count (None: all), such as `coactivation.sampled`.

    Raises
    ------
    ValueError
        For fewer than two layers, or activations on different proteins.

    Examples
    --------
    >>> from interplm_nb.proteins import Proteins
    >>> proteins = Proteins.from_sequences({"P1": "MKVLAGST" * 8})
    >>> early, late = np.zeros((64, 2)), np.zeros((64, 3))
    >>> early[2:6, 0] = early[9, 1] = 1
    >>> late[2:4, 0] = late[4:6, 1] = late[40, 2] = 1
    >>> one, two = (FeatureActivations.from_dense(values, proteins) for values in (early, late))
    >>> found = across_layers({1: one, 2: two})
    >>> found.features.select("layer", "feature", "born", "fate").rows()[:3]
    [(1, 0, None, 'split'), (1, 1, None, 'lost'), (2, 0, False, None)]
    """
    order = sorted(layers)
    if len(order) < 2:
        raise ValueError(f"features are followed over two layers or more, not over {order}")
    chosen = None if accessions is None else list(accessions)
    alive = {k: np.flatnonzero(layers[k].largest(chosen)) for k in order}
    rows = {
        k: pl.DataFrame({"feature": alive[k]}).with_columns(layer=pl.lit(k, pl.Int64))
        for k in order
    }
    steps = []
    for layer, after in pairwise(order):
        step = _Step(layers[layer], chosen)
        found, table = step.into(layers[after])
        rows[layer] = rows[layer].with_columns(
            pl.Series("fate", found.fate.tolist(), pl.String),
            pl.Series("n_descendants", found.n_descendants),
        )
        rows[layer] = rows[layer].join(table, on="feature", how="left", maintain_order="left")
        rows[after] = rows[after].with_columns(
            pl.Series("born", found.origin < 0),
            pl.Series("origin", np.append(alive[layer], 0)[found.origin]),
        )
        rows[after] = rows[after].with_columns(origin=pl.when(~pl.col("born")).then("origin"))
        about = {"layer": layer, "next_layer": after}
        steps.append(about | {"next": "SAE"} | _shares(found, table))
        if controls and after in controls:
            steps.append(about | {"next": "random SAE"} | _shares(*step.into(controls[after])))
        steps.append(about | {"next": "shifted"} | _shares(*step.into(layers[after], shifts=1)))
    typed = [pl.col(name).cast(kind) for name, kind in FATES.items()]
    whole = pl.concat([rows[k] for k in order], how="diagonal_relaxed")
    return Across(whole.select(typed), pl.DataFrame(steps, schema=STEPS))


class _Step:
    """From the features of one layer to those of another."""

    def __init__(self, activations: FeatureActivations, accessions: list[str] | None) -> None:
        self._own, self._accessions = activations, accessions
        self._alive = np.flatnonzero(activations.largest(accessions))
        proteins = activations.proteins
        counted = proteins if accessions is None else proteins.select(set(accessions))
        self._n = counted.n_residues

    def into(self, other: FeatureActivations, shifts: int = 0) -> tuple[Fates, pl.DataFrame]:
        """Fates and `families.matches` in another layer, its activations moved along the axis by a
        third of the residues `shifts` times; the null is moved by as much more."""
        living = np.flatnonzero(other.largest(self._accessions))
        similarity, null = (self._similarity(other, living, shifts + i) for i in (0, 1))
        table = matches(similarity, null, self._alive, living)
        return fates(similarity, null), table

    def _similarity(self, other: FeatureActivations, living: np.ndarray, n: int) -> np.ndarray:
        shift = n * self._n // 3
        found = activation_correlation(self._own, other, self._accessions, shift)
        return found[np.ix_(self._alive, living)]


def _shares(found: Fates, table: pl.DataFrame) -> dict[str, Any]:
    """The figures of a row of `STEPS`."""
    n, m = len(found.fate), len(found.origin)
    shares = {name: float((found.fate == name).sum()) / max(1, n) for name in NAMES}
    return {
        "n_features": n,
        **shares,
        "n_next": m,
        "born": float((found.origin < 0).sum()) / max(1, m),
        "beyond_chance": (table["by_chance"] <= BY_CHANCE).mean(),
        "similarity": table["similarity"].median(),
        "ambiguity": table["ambiguity"].median(),
    }
