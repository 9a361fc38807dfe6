"""A run of a store, opened: small files here, large ones when they are read.

    CACHE/<name>-<hash of the address>/<key of the index>/<name>/    the files that are here
                                                         .parts/    blocks of large files
                                                         index.json, address

One folder per index: what a process has opened does not change under it when the run is written
anew. Files that an earlier index had too are linked, not fetched.
"""

import contextlib
import functools
import hashlib
import logging
import os
import re
from pathlib import Path

import numpy as np

from interplm_nb.checksums import CheckedBytes
from interplm_nb.remote.errors import StoreError
from interplm_nb.remote.index import Index, keep_index, kept_index
from interplm_nb.remote.partial_file import FetchedBytes, PartialFile
from interplm_nb.remote.pull import fetch, found_index, pull
from interplm_nb.remote.store import Store
from interplm_nb.saving import atomic_path

_LATER = re.compile(
    r"embeddings/.*\.safetensors|(.*/)?activations/by_\w+\.parquet|.*/sae\.safetensors|"
    r"(.*/)?(checkpoints|work|calls|\.[^/]+)/.*"
)
"""Files that stay in the store until they are read: embeddings, activations, weights of SAEs; and
what only a stage that resumes needs."""
_log = logging.getLogger(__name__)


def cache() -> Path:
    """Where runs of stores are kept on this machine: `$XDG_CACHE_HOME/interplm-nb/runs`."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base).resolve() / "interplm-nb" / "runs"


def cache_of(url: str) -> Path:
    """Where the runs of one address are kept."""
    return cache() / f"{_name_of(url)}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"


def _name_of(url: str) -> str:
    return re.sub(r"[^\w-]", "_", url.rpartition("/")[2])[:40]


def opened(url: str, whole: bool = False, progress: bool = False) -> Path:
    """The folder of a run in a store, for reading; `whole`: with all of its files.

    Raises
    ------
    StoreError
        Where the address is wrong, the store cannot be read, or it holds no run.
    """
    store = Store(url)
    index = found_index(store)
    place = cache_of(store.url) / index.key
    run = place / _name_of(store.url)
    _link(run, index)
    names = [name for name in index.files if whole or not _LATER.fullmatch(name)]
    absent = [name for name in names if not (run / name).is_file()]
    moved = pull(store, index, run, absent, progress=progress)
    if moved.files:
        _log.info("%s: fetched %d files, %s bytes", store.url, moved.files, f"{moved.bytes:,}")
    keep_index(index, place / "index.json")
    with atomic_path(place / "address") as draft:
        draft.write_text(store.url, encoding="utf-8")
    later = sum(e.bytes for name, e in index.files.items() if not (run / name).is_file())
    if later:
        _log.info(
            "%s: %s MB of embeddings, activations and weights stay there until they are read",
            store.url,
            f"{later / 1e6:,.1f}",
        )
    return run


def mirror_of(folder: Path) -> "Mirror | None":
    """What fetches the missing files of a run that `opened` gave; None for any other folder.

    Only a folder of this person's cache is one: a run that somebody sent cannot name a store.
    """
    folder = folder.resolve()
    is_ours = folder.parent.parent.parent == cache()
    return _mirror(folder) if is_ours and (folder.parent / "address").is_file() else None


class Mirror:
    """The files of an opened run that are not here yet."""

    def __init__(self, run: Path) -> None:
        self.url = (run.parent / "address").read_text(encoding="utf-8")
        self._run, self._parts = run, run.parent / ".parts"
        self._index = kept_index(run.parent / "index.json", self.url)

    @property
    def to_be_read(self) -> str:
        """Why nothing is written to the run, and what to do: a sentence's end."""
        return (
            f"{self.url} is opened to be read; make a folder of it: "
            f"interplm-nb pull {self.url} runs/mine"
        )

    @functools.cached_property
    def _store(self) -> Store:
        return Store(self.url)

    def bring(self, path: Path) -> None:
        """Fetch a file of the run that is missing here; nothing if the run has no such file."""
        name = path.resolve().relative_to(self._run).as_posix()
        if name in self._index.files and not path.exists():
            entry = self._index.files[name]
            fetch(self._store, name, entry, path, lambda _: None)
            _log.info("%s: fetched %s, %s bytes", self.url, name, f"{entry.bytes:,}")

    def bytes_of(
        self, path: Path, sums: np.ndarray | None, stage: str | None = None
    ) -> CheckedBytes:
        """A file's bytes, as `CheckedBytes.of_file`: one that is not here stays in the store, and
        its blocks are fetched when they are read."""
        name = path.resolve().relative_to(self._run).as_posix()
        if path.exists() or name not in self._index.files or sums is None:
            self.bring(path)
            return CheckedBytes.of_file(path, sums, stage)
        entry = self._index.files[name]
        part = PartialFile(self._store, name, entry, self._parts / name, sums)
        return FetchedBytes(part, sums, stage)


@functools.lru_cache(maxsize=8)
def _mirror(run: Path) -> Mirror:
    return Mirror(run)


def _link(run: Path, index: Index) -> None:
    """Files that the run had under an earlier index are linked."""
    for other in sorted(run.parent.parent.glob("*/index.json")):
        if other.parent == run.parent:
            continue
        with contextlib.suppress(OSError, ValueError, KeyError, StoreError):
            had = kept_index(other, "").files
            for name, entry in index.files.items():
                here, there = run / name, other.parent / run.name / name
                if had.get(name) == entry and there.is_file() and not here.exists():
                    here.parent.mkdir(parents=True, exist_ok=True)
                    os.link(there, here)
