"""The sides of the benchmark `scale`: clusters and pools whose processes have one thread each, and
the figures of two workers beside one and beside two processes."""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from statistics import median

import torch

from benchmarks.harness import Figure, seconds
from interplm_nb.scale.address import THREADS, workers_at
from interplm_nb.scale.allocator import workers_keep_memory
from interplm_nb.scale.dask_workers import DaskWorkers
from interplm_nb.scale.worker_output import quiet

TURNS = 3
TIMES_ONE, OF_INDEPENDENT = 1.6, 0.9


@contextmanager
def cluster(n: int) -> Iterator[DaskWorkers]:
    """n workers, each with one thread; `local:N` shares out the machine's cores."""
    from distributed import Client, LocalCluster

    with (
        quiet(),
        workers_keep_memory(),
        LocalCluster(
            n_workers=n,
            threads_per_worker=1,
            env=dict.fromkeys(THREADS, "1"),
            dashboard_address=":0",
        ) as made,
        Client(made) as client,
        workers_at(client) as workers,
    ):
        assert isinstance(workers, DaskWorkers)
        yield workers


def two_processes() -> ProcessPoolExecutor:
    """Two processes that know nothing of each other."""
    return ProcessPoolExecutor(2, get_context("spawn"), _one_thread_here)


@contextmanager
def threads(n: int) -> Iterator[None]:
    """PyTorch in this process has n threads for the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_turns(
    sides: Mapping[str, Callable[[], object]], n_residues: int, rest: Callable[[], object] = int
) -> dict[str, float]:
    """Residues per second of each side: the median of some turns, after one that does not count.
    `rest` is called after each side, without the clock."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(1 + TURNS):
        for name, side in sides.items():
            rate = n_residues / seconds(side)
            rest()
            if turn:
                rates[name].append(rate)
    return {name: median(found) for name, found in rates.items()}


def two_beside(what: str, rates: Mapping[str, float], note: str) -> list[Figure]:
    """Two workers beside one, and beside two processes with half of the proteins each; `rates` has
    the sides "two", "one" and "independent"."""
    return [
        Figure.compare(
            f"scale: {what} with 2 workers",
            rates["two"],
            rates["one"],
            "residues/s",
            TIMES_ONE,
            note=f"{note}; other: 1 worker",
        ),
        Figure.compare(
            f"scale: {what} with 2 workers, independent processes",
            rates["two"],
            rates["independent"],
            "residues/s",
            OF_INDEPENDENT,
            note=f"{note}; other: two processes with half of the proteins each",
        ),
    ]


def _one_thread_here() -> None:
    torch.set_num_threads(1)
    for name in THREADS:
        os.environ[name] = "1"
