"""Give a reader many damaged files, and count what it says.

A reader may read a file, or refuse it with its own error that names the file. Anything else
is a fault: another error, values that the file does not hold, much time, or much memory.
"""

import linecache
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from traceback import walk_tb
from typing import Any

from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.readers.report import InputError
from tests.fuzz.mutations import TEXT, Mutation, mutated

SLOWEST = 10.0
"""Seconds of processor that one file may take; most take milliseconds."""
MOST_MEMORY = 1 << 30
"""Bytes by which a reader may raise the process' peak."""
_OURS = f"{Path(__file__).parents[2] / 'interplm_nb'}"


@dataclass(frozen=True)
class Fuzzed:
    """A reader, good files, and what an independent parser says."""

    name: str
    file: str
    """The damaged file's name."""
    seeds: Sequence[bytes]
    """Good files."""
    read: Callable[[Path], Any]
    check: Callable[[Path, Any], None] | None = None
    """AssertionError where what was read is not what the file holds."""
    kinds: Sequence[Mutation] = TEXT
    compress: bool = False
    """Whether files may be compressed."""
    beside: dict[str, bytes] = field(default_factory=dict)
    """Other files of the folder, by name."""
    longer: int = 1
    """How many times as long as others it is tried: where a file takes long."""


@dataclass
class Outcome:
    """What became of the files."""

    read: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def tried(self) -> int:
        """All files."""
        return self.read + self.refused + len(self.faults)


def run(fuzzed: Fuzzed, seed: int, seconds: float, start: int = 0) -> Outcome:
    """Try damaged files, one at least, for some seconds (times `longer`); the nth depends on the
    seed and n."""
    outcome = Outcome()
    # A new process counts what its parent holds as its own: that of the first one is no fault.
    subprocess.run([sys.executable, "-c", ""], check=True)
    begun, n, peak = time.monotonic(), start, _peak()
    with tempfile.TemporaryDirectory() as folder:
        until = begun + seconds * fuzzed.longer
        while n == start or (time.monotonic() < until and len(outcome.faults) < 20):
            fault = _one(fuzzed, seed, n, Path(folder) / "at", outcome)
            if fault is None and _peak() - peak > MOST_MEMORY:
                fault, peak = f"{_peak() - peak:,} bytes of memory", _peak()
            if fault is not None:
                outcome.faults.append(f"{fuzzed.name}, seed {seed}, file {n}: {fault}")
            n += 1
    return outcome


def damaged(fuzzed: Fuzzed, seed: int, n: int) -> bytes:
    """The nth damaged file."""
    rng = random.Random(f"{fuzzed.name} {seed} {n}")
    return mutated(fuzzed.seeds, fuzzed.kinds, rng, fuzzed.compress)


def _one(fuzzed: Fuzzed, seed: int, n: int, folder: Path, outcome: Outcome) -> str | None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in fuzzed.beside.items():
        (folder / name).write_bytes(data)
    path = folder / fuzzed.file
    path.write_bytes(damaged(fuzzed, seed, n))
    begun = time.process_time()
    try:
        found = fuzzed.read(path)
        if fuzzed.check is not None:
            fuzzed.check(path, found)
    except Exception as error:  # noqa: BLE001  # what is counted is that it is one of ours
        fault = _fault(error, path)
        outcome.refused += fault is None
    else:
        fault = None
        outcome.read += 1
    taken = time.process_time() - begun
    return f"{taken:.1f} s" if fault is None and taken > SLOWEST else fault


def _fault(error: Exception, path: Path) -> str | None:
    """What is wrong with an error; None if it is one that a reader may raise."""
    frames = list(walk_tb(error.__traceback__))
    frame, line = frames[-1]
    code = frame.f_code
    place = f"{Path(code.co_filename).name}:{line}"
    if not isinstance(error, InputError | PipelineError):
        raised = linecache.getline(code.co_filename, line).strip().startswith("raise")
        ours = code.co_filename.startswith(_OURS) and raised
        if not ours or not isinstance(error, ValueError | FileNotFoundError):
            return f"{type(error).__name__} at {place}: {str(error)[:200]}"
    text = str(error)
    if path.name not in text and path.parent.name not in text:
        return f"the message names no file, at {place}: {text[:200]}"
    return None


def _peak() -> int:
    """The most memory that this process and one of its own have held, in bytes; 0 where the system
    does not say."""
    if sys.platform == "win32":
        return 0
    import resource

    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return 1024 * sum(resource.getrusage(who).ru_maxrss for who in whose)
