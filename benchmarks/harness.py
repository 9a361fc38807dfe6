"""What benchmarks share: figures with their goals, the two sides of a comparison, the results."""

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parents[1]
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
"""The interpreter of the peers' own environment, which `make peers` makes."""
RESULTS = Path(__file__).parent / "results.jsonl"
_PACKAGES = ("interplm-nb", "torch", "numpy", "polars", "scipy", "fair-esm")

Pair = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Results of two sides that ran alternately, ours first."""


@dataclass(frozen=True)
class Figure:
    """One measured ratio, ours against the other side's, alternating under the same conditions."""

    name: str
    ours: float
    other: float
    unit: str
    ratio: float
    """In the direction of the goal: ours / other or other / ours, named in `goal`."""
    goal: str
    met: bool
    note: str = ""
    """What the sides were, in a few words."""
    machine: str = field(default_factory=lambda: machine())
    versions: dict[str, str] = field(default_factory=lambda: versions())
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @classmethod
    def compare(
        cls,
        name: str,
        ours: float,
        other: float,
        unit: str,
        goal: float,
        sense: Literal["at least", "at most"] = "at least",
        of: Literal["ours / other", "other / ours"] = "ours / other",
        note: str = "",
    ) -> "Figure":
        """A figure whose goal bounds a ratio.

        `compare("embed", 9000, 2500, "residues/s", 3)` wants ours / other at least 3.
        """
        ratio = ours / other if of == "ours / other" else other / ours
        met = ratio >= goal if sense == "at least" else ratio <= goal
        return cls(name, ours, other, unit, ratio, f"{of} {sense} {goal:g}", met, note)

    @classmethod
    def within(cls, name: str, ours: float, bound: float, unit: str, note: str = "") -> "Figure":
        """A figure with no other side to run: the goal is a bound on it."""
        note = f"{note}; other: the bound" if note else "other: the bound"
        return cls.compare(name, ours, bound, unit, 1, "at most", note=note)


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_own_process(
    python: Path | str, module: str, options: Mapping[str, object], *arguments: object
) -> dict[str, Any]:
    """Run a module of this repository; its result is the last line that it prints, as JSON.

    RuntimeError with the last line of its errors if it fails.
    """
    given = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    command = [str(python), "-m", module, *map(str, arguments), *given]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{module} failed: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def medians(pairs: Sequence[Pair], measure: str) -> tuple[float, float]:
    """Ours and the other side's median of a measure."""
    ours, other = (statistics.median(pair[side][measure] for pair in pairs) for side in (0, 1))
    return ours, other


def in_turn(pairs: Sequence[Pair], measure: str) -> str:
    """How `medians` were taken, with the ratio of a measure in each pair."""
    ratios = ", ".join(f"{ours[measure] / other[measure]:.2f}" for ours, other in pairs)
    return f"medians of {len(pairs)} alternating pairs (ratios {ratios})"


def machine() -> str:
    """The processor, its cores and memory."""
    memory = (
        f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
        if hasattr(os, "sysconf")
        else ""
    )
    return f"{_processor()}, {os.cpu_count()} cores{memory}, {platform.system()}"


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that the figures rest on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def report(figures: Iterable[Figure], results: Path = RESULTS) -> bool:
    """Print a table and append one JSON line per figure; true if all goals are met."""
    figures = list(figures)
    rows = [("figure", "ours", "other", "unit", "ratio", "goal", "met")]
    rows += [
        (
            f.name,
            f"{f.ours:,.4g}",
            f"{f.other:,.4g}",
            f.unit,
            f"{f.ratio:.3g}",
            f.goal,
            "yes" if f.met else "NO",
        )
        for f in figures
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    for figure in figures:
        if figure.note:
            print(f"  {figure.name}: {figure.note}")
    with results.open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(asdict(figure), sort_keys=True) + "\n" for figure in figures)
    return all(figure.met for figure in figures)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.processor() or platform.machine(),
    )
