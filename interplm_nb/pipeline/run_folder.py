"""The folder of a run: its paths, and one way to read its files that says what to do about one
that is missing or damaged."""

import contextlib
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl

import interplm_nb
from interplm_nb.checksums import DamagedFileError
from interplm_nb.pipeline import run_files
from interplm_nb.pipeline.errors import DamagedRunError, PipelineError
from interplm_nb.pipeline.stage_table import stage_named
from interplm_nb.saving import (
    OtherVersionError,
    file_hash,
    read_json,
    read_parquet,
    remove,
    write_json,
    write_parquet,
)

if TYPE_CHECKING:
    from interplm_nb.remote.mirror import Mirror

T = TypeVar("T")

SHIPPED = Path(__file__).resolve().parents[1] / "data" / "demo_run"
"""The finished demo run that comes with the package."""


@dataclass(frozen=True)
class RunFolder:
    """Paths, tables and records that every stage of a run has."""

    folder: Path
    _once: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def record(self) -> Path:
        """`run.json`: what makes the folder a run."""
        return self.folder / run_files.RECORD

    @property
    def lock(self) -> Path:
        """The file that a process locks while it works in the run."""
        return self.folder / ".lock"

    @property
    def hashes(self) -> Path:
        """The file that remembers hashes of the run's files."""
        return self.folder / ".hashes.json"

    @property
    def rescored(self) -> Path:
        """The folder of other SAEs that were scored on this run, whether or not it is there."""
        return self.folder / "rescored"

    @property
    def profile(self) -> str:
        """The profile that `create` noted last."""
        return self._noted()["profile"]

    def stage_folder(self, stage: str) -> Path:
        """`NN_stage/`: a stage's manifest, summary and small tables."""
        return self.folder / stage_named(stage).folder

    def notebook(self, stage: str) -> Path:
        """The executed notebook of a stage."""
        return self.folder / f"{stage_named(stage).folder}.ipynb"

    def manifest_path(self, stage: str) -> Path:
        """`NN_stage/manifest.json`, whether or not it is there."""
        return self.stage_folder(stage) / "manifest.json"

    def manifest(self, stage: str) -> dict[str, Any]:
        """What a stage's manifest says. PipelineError before the stage has ended."""
        name = str(self.manifest_path(stage).relative_to(self.folder))
        return self._read(stage, name, _manifest)

    def work(self, stage: str) -> Path:
        """Where a stage keeps what it resumes from; removed when the stage ends."""
        return self.stage_folder(stage) / "work"

    def outputs(self, stage: str) -> list[Path]:
        """The files that a stage has made so far, sorted; no manifest, notebook, working files."""
        roots = [self.folder / name for name in stage_named(stage).outputs] + [
            p for p in self.stage_folder(stage).glob("*.*") if p.suffix in (".parquet", ".json")
        ]
        files = [
            f
            for root in roots
            for f in (root.rglob("*") if root.is_dir() else [root])
            if f.is_file()
        ]
        drafts = {
            f
            for f in files
            if any(part.startswith(".") for part in f.relative_to(self.folder).parts)
        }
        return sorted(f for f in files if f != self.manifest_path(stage) and f not in drafts)

    def clear(self, stage: str) -> None:
        """Remove everything that a stage has made, its manifest first."""
        self._once.clear()
        self.manifest_path(stage).unlink(missing_ok=True)
        made = (self.folder / name for name in stage_named(stage).outputs)
        for path in (*made, self.stage_folder(stage)):
            remove(path)

    def clear_drafts(self) -> None:
        """Remove what a killed process left half-written. Only for the holder of the run's lock."""
        for draft in list(self.folder.rglob(".*.tmp")):
            with contextlib.suppress(FileNotFoundError):
                remove(draft)

    def table(self, stage: str, name: str) -> pl.DataFrame:
        """A small table that a stage shows: `NN_stage/<name>.parquet`."""
        return self._table(stage, f"{stage_named(stage).folder}/{name}.parquet", "StageTable")

    def write_table(self, stage: str, name: str, table: pl.DataFrame) -> None:
        """Write what `table` reads, atomically."""
        about = {"type": "StageTable", "version": 1}
        write_parquet(table, self.stage_folder(stage) / f"{name}.parquet", about)

    def summary(self, stage: str) -> dict[str, Any]:
        """What a stage recorded: counts, and the device it ran on."""
        return self._read(
            stage,
            f"{stage_named(stage).folder}/summary.json",
            lambda path: read_json(path, "StageSummary", 1),
        )

    def write_summary(self, stage: str, **values: Any) -> None:
        """Write what `summary` reads, atomically; `values` are JSON."""
        record = {"type": "StageSummary", "version": 1, **values}
        write_json(record, self.stage_folder(stage) / "summary.json")

    def _logged(self, stage: str, name: str) -> list[dict[str, Any]]:
        """A `metrics.jsonl`; measurements after the last step join its line."""
        from interplm_nb.sae.training.progress import read_metrics

        if not (self.folder / name).exists():
            return []
        found: dict[int, dict[str, Any]] = {}
        for line in self._read(stage, name, lambda path: read_metrics(self._as_left(stage, path))):
            found.setdefault(int(line["step"]), {}).update(line)
        return list(found.values())

    def _as_left(self, stage: str, path: Path) -> Path:
        """The path of a file without its own sum. DamagedFileError if it is not as the stage
        left it; before the stage has ended nobody knows."""
        if self.manifest_path(stage).exists():
            name = path.relative_to(self.folder).as_posix()
            left = self.manifest(stage)["outputs"].get(name)
            if left and left["hash"] != file_hash(path):
                raise DamagedFileError(path, "it changed after the stage had ended")
        return path

    @functools.cached_property
    def mirror(self) -> "Mirror | None":
        """What fetches missing files of a run that was opened in an object store; None for a run
        of this machine."""
        from interplm_nb.remote.mirror import mirror_of

        return mirror_of(self.folder)

    def bring(self, path: Path) -> None:
        """Fetch a file that is missing here, and that the run's store has."""
        if not path.exists() and self.mirror is not None:
            self.mirror.bring(path)

    def _table(self, stage: str, name: str, kind: str, once: bool = False) -> pl.DataFrame:
        return self._read(stage, name, lambda path: read_parquet(path, kind, 1)[0], once)

    def _noted(self) -> dict[str, Any]:
        """`run.json`, which no stage makes again."""
        try:
            found = read_json(self.record, "Run", 1)
            if not isinstance(found.get("profile"), str):
                raise DamagedFileError(self.record, "it names no profile")
            return found
        except DamagedFileError as error:
            raise PipelineError(
                f"{self.record}: damaged, {error.reason}; copy it again from a run of the same "
                "profile and model, or make the run again in another folder"
            ) from error
        except OtherVersionError as error:
            raise PipelineError(
                f"{error}; {_made_by(error.record)}, or make the run again in another folder"
            ) from error
        except OSError as error:
            raise PipelineError(_unreadable(self.record, error)) from error

    def _remedy(self, stage: str) -> str:
        """How to make the files of a stage again."""
        if self.folder == SHIPPED:
            return "install interplm-nb again"
        return (
            f"run stage {stage!r} again: interplm-nb run PROFILE --out {quote(self.shown)} "
            f"--force {stage}"
        )

    @property
    def shown(self) -> str:
        """The run in messages: its address in an object store, or its folder."""
        return self.mirror.url if self.mirror else str(self.folder)

    def _read(self, stage: str, name: str, load: Callable[[Path], T], once: bool = False) -> T:
        """What `load` makes of a file or folder that a stage makes; everything is read here."""
        if name in self._once:
            return self._once[name]
        path = self.folder / name
        self.bring(path)
        if not path.exists() and (self.folder / run_files.LOOKED).is_dir():
            raise PipelineError(
                f"{self.folder} has no {name}: it holds proteins that were looked at with the SAE "
                "of another run, without its weights and links; ask that run"
            )
        if not path.exists():
            raise PipelineError(
                f"{self.shown} has no {name}: run stage {stage!r} first, with the notebook "
                f"{stage_named(stage).folder}.ipynb or with "
                f"interplm-nb run PROFILE --out {quote(self.shown)}"
            )
        try:
            found = load(path)
        except DamagedFileError as error:
            raise DamagedRunError(
                f"{error.path}: damaged, {error.reason}; {self._remedy(stage)}"
            ) from error
        except OtherVersionError as error:
            said = f"{error}; {_made_by(self._noted())}, or {self._remedy(stage)}"
            raise DamagedRunError(said) from error
        except (FileNotFoundError, ValueError, pl.exceptions.PolarsError) as error:
            said = str(error) if str(path) in str(error) else f"{path}: {error}"
            raise DamagedRunError(f"{said}; {self._remedy(stage)}") from error
        except OSError as error:
            raise PipelineError(_unreadable(path, error)) from error
        if once:
            self._once[name] = found
        return found


def _manifest(path: Path) -> dict[str, Any]:
    about = read_json(path, "Manifest", 1)
    outputs = about.get("outputs")
    whole = isinstance(outputs, dict) and all(
        isinstance(left, dict) and isinstance(left.get("hash"), str) for left in outputs.values()
    )
    if not whole:
        raise DamagedFileError(path, "it does not list the stage's files with their hashes")
    return about


def _made_by(record: Mapping[str, Any]) -> str:
    """Which version of the package reads a run, from its `run.json`."""
    made = record.get("package", "in another version")
    how = f" (pip install interplm-nb=={made})" if "package" in record else ""
    return (
        f"interplm-nb {made} made this run and this is {interplm_nb.__version__}: "
        f"read it with the version that made it{how}"
    )


def _unreadable(path: Path, error: OSError) -> str:
    return (
        f"{error.filename or path}: cannot be read ({error.strerror or error}); check its "
        "permissions, and the disk or the network drive that holds it"
    )
