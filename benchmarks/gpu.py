"""What only a GPU can show: parity with the CPU and with peers, throughput, the notebooks' stages.

    python -m benchmarks.gpu [--parts parity,embedding,sae,notebooks,pretrain] [--size full|tiny]
        [--device auto] [--seconds 540] [--json FILE] [--pretrain-fasta FILE --out FOLDER]

It needs no network: all weights are random. Parts run in this order, each within its share of the
time; what had no time, and what failed, has a row that says so. `--json` is rewritten after every
measurement, so that a run that is cut off keeps what it has. In `make bench` it is left out where
there is no GPU.
"""

import argparse
import gc
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks import gpu_embedding, gpu_notebooks, gpu_parity, gpu_pretrain, gpu_sae
from benchmarks.gpu_rows import Clock, Measurement, Row, Setting
from benchmarks.harness import Figure, machine, versions
from interplm_nb.plm.devices import choose_device
from interplm_nb.saving import write_json

SECONDS = 540.0
FAILURES = (torch.OutOfMemoryError, ImportError, RuntimeError, subprocess.SubprocessError, OSError)
"""Errors that end one measurement and not the others; CUDA's are RuntimeErrors."""


@dataclass(frozen=True)
class Options:
    """What `pretrain` needs besides the setting."""

    pretrain_fasta: tuple[Path, ...] = ()
    out: Path = Path("runs/pretrained")


Part = Callable[[Setting, Options], list[Measurement]]

PARTS: dict[str, tuple[float, Part]] = {
    "parity": (1.5, lambda setting, _: gpu_parity.measurements(setting)),
    "embedding": (3.0, lambda setting, _: gpu_embedding.measurements(setting)),
    "sae": (3.0, lambda setting, _: gpu_sae.measurements(setting)),
    "notebooks": (3.0, lambda setting, _: gpu_notebooks.measurements(setting)),
    "pretrain": (
        3.0,
        lambda setting, options: gpu_pretrain.measurements(
            setting, options.pretrain_fasta, options.out
        ),
    ),
}
"""Each part with its weight. A part gets weight / (weights of the parts still to come) of the time
that is left, so that time one part does not use goes to the later ones."""


def run() -> list[Figure]:
    """For `make bench`: all rows with a goal, without pretraining; nothing without a GPU."""
    if not torch.cuda.is_available():
        print("gpu: left out; torch sees no CUDA GPU here")
        return []
    rows = list(measured([p for p in PARTS if p != "pretrain"], Setting(torch.device("cuda"))))
    _print_table(rows)
    return [_figure(row) for row in rows if row.sense and row.ratio is not None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the chosen parts, print the table, write JSON; 0 if nothing failed."""
    options = _parser().parse_args(arguments)
    parts = options.parts.split(",")
    if unknown := [p for p in parts if p not in PARTS]:
        _parser().error(f"no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    if absent := [path for path in options.pretrain_fasta if not path.is_file()]:
        _parser().error(f"{absent[0]} is not a file of sequences")
    if options.pretrain_fasta and (options.out / "state.pt").exists():
        _parser().error(f"{options.out} already holds a pretraining; give a new folder with --out")
    setting = Setting(choose_device(options.device), options.size == "tiny")
    about = surroundings(setting)
    print(", ".join(f"{name} {value}" for name, value in about.items() if value))
    rows: list[Row] = []
    further = Options(tuple(options.pretrain_fasta), options.out)
    for row in measured(parts, setting, Clock(options.seconds), further):
        rows.append(row)
        if options.json:
            _write(options.json, about, rows)
    _print_table(rows)
    return 1 if any(row.failed for row in rows) else 0


def measured(
    parts: Sequence[str],
    setting: Setting,
    clock: Clock | None = None,
    options: Options | None = None,
) -> Iterator[Row]:
    """The rows of `parts`, in the order of `PARTS`, as they are measured."""
    clock, options = clock or Clock(SECONDS), options or Options()
    chosen = [name for name in PARTS if name in parts]
    for i, name in enumerate(chosen):
        weights = [_weight(later, options) for later in chosen[i:]]
        mine = clock.share(weights[0] / sum(weights) if any(weights) else 1.0)
        waiting = PARTS[name][1](setting, options)
        for j, measurement in enumerate(waiting):
            if mine.left <= 0 and _weight(name, options):
                yield Row(name, measurement.what, note=f"no time left of {mine.seconds:.0f} s")
                continue
            _log(f"{name}: {measurement.what} ({mine.left:.0f} s left)")
            yield from _taken(name, measurement, mine.share(1 / min(3, len(waiting) - j)), setting)


def _weight(part: str, options: Options) -> float:
    return 0.0 if part == "pretrain" and not options.pretrain_fasta else PARTS[part][0]


def _taken(part: str, measurement: Measurement, clock: Clock, setting: Setting) -> list[Row]:
    """A measurement's rows, or the one row that says what it ended with."""
    try:
        return measurement.take(clock)
    except FAILURES as error:
        lines = str(error).strip().splitlines() or [""]
        note = f"{type(error).__name__}: {lines[-1]}"
        failed = Row(part, measurement.what, note=note, failed=not isinstance(error, ImportError))
    if setting.device.type == "cuda":
        # Outside the handler, whose error holds the frames with their tensors.
        gc.collect()
        torch.cuda.empty_cache()
    return [failed]


def surroundings(setting: Setting) -> dict[str, Any]:
    """GPU, driver, CUDA, versions, machine, size and date: what figures are quoted with."""
    cuda = setting.device.type == "cuda"
    return {
        "gpu": torch.cuda.get_device_name(setting.device) if cuda else "",
        "driver": _driver() if cuda else "",
        "cuda": torch.version.cuda or "",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": machine(),
        "device": str(setting.device),
        "size": "tiny" if setting.tiny else "full",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _driver() -> str:
    if not shutil.which("nvidia-smi"):
        return ""
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=30)
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else ""


def _write(path: Path, about: dict[str, Any], rows: Sequence[Row]) -> None:
    table = [{**asdict(row), "ratio": row.ratio} for row in rows]
    record = {"type": "GpuBenchmark", "version": 1, **about, "versions": versions(), "rows": table}
    write_json(record, path)


def _figure(row: Row) -> Figure:
    assert row.ours is not None
    assert row.other is not None
    sense = "at least" if row.sense == "at least" else "at most"
    name = f"gpu: {row.part}, {row.what}"
    return Figure.compare(name, row.ours, row.other, row.unit, 1, sense, note=row.note)


def _print_table(rows: Sequence[Row]) -> None:
    table = [("part", "what", "ours", "other", "ratio", "unit; note")]
    table += [
        (
            row.part,
            row.what,
            *("-" if x is None else f"{x:,.4g}" for x in (row.ours, row.other, row.ratio)),
            "; ".join(filter(None, (row.unit, row.note))),
        )
        for row in rows
    ]
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        print("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip())


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=(__doc__ or "").partition("\n")[0],
    )
    parser.add_argument(
        "--parts", default=",".join(PARTS), help="with commas between them (default: %(default)s)"
    )
    parser.add_argument("--size", choices=("full", "tiny"), default="full")
    parser.add_argument("--device", default="auto", help="auto, cuda, cuda:1 or cpu")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all parts together")
    parser.add_argument("--json", type=Path, help="a file for the figures and where they are from")
    parser.add_argument(
        "--pretrain-fasta",
        type=Path,
        nargs="+",
        default=[],
        help="sequences to pretrain on, in the time that is left; without it the part is left out",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Options.out,
        help="folder of the pretrained model (default: %(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
