"""`python -m benchmarks [NAME ...] [--proteins FILE]`: measure, and print tables.

Each figure is appended to results.jsonl. A benchmark is a module of this folder with
`run() -> list[Figure]`; its name is the module's.
"""

import argparse
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

import benchmarks
from benchmarks.harness import machine, report


def names() -> list[str]:
    """Names of the benchmarks: the modules here that have a `run`, found without importing them."""
    found = (m.name for m in pkgutil.iter_modules(benchmarks.__path__))
    return sorted(
        n
        for n in found
        if "\ndef run(" in (Path(benchmarks.__path__[0]) / f"{n}.py").read_text(encoding="utf-8")
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure speed and memory compared with the usual way of doing it.",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"which to run: {', '.join(names())}; default: all",
    )
    parser.add_argument(
        "--proteins",
        type=Path,
        help="FASTA or UniProt TSV to take sequences from; by default the embedded ones",
    )
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.names) - set(names()))
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join(names())}")
    print(machine())
    met = [
        _run(importlib.import_module(f"benchmarks.{n}"), chosen.proteins)
        for n in chosen.names or names()
    ]
    return 0 if all(met) else 1


def _run(module: ModuleType, proteins: Path | None) -> bool:
    takes = inspect.signature(module.run).parameters
    print(
        f"\n{module.__name__.rpartition('.')[2]}: {(module.__doc__ or '').strip().splitlines()[0]}"
    )
    return report(module.run(**({"proteins": proteins} if "proteins" in takes else {})))


if __name__ == "__main__":
    sys.exit(main())
