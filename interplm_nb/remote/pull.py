"""A run from a store into a folder: each file whole and compared with its sha256, or not at all."""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from interplm_nb.remote.errors import StoreError
from interplm_nb.remote.index import Entry, Index, object_of, read_index
from interplm_nb.remote.moving import Moved, move_all
from interplm_nb.remote.push import HashOf
from interplm_nb.remote.store import Store
from interplm_nb.saving import atomic_path, file_hash


class _DamagedError(Exception):
    """The bytes that came are not those of the index."""


def found_index(store: Store) -> Index:
    """The index of a run that must be there."""
    index = read_index(store)
    if index is None:
        raise StoreError(
            f"{store.url} holds no run (no index.json); check the address, or push one: "
            f"interplm-nb push RUN {store.url}"
        )
    return index


def pull(
    store: Store,
    index: Index,
    folder: Path,
    names: Iterable[str] | None = None,
    hash_of: HashOf = file_hash,
    progress: bool = False,
) -> Moved:
    """Bring files of a run (None: all) into a folder; those that are equal there stay.

    StoreError for a file whose bytes are not those of the index, and for one that was replaced
    since the index was read.
    """
    chosen = index.files if names is None else {name: index.files[name] for name in names}
    wanted = {n: e for n, e in chosen.items() if not _is_here(folder / n, e, hash_of)}

    def bring(name: str, entry: Entry, update: Callable[[int], object]) -> None:
        """Bring one file of the store."""
        fetch(store, name, entry, folder / name, update)

    move_all(wanted, bring, f"fetching {store.url}", progress)
    return Moved(len(wanted), sum(entry.bytes for entry in wanted.values()), index)


def fetch(
    store: Store, name: str, entry: Entry, path: Path, update: Callable[[int], object]
) -> None:
    """Bring one file, `PART` bytes at a time; one that arrives damaged is fetched once more."""
    for update_now in (update, lambda _: None):
        with contextlib.suppress(_DamagedError), atomic_path(path) as draft:
            digest = hashlib.sha256()
            with draft.open("wb") as stream:
                for data in _parts(store, name, entry):
                    digest.update(data)
                    stream.write(data)
                    update_now(len(data))
            if digest.hexdigest() != entry.sha256:
                raise _DamagedError
            return
    raise StoreError(
        f"{store.url}: {name} is damaged there (its sha256 is not the one in index.json); push "
        "the run again from where it is whole"
    )


def _parts(store: Store, name: str, entry: Entry) -> Iterator[bytes]:
    try:
        yield from store.parts(object_of(name, entry), entry.bytes)
    except FileNotFoundError as error:
        raise replaced(store, name) from error


def replaced(store: Store, name: str) -> StoreError:
    """The error for a file that an index names and the store no longer holds."""
    return StoreError(
        f"{store.url}: {name} is gone; the run was written anew there, or files were removed: "
        "open it again"
    )


def _is_here(path: Path, entry: Entry, hash_of: HashOf) -> bool:
    return (
        path.is_file()
        and path.stat().st_size == entry.bytes
        and hash_of(path) == f"sha256:{entry.sha256}"
    )
