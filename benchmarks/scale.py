"""Shards on a Dask cluster: two workers beside one, one beside this process, and 100,000 of them.

Embedding at the ESM-2 8M shape (random weights), one thread a process, real lengths. Clusters and
models are ready before the clock starts. `SCALE_SHARDS=1000,10000 make bench BENCH=scale` takes
other numbers of shards that do nothing.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import torch

from benchmarks.gpu_models import sampled
from benchmarks.harness import Figure, in_own_process, seconds
from benchmarks.random_plm import SHAPE, random_weights
from interplm_nb import plm
from interplm_nb.plm import checkpoints
from interplm_nb.plm.store import embed_to
from interplm_nb.proteins import Proteins
from interplm_nb.scale.address import workers_at
from interplm_nb.scale.allocator import workers_keep_memory
from interplm_nb.scale.shard_task import Workers
from interplm_nb.scale.worker_output import quiet

LAYER, TURNS = 3, 3
SHORT, LONG = 8_000, 160_000
"""Residues of a shard: of a few seconds, and of about 20."""
N_SHORT, N_LONG = 8, 2
SHARDS = "1000,10000,100000"
TIMES_ONE, OF_INDEPENDENT, OVERHEAD, GROWTH = 1.6, 0.9, 1.1, 1.2
SHARDS_PER_SECOND = 50.0
"""Enough for 1,000 workers whose shards take 20 s."""


def run() -> list[Figure]:
    """Embedding, then shards that do nothing."""
    with tempfile.TemporaryDirectory() as name, _one_thread():
        folder = Path(name)
        checkpoints.write_safetensors(
            random_weights(), SHAPE, "random-8M", folder / "model", torch.float32
        )
        figures = [*_scaling(folder), _overhead(folder)]
    return [*figures, *_many()]


def _scaling(folder: Path) -> list[Figure]:
    """Two workers beside one, and beside two processes that know nothing of each other."""
    proteins = _proteins(N_SHORT * SHORT)
    halves = [Proteins(proteins.table[part::2]) for part in (0, 1)]
    rates: dict[str, list[float]] = {"two": [], "one": [], "independent": []}
    with (
        _cluster(2) as two,
        _cluster(1) as one,
        ProcessPoolExecutor(2, get_context("spawn"), _one_torch_thread) as pool,
    ):

        def independent() -> None:
            for done in [pool.submit(_embed, folder, half, SHORT) for half in halves]:
                done.result()

        sides = {
            "two": lambda: _embed(folder, proteins, SHORT, two),
            "one": lambda: _embed(folder, proteins, SHORT, one),
            "independent": independent,
        }
        for side in sides.values():
            side()
        for _ in range(TURNS):
            for name, side in sides.items():
                rates[name].append(proteins.n_residues / seconds(side))
    of = {name: median(found) for name, found in rates.items()}
    note = (
        f"random weights at the ESM-2 8M shape, one thread a process, {proteins.n_residues:,} "
        f"residues in shards of {SHORT:,}; medians of {TURNS} turns"
    )
    unit, two_workers = "residues/s", of["two"]
    return [
        Figure.compare(
            "scale: embed with 2 workers",
            two_workers,
            of["one"],
            unit,
            TIMES_ONE,
            note=f"{note}; other: 1 worker",
        ),
        Figure.compare(
            "scale: embed with 2 workers, independent processes",
            two_workers,
            of["independent"],
            unit,
            OF_INDEPENDENT,
            note=f"{note}; other: two processes with half of the proteins each",
        ),
    ]


def _overhead(folder: Path) -> Figure:
    """A cluster of one worker beside this process, with shards of about 20 s."""
    proteins = _proteins(N_LONG * LONG)
    with _cluster(1) as one:
        _embed(folder, _proteins(SHORT), SHORT, one)  # what a worker imports at its first shard
        turns = [
            (
                seconds(lambda: _embed(folder, proteins, LONG, one)),
                seconds(lambda: _embed(folder, proteins, LONG)),
            )
            for _ in range(TURNS)
        ]
    ours, plain = (median(turn[side] for turn in turns) for side in (0, 1))
    note = (
        f"{proteins.n_residues:,} residues in shards of {LONG:,}, {plain / N_LONG:.0f} s each; "
        f"medians of {TURNS} turns; other: this process"
    )
    return Figure.compare(
        "scale: a cluster of one worker", ours, plain, "s", OVERHEAD, "at most", note=note
    )


def _many() -> list[Figure]:
    """Memory of scheduler and driver, and the rate, with shards that do nothing."""
    sizes = [int(part) for part in os.environ.get("SCALE_SHARDS", SHARDS).split(",")]
    found = [
        in_own_process(sys.executable, "benchmarks.scale_shards", {"shards": n}) for n in sizes
    ]
    small, large = f"{sizes[0]:,}", f"{sizes[-1]:,}"
    figures = [
        Figure.compare(
            f"scale: memory of the {who}, {large} shards",
            found[-1][who],
            found[0][who],
            "MiB",
            GROWTH,
            "at most",
            note=f"peak RSS, {_by_size(sizes, found, who)} MiB; other: {small} shards",
        )
        for who in ("scheduler", "driver")
    ]
    rate = Figure.compare(
        "scale: shards that do nothing",
        found[-1]["rate"],
        SHARDS_PER_SECOND,
        "shards/s",
        1,
        note="4 workers, a scheduler and the driver, each its own process; other: the bound",
    )
    return [*figures, rate]


def _by_size(sizes: list[int], found: list[dict[str, float]], who: str) -> str:
    return ", ".join(f"{n:,} shards: {f[who]:.0f}" for n, f in zip(sizes, found, strict=True))


def _embed(folder: Path, proteins: Proteins, rows: int, workers: Workers | None = None) -> None:
    out = Path(tempfile.mkdtemp(dir=folder))
    model = plm.load(folder / "model", "cpu")
    embed_to(
        model,
        proteins,
        [LAYER],
        lambda _: out / "e",
        scale=workers or "",
        shard_rows=rows,
        progress=False,
    )
    shutil.rmtree(out)


def _proteins(n_residues: int) -> Proteins:
    """Proteins of real lengths with about this many residues in all, repeated where they end."""
    found = sampled(10_000)
    n = 1 + n_residues // found.n_residues
    sequences = {
        f"{a}_{turn}": s
        for turn in range(n)
        for a, s in zip(found.accessions, found.sequences, strict=True)
    }
    proteins = Proteins.from_sequences(sequences)
    return Proteins(proteins.table[: int((proteins.offsets <= n_residues).sum()) - 1])


@contextmanager
def _cluster(n: int) -> Iterator[Workers]:
    """n workers, each with one thread of PyTorch; `local:N` shares out the machine's cores."""
    from distributed import Client, LocalCluster

    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with (
        quiet(),
        workers_keep_memory(),
        LocalCluster(
            n_workers=n, threads_per_worker=1, env=threads, dashboard_address=":0"
        ) as made,
        Client(made) as client,
        workers_at(client) as workers,
    ):
        yield workers


def _one_torch_thread() -> None:
    torch.set_num_threads(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
