"""Atomic writes, and files that say what they are.

Everything is written beside its final name and renamed, so that a killed process leaves either the
old file or the new one. A Parquet file has a JSON record in its metadata under `interplm_nb`; a
folder has `about.json`.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

_KEY = "interplm_nb"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`: renamed to it if the block succeeds, else removed.

    A folder replaces a folder, a file a file: IsADirectoryError or NotADirectoryError otherwise.
    An OSError names `path`, which the caller knows, not the temporary one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        remove(draft)
        yield draft
        _flush(draft)
        if draft.is_dir() and path.is_dir():
            remove(path)
        os.replace(draft, path)
    except OSError as error:
        if str(draft) in (str(error.filename), str(error.filename2)) or draft.name in str(error):
            said = error.strerror or str(error).replace(draft.name, path.name)
            raise OSError(error.errno or errno.EIO, said, str(path)) from error
        raise
    finally:
        with contextlib.suppress(OSError):
            remove(draft)


def remove(path: Path) -> None:
    """Remove a file or a folder if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(value: Any, path: Path) -> None:
    """Write a value as JSON with sorted keys, atomically.

    ValueError for NaN and infinity, TypeError for what JSON cannot hold.
    """
    with atomic_path(path) as draft:
        draft.write_text(
            json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n",
            encoding="utf-8",
        )


def read_json(path: Path, kind: str, version: int) -> dict[str, Any]:
    """Read a JSON record and check its `type` and `version`."""
    return _checked(json.loads(path.read_text(encoding="utf-8")), path, kind, version)


def write_parquet(table: pl.DataFrame, path: Path, about: Mapping[str, Any]) -> None:
    """Write a table with its record in the file's metadata."""
    with atomic_path(path) as draft:
        table.write_parquet(draft, compression="zstd", metadata={_KEY: json.dumps(dict(about))})


def read_parquet(path: Path, kind: str, version: int) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Read a table and its record.

    FileNotFoundError if it is missing, ValueError for a file of another kind or version.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no {kind} here; run the stage that writes it")
    about = json.loads(pl.read_parquet_metadata(path).get(_KEY, "{}"))
    _checked(about, path, kind, version)
    return pl.read_parquet(path), about


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def json_hash(value: Any) -> str:
    """sha256 of a value's canonical JSON."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def _checked(about: dict[str, Any], path: Path, kind: str, version: int) -> dict[str, Any]:
    if (about.get("type"), about.get("version")) != (kind, version):
        raise ValueError(
            f"{path}: expected {kind} version {version}, found {about.get('type', 'no type')} "
            f"version {about.get('version', 'none')}"
        )
    return about


def _flush(draft: Path) -> None:
    if draft.is_file():
        with draft.open("rb") as stream:
            os.fsync(stream.fileno())
