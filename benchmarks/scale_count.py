"""Concepts counted by two workers beside one, and beside two processes."""

from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.concepts_data import annotations_of, blocks_of, proteins_of
from benchmarks.harness import Figure
from benchmarks.scale_sides import TURNS, cluster, in_turns, two_beside, two_processes
from interplm_nb.activations import FeatureActivations
from interplm_nb.activations_writer import ActivationsWriter
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.count import Counting, count
from interplm_nb.concepts.resumed import RESIDUES, count_resumed
from interplm_nb.concepts.scores import ConceptScores
from interplm_nb.proteins import Proteins
from interplm_nb.scale.shard_task import Workers

N_RESIDUES = 4_000_000
N_FEATURES, N_CONCEPTS, DRAWN, LABELS_PER_RESIDUE = 5_120, 400, 67, 0.75


def counting(folder: Path) -> list[Figure]:
    """The figures; the integers of all sides are compared."""
    write(folder)
    everything = _counting(folder)

    def with_workers(workers: Workers) -> ConceptScores:
        return count_resumed(everything, folder / "counts", workers, progress=False)

    with cluster(2) as two, cluster(1) as one, two_processes() as pool:

        def independent() -> None:
            for done in [pool.submit(count_half, folder, half) for half in (0, 1)]:
                done.result()

        rates = in_turns(
            {
                "two": lambda: with_workers(two),
                "one": lambda: with_workers(one),
                "independent": independent,
            },
            N_RESIDUES,
        )
        check_equal(with_workers(two), _half(folder, 0) + _half(folder, 1))
    note = (
        f"synthetic residues, 64 of {N_FEATURES:,} features active, {N_CONCEPTS} concepts, one "
        f"thread a process, {N_RESIDUES:,} residues in shards of {RESIDUES:,}, joined by this "
        f"process; equal integers; medians of {TURNS} turns"
    )
    return two_beside("count", rates, note)


def write(folder: Path) -> None:
    """Proteins, annotations and a store of activations."""
    rng = np.random.default_rng(0)
    proteins = proteins_of(rng, N_RESIDUES)
    proteins.save(folder / "proteins.parquet")
    annotations_of(rng, proteins, N_CONCEPTS, LABELS_PER_RESIDUE).save(
        folder / "annotations.parquet"
    )
    with ActivationsWriter(folder / "store", proteins, N_FEATURES, {"unit": "max"}) as writer:
        for first, block in blocks_of(rng, N_RESIDUES, N_FEATURES, DRAWN):
            writer.write(first, block)
        writer.finish()


def count_half(folder: Path, half: Literal[0, 1]) -> None:
    """In a process of its own."""
    _half(folder, half)


def check_equal(found: ConceptScores, wanted: ConceptScores) -> None:
    """AssertionError unless all integers are equal."""
    for name in ("tp", "instance_hits", "active"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))


def _half(folder: Path, half: int) -> ConceptScores:
    opened = _counting(folder)
    names = opened.accessions
    middle = int(np.searchsorted(opened.source.proteins.offsets, N_RESIDUES // 2))
    part = names[middle:] if half else names[:middle]
    return count(opened.source, opened.annotations, part)


@cache
def _counting(folder: Path) -> Counting:
    """Opened once in each process, as on a worker."""
    proteins = Proteins.load(folder / "proteins.parquet")
    annotations = Annotations.load(folder / "annotations.parquet", proteins)
    return Counting(FeatureActivations.open(folder / "store", proteins), annotations)
