"""Whether the files of a run are as its stages left them.

Every file that a manifest lists is read and compared with the hash there, whatever its size and
date say. A file that no manifest lists, such as all of a run that was cut down to be passed on, is
compared with the sum that it holds itself.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from interplm_nb.checksums import CheckedBytes, DamagedFileError, from_text
from interplm_nb.embeddings import Embeddings
from interplm_nb.pipeline.errors import DamagedRunError, PipelineError
from interplm_nb.pipeline.outward_links import check_links
from interplm_nb.pipeline.run import Run
from interplm_nb.pipeline.stage_table import STAGES
from interplm_nb.saving import file_hash, sealed_bytes, sealed_record


@dataclass(frozen=True)
class Checked:
    """One file of a run.

    Attributes
    ----------
    name
        The file, relative to the run.
    stage
        The stage that makes it; None for `run.json`.
    fault
        "missing", "changed" or "unreadable", or "outside the run" for a name in a manifest that
        leads out of the folder and is not read; None where the file is as it was left.
    by
        What it was compared with: "manifest", "its own sum", or "nothing" where it has neither.
    """

    name: str
    stage: str | None
    fault: str | None
    by: str = "manifest"


def verify(folder: Path | str) -> list[Checked]:
    """Check every file of a run's record, manifests and stages, in the order of the stages.

    It reads all bytes, writes nothing and opens no network. PipelineError for a folder that is
    not a run, and, before any file is read, for a link that leads out of it.

    Examples
    --------
    >>> {file.fault for file in verify(Run.shipped().folder)}
    {None}
    """
    run = Run(Path(folder).expanduser())
    if not run.record.is_file():
        Run.open(folder)  # says what a run is
    check_links(run.folder)
    return [_by_itself(run, run.record, None), *(c for s in STAGES for c in _stage(run, s))]


def _stage(run: Run, stage: str) -> Iterator[Checked]:
    path = run.manifest_path(stage)
    listed: dict[str, dict[str, str]] = {}
    if path.is_file():
        checked = _by_itself(run, path, stage)
        if checked.fault is None:
            try:
                listed = run.manifest(stage)["outputs"]
            except DamagedRunError:
                checked = replace(checked, fault="changed")
        yield checked
    for name, left in sorted(listed.items()):
        yield Checked(name, stage, _against(run.folder, name, left["hash"]))
    for file in run.outputs(stage):
        if file.relative_to(run.folder).as_posix() not in listed:
            yield _by_itself(run, file, stage)


def _against(folder: Path, name: str, left: str) -> str | None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        return "outside the run"
    return _fault(path, lambda path: file_hash(path) == left)


def _by_itself(run: Run, path: Path, stage: str | None) -> Checked:
    summed = False

    def same(path: Path) -> bool:
        """True, or DamagedFileError; notes whether the file has a sum of its own."""
        nonlocal summed
        summed = _compared(path)
        return True

    fault = _fault(path, same)
    by = "its own sum" if summed or fault else "nothing"
    return Checked(path.relative_to(run.folder).as_posix(), stage, fault, by)


def _fault(path: Path, same: Callable[[Path], bool]) -> str | None:
    try:
        return None if same(path) else "changed"
    except FileNotFoundError:
        return "missing"
    except DamagedFileError as error:
        return "changed" if error.path == path else None  # the file next to it has its own line
    except OSError:
        return "unreadable"


def _compared(path: Path) -> bool:
    """Compare a file with its own sum; False where it has none. DamagedFileError where they
    differ, and where the record that should hold the sum holds something else."""
    try:
        return _compared_by_record(path)
    except DamagedFileError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise DamagedFileError(path, "the record next to it does not describe it") from error


def _compared_by_record(path: Path) -> bool:
    if path.name in ("by_residue.parquet", "by_feature.parquet"):
        sums = sealed_record(path.parent / "about.json")[0].get("sums", {})
        data = CheckedBytes.of_file(path, from_text(sums[path.stem]) if sums else None)
        data.check(0, len(data.data))
        return bool(sums)
    if path.name.startswith("shard_"):
        Embeddings.open(path.parent).check_bytes(int(path.stem.removeprefix("shard_")))
        return True
    if path.name in _HASHED:
        record = sealed_record(path.with_name(_HASHED[path.name]))[0]
        if record["weights"] != file_hash(path):
            raise DamagedFileError(path, f"not the weights of {_HASHED[path.name]}")
        return True
    readers = {".parquet": sealed_bytes, ".json": sealed_record}
    return readers[path.suffix](path)[1] if path.suffix in readers else False


_HASHED = {"sae.safetensors": "config.json", "projection.safetensors": "projection.json"}
"""Weights, and the record next to them that holds their hash."""


def remedy(run: Run, faulty: list[Checked]) -> str:
    """The command that makes the faulty files of a run again."""
    try:
        profile = run.profile
    except PipelineError:
        return "copy run.json from a run of the same profile and model, or make the run again"
    first = next(s for s in STAGES if any(c.stage == s for c in faulty))
    return f"interplm-nb run {quote(profile)} --out {quote(str(run.folder))} --force {first}"
