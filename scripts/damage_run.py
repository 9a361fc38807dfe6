"""Damage each file of a run in turn, read it again, and count what the reader says.

    python scripts/damage_run.py runs/demo --tries 5 --seed 1

A reader may refuse with a sentence that names the file, or give the values of the intact file; it
must not stop with a traceback of a library, and never give other values. Works on a copy.
"""

import argparse
import hashlib
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import polars as pl

from interplm_nb.checksums import DamagedFileError
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.hashes import FileHashes
from interplm_nb.pipeline.maxima import Maxima
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.run_files import Interpretation
from interplm_nb.pipeline.stage_table import STAGES
from interplm_nb.sae import checkpoint

Bytes = Callable[[bytes, random.Random], bytes]
SURVIVED = ("refused", "same values")
NOT_READ = (".ipynb", ".md", ".lock", "started.json")
"""Ends of names of files that the package never reads."""


class Trial(NamedTuple):
    """One damage: the file, its kind, and what came of it."""

    name: str
    damage: str
    result: str
    """"refused" and "same values" are right; else what was wrong."""


def flipped(data: bytes, rng: random.Random) -> bytes:
    """One bit changed."""
    changed = bytearray(data)
    changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    """The end lost."""
    return data[: rng.randrange(1, len(data))]


def zeroed(data: bytes, rng: random.Random) -> bytes:
    """A sector of 512 bytes lost."""
    start = rng.randrange(len(data)) // 512 * 512
    return data[:start] + bytes(len(data[start : start + 512])) + data[start + 512 :]


DAMAGES: dict[str, Bytes] = {
    "bit": flipped,
    "cut": cut,
    "zeros": zeroed,
    "empty": lambda _data, _rng: b"",
}


def files(run: Path) -> list[str]:
    """The files of a run that the package reads, relative to it."""
    found = (f.relative_to(run).as_posix() for f in run.rglob("*") if f.is_file())
    return sorted(name for name in found if not name.endswith(NOT_READ))


def contents(run: Run, name: str) -> list[Any]:
    """All that a run reads from a file. KeyError for a file that nothing here reads."""
    *folders, file = name.split("/")
    stages = {record.folder: stage for stage, record in STAGES.items()}
    if not folders:
        return [_OF_RUN[name](run)]
    if folders[0] == "embeddings":
        return [run.embeddings(int(folders[-1][-2:]), "shuffled" in folders)[:]]
    if folders[0] in stages:
        read = {"manifest": run.manifest, "summary": run.summary}
        stage, stem = stages[folders[0]], Path(file).stem
        return [read[stem](stage) if stem in read else run.table(stage, stem)]
    if folders[0] == "interpreted":
        table = cast(Interpretation, Path(file).stem)
        return [run.interpretation(table, "/".join(folders[2:]), folders[1])]
    if folders[0] == "comparison":
        return [_OF_COMPARED[file](run, folders[1])]
    if folders[-1] == "activations":
        return _activations(run, "/".join(folders[1:-1]))
    return [_OF_SOURCE[file](run, "/".join(folders[1:]))]


def _activations(run: Run, source: str) -> list[Any]:
    found = run.activations(source)
    rows = [part for b in found.blocks() for part in (b.values.indices, b.values.data)]
    features = [part for f in range(found.n_features) for part in found.feature(f)]
    return [found.about, found.n_active(), found.largest(), *rows, *features]


def _scores(run: Run, source: str) -> list[Any]:
    kept = run.scores(source, "validation"), run.scores(source, "test")
    return [part for s in kept for part in (s.concepts, s.tp, s.instance_hits, s.active)]


def _links(run: Run, source: str) -> list[Any]:
    links = run.links(source)
    return [links.table, links.knots]


def _projection(run: Run, source: str) -> list[Any]:
    found = run.projection(source)
    return [getattr(found, name) for name in found.__dataclass_fields__]


def _maxima(maxima: Maxima) -> list[Any]:
    return [getattr(maxima, name) for name in maxima.__dataclass_fields__]


def _compared_sae(run: Run, label: str) -> str:
    return checkpoint.load(run.compared(label)).weight_hash


_OF_RUN: dict[str, Callable[[Run], Any]] = {
    "run.json": lambda run: [run.profile, run.model()],
    ".hashes.json": lambda run: FileHashes(run.hashes).of(run.folder / "proteins.parquet"),
    "proteins.parquet": lambda run: run.proteins().table,
    "splits.parquet": lambda run: run.splits(),
    "annotations.parquet": lambda run: run.annotations().table,
    "annotations_published.parquet": lambda run: run.annotations("published").table,
}
_OF_SOURCE: dict[str, Callable[[Run, str], Any]] = {
    "about.json": Run.about,
    "config.json": lambda run, source: [run.sae(source).weight_hash, run.sae(source).about],
    "sae.safetensors": lambda run, source: run.sae(source).weight_hash,
    "metrics.jsonl": Run.metrics,
    "fidelity.json": Run.fidelity,
    "maxima.parquet": lambda run, source: _maxima(run.maxima(source)),
    "atlas.parquet": lambda run, source: [run.atlas(source), run.atlas_quality(source)],
    **dict.fromkeys(("scores.parquet", "active.parquet", "concepts.parquet"), _scores),
    **dict.fromkeys(("links.parquet", "calibration.parquet"), _links),
    **dict.fromkeys(("projection.json", "projection.safetensors"), _projection),
    "statistics.parquet": lambda run, source: run.feature_table("statistics", source),
    "motifs.parquet": lambda run, source: run.feature_table("motifs", source),
    "known_motifs.parquet": lambda run, source: run.feature_table("known", source),
    "neighbours.parquet": lambda run, source: run.feature_table("neighbours", source),
    "matches.parquet": lambda run, source: run.feature_table("matches", source),
    "clusters.parquet": lambda run, source: run.feature_table("clusters", source),
    "hierarchy.parquet": lambda run, source: run.feature_table("hierarchy", source),
}
_OF_COMPARED: dict[str, Callable[[Run, str], Any]] = {
    "evaluation.json": Run.evaluation,
    "metrics.jsonl": Run.compared_metrics,
    "maxima.parquet": lambda run, label: _maxima(run.compared_maxima(label)),
    **dict.fromkeys(("config.json", "sae.safetensors"), _compared_sae),
}


def fingerprint(values: Any) -> str:
    """A hash of all values in nested lists, tables and arrays."""
    digest = hashlib.sha256()
    for value in values if isinstance(values, list) else [values]:
        if isinstance(value, list):
            part = fingerprint(value).encode()
        elif isinstance(value, np.ndarray):
            part = value.tobytes()
        elif isinstance(value, pl.DataFrame):
            part = f"{value.schema}{value.rows()}".encode()
        else:
            part = repr(value).encode()
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def trial(run: Path, name: str, damage: str, rng: random.Random, intact: str) -> Trial:
    """Damage one file, read it and put it back; `intact` is its fingerprint."""
    path = run / name
    data, times = path.read_bytes(), path.stat()
    path.write_bytes(DAMAGES[damage](data, rng))
    try:
        same = fingerprint(contents(Run.open(run), name)) == intact
        result = "same values" if same else "other values"
    except (PipelineError, DamagedFileError) as error:
        result = "refused" if path.name in str(error) else f"file not named: {error}"
    except Exception as error:  # noqa: BLE001  # counted: it is not one of ours
        result = f"{type(error).__name__}: {error}"
    finally:
        path.write_bytes(data)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return Trial(name, damage, result)


def trials(run: Path, rng: random.Random, tries: int) -> Iterator[Trial]:
    """Each file of a run, damaged `tries` times; kinds of damage are drawn at random."""
    for name in files(run):
        intact = fingerprint(contents(Run.open(run), name))
        for damage in rng.choices(list(DAMAGES), k=tries):
            yield trial(run, name, damage, rng, intact)


def main() -> int:
    parser = argparse.ArgumentParser(description="Damage each file of a run, and read it again.")
    parser.add_argument("run", type=Path, help="folder of a finished run; it is copied")
    parser.add_argument("--tries", type=int, default=4, help="per file (default: 4)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "run"
        shutil.copytree(arguments.run, copied, ignore=shutil.ignore_patterns("*.ipynb"))
        found = list(trials(copied, random.Random(arguments.seed), arguments.tries))
    for made in found:
        if made.result not in SURVIVED:
            print(f"{made.damage:<6} {made.name}: {made.result}")
    counts = Counter((made.damage, made.result) for made in found if made.result in SURVIVED)
    for damage in DAMAGES:
        n = sum(made.damage == damage for made in found)
        of = ", ".join(f"{counts[damage, result]} {result}" for result in SURVIVED)
        print(f"{damage:<6} {n} tried: {of}")
    lost = len(found) - counts.total()
    print(f"{len(found)} tried on {len({m.name for m in found})} files, {lost} not survived")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
