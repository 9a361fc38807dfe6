"""Counting which features are active where a concept is: one pass over blocks of activations, integers only."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array

from interplm_nb.annotations import Annotations
from interplm_nb.concepts.labels import Labels, Overlap
from interplm_nb.concepts.scores import ConceptScores
from interplm_nb.concepts.source import Matrix, Source, above, check_source, joined, kept

THRESHOLDS = (0.0, 0.15, 0.5, 0.6, 0.8)
"""Of a feature's maximum; a residue is active above a threshold, strictly. InterPLM's own."""


def count(
    source: Source,
    annotations: Annotations,
    accessions: Iterable[str] | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    overlap: Overlap = "keep",
) -> ConceptScores:
    """Count, for every concept, feature and threshold, on the given proteins (None: all):

        tp[c, f, t]             residues that carry c and where f > threshold t
        instance_hits[c, f, t]  instances of c with at least one such residue (0 for residue-level concepts: their recall counts residues)
        active[f, t]            residues where f > threshold t, annotated or not

    A threshold is compared as float32, the type of the values: a value stored as float32(0.15) is not above 0.15. `overlap="keep"` lets a residue
    belong to every instance that covers it; `"overwrite"` is the published convention: to the one with the highest number only, while all
    instances, even those wholly overwritten, stay in the denominator. Memory: the result (8 bytes per concept, feature and threshold), the labels
    and one block. A source with unit `raw` or of other proteins is refused (ValueError).
    """
    check_source(source, annotations)
    levels = _levels(thresholds)
    chosen = _in_order(source, accessions)
    labels = Labels.of(annotations, chosen, overlap)
    shape = (len(levels), labels.n_concepts, source.n_features)
    tp, hits = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    active = np.zeros((len(levels), source.n_features), np.int64)
    for rows, values in joined(source.blocks(chosen)):
        carried, members, concept_of = labels.on(rows)
        concepts = _membership(concept_of, labels.n_concepts)
        for t, level in enumerate(levels):
            on = above(values, level)
            active[t] += on.sum(axis=0)
            _add(tp[t], carried @ on)
            _add(hits[t], concepts @ _any(members @ on))
            # Thresholds ascend: what is not above this one is not above the next.
            values = kept(values, on, level)
    return ConceptScores(labels.concepts, tuple(map(float, thresholds)), tp.transpose(1, 2, 0), hits.transpose(1, 2, 0), active.T)


def _levels(thresholds: Sequence[float]) -> np.ndarray:
    levels = np.asarray(thresholds, np.float32)
    if levels.ndim != 1 or not len(levels) or (levels < 0).any() or (np.diff(levels) <= 0).any():
        raise ValueError(f"thresholds are not negative, ascend and differ as float32, such as {THRESHOLDS}; not {tuple(thresholds)}")
    return levels


def _in_order(source: Source, accessions: Iterable[str] | None) -> list[str]:
    """The chosen accessions, once each, in the order of the axis."""
    proteins = source.proteins
    if accessions is None:
        return list(proteins.accessions)
    return sorted(set(accessions), key=proteins.index)


def _membership(concept_of: np.ndarray, n_concepts: int) -> csr_array:
    """int32 [n_concepts, n_instances]: 1 where an instance is of a concept."""
    n = len(concept_of)
    return csr_array((np.ones(n, np.int32), (concept_of.astype(np.int32), np.arange(n, dtype=np.int32))), shape=(n_concepts, n))


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
    # Concept by concept: a row of the total stays in the cache, the whole does not.
    for c, (start, stop) in enumerate(pairwise(part.indptr)):
        if start < stop:
            total[c, part.indices[start:stop]] += part.data[start:stop]
