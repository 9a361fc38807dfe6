"""What a run in a store consists of: one small object, written last.

    PREFIX/index.json                      every file of the run: bytes, sha256
    PREFIX/files/<folder>/<stem>.<sha256, 16 digits><suffix>

The name of an object holds its content's hash, so that nothing is ever written over: a reader of an
older index still finds that index's files, and no reader finds a mixture.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import interplm_nb
from interplm_nb.checksums import DamagedFileError
from interplm_nb.remote.errors import StoreError
from interplm_nb.remote.store import Store
from interplm_nb.saving import json_hash, read_json, write_json

NAME = "index.json"
_KIND, _VERSION = "StoredRun", 1


class Entry(NamedTuple):
    """One file of a run."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Index:
    """The files of a run in a store, by name relative to the run.

    Attributes
    ----------
    files
        Name to bytes and sha256.
    superseded
        Objects of earlier indices, and when they left (seconds since 1970, by the writer's clock).
    """

    files: Mapping[str, Entry]
    superseded: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Identifies the files: 12 hexadecimal digits."""
        return json_hash({name: list(e) for name, e in self.files.items()})[7:19]

    def objects(self) -> set[str]:
        """The names of the objects that hold the files."""
        return {object_of(name, entry) for name, entry in self.files.items()}


def object_of(name: str, entry: Entry) -> str:
    """The object that holds a file.

    >>> object_of("sources/sae/maxima.parquet", Entry(9, "0123456789abcdef" * 4))
    'files/sources/sae/maxima.0123456789abcdef.parquet'
    """
    path = PurePosixPath("files", name)
    return str(path.with_name(f"{path.stem}.{entry.sha256[:16]}{path.suffix}"))


def travels(name: str) -> bool:
    """Whether a file of a run's folder belongs to the run: no lock, no draft of a file, but shards
    of embeddings and activations, which are complete. Nothing else may come from a store.

    >>> [travels(n) for n in ("run.json", ".lock", "../run.json", "/etc/passwd", "a/.b.1f.tmp")]
    [True, False, False, False, False]
    >>> travels("embeddings/.layer_03.0123456789ab.draft/shard_00000.safetensors")
    True
    """
    parts = name.split("/")
    return (
        all(
            part and (part[0] != "." or re.fullmatch(r"\.[\w+]+\.\w+\.(draft|shards)", part))
            for part in parts
        )
        and not name.endswith(".tmp")
        and re.search(r"[\\\x00-\x1f\x7f]", name) is None
    )


def read_index(store: Store) -> Index | None:
    """The index of a run; None where there is none. StoreError for another format, and for an
    index that names a file outside of a run."""
    try:
        data = store.read(NAME)
    except FileNotFoundError:
        return None
    with TemporaryDirectory() as folder:
        path = Path(folder) / NAME
        path.write_bytes(data)
        try:
            return kept_index(path, store.url)
        except DamagedFileError as error:
            raise StoreError(
                f"{store.url}/{NAME}: damaged, {error.reason}; push the run again"
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            said = str(error).replace(f"{path}: ", "")
            raise StoreError(
                f"{store.url}/{NAME}: not a run that this version reads ({said}); push it again "
                f"with this version ({interplm_nb.__version__})"
            ) from error


def write_index(store: Store, index: Index) -> None:
    """Write the index, after all of its files."""
    with TemporaryDirectory() as folder:
        keep_index(index, Path(folder) / NAME)
        store.write(NAME, (Path(folder) / NAME).read_bytes())


def keep_index(index: Index, path: Path) -> None:
    """Write an index to a file."""
    record = {
        "type": _KIND,
        "version": _VERSION,
        "package": interplm_nb.__version__,
        "files": {name: list(entry) for name, entry in index.files.items()},
        "superseded": dict(index.superseded),
    }
    write_json(record, path)


def kept_index(path: Path, url: str) -> Index:
    """An index that `keep_index` wrote; ValueError, TypeError or KeyError for another file."""
    return _of_record(read_json(path, _KIND, _VERSION), url)


def _of_record(record: Mapping[str, Any], url: str) -> Index:
    files = {str(name): Entry(int(e[0]), str(e[1])) for name, e in record["files"].items()}
    for name, entry in files.items():
        if not travels(name) or not re.fullmatch("[0-9a-f]{64}", entry.sha256) or entry.bytes < 0:
            raise StoreError(f"{url}/{NAME} names {name!r}, which is no file of a run")
    left = {str(name): float(when) for name, when in record["superseded"].items()}
    for name in left:
        if not travels(name) or not name.startswith("files/"):
            raise StoreError(f"{url}/{NAME} names {name!r}, which is no object of a run")
    return Index(files, left)
