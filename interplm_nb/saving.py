"""Atomic writes, and files that say what they are.

Everything is written next to its final name and renamed, so that a killed process leaves either the
old file or the new one. A Parquet file has a JSON record in its metadata under `interplm_nb`; a
folder has `about.json`. Both hold the crc32 of their own content, and a file that has changed since
is a `DamagedFileError`, never other values.
"""

import contextlib
import errno
import hashlib
import io
import json
import os
import secrets
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from interplm_nb.checksums import DamagedFileError

_KEY = "interplm_nb"
_SUM = "interplm_nb.crc32:"
_ZEROS = "00000000"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path next to `path`: renamed to it if the block succeeds, else removed.

    A folder replaces a folder, a file a file: IsADirectoryError or NotADirectoryError otherwise.
    An OSError names `path`, which the caller knows, not the temporary one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
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


class OtherVersionError(ValueError):
    """A file of the expected kind, in another version of its format.

    `record` is what the file says of itself.
    """

    def __init__(self, said: str, record: Mapping[str, Any]) -> None:
        super().__init__(said)
        self.record = record


def write_json(value: Any, path: Path) -> None:
    """Write a value as JSON with sorted keys, atomically; a record with a type and a version gets a
    `checksum`, which `read_json` compares.

    ValueError for NaN and infinity, TypeError for what JSON cannot hold.
    """
    if isinstance(value, Mapping) and {"type", "version"} <= value.keys():
        record = {name: part for name, part in value.items() if name != "checksum"}
        value = {**record, "checksum": _record_sum(json.loads(_json(record)))}
    with atomic_path(path) as draft:
        draft.write_text(_json(value) + "\n", encoding="utf-8")


def read_json(path: Path, kind: str, version: int) -> dict[str, Any]:
    """Read a JSON record and check its `type`, its `version` and, where it has one, its sum.

    DamagedFileError for another content than `write_json` wrote, ValueError for a record of another
    kind or version.
    """
    record, sums = _parsed(path)
    _checked(record, path, kind, version)  # before the sum, which other versions may take otherwise
    _compare(record, sums, path)
    return record


def sealed_record(path: Path) -> tuple[dict[str, Any], bool]:
    """A JSON record of any kind, and whether it has a sum; DamagedFileError where that differs."""
    record, sums = _parsed(path)
    _compare(record, sums, path)
    return record, bool(sums)


def write_parquet(table: pl.DataFrame, path: Path, about: Mapping[str, Any]) -> None:
    """Write a table with its record, and the file's sum, in the file's metadata."""
    metadata = {_KEY: json.dumps(dict(about)), "checksum": _SUM + _ZEROS}
    with atomic_path(path) as draft:
        table.write_parquet(draft, compression="zstd", metadata=metadata)
        data = draft.read_bytes()
        with draft.open("r+b") as stream:
            stream.seek(_place_of_sum(data))
            stream.write(_file_sum(data))


def read_parquet(path: Path, kind: str, version: int) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Read a table and its record.

    FileNotFoundError if it is missing, DamagedFileError for other bytes than were written,
    ValueError for a file of another kind or version.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no {kind} here; run the stage that writes it")
    data = sealed_bytes(path)[0]
    try:
        about = json.loads(pl.read_parquet_metadata(io.BytesIO(data)).get(_KEY, "{}"))
        _checked(about, path, kind, version)
        return pl.read_parquet(data), about
    except (
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
        json.JSONDecodeError,
        UnicodeDecodeError,
        OSError,
    ) as error:
        raise DamagedFileError(path, f"not a readable Parquet file ({error})") from error


def sealed_bytes(path: Path) -> tuple[bytes, bool]:
    """A Parquet file, and whether it has a sum; DamagedFileError where that differs."""
    data = path.read_bytes()
    place = _place_of_sum(data)
    if place and data[place : place + len(_ZEROS)] != _file_sum(data):
        raise DamagedFileError(path, "its bytes changed after it was written")
    if data[-4:] != b"PAR1":
        raise DamagedFileError(path, "it is cut off" if data else "it is empty")
    return data, bool(place)


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def json_hash(value: Any) -> str:
    """sha256 of a value's canonical JSON."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _parsed(path: Path) -> tuple[dict[str, Any], list[str]]:
    """A record and the sums in it, which are known by their value, so that a changed bit in their
    name is no loss."""
    data = path.read_bytes()
    try:
        record = json.loads(data.decode("utf-8"))
    except ValueError as error:
        raise DamagedFileError(path, f"not JSON ({error})" if data else "it is empty") from error
    if not isinstance(record, dict):
        raise DamagedFileError(path, "not a JSON record")
    names = [name for name, value in record.items() if str(value).startswith(_SUM)]
    return record, [record.pop(name) for name in names]


def _compare(record: dict[str, Any], sums: list[str], path: Path) -> None:
    if "checksum" in record or (sums and sums != [_record_sum(record)]):
        raise DamagedFileError(path, "it was changed after it was written")


def _record_sum(record: dict[str, Any]) -> str:
    return f"{_SUM}{zlib.crc32(_json(record).encode()):08x}"


def _place_of_sum(data: bytes) -> int:
    """Where a Parquet file holds its sum; 0 for one without."""
    found = data.rfind(_SUM.encode())
    return found + len(_SUM) if found >= 0 else 0


def _file_sum(data: bytes) -> bytes:
    """The crc32 of a file's bytes, with zeros in the place of the sum."""
    place = _place_of_sum(data)
    before = zlib.crc32(_ZEROS.encode(), zlib.crc32(memoryview(data)[:place]))
    return b"%08x" % zlib.crc32(memoryview(data)[place + len(_ZEROS) :], before)


def _checked(about: dict[str, Any], path: Path, kind: str, version: int) -> dict[str, Any]:
    if (about.get("type"), about.get("version")) != (kind, version):
        said = (
            f"{path}: expected {kind} version {version}, found {about.get('type', 'no type')} "
            f"version {about.get('version', 'none')}"
        )
        raise OtherVersionError(said, about) if about.get("type") == kind else ValueError(said)
    return about


def _flush(draft: Path) -> None:
    if draft.is_file():
        with draft.open("rb") as stream:
            os.fsync(stream.fileno())
