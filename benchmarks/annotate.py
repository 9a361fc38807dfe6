"""Annotating a new sequence of 350 residues, and a mutation in its middle, with warm models.

PLM, SAE, named stretches and JSON; the mutant follows its reference, as in the playground. It asks
the shipped run and, if the environment variable INTERPLM_NB_RUN names a folder, the run there, such
as the result of `interplm-nb run demo -p embed.plm=unirep-1900`. Nothing is fetched: a run whose
model is not on this machine is skipped. There is no other side to run; the goals are bounds on 2
cores.
"""

import os
import statistics
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Figure, seconds
from benchmarks.threads import two_threads
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.plm.fetching import to_fetch
from interplm_nb.questions.annotate import Annotator
from interplm_nb.questions.annotate_formats import to_json

VARIABLE = "INTERPLM_NB_RUN"
LENGTH, TURNS = 350, 9
BOUNDS = {False: (0.5, 0.5), True: (1.5, 0.8)}
"""Seconds of a sequence and of a mutation; a recurrent model (True) reads residue after residue."""


def run() -> list[Figure]:
    """Medians over turns, after one that is not counted."""
    with two_threads():
        return [figure for finished in _runs() for figure in asked(finished)]


def asked(finished: Run) -> list[Figure]:
    """The figures for one run: a new sequence, and a mutation in the middle of it."""
    annotator = Annotator(finished, device="cpu")
    long = [s[:LENGTH] for s in finished.proteins().sequences if len(s) >= LENGTH]
    pairs = [
        tuple(seconds(lambda s=s: to_json(annotator(s))) for s in (sequence, _mutant(sequence)))
        for sequence in long[: TURNS + 1]
    ]
    links = f"{annotator.links.table.height:,} pairs of concept and feature"
    dtype = str(annotator.plm.dtype).removeprefix("torch.")
    note = f"{annotator.plm.name} in {dtype}, {links}; median of {len(pairs) - 1} sequences"
    what = (f"{LENGTH} residues, warm", f"a mutation in the middle of {LENGTH} residues")
    return [
        Figure.within(
            f"annotate with {annotator.plm.name}: {name}",
            statistics.median(times),
            bound,
            "s",
            note,
        )
        for name, bound, times in zip(
            what, BOUNDS[annotator.plm.recurrent], zip(*pairs[1:], strict=True), strict=True
        )
    ]


def _runs() -> Iterator[Run]:
    """The shipped run and the named one, if their models are here."""
    yield from _with_model("")
    if named := os.environ.get(VARIABLE):
        yield from _with_model(named)
    else:
        print(f"annotate: no other run; name the folder of a finished one in {VARIABLE}")


def _with_model(folder: str) -> Iterator[Run]:
    name = folder or "the shipped run"
    try:
        finished = Run.open(Path(folder)) if folder else Run.shipped()
    except PipelineError as error:
        print(f"annotate: {name} is left out; {error}")
        return
    model = finished.model()
    if model is None or model.record is None:
        print(f"annotate: {name} is left out; it has no model to ask")
    elif wanted := to_fetch(model.weights):
        print(f"annotate: {name} is left out; {wanted.name} is not here")
    else:
        yield finished


def _mutant(sequence: str) -> str:
    middle = len(sequence) // 2
    return sequence[:middle] + ("W" if sequence[middle] != "W" else "A") + sequence[middle + 1 :]
