"""Shards that processes of several machines take by claims: files next to the shards.

Nothing depends on a claim: shards that two processes compute have the same bytes. Claims only keep
most work from being done twice. They are in the shards' own folder, because a network file system
that has just made a file there looks anew for the shards that others made.
"""

import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, runtime_checkable

from interplm_nb.scale.errors import ClusterError
from interplm_nb.scale.shard_task import ShardTask, Update, failed
from interplm_nb.scale.tries import MOST_TRIES, PAUSE, may_pass
from interplm_nb.shards import draft_of

LEASE = 300.0
"""Seconds after which a claim that its holder has not renewed is anyone's. Longer than a network
file system shows an old time of a file (60 s by NFS's default)."""

_RENEWALS = 5
"""Times that a claim is renewed in a lease."""

_log = logging.getLogger(__name__)


class Claims:
    """Claims in a folder, by number.

    A claim is made so that one process alone succeeds (O_EXCL), and says its host and process. Its
    age is the file system's: the difference of two of its own times, whatever the hosts' clocks
    say.

    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp())
    >>> with Claims(folder).holding(3) as ours, Claims(folder).holding(3) as theirs:
    ...     ours, theirs
    (True, False)
    """

    def __init__(self, folder: Path, lease: float = LEASE) -> None:
        self._folder, self._lease = folder, lease
        self._holder = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "id": secrets.token_hex(4),  # pids of hosts, and hosts of containers, may be equal
        }

    @contextmanager
    def holding(self, number: int) -> Iterator[bool]:
        """Whether `number` is ours for the block; renewed until its end, then given back."""
        claim = self._folder / f"{number:05d}.claim"
        if not self._take(claim):
            yield False
            return
        ended = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(claim, ended), daemon=True)
        renewing.start()
        try:
            yield True
        finally:
            ended.set()
            renewing.join()
            self._give_back(claim)

    def _take(self, claim: Path) -> bool:
        for _ in range(2):
            try:
                self._write(claim)
                return True
            except FileExistsError:
                if not self._has_lapsed(claim):
                    return False
                _log.warning("the claim %s has lapsed: %s", claim, _text(claim))
                claim.unlink(missing_ok=True)
        return False

    def _write(self, claim: Path) -> None:
        stream = claim.open("x", encoding="utf-8")
        try:
            with stream:
                json.dump(self._holder, stream)
        except OSError:  # a full disk: an empty claim would keep everybody from the shard
            claim.unlink(missing_ok=True)
            raise

    def _has_lapsed(self, claim: Path) -> bool:
        try:
            return self._now() - _time(claim) > self._lease
        except FileNotFoundError:  # given back
            return True

    def _now(self) -> float:
        """The file system's time: that of a file which is touched now."""
        probe = draft_of(self._folder / "now")
        try:
            probe.touch()
            os.utime(probe)
            return _time(probe)
        finally:
            probe.unlink(missing_ok=True)

    def _renew(self, claim: Path, ended: threading.Event) -> None:
        while not ended.wait(self._lease / _RENEWALS):
            with suppress(OSError):  # taken over while we were paused; the disk may come back
                os.utime(claim)

    def _give_back(self, claim: Path) -> None:
        with suppress(OSError):
            if _text(claim) == json.dumps(self._holder):
                claim.unlink()


class NotComputedError(Exception):
    """A task is listed for other processes, and nothing of it is computed."""


@runtime_checkable
class SharedTask(ShardTask, Protocol):
    """A task that other processes can find."""

    def share(self) -> None:
        """Write what the task is where its shards will be."""
        ...


class ForOthers:
    """`Workers` that compute nothing: they list a task and raise `NotComputedError`."""

    where = ""

    def complete(self, task: ShardTask, update: Update) -> None:
        """See `Workers`. ClusterError for a task that other processes cannot find."""
        if not isinstance(task, SharedTask):
            raise ClusterError(f"{task.label}: other processes cannot take shards of this work")
        task.share()
        raise NotComputedError


class ClaimWorkers:
    """`Workers` that compute shards in this process while others, here and on other machines, take
    theirs from the same task, by claims in its folder. `complete` ends when no shard is missing."""

    where = ""

    def __init__(self, folder: Path, lease: float = LEASE) -> None:
        self._folder, self._longest_wait = folder, min(10.0, lease / _RENEWALS)
        self._claims = Claims(folder, lease)

    def complete(self, task: ShardTask, update: Update) -> None:
        """See `Workers`.

        Raises
        ------
        ClusterError
            For a shard that fails, with its proteins, and where another command ended or removed
            the work.
        """
        wait = 0.1
        while missing := self._missing(task):
            if not sum(self._taken(task, shard, update) for shard in _dealt(missing)):
                time.sleep(wait)  # others hold them all
                wait = min(2 * wait, self._longest_wait)

    def _missing(self, task: ShardTask) -> list[int]:
        if not self._folder.is_dir():
            raise ClusterError(
                f"{task.label}: {self._folder} is gone: another command ended this work or "
                "began it anew; give the same command again if shards are missing"
            )
        return task.missing()

    def _taken(self, task: ShardTask, shard: int, update: Update) -> bool:
        """Take a shard and compute it, unless another process holds it; whether it was ours."""
        for attempt in range(1, MOST_TRIES + 1):
            try:
                with self._claims.holding(shard) as ours:
                    if ours:
                        task.compute(shard, update)
                    return ours
            except OSError as error:
                self._missing(task)
                if attempt == MOST_TRIES or not may_pass(error):
                    raise ClusterError(f"{failed(task, shard)}: {error}") from error
                _log.warning("shard %d of %s is tried again: %s", shard, task.label, error)
                time.sleep(PAUSE * 2 ** (attempt - 1))
            except ValueError as error:
                raise ClusterError(f"{failed(task, shard)}: {error}") from error
        raise AssertionError("the last try returns or raises")


def _dealt(shards: Sequence[int]) -> list[int]:
    """The shards from a random one on, so that processes rarely ask for the same one."""
    first = secrets.randbelow(len(shards))
    return [*shards[first:], *shards[:first]]


def _time(path: Path) -> float:
    """When a file was last touched; opened, because that asks a network file system anew."""
    with path.open("rb") as stream:
        return os.fstat(stream.fileno()).st_mtime


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
