"""Concept counting against the plain triple loop: 200,000 residues, 64 of 10,240 features active on each, 430 concepts, 5 thresholds.

The other side is the reference's method written plainly: for each chunk of 250 features, each concept and each threshold, two sparse products with
the concept's column and a Python set of instance numbers per feature. All of it takes most of an hour, so a stated part is run, at full
length of the residue axis, and multiplied up; the integers of that part must be equal. Synthetic activations and labels with the sizes
of real ones: features from frequent to rare, values of which 4 % exceed half the maximum, three labels a residue, instances of 1 to 150 residues.
"""

import statistics
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from scipy.sparse import csc_array, csr_array

from benchmarks.harness import Figure
from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.count import THRESHOLDS, count
from interplm_nb.concepts.scores import ConceptScores
from interplm_nb.proteins import Proteins

N_RESIDUES, N_FEATURES, N_CONCEPTS, L0, CHUNK = 200_000, 10_240, 430, 64, 250
LABELS_PER_RESIDUE = 3.0
LENGTHS = (1, 4, 20, 60, 150)
"""Residues of an instance; concepts of length 1 are residue-level."""
CONCEPTS_RUN, TURNS, SEED = 6, 3, 0


def run() -> list[Figure]:
    """CPU seconds for all counts: ours whole, the other from the part that is run in turn with ours."""
    rng = np.random.default_rng(SEED)
    proteins = _proteins(rng)
    annotations = _annotations(rng, proteins)
    values = _values(rng, proteins.n_residues)
    source = FeatureActivations.from_csr(values, proteins, "max")
    numbers = _instance_numbers(annotations)
    parts = list(_parts(rng))
    ours, other = [], []
    for turn in range(TURNS):
        start = time.process_time()
        scores = count(source, annotations, overlap="overwrite")
        ours.append(time.process_time() - start)
        other.append(_plain_seconds(values, numbers, parts[turn::TURNS], annotations, scores))
    n_cells = -(-N_FEATURES // CHUNK) * N_CONCEPTS
    seconds = sum(other) * n_cells / len(parts)
    note = (
        f"{N_RESIDUES:,} residues, {values.nnz / N_RESIDUES:.0f} of {N_FEATURES:,} features active, {N_CONCEPTS} concepts; other: the triple loop, "
        f"run on {len(parts)} of its {n_cells:,} (chunk, concept) cells in {sum(other):.1f} s and multiplied up; equal integers there; "
        f"{1000 * sum(other) / len(parts) / len(THRESHOLDS):.1f} ms a threshold (the reference's own loop took 21 to 35 ms where it was measured)"
    )
    return [Figure.compare("concepts: counting", statistics.median(ours), seconds, "CPU s", 100, of="other / ours", note=note)]


def plain(values: Any, numbers: np.ndarray, residue_level: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The reference's counts of one concept on one chunk of features: tp, fp, instances hit, [n_features, n_thresholds] each.

    numbers: int [n_residues], the instance that each residue belongs to, from 1; 0 where there is none.
    """
    shape = (int(values.shape[1]), len(THRESHOLDS))
    tp, fp, hits = np.zeros(shape, int), np.zeros(shape, int), np.zeros(shape, int)
    inside, outside = numbers[:, None], (numbers == 0)[:, None]
    for t, threshold in enumerate(THRESHOLDS):
        on: Any = values > np.float32(threshold)
        instances = csc_array(on.multiply(inside))
        fp[:, t] = on.multiply(outside).sum(axis=0)
        for f in range(shape[0]):
            found = instances.data[instances.indptr[f] : instances.indptr[f + 1]]
            tp[f, t] = np.count_nonzero(found)
            if not residue_level:
                hits[f, t] = len(set(found.tolist()) - {0})
    return tp, fp, hits


def _plain_seconds(values: csr_array, numbers: csc_array, parts: list[tuple[int, int]], annotations: Annotations, scores: ConceptScores) -> float:
    """CPU seconds of the plain loop on these (chunk, concept) cells, whose integers are compared."""
    residue_level = scores.residue_level
    spent = 0.0
    for chunk, concept in parts:
        columns = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
        part, column = csr_array(values[:, columns]), numbers[:, [concept]].toarray()[:, 0]
        start = time.process_time()
        tp, fp, hits = plain(part, column, bool(residue_level[concept]))
        spent += time.process_time() - start
        same = (tp == scores.tp[concept, columns]).all() and (hits == scores.instance_hits[concept, columns]).all()
        if not same or not (fp == scores.active[columns] - scores.tp[concept, columns]).all():
            raise AssertionError(f"counts of {annotations.concepts[concept]!r} on the features of chunk {chunk} differ from the triple loop")
    return spent


def _parts(rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """(chunk, concept) cells to run: some concepts at random, each with all chunks, since a chunk costs what its features' residues cost."""
    for concept in rng.choice(N_CONCEPTS, CONCEPTS_RUN, replace=False):
        yield from ((chunk, int(concept)) for chunk in range(-(-N_FEATURES // CHUNK)))


def _proteins(rng: np.random.Generator) -> Proteins:
    lengths = np.clip(rng.lognormal(5.7, 0.6, N_RESIDUES // 50), 30, 1022).astype(int)
    ends = np.cumsum(lengths)
    lengths = lengths[: np.searchsorted(ends, N_RESIDUES)]
    lengths[-1] += N_RESIDUES - lengths.sum()
    return Proteins.from_sequences({f"P{i}": "M" * n for i, n in enumerate(lengths)})


def _values(rng: np.random.Generator, n: int) -> csr_array:
    frequency = 1 / (rng.permutation(N_FEATURES) + 20.0)
    columns = rng.choice(N_FEATURES, n * L0, p=frequency / frequency.sum())
    # float32 in (0, 1]; features drawn twice on a residue are one.
    cells, first = np.unique(np.repeat(np.arange(n), L0) * N_FEATURES + columns, return_index=True)
    strengths = np.maximum(rng.beta(0.7, 4, n * L0).astype(np.float32), np.float32(1e-6))[first]
    return csr_array((strengths, (cells // N_FEATURES, cells % N_FEATURES)), shape=(n, N_FEATURES))


def _annotations(rng: np.random.Generator, proteins: Proteins) -> Annotations:
    """Concepts from frequent to rare, their instances anywhere on proteins long enough; a few overlap."""
    shares = np.sort(np.exp(rng.normal(0, 1.8, N_CONCEPTS)))[::-1]
    residues = shares / shares.sum() * LABELS_PER_RESIDUE * N_RESIDUES
    lengths = np.array(LENGTHS)[np.arange(N_CONCEPTS) % len(LENGTHS)]
    counts = np.maximum(residues / lengths, 1).astype(int)
    concept = np.repeat(np.arange(N_CONCEPTS), counts)
    length = lengths[concept]
    place = rng.choice(np.flatnonzero(proteins.lengths >= max(LENGTHS)), len(concept))
    start = 1 + (rng.random(len(concept)) * (proteins.lengths[place] - length + 1)).astype(int)
    columns = {
        "accession": np.array(proteins.accessions)[place],
        "concept": np.array([f"concept {c:03d}" for c in range(N_CONCEPTS)])[concept],
        "level": np.where(length == 1, "residue", "instance"),
        "start": start,
        "end": start + length - 1,
        "instance": np.arange(len(concept)),
    }
    return Annotations(pl.DataFrame(columns).with_columns(category=pl.lit("synthetic")), proteins)


def _instance_numbers(annotations: Annotations) -> csc_array:
    """[n_residues, n_concepts]: the instance of each residue, from 1, the highest where several overlap: the reference's label matrix."""
    names = {name: c for c, name in enumerate(annotations.concepts)}
    last = annotations.residues().group_by("row", "concept").agg(pl.col("instance").max())
    columns = last["concept"].replace_strict(names, return_dtype=pl.Int64).to_numpy()
    numbers = last["instance"].to_numpy().astype(np.int64) + 1
    return csc_array((numbers, (last["row"].to_numpy(), columns)), shape=(annotations.proteins.n_residues, len(names)))
