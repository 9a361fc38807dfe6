"""What benchmarks share: a figure with its goal, the machine, the table, and `results.jsonl`."""

import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

RESULTS = Path(__file__).parent / "results.jsonl"
_PACKAGES = ("interplm-nb", "torch", "numpy", "polars", "scipy", "fair-esm")


@dataclass(frozen=True)
class Figure:
    """One measured ratio, ours against the other side's, run in turn under the same conditions."""

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
