"""Shards on a Dask cluster: two workers beside one, one beside this process, and 100,000 of them.

Embedding at the ESM-2 8M shape (random weights) and counting, one thread a process, real lengths;
an SAE that workers feed. Clusters and models are ready before the clock starts.
`SCALE_SHARDS=1000,10000 make bench BENCH=scale` takes other numbers of shards that do nothing.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

import torch

from benchmarks.gpu_models import sampled
from benchmarks.harness import Figure, in_own_process, seconds
from benchmarks.random_plm import SHAPE, random_weights
from benchmarks.scale_count import counting
from benchmarks.scale_fed import fed
from benchmarks.scale_sides import TURNS, cluster, in_turns, threads, two_beside, two_processes
from interplm_nb import plm
from interplm_nb.plm import checkpoints
from interplm_nb.plm.store import embed_to
from interplm_nb.proteins import Proteins
from interplm_nb.scale.shard_task import Workers

LAYER = 3
SHORT, LONG = 8_000, 160_000
"""Residues of a shard: of a few seconds, and of about 20."""
N_SHORT, N_LONG = 8, 2
TRAINED = 100_000
"""Residues of an SAE's training."""
SHARDS = "1000,10000,100000"
OVERHEAD, GROWTH = 1.1, 1.2
SHARDS_PER_SECOND = 50.0
"""Enough for 1,000 workers whose shards take 20 s."""


def run() -> list[Figure]:
    """Embedding, counting and training, then shards that do nothing."""
    with tempfile.TemporaryDirectory() as name, threads(1):
        folder = Path(name)
        model = folder / "model"
        checkpoints.write_safetensors(random_weights(), SHAPE, "random-8M", model, torch.float32)
        figures = [*_scaling(folder), _overhead(folder)]
        figures += [*fed(model, _proteins(TRAINED), folder), *counting(folder)]
    return [*figures, *_many()]


def _scaling(folder: Path) -> list[Figure]:
    """Two workers beside one, and beside two processes that know nothing of each other."""
    proteins = _proteins(N_SHORT * SHORT)
    halves = [Proteins(proteins.table[part::2]) for part in (0, 1)]
    with cluster(2) as two, cluster(1) as one, two_processes() as pool:

        def independent() -> None:
            for done in [pool.submit(_embed, folder, half, SHORT) for half in halves]:
                done.result()

        rates = in_turns(
            {
                "two": lambda: _embed(folder, proteins, SHORT, two),
                "one": lambda: _embed(folder, proteins, SHORT, one),
                "independent": independent,
            },
            proteins.n_residues,
        )
    note = (
        f"random weights at the ESM-2 8M shape, one thread a process, {proteins.n_residues:,} "
        f"residues in shards of {SHORT:,}; medians of {TURNS} turns"
    )
    return two_beside("embed", rates, note)


def _overhead(folder: Path) -> Figure:
    """A cluster of one worker beside this process, with shards of about 20 s."""
    proteins = _proteins(N_LONG * LONG)
    with cluster(1) as one:
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
