"""Count where features are active and concepts lie: one pass over activations, integers only."""

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from scipy.sparse import csr_array

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.labels import Labels, Overlap
from interplm_nb.concepts.scores import ConceptScores
from interplm_nb.concepts.source import Matrix, Source, above, check_source, joined, kept
from interplm_nb.cores import usable_cores

if TYPE_CHECKING:
    from interplm_nb.scale.address import Scale

THRESHOLDS = (0.0, 0.15, 0.5, 0.6, 0.8)
"""Fractions of a feature's maximum (InterPLM's); a residue is active strictly above a threshold."""

_MOST_THREADS = 4
"""A thread holds one block and its products, about 200 MB."""


class Counts(NamedTuple):
    """tp and instance_hits int32 [T, C, F], active int64 [T, F].

    Counts of one threshold are contiguous, those of one concept a row.
    """

    tp: np.ndarray
    instance_hits: np.ndarray
    active: np.ndarray


class Sums(Protocol):
    """Counts that several threads add blocks to; `sae.count_on_device.on_device` is on a GPU."""

    def add(
        self, values: Matrix, carried: csr_array, members: csr_array, concept_of: np.ndarray
    ) -> None:
        """Add whole proteins: float32 values [n, F] in unit "max", and labels (`Labels.on`)."""
        ...

    def counts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The sums so far, as `Counts`; do not write to them."""
        ...

    def include(self, cells: Sequence[np.ndarray], counts: Sequence[np.ndarray]) -> None:
        """Add counts of other residues: of each array of `Counts` some cells of it, laid flat
        (int64, each once), and what they count (int32)."""
        ...


MakeSums: TypeAlias = Callable[[int, int, np.ndarray], Sums]
"""Makes empty sums from (C, F, thresholds float32 [T])."""


class SparseSums:
    """Sums in memory, from products of sparse matrices."""

    def __init__(self, n_concepts: int, n_features: int, levels: np.ndarray) -> None:
        shape = (len(levels), n_concepts, n_features)
        self._levels = levels
        self._counts = Counts(
            np.zeros(shape, np.int32),
            np.zeros(shape, np.int32),
            np.zeros((len(levels), n_features), np.int64),
        )
        self._lock = Lock()

    def add(
        self, values: Matrix, carried: csr_array, members: csr_array, concept_of: np.ndarray
    ) -> None:
        """Add a block; threads compute products in parallel and add them one at a time."""
        concepts = _membership(concept_of, len(self._counts.tp[0]))
        for t, level in enumerate(self._levels):
            on = above(values, level)
            tp, hits, active = carried @ on, concepts @ _any(members @ on), on.sum(axis=0)
            with self._lock:
                self._counts.active[t] += active
                _add(self._counts.tp[t], tp)
                _add(self._counts.instance_hits[t], hits)
            # Thresholds ascend: what is not above this one is not above the next.
            values = kept(values, on, level)

    def counts(self) -> Counts:
        """The sums so far; do not write to them."""
        return self._counts

    def include(self, cells: Sequence[np.ndarray], counts: Sequence[np.ndarray]) -> None:
        """See `Sums`."""
        for mine, at, given in zip(self._counts, cells, counts, strict=True):
            mine.reshape(-1)[at] += given


def count(
    source: Source,
    annotations: Annotations,
    accessions: Iterable[str] | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    overlap: Overlap = "keep",
    sums: MakeSums = SparseSums,
    scale: "Scale" = "",
) -> ConceptScores:
    """Count where features are active, for every concept, feature and threshold::

        tp[c, f, t]             residues that carry c and where f > threshold t
        instance_hits[c, f, t]  instances of c with at least one such residue
                                (0 for residue-level concepts: their recall counts residues)
        active[f, t]            residues where f > threshold t, annotated or not

    Memory: the result (8 bytes per concept, feature and threshold), the segments, and a block and
    its products per thread; it does not grow with the residues.

    Parameters
    ----------
    source : Source
        Values in unit "max", such as `FeatureActivations.relative_to(maxima)`.
    annotations : Annotations
        The labels, on the source's proteins.
    accessions : iterable of str, optional
        Proteins to count on (None: all).
    thresholds : sequence of float
        Ascending, in [0, 1). They are compared as float32, the type of the values: a value stored
        as float32(0.15) is not above 0.15.
    overlap : {"keep", "overwrite"}
        Whether a residue belongs to every instance that covers it, or only to the one with the
        highest number (the published convention). All instances stay in the denominator.
    sums : callable
        Where the counts are kept.
    scale
        Who counts, as in `plm.store.embed_to`: empty for this process, "local:2" for two, or a
        cluster, for parts of about a million residues. The integers are the same. Counts of parts
        are kept in the folder `.count` of the working directory, which all workers must see, until
        all are added; the source needs a `fingerprint`, as activations have.

    Returns
    -------
    ConceptScores

    Raises
    ------
    ValueError
        For a source in unit "raw" or on other proteins, misaligned blocks, NaN or infinity, or
        thresholds that do not ascend in [0, 1).
    KeyError
        For an unknown accession.

    Examples
    --------
    >>> import polars as pl
    >>> from interplm_nb.activations import FeatureActivations
    >>> from interplm_nb.proteins import Proteins
    >>> proteins = Proteins.from_sequences({"P1": "MKVL"})
    >>> segment = {"accession": "P1", "concept": "Helix", "category": "Helix", "level": "instance"}
    >>> segment |= {"start": 2, "end": 3, "instance": 0}
    >>> annotations = Annotations(pl.DataFrame([segment]), proteins)
    >>> values = np.array([[0.0], [0.9], [0.2], [0.5]])
    >>> source = FeatureActivations.from_dense(values, proteins, unit="max")
    >>> scores = count(source, annotations, thresholds=(0.15, 0.6))
    >>> scores.table().select("threshold", "precision", "recall").rows()[1]
    (0.6, 1.0, 0.5)

    The same in a process of its own; "local:4" counts in four:

    >>> again = count(source, annotations, thresholds=(0.15, 0.6), scale="local:1")
    >>> again.table().equals(scores.table())
    True
    """
    counting = Counting(source, annotations, accessions, thresholds, overlap, sums)
    if scale:
        from interplm_nb.concepts.resumed import count_resumed

        return count_resumed(counting, Path(".count"), scale)
    total = counting.empty()
    counting.add(counting.accessions, total)
    return counting.scores(total)


class Counting:
    """What a count counts: `add` parts of `accessions`, each protein once, to `empty` sums, and
    `scores` makes of them what `count` gives.

    Takes the arguments of `count`, and raises the same errors.
    """

    def __init__(
        self,
        source: Source,
        annotations: Annotations,
        accessions: Iterable[str] | None = None,
        thresholds: Sequence[float] = THRESHOLDS,
        overlap: Overlap = "keep",
        sums: MakeSums = SparseSums,
    ) -> None:
        check_source(source, annotations)
        self._levels = _levels(thresholds)
        proteins = source.proteins
        self.accessions = (
            list(proteins.accessions)
            if accessions is None
            else sorted(set(accessions), key=proteins.index)
        )
        """The proteins to count, once each, in the order of the axis."""
        self.labels = Labels.of(annotations, self.accessions, overlap)
        self.source, self.annotations = source, annotations
        self.thresholds, self.overlap = tuple(map(float, thresholds)), overlap
        self._sums = sums

    def __reduce__(self) -> tuple[type["Counting"], tuple[Any, ...]]:
        """A pickle carries the arguments, without the labels made of them."""
        asked = (self.accessions, self.thresholds, self.overlap, self._sums)
        return type(self), (self.source, self.annotations, *asked)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Cells of each array of `Counts`."""
        t, c, f = len(self.thresholds), self.labels.n_concepts, self.source.n_features
        return t * c * f, t * c * f, t * f

    def empty(self) -> Sums:
        """Sums of nothing yet."""
        return self._sums(self.labels.n_concepts, self.source.n_features, self._levels)

    def add(self, accessions: Collection[str], sums: Sums) -> None:
        """Count some of these proteins, in the order of the axis."""
        blocks = joined(self.source, accessions)
        reading, ended = Lock(), Event()

        def work() -> None:
            """Count one block after another until none is left or `ended` is set."""
            while not ended.is_set():
                with reading:
                    block = next(blocks, None)
                if block is None:
                    return
                rows, values = block
                sums.add(values, *self.labels.on(rows))

        threads = min(_MOST_THREADS, usable_cores())
        with ThreadPoolExecutor(threads) as pool:
            try:
                for worker in [pool.submit(work) for _ in range(threads)]:
                    worker.result()
            finally:
                # An error in one thread, or Ctrl-C, stops the others at their next block.
                ended.set()

    def scores(self, sums: Sums) -> ConceptScores:
        """The counts so far."""
        tp, hits, active = sums.counts()
        return ConceptScores(
            self.labels.concepts,
            self.thresholds,
            tp.transpose(1, 2, 0),
            hits.transpose(1, 2, 0),
            active.T,
        )


def _levels(thresholds: Sequence[float]) -> np.ndarray:
    levels = np.asarray(thresholds, np.float32)
    if levels.ndim != 1 or not len(levels):
        raise ValueError(
            f"a count needs one or more thresholds, such as {THRESHOLDS}; not {thresholds}"
        )
    if not ((levels >= 0) & (levels < 1)).all():
        raise ValueError(
            "thresholds must be fractions of a feature's maximum, from 0 to below 1 as float32, "
            f"such as {THRESHOLDS}; not {tuple(thresholds)}"
        )
    if not (np.diff(levels) > 0).all():
        raise ValueError(
            f"thresholds must ascend and differ as float32, such as {THRESHOLDS}; "
            f"not {tuple(thresholds)}"
        )
    return levels


def _membership(concept_of: np.ndarray, n_concepts: int) -> csr_array:
    """int32 [n_concepts, n_instances]: 1 where an instance belongs to a concept."""
    n = len(concept_of)
    return csr_array(
        (np.ones(n, np.int32), (concept_of.astype(np.int32), np.arange(n, dtype=np.int32))),
        shape=(n_concepts, n),
    )


def _any(counts: Matrix) -> Matrix:
    """1 where a count is above 0."""
    if isinstance(counts, np.ndarray):
        return (counts > 0).astype(np.int32)
    # Every stored entry of a product of ones is at least 1.
    counts.data[:] = 1
    return counts


def _add(total: np.ndarray, part: Matrix) -> None:
    if isinstance(part, np.ndarray):
        total += part
        return
    # Concept by concept: one row of the total fits in the cache, the whole does not.
    for c, (start, stop) in enumerate(pairwise(part.indptr)):
        if start < stop:
            total[c, part.indices[start:stop]] += part.data[start:stop]
