"""The stricter test in space: tracks moved along the chain, neighbours that the sequence does not
explain, false discovery rates."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from interplm_nb.activations import FeatureActivations
from interplm_nb.features.spatial.fired import Fired, fired
from interplm_nb.features.spatial.neighbours import Neighbours
from interplm_nb.features.spatial.scores import figures
from interplm_nb.readers.residue_coordinates import ResidueCoordinates

_SAME = 1e-9
"""A draw that is lower by less is as high: sums of the same values in another order differ."""


def strict(
    activations: FeatureActivations,
    coordinates: ResidueCoordinates,
    kinds: Sequence[Neighbours],
    features: np.ndarray,
    fires: float,
    min_proteins: int,
    draws: int,
    seed: int,
) -> list[pl.DataFrame]:
    """One table per kind of neighbours: columns of `SPATIAL`.

    The shifts drawn in a protein are the same for all features. Memory: 8 bytes per kind, draw and
    feature that fires in enough proteins.
    """
    where = coordinates.accessions
    # How often features fire is counted first: draws are kept of those alone that are tested.
    often = np.zeros(activations.n_features, np.int64)
    for found in fired(activations, coordinates, where, fires, features):
        often[found.features] += 1
    tested = np.flatnonzero(often >= min_proteins)
    sums = [_Sums(kind, activations.n_features, tested, draws) for kind in kinds]
    for found in fired(activations, coordinates, where, fires, features):
        for i, of_kind in enumerate(sums):
            of_kind.add(found, np.random.default_rng([seed, found.protein, i]))
    return [of_kind.table(features, min_proteins) for of_kind in sums]


class _Sums:
    """Sums over proteins, by one kind of neighbours."""

    def __init__(self, kind: Neighbours, n_features: int, tested: np.ndarray, draws: int) -> None:
        self.kind, self.tested, self.draws = kind, tested, draws
        self.place = np.full(n_features, -1)
        self.place[tested] = np.arange(len(tested))
        self.drawn = np.zeros((len(tested), draws))
        self.n_proteins = np.zeros(n_features, np.int64)
        self.rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, found: Fired, draw: np.random.Generator) -> None:
        """Add one protein."""
        weights = self.kind.weights(found.placed)
        has = np.diff(weights.indptr) > 0
        there = has[found.peak]
        some = found.features[there]
        self.n_proteins[some] += 1
        tested = self.place[some] >= 0
        if not tested.any():
            return
        chosen = np.flatnonzero(there)[tested]
        peak, moved = found.peak[chosen], _from_peak(found.values[:, chosen], found.peak[chosen])
        if self.kind.radius is None:
            scores = _under(weights[peak], peak, moved)
            own = np.zeros(len(peak), np.int64)
        else:
            scores = _along(weights, moved)[has]
            own = np.searchsorted(np.flatnonzero(has), peak)
        self.rows.append((some[tested], scores[own, np.arange(len(peak))], scores.mean(axis=0)))
        shifts = draw.integers(len(scores), size=self.draws)
        self.drawn[self.place[some[tested]]] += scores.T[:, shifts]

    def table(self, features: np.ndarray, min_proteins: int) -> pl.DataFrame:
        """Columns of `SPATIAL`, of these features in order."""
        from scipy.stats import false_discovery_control

        columns = [np.concatenate(c) for c in zip(*self.rows, strict=True)] or [
            np.empty(0, int)
        ] * 3
        scores = pl.DataFrame(dict(zip(("feature", "score", "null"), columns, strict=True)))
        counts = {"feature": features.astype(np.int64), "n_proteins": self.n_proteins[features]}
        found = figures(scores, features, pl.DataFrame(counts), min_proteins)
        enough = self.tested[self.n_proteins[self.tested] >= min_proteins]
        observed = np.zeros(len(self.place))
        np.add.at(observed, columns[0].astype(np.int64), columns[1])
        drawn = self.drawn[self.place[enough]]
        as_high = (drawn >= observed[enough, None] - _SAME).sum(axis=1)
        p = (1 + as_high) / (1 + self.draws)
        adjusted = false_discovery_control(p) if len(p) else p
        values = {"feature": enough.astype(np.int64), "p_value": p, "p_adjusted": adjusted}
        return found.join(
            pl.DataFrame(values), on="feature", how="left", maintain_order="left"
        ).with_columns(neighbours=pl.lit(self.kind.name))


def _from_peak(values: np.ndarray, peak: np.ndarray) -> np.ndarray:
    """[n, m]: each track from its maximum on, round the end: row k is k residues after it."""
    n = len(values)
    return np.take_along_axis(values, (np.arange(n)[:, None] + peak) % n, axis=0)


def _along(weights: csr_array, moved: np.ndarray) -> np.ndarray:
    """[n, m]: the score around residue q of the track that is moved until its maximum is at q."""
    n = len(moved)
    residue = np.repeat(np.arange(n), np.diff(weights.indptr))
    after = (weights.indices - residue) % n
    return csr_array((weights.data, after, weights.indptr), shape=(n, n)) @ moved


def _under(around: csr_array, peak: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """[n, m]: the score around the maximum's place of the track that is moved by s under it.

    `around` [m, n]: the weights around each maximum.
    """
    n, m = moved.shape
    scores = np.zeros((n, m))
    feature = np.repeat(np.arange(m), np.diff(around.indptr))
    after = around.indices - peak[feature]
    for step in np.unique(after):
        weight = np.zeros(m)
        np.add.at(weight, feature[after == step], around.data[after == step])
        scores += weight * np.roll(moved, -step, axis=0)[-np.arange(n) % n]
    return scores
