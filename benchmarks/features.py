"""What features are: statistics from a large store, the map, matching two dictionaries, and the
hierarchy of a Matryoshka SAE.

Synthetic: 3.5 million residues with 64 of 10,240 features active on each, or the millions named in
the environment: `FEATURES_SCALE=0.5 make bench BENCH=features`. Each part runs in its own process.
"""

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.concepts_data import blocks_of, proteins_of
from benchmarks.harness import Figure
from benchmarks.plain_statistics import plain_statistics
from interplm_nb.activations import FeatureActivations
from interplm_nb.activations_writer import ActivationsWriter
from interplm_nb.features.atlas import atlas
from interplm_nb.features.families import cosine, matches, random_dictionary
from interplm_nb.features.hierarchy import SHIFTS, hierarchy
from interplm_nb.features.logos import AMINO_ACIDS
from interplm_nb.features.patterns import activation_patterns
from interplm_nb.features.statistics import feature_statistics
from interplm_nb.pipeline.memory import PeakMemory
from interplm_nb.proteins import Proteins

N_FEATURES, DRAWN, WIDTH, SEED, THRESHOLD = 10_240, 67, 1280, 0, 0.05
SECONDS, GIB, TIMES, MAP_S, MATCHING_S, HIERARCHY_S = 60.0, 2.0, 20.0, 90.0, 60.0, 180.0
SAMPLE, PREFIXES = 100_000, (640, 1280, 2560, 5120, N_FEATURES)
SLICE = 12
"""Features that the plain loop is timed on, drawn at random."""


class Spent(NamedTuple):
    """What a piece of work took."""

    seconds: float
    processor: float
    """Seconds of processor time: the time needed on one core with nothing else running."""
    gib: float
    """Peak memory of the process."""


def run() -> list[Figure]:
    """Every figure."""
    n_residues = round(float(os.environ.get("FEATURES_SCALE", "3.5")) * 1e6)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        l0 = _store(folder, n_residues)
        size = f"{n_residues / 1e6:g} M residues x {N_FEATURES:,} features, L0 {l0:.0f}"
        statistics = _alone(_statistics, folder)
        shapes = _alone(_shapes, folder)
        plain = _alone(_plain, folder)
    drawn = _alone(_map)
    found, null = _alone(_matching)
    with tempfile.TemporaryDirectory() as name:
        _store(Path(name), SAMPLE)
        parents = _alone(_hierarchy, Path(name))
    whole = statistics.seconds + shapes.seconds
    memory = max(statistics.gib, shapes.gib)
    parts = (
        f"{size}; statistics {statistics.seconds:.0f} s, shapes and periods {shapes.seconds:.0f} s"
        f"; {statistics.processor + shapes.processor:.0f} s of processor time"
    )
    each = statistics.seconds / N_FEATURES
    return [
        Figure.within("features: statistics, runs and periods", whole, SECONDS, "s", parts),
        Figure.within("features: peak memory of statistics", memory, GIB, "GiB", size),
        Figure.compare(
            "features: statistics over a loop per feature",
            1 / each,
            1 / plain,
            "features/s",
            TIMES,
            note=f"{size}; other: plain_statistics on {SLICE} features, equal results",
        ),
        Figure.within(
            f"features: map of {N_FEATURES:,}",
            drawn.seconds,
            MAP_S,
            "s",
            f"UMAP of {WIDTH} dimensions and clusters, compilation included; "
            f"{drawn.processor:.0f} s of processor time; {drawn.gib:.1f} GiB",
        ),
        Figure.within(
            f"features: match {N_FEATURES:,} to {N_FEATURES:,}",
            found.seconds,
            MATCHING_S,
            "s",
            f"cosines of {WIDTH} dimensions, assignment, ambiguity; {found.processor:.0f} s of "
            f"processor time; the null takes {null.seconds:.0f} s more; {found.gib:.1f} GiB",
        ),
        Figure.within(
            f"features: hierarchy of {N_FEATURES:,}",
            parents.seconds,
            HIERARCHY_S,
            "s",
            f"prefixes {', '.join(map(str, PREFIXES))} on {SAMPLE:,} residues, {SHIFTS} shifts; "
            f"{parents.processor:.0f} s of processor time; {parents.gib:.1f} GiB",
        ),
    ]


def _store(folder: Path, n_residues: int) -> float:
    """Write the store; its mean L0."""
    rng = np.random.default_rng(SEED)
    lengths = proteins_of(rng, n_residues).lengths
    letters = rng.choice(np.frombuffer(AMINO_ACIDS.encode(), np.uint8), n_residues).tobytes()
    ends = np.cumsum(lengths).tolist()
    starts = [0, *ends[:-1]]
    text = letters.decode("ascii")
    proteins = Proteins.from_sequences(
        {f"P{i}": text[a:b] for i, (a, b) in enumerate(zip(starts, ends, strict=True))}
    )
    proteins.save(folder / "proteins.parquet")
    about = {"unit": "max"}
    with ActivationsWriter(folder / "activations", proteins, N_FEATURES, about) as writer:
        for first, block in blocks_of(rng, n_residues, N_FEATURES, DRAWN):
            writer.write(first, block)
        writer.finish()
    return _opened(folder).mean_l0()


def _opened(folder: Path) -> FeatureActivations:
    return FeatureActivations.open(
        folder / "activations", Proteins.load(folder / "proteins.parquet")
    )


def _alone(work: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a function in its own process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(work, *arguments).result()


def _spent(work: Callable[[], object]) -> Spent:
    clock, processor = time.perf_counter(), time.process_time()
    with PeakMemory(every=0.05) as memory:
        work()
    return Spent(time.perf_counter() - clock, time.process_time() - processor, memory.peak / 2**30)


def _statistics(folder: Path) -> Spent:
    activations = _opened(folder)
    return _spent(lambda: feature_statistics(activations, THRESHOLD))


def _shapes(folder: Path) -> Spent:
    activations = _opened(folder)
    return _spent(lambda: activation_patterns(activations))


def _plain(folder: Path) -> float:
    """Seconds per feature of the plain loop, whose results must equal ours."""
    activations = _opened(folder)
    proteins = activations.proteins
    ours = feature_statistics(activations, THRESHOLD)
    drawn = np.random.default_rng(SEED).choice(N_FEATURES, SLICE, replace=False).tolist()
    spent = 0.0
    for feature in drawn:
        start = time.perf_counter()
        column = np.zeros(proteins.n_residues, np.float32)
        rows, values = activations.feature(feature)
        column[rows] = values
        expected = plain_statistics(column, proteins, THRESHOLD, proteins.accessions)
        spent += time.perf_counter() - start
        row = ours.row(feature, named=True)
        for name, value in expected.items():
            if isinstance(value, str):
                assert row[name] == value, name
            else:
                np.testing.assert_allclose(row[name], value, rtol=1e-5, err_msg=name)
    return spent / SLICE


def _hierarchy(folder: Path) -> Spent:
    activations = _opened(folder)
    return _spent(lambda: hierarchy(activations, PREFIXES, THRESHOLD))


def _map() -> Spent:
    """One dictionary of random directions around a hundred centres."""
    rng = np.random.default_rng(SEED)
    centres = rng.standard_normal((100, WIDTH)).astype(np.float32)
    noise = rng.standard_normal((N_FEATURES, WIDTH)).astype(np.float32)
    decoder = centres[rng.integers(0, len(centres), N_FEATURES)] + noise
    return _spent(lambda: atlas(decoder, np.ones(N_FEATURES, bool)))


def _matching() -> tuple[Spent, Spent]:
    """Two dictionaries that share two thirds of their atoms, with noise; then the null alone."""
    rng = np.random.default_rng(SEED)
    one = rng.standard_normal((N_FEATURES, WIDTH)).astype(np.float32)
    noise = rng.standard_normal(one.shape).astype(np.float32)
    other = one[rng.permutation(N_FEATURES)] + noise * rng.uniform(0, 2, (N_FEATURES, 1))
    other[: N_FEATURES // 3] = rng.standard_normal((N_FEATURES // 3, WIDTH))
    nothing = np.zeros((1, 1), np.float32)
    found = _spent(lambda: matches(cosine(one, other), nothing))
    drawn = cosine(one, random_dictionary(other))
    return found, _spent(lambda: matches(drawn[:1], drawn))
