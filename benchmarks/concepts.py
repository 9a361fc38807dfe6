"""Concept counting against the plain triple loop and dense products.

200,000 residues, 1 % of 10,240 features active, 433 concepts, 5 thresholds.

The triple loop is the reference's method written plainly: for each chunk of 250 features, each
concept and each threshold, two sparse products with the concept's column and a Python set of
instance numbers per feature. The dense method is what one writes with numpy: labels as a dense
matrix, and for each threshold one product with the dense 0/1 activations; it gives true positives
and active residues, no instances. Either takes minutes in full, so a stated part of it is run, on
all residues, and scaled up; its integers must equal ours.
"""

import statistics
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import csc_array, csr_array, vstack

from benchmarks.concepts_data import annotations_of, blocks_of, instance_numbers, proteins_of
from benchmarks.harness import Figure
from interplm_nb.activations import FeatureActivations
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.count import THRESHOLDS, count
from interplm_nb.concepts.scores import ConceptScores
from interplm_nb.pipeline.memory import MEASURE, PeakMemory

N_RESIDUES, N_FEATURES, N_CONCEPTS, DRAWN, CHUNK = 200_000, 10_240, 433, 109, 250
LABELS_PER_RESIDUE = 3.0
CONCEPTS_RUN, DENSE_RUN, TURNS, SEED = 6, 256, 3, 0
SECONDS, GIB = 12.0, 1.5


def run() -> list[Figure]:
    """Wall seconds of all counts, the others' from a part run alternately; our peak memory."""
    rng = np.random.default_rng(SEED)
    source, annotations = _data(rng)
    values = next(source.blocks(residues=N_RESIDUES)).values
    peak = _peak_memory(source, annotations)
    numbers = instance_numbers(annotations)
    cells = list(_cells(rng))
    ours, looped, dense = [], [], []
    for turn in range(TURNS):
        start = time.perf_counter()
        scores = count(source, annotations, overlap="overwrite")
        ours.append(time.perf_counter() - start)
        looped.append(_loop_seconds(values, numbers, cells[turn::TURNS], scores))
        dense.append(
            _dense_seconds(values, numbers, slice(turn * DENSE_RUN, (turn + 1) * DENSE_RUN), scores)
        )
    seconds, n_cells = statistics.median(ours), -(-N_FEATURES // CHUNK) * N_CONCEPTS
    looped_s, dense_s = (
        sum(looped) * n_cells / len(cells),
        sum(dense) * N_FEATURES / DENSE_RUN / TURNS,
    )
    by_loop = (
        f"{N_RESIDUES:,} residues, {values.nnz / N_RESIDUES:.0f} of {N_FEATURES:,} features "
        f"active, {N_CONCEPTS} concepts; other: the triple loop, run on {len(cells)} of its "
        f"{n_cells:,} (chunk, concept) cells in {sum(looped):.1f} s and scaled up; equal "
        f"integers there; {1000 * sum(looped) / len(cells) / len(THRESHOLDS):.1f} ms a threshold "
        "(the reference's own loop took 21 to 35 ms where it was measured)"
    )
    by_dense = (
        f"other: one dense product per threshold, run on {TURNS} x {DENSE_RUN} features in "
        f"{sum(dense):.1f} s, scaled up; equal integers there"
    )
    return [
        Figure.compare(
            "concepts: triple loop", seconds, looped_s, "s", 200, of="other / ours", note=by_loop
        ),
        Figure.compare(
            "concepts: dense products", seconds, dense_s, "s", 5, of="other / ours", note=by_dense
        ),
        Figure.within("concepts: time", seconds, SECONDS, "s"),
        Figure.within(
            "concepts: memory", peak, GIB, "GiB", f"{MEASURE}, activations in memory included"
        ),
    ]


def loop(
    values: Any, numbers: np.ndarray, residue_level: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The reference's counts of one concept on one chunk of features: tp, fp, instances hit.

    Each is [n_features, n_thresholds]. numbers: int [n_residues], the instance of each residue,
    from 1; 0: none.
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


def dense_products(values: np.ndarray, carried: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """tp [n_concepts, n_features, n_thresholds] and active [n_features, n_thresholds].

    carried: float32 [n_concepts, n_residues], 0 or 1.
    """
    tp, active = [], []
    for threshold in THRESHOLDS:
        on = (values > np.float32(threshold)).astype(np.float32)
        tp.append(carried @ on)
        active.append(on.sum(axis=0, dtype=np.float64))
    return np.stack(tp, axis=-1), np.stack(active, axis=-1)


def _data(rng: np.random.Generator) -> tuple[FeatureActivations, Annotations]:
    proteins = proteins_of(rng, N_RESIDUES)
    annotations = annotations_of(rng, proteins, N_CONCEPTS, LABELS_PER_RESIDUE)
    values = vstack(
        [block for _, block in blocks_of(rng, N_RESIDUES, N_FEATURES, DRAWN)], format="csr"
    )
    return FeatureActivations.from_csr(csr_array(values), proteins, "max"), annotations


def _peak_memory(source: FeatureActivations, annotations: Annotations) -> float:
    """GiB while we count."""
    with PeakMemory(every=0.01) as memory:
        count(source, annotations)
    return memory.peak / 2**30


def _loop_seconds(
    values: csr_array, numbers: csc_array, cells: list[tuple[int, int]], scores: ConceptScores
) -> float:
    """Seconds of the triple loop on these (chunk, concept) cells, whose integers are compared."""
    residue_level = scores.residue_level
    spent = 0.0
    for chunk, concept in cells:
        columns = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
        part, column = csr_array(values[:, columns]), numbers[:, [concept]].toarray()[:, 0]
        start = time.perf_counter()
        tp, fp, hits = loop(part, column, bool(residue_level[concept]))
        spent += time.perf_counter() - start
        same = (tp == scores.tp[concept, columns]).all() and (
            hits == scores.instance_hits[concept, columns]
        ).all()
        if not same or not (fp == scores.active[columns] - scores.tp[concept, columns]).all():
            raise AssertionError(
                f"counts of {scores.concepts['concept'][concept]!r} on the features of chunk "
                f"{chunk} differ from the triple loop"
            )
    return spent


def _dense_seconds(
    values: csr_array, numbers: csc_array, columns: slice, scores: ConceptScores
) -> float:
    """Seconds of the dense products on these features; integers are compared, and making the values
    dense is not timed."""
    carried = (numbers.T.toarray() > 0).astype(np.float32)
    part = csr_array(values[:, columns]).toarray()
    start = time.perf_counter()
    tp, active = dense_products(part, carried)
    spent = time.perf_counter() - start
    if not (tp == scores.tp[:, columns]).all() or not (active == scores.active[columns]).all():
        raise AssertionError(
            f"counts of features {columns.start} to {columns.stop} differ from the dense products"
        )
    return spent


def _cells(rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """(chunk, concept) cells to run: random concepts with all chunks, which differ in cost."""
    for concept in rng.choice(N_CONCEPTS, CONCEPTS_RUN, replace=False):
        yield from ((chunk, int(concept)) for chunk in range(-(-N_FEATURES // CHUNK)))
