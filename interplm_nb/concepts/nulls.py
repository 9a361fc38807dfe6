"""Null models of labels: the label tracks of whole proteins, shifted or exchanged.

Spans keep their length and spacing, so that a feature that fires in runs scores by chance as often
as on real labels. Tracks are placed on the doubled axis: the proteins in order, each laid twice end
to end, so that a span that wraps around is one stretch.
"""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

import numpy as np

GROUP = 32
"""Minimum number of proteins of similar length among which tracks are exchanged."""


class Segments(NamedTuple):
    """Segments on some proteins, int64 [n] each.

    `protein` is its index, from 0; `start` (from 0) to `stop` (excluded) lie within it.
    """

    protein: np.ndarray
    start: np.ndarray
    stop: np.ndarray


class Places(NamedTuple):
    """Where segments are in some draws, int64 [n_draws, n_segments] each.

    `first` to `last` (excluded) on the doubled axis.
    """

    first: np.ndarray
    last: np.ndarray


class Null(Protocol):
    """Draws of label tracks."""

    @property
    def n_draws(self) -> int:
        """Number of draws."""
        ...

    def places(self, segments: Segments, draws: slice) -> Places:
        """Where these segments are in these draws."""
        ...


@dataclass(frozen=True)
class Shifted:
    """Each protein's label track rotated: position x moves to (x + offset) mod length.

    Lengths, spacing and counts are kept. A span that passes the end continues at the start, and
    stays one span. `lengths` int64 [n_proteins]; `offsets` int32 [n_draws, n_proteins], from 0 to
    length - 1.

    Examples
    --------
    >>> null = Shifted(np.array([5]), np.array([[0], [2]], np.int32))
    >>> segment = Segments(*(np.array([value]) for value in (0, 1, 4)))
    >>> null.places(segment, slice(None)).first.tolist()
    [[1], [3]]
    """

    lengths: np.ndarray
    offsets: np.ndarray

    @classmethod
    def draw(cls, lengths: np.ndarray, clusters: np.ndarray, n_draws: int, seed: int) -> Self:
        """Draw offset = floor(u * length), with one uniform u in [0, 1) per homology cluster.

        Relatives carry a concept at similar positions; rotated one by one, each would count as
        separate evidence. `clusters` int [n_proteins].
        """
        _, cluster = np.unique(clusters, return_inverse=True)
        turns = np.random.default_rng([seed, 0]).random((n_draws, cluster.max(initial=-1) + 1))
        return cls(lengths, (turns[:, cluster] * lengths).astype(np.int32))

    @classmethod
    def unshifted(cls, lengths: np.ndarray) -> Self:
        """One draw: the labels as they are."""
        return cls(lengths, np.zeros((1, len(lengths)), np.int32))

    @property
    def n_draws(self) -> int:
        """Number of draws."""
        return len(self.offsets)

    def places(self, segments: Segments, draws: slice) -> Places:
        """Where these segments are in these draws."""
        protein, start, stop = segments
        # stop + offset is below 2 lengths: the second copy takes what passes the end.
        first = _doubled(self.lengths)[protein] + start + self.offsets[draws, protein]
        return Places(first, first + (stop - start))


@dataclass(frozen=True)
class Exchanged:
    """Label tracks exchanged between proteins of similar length in different homology clusters.

    Tracks move one to one, position to position, so spans stay as near the ends as they were. What
    lies past the end of the new protein is lost: neither such residues nor instances without a
    residue left are counted. `lengths` int64 [n_proteins]; `targets` int32 [n_draws, n_proteins],
    the protein that receives each protein's track.
    """

    lengths: np.ndarray
    targets: np.ndarray

    @classmethod
    def draw(cls, lengths: np.ndarray, clusters: np.ndarray, n_draws: int, seed: int) -> Self:
        """Draw targets in groups of proteins of similar length.

        Proteins sorted by length are cut into groups of at least `GROUP` neighbours, in which no
        cluster (int [n_proteins]) holds more than half. In each group and draw, the proteins form
        a ring, cluster by cluster in random order, and tracks move by a random number of places,
        at least the size of the largest cluster in both directions: none stays in its cluster.
        ValueError if no such group exists.
        """
        random = np.random.default_rng([seed, 1])
        ordered, starts = _groups(lengths, clusters)
        sizes = np.diff(np.append(starts, len(ordered)))
        group = np.repeat(np.arange(len(starts)), sizes)
        # A kind is one cluster in one group.
        code = np.unique(clusters, return_inverse=True)[1][ordered]
        kinds, kind = np.unique(np.stack([group, code], axis=1), axis=0, return_inverse=True)
        largest = np.maximum.reduceat(
            np.bincount(kind), np.searchsorted(kinds[:, 0], np.arange(len(starts)))
        )
        begin, size, place = starts[group], sizes[group], np.arange(len(ordered))
        targets = np.empty((n_draws, len(ordered)), np.int32)
        for draw in targets:
            ring = ordered[
                np.lexsort(
                    (random.permutation(len(ordered)), random.permutation(len(kinds))[kind], group)
                )
            ]
            move = random.integers(largest, sizes - largest, endpoint=True)[group]
            draw[ring] = ring[begin + (place - begin + move) % size]
        return cls(lengths, targets)

    @property
    def n_draws(self) -> int:
        """Number of draws."""
        return len(self.targets)

    def places(self, segments: Segments, draws: slice) -> Places:
        """Where these segments are in these draws."""
        protein, start, stop = segments
        target = self.targets[draws, protein]
        length, base = self.lengths[target], _doubled(self.lengths)[target]
        return Places(base + np.minimum(start, length), base + np.minimum(stop, length))


def _doubled(lengths: np.ndarray) -> np.ndarray:
    """int64 [n_proteins]: where each protein begins on the doubled axis."""
    return 2 * (np.cumsum(lengths) - lengths)


def _groups(lengths: np.ndarray, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Proteins by length (ties in order), and the index where each group begins: int64 each."""
    ordered = np.argsort(lengths, kind="stable")
    starts, seen = [0], Counter[int]()
    for i, cluster in enumerate(clusters[ordered].tolist(), 1):
        seen[cluster] += 1
        if seen.total() >= GROUP and 2 * max(seen.values()) <= seen.total():
            starts.append(i)
            seen.clear()
    # The longest proteins, too few for their own group, join the last groups.
    while len(starts) > 1 and (
        len(ordered) - starts[-1] < GROUP or not exchangeable(clusters[ordered[starts[-1] :]])
    ):
        starts.pop()
    if not exchangeable(clusters[ordered[starts[-1] :]]):
        raise ValueError(
            "label tracks are exchanged between homology clusters, but one holds more than half of "
            f"the {len(ordered)} proteins; test on more clusters, or on finer ones"
        )
    return ordered, np.array(starts)


def exchangeable(clusters: np.ndarray) -> bool:
    """Whether every track can go to another cluster: no cluster holds more than half.

    `clusters` int [n_proteins].
    """
    return 2 * np.unique(clusters, return_counts=True)[1].max(initial=0) <= len(clusters)
