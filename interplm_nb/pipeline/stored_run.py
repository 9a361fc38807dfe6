"""A run that lives in an object store: worked on in a folder of this machine, kept equal to it."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from interplm_nb.pipeline import run_files, runner
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.hashes import FileHashes
from interplm_nb.pipeline.lock import locked
from interplm_nb.pipeline.manifest import run_hashes
from interplm_nb.pipeline.run import Run
from interplm_nb.remote.address import address
from interplm_nb.remote.errors import StoreError
from interplm_nb.remote.index import Index, keep_index, kept_index, read_index
from interplm_nb.remote.mirror import cache_of
from interplm_nb.remote.moving import Moved
from interplm_nb.remote.pull import found_index, pull
from interplm_nb.remote.push import push
from interplm_nb.remote.store import Store

EVERY_SECONDS = 300
"""How often what a stage has finished so far, such as shards and checkpoints, is sent."""
_log = logging.getLogger(__name__)


def push_run(folder: Path, url: str, progress: bool = False) -> Moved:
    """Make the run in a store equal to a run of this machine.

    PipelineError for a folder that is not a run or that is in use, StoreError where the store
    cannot be written.
    """
    store, run = Store(url), Run.open(folder)
    with locked(run.lock):
        hashes = run_hashes(run)
        moved = push(run.folder, store, hashes.of, progress=progress)
        hashes.save()
    return moved


def pull_run(url: str, folder: Path, progress: bool = False) -> Moved:
    """Bring a whole run of a store into a new folder, or into one that an earlier call began.

    PipelineError for a folder that holds something else, StoreError where the store cannot be read
    or holds no run.
    """
    store, folder = Store(url), folder.expanduser()
    index = found_index(store)
    others = [p for p in folder.glob("*") if not (folder / run_files.RECORD).exists()]
    begun = [p for p in others if p.name in {name.split("/")[0] for name in index.files}]
    if len(begun) < len(others) or (folder.exists() and not folder.is_dir()):
        raise PipelineError(f"{folder} holds other files; give an empty or a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock"):
        hashes = FileHashes(folder / ".hashes.json")
        moved = pull(store, index, folder, hash_of=hashes.of, progress=progress)
        hashes.save()
    return moved


def working_folder(url: str) -> Path:
    """Where a run of a store is worked on, on this machine."""
    return cache_of(address(url).url) / "work"


def run_stored(
    request: runner.Request,
    say: Callable[[str], None],
    progress: TextIO | None = None,
    expect: runner.Expect | None = None,
) -> Run:
    """`runner.run` with a run in an object store, `request.url`.

    What is there is fetched first, so that any machine goes on where another stopped. What differs
    is sent after every stage, every five minutes, and when the run ends or fails. StoreError where
    the store cannot be read or written, or another machine wrote the run meanwhile.
    """
    runner.asked(request)
    request = replace(request, out=working_folder(request.url))
    with _kept_equal(Store(request.url), request.out, say, progress is not None) as send:
        return runner.run(request, say, progress, expect, send)


@contextmanager
def _kept_equal(
    store: Store, folder: Path, say: Callable[[str], None], progress: bool
) -> Iterator[Callable[[], None]]:
    """A folder that is equal to the store before and after the block; yields what sends it."""
    kept = _Kept(store, folder)
    with locked(folder.parent / ".work.lock"):
        if moved := kept.fetch(progress):
            say(moved)
        ended = threading.Event()
        sender = threading.Thread(target=kept.send_until, args=[ended], daemon=True)
        sender.start()
        done = False
        try:
            yield lambda: say(kept.send(progress))
            done = True
        finally:
            _end(ended, sender)
            if not done:  # the error of the block is the one to show
                kept.try_to_send()
        kept.send(progress)


def _end(ended: threading.Event, sender: threading.Thread) -> None:
    ended.set()
    sender.join()


class _Kept:
    """The folder, and the index that it was last equal to, which it remembers."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store, self._folder = store, folder
        self._memory = folder / ".store.json"
        self._index = kept_index(self._memory, store.url) if self._memory.exists() else Index({})
        self._sending = threading.Lock()

    def fetch(self, progress: bool) -> str:
        """Bring what the store has, unless this folder wrote it; say what moved.

        A folder that wrote the store's index is equal to it or ahead of it, where the process was
        killed before it could send. Else the store's files replace those here.
        """
        index = read_index(self._store)
        if index is None or index.key == self._index.key:
            return ""
        for name in self._index.files.keys() - index.files.keys():
            (self._folder / name).unlink(missing_ok=True)
        hashes = FileHashes(self._folder / ".hashes.json")
        moved = pull(self._store, index, self._folder, hash_of=hashes.of, progress=progress)
        hashes.save()
        self._remember(index)
        return f"{self._store.url}: fetched {moved.files:,} files, {_megabytes(moved.bytes)}"

    def _remember(self, index: Index) -> None:
        keep_index(index, self._memory)
        self._index = index

    def send(self, progress: bool = False) -> str:
        """Send what differs; say what moved."""
        with self._sending:
            hashes = FileHashes(self._folder / ".hashes.json")
            moved = push(self._folder, self._store, hashes.of, self._index, progress)
            hashes.save()
            self._remember(moved.index)
        return f"{self._store.url}: sent {moved.files:,} files, {_megabytes(moved.bytes)}"

    def try_to_send(self) -> None:
        """Send where that is possible: what is not sent now is sent later."""
        try:
            self.send()
        except (StoreError, OSError) as error:
            _log.warning("%s", error)

    def send_until(self, ended: threading.Event) -> None:
        """Send every `EVERY_SECONDS`."""
        while not ended.wait(EVERY_SECONDS):
            self.try_to_send()


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
