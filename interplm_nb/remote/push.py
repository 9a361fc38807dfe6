"""A run's folder into a store: only what differs moves, the index last."""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from interplm_nb.remote.errors import StoreError
from interplm_nb.remote.index import Entry, Index, object_of, read_index, travels, write_index
from interplm_nb.remote.moving import Moved, move_all
from interplm_nb.remote.store import PART, Store
from interplm_nb.saving import file_hash

KEPT_SECONDS = 3600
"""How long objects stay that an index no longer names, for readers of the older one."""
HashOf = Callable[[Path], str]
"""The sha256 of a file, as `saving.file_hash` or `pipeline.hashes.FileHashes.of` gives it."""
_log = logging.getLogger(__name__)


def push(
    folder: Path,
    store: Store,
    hash_of: HashOf = file_hash,
    after: Index | None = None,
    progress: bool = False,
) -> Moved:
    """Make the run in a store equal to a folder.

    An object that is there, of the same name, content and size, is not sent again, so that a push
    that was stopped goes on where it was. Files that vanish meanwhile, as drafts do when a stage
    ends, are left out, and so is a large file that changes while it is sent.

    Parameters
    ----------
    folder
        The run's folder.
    store
        Where to.
    hash_of
        Gives a file's sha256.
    after
        The index that the folder was last equal to. StoreError where the store has another one by
        now: two machines at work on one run would undo each other's work. None: replace any.
    progress
        Show a progress bar.
    """
    before = read_index(store)
    if after is not None and before is not None and before.key != after.key:
        raise StoreError(
            f"{store.url} was written by another process since this one read it; let one machine "
            "at a time work on a run, and give the same command again to go on from what is there"
        )
    files = dict(_entries(folder, hash_of))
    if before is not None and before.files == files:
        return Moved(0, 0, before)
    there = store.sizes()
    wanted = {n: e for n, e in files.items() if there.get(object_of(n, e)) != e.bytes}
    sent: dict[str, Entry] = {}

    def send(name: str, entry: Entry, update: Callable[[int], object]) -> None:
        """Send one file, unless it is gone or changes meanwhile."""
        try:
            sent[name] = _sent(store, folder / name, name, entry, hash_of)
        except FileNotFoundError:
            if (folder / name).exists():
                raise
        except _ChangedError:
            _log.info("%s changes while it is sent; it is sent next time", folder / name)
        update(entry.bytes)

    move_all(wanted, send, f"pushing to {store.url}", progress)
    left = {name: entry for name, entry in files.items() if name not in wanted}
    index = _published(store, Index(left | sent), before)
    return Moved(len(sent), sum(entry.bytes for entry in sent.values()), index)


class _ChangedError(Exception):
    """A file is no longer what was hashed."""


def _sent(store: Store, path: Path, name: str, entry: Entry, hash_of: HashOf) -> Entry:
    """Send a file as it is now: what the object's name says is what it holds."""
    if entry.bytes <= PART:
        data = path.read_bytes()
        entry = Entry(len(data), hashlib.sha256(data).hexdigest())
        store.write(object_of(name, entry), data)
        return entry
    before = path.stat()
    if hash_of(path) != f"sha256:{entry.sha256}":
        raise _ChangedError
    store.upload(path, object_of(name, entry))
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        store.remove(object_of(name, entry))
        raise _ChangedError
    return entry


def _entries(folder: Path, hash_of: HashOf) -> Iterator[tuple[str, Entry]]:
    whole = folder.resolve()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not travels(name):
            continue
        if path.is_symlink() and not path.resolve().is_relative_to(whole):
            raise StoreError(
                f"{path} is a link to a file outside the run, which would be sent with it; remove "
                "the link, or put the file itself there"
            )
        try:
            if path.is_file():
                yield name, Entry(path.stat().st_size, hash_of(path).removeprefix("sha256:"))
        except FileNotFoundError:  # a draft that was renamed meanwhile
            continue


def _published(store: Store, index: Index, before: Index | None) -> Index:
    """Write the index; remove objects that left an earlier one more than `KEPT_SECONDS` ago.

    They go first, as only an index says that they are there: one that stays is named by the next.
    """
    now, kept = time.time(), index.objects()
    left = dict.fromkeys(before.objects() if before else (), now)
    left |= before.superseded if before else {}
    left = {name: when for name, when in left.items() if name not in kept}
    old = {name for name, when in left.items() if now - when > KEPT_SECONDS}
    for name in sorted(old):
        try:
            store.remove(name)
        except StoreError as error:
            _log.warning("%s: an old file stays, to be removed next time: %s", store.url, error)
        else:
            del left[name]
    index = Index(index.files, left)
    write_index(store, index)
    return index
