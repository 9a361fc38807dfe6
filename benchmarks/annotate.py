"""One new sequence of 350 residues, asked of the finished demo run: PLM, SAE, named stretches and JSON, with the models loaded.

There is no other side to run; the goal is a bound: half a second on 2 cores.
"""

import statistics
import time

import torch

from benchmarks.harness import Figure
from interplm_nb.pipeline.annotate import Annotator
from interplm_nb.pipeline.annotate_formats import to_json
from interplm_nb.pipeline.run import Run

LENGTH, SECONDS, TURNS = 350, 0.5, 9


def run() -> list[Figure]:
    """Seconds of one answer, the median over turns, after one that is not counted."""
    threads = torch.get_num_threads()
    torch.set_num_threads(min(2, threads))
    try:
        return [asked(Run.shipped())]
    finally:
        torch.set_num_threads(threads)


def asked(finished: Run) -> Figure:
    """The figure for one run."""
    annotator = Annotator(finished, device="cpu")
    sequences = [s[:LENGTH] for s in finished.proteins().sequences if len(s) >= LENGTH][: TURNS + 1]
    seconds = []
    for sequence in sequences:
        start = time.perf_counter()
        to_json(annotator(sequence))
        seconds.append(time.perf_counter() - start)
    pairs = f"{annotator.links.table.height:,} pairs of concept and feature"
    note = (
        f"{annotator.plm.name}, {pairs}; median of {len(seconds) - 1} sequences; other: the bound"
    )
    return Figure.compare(
        f"annotate: {LENGTH} residues, warm",
        statistics.median(seconds[1:]),
        SECONDS,
        "s",
        1,
        "at most",
        note=note,
    )
