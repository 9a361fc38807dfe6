"""Concept counting from disk at growing size: time, memory, bytes, and reading one feature.

Synthetic residues with 64 of 10,240 features active on each, 433 concepts, 5 thresholds. 1 and 5
million residues, or the millions named in the environment: `CONCEPTS_SCALE=1,5,20 make bench
BENCH=concepts_scale`; 20 million need 23 GB of disk while it runs. Each size is counted in its own
process.
"""

import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from benchmarks.concepts_data import annotations_of, blocks_of, proteins_of
from benchmarks.harness import Figure
from interplm_nb.activations import FeatureActivations
from interplm_nb.activations_writer import ActivationsWriter
from interplm_nb.annotations import Annotations
from interplm_nb.concepts.count import THRESHOLDS, count
from interplm_nb.pipeline.memory import MEASURE, PeakMemory
from interplm_nb.proteins import Proteins

N_FEATURES, N_CONCEPTS, DRAWN, LABELS_PER_RESIDUE, SEED = 10_240, 433, 67, 0.75, 0
PROCESSES = 5
"""New processes that each open the store and read one feature; the median is reported."""
SECONDS_AT_20M, GIB, BYTES, READ_MS = 1800.0, 4.0, 5.5, 50.0


class Measured(NamedTuple):
    """One size: the count's seconds and peak memory, the store's bytes per value, ms a feature."""

    n_residues: int
    l0: float
    write_s: float
    count_s: float
    gib: float
    by_residue: float
    by_feature: float
    first_ms: float
    later_ms: float


def run() -> list[Figure]:
    """The figures of every size, from small to large."""
    sizes = [
        round(float(part) * 1e6) for part in os.environ.get("CONCEPTS_SCALE", "1,5").split(",")
    ]
    measured = [measure(n) for n in sizes]
    figures = [figure for m in measured for figure in _figures(m)]
    if len(measured) > 1:
        small, large = measured[0], measured[-1]
        at_large, at_small = (m.count_s / m.n_residues * 1e6 for m in (large, small))
        note = (
            f"seconds per million residues at {large.n_residues / 1e6:g} M; "
            f"other: at {small.n_residues / 1e6:g} M"
        )
        figures.append(
            Figure.compare(
                "concepts_scale: linear in residues",
                at_large,
                at_small,
                "s",
                1.25,
                "at most",
                note=note,
            )
        )
    return figures


def measure(n_residues: int) -> Measured:
    """Write a store of this size to a temporary folder and measure it there."""
    rng = np.random.default_rng(SEED)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        proteins = proteins_of(rng, n_residues)
        proteins.save(folder / "proteins.parquet")
        annotations_of(rng, proteins, N_CONCEPTS, LABELS_PER_RESIDUE).save(
            folder / "annotations.parquet"
        )
        start = time.perf_counter()
        with ActivationsWriter(
            folder / "activations", proteins, N_FEATURES, {"unit": "max"}
        ) as writer:
            for first, block in blocks_of(rng, n_residues, N_FEATURES, DRAWN):
                writer.write(first, block)
            writer.finish()
        seconds = time.perf_counter() - start
        with ProcessPoolExecutor(
            1, mp_context=get_context("spawn"), max_tasks_per_child=1
        ) as alone:
            counted, gib = alone.submit(_count, folder).result()
            read = [alone.submit(_read, folder).result() for _ in range(PROCESSES)]
        first_ms, later_ms = np.median(read, axis=0).tolist()
        entries = int(FeatureActivations.open(folder / "activations", proteins).about["n_entries"])
        by_residue, by_feature = (
            (folder / "activations" / f"by_{key}.parquet").stat().st_size / entries
            for key in ("residue", "feature")
        )
        return Measured(
            n_residues,
            entries / n_residues,
            seconds,
            counted,
            gib,
            by_residue,
            by_feature,
            first_ms,
            later_ms,
        )


def _count(folder: Path) -> tuple[float, float]:
    """Seconds and peak GiB to count everything; some integers are checked against masks."""
    proteins = Proteins.load(folder / "proteins.parquet")
    annotations = Annotations.load(folder / "annotations.parquet", proteins)
    activations = FeatureActivations.open(folder / "activations", proteins)
    start = time.perf_counter()
    with PeakMemory(every=0.05) as memory:
        scores = count(activations, annotations)
    seconds = time.perf_counter() - start
    mask = annotations.mask(annotations.concepts[0])
    for feature in np.random.default_rng(SEED).choice(N_FEATURES, 20, replace=False).tolist():
        rows, values = activations.feature(feature)
        on = [rows[values > np.float32(threshold)] for threshold in THRESHOLDS]
        if scores.active[feature].tolist() != [len(r) for r in on] or scores.tp[
            0, feature
        ].tolist() != [int(mask[r].sum()) for r in on]:
            raise AssertionError(f"counts of feature {feature} differ from its mask's")
    return seconds, memory.peak / 2**30


def _read(folder: Path) -> tuple[float, float]:
    """ms to read the feature of median density right after opening; median of the next 20."""
    activations = FeatureActivations.open(
        folder / "activations", Proteins.load(folder / "proteins.parquet")
    )
    counts = pl.read_parquet(folder / "activations" / "features.parquet")["n_residues"]
    from_rare = np.argsort(counts.to_numpy())
    middle = len(from_rare) // 2
    times = []
    for feature in (from_rare[middle], *from_rare[middle + 1 : middle + 21]):
        start = time.perf_counter()
        activations.feature(int(feature))
        times.append(1000 * (time.perf_counter() - start))
    return times[0], float(np.median(times[1:]))


def _figures(m: Measured) -> list[Figure]:
    size = f"{m.n_residues / 1e6:g} M"
    about = (
        f"{m.l0:.0f} of {N_FEATURES:,} features active, {LABELS_PER_RESIDUE} labels a residue; "
        f"the store took {m.write_s:.0f} s"
    )
    bound = SECONDS_AT_20M * m.n_residues / 20e6
    reading = f"right after opening, footer included; {m.later_ms:.1f} ms later"
    return [
        Figure.within(
            f"{size} residues: count", m.count_s, bound, "s", f"{about}; bound: 30 min at 20 M"
        ),
        Figure.within(f"{size} residues: memory", m.gib, GIB, "GiB", MEASURE),
        Figure.within(
            f"{size} residues: bytes by residue", m.by_residue, BYTES, "bytes", "per value"
        ),
        Figure.within(
            f"{size} residues: bytes by feature", m.by_feature, BYTES, "bytes", "per value"
        ),
        Figure.within(f"{size} residues: one feature", m.first_ms, READ_MS, "ms", reading),
    ]
