"""Claims: one process takes a shard, a dead one's is taken over, a live one's is not."""

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from interplm_nb.scale import claims
from interplm_nb.scale.claims import Claims, ClaimWorkers
from interplm_nb.scale.errors import ClusterError
from interplm_nb.scale.shard_task import Update
from tests.clocks import set_clock

ROOT = Path(__file__).parents[2]


class Squares:
    """A task of shards: the square of each number, in a file; who computed it, in another."""

    label = "squaring"

    def __init__(self, folder: Path, n: int = 10, seconds: float = 0.0) -> None:
        self.folder, self.n, self.seconds = folder, n, seconds

    def missing(self) -> list[int]:
        return [i for i in range(self.n) if not (self.folder / f"{i}").exists()]

    def residues(self, shard: int) -> int:
        return shard

    def accessions(self, shard: int) -> list[str]:
        return [f"P{shard}a", f"P{shard}b"]

    def compute(self, shard: int, update: Update) -> None:
        if (self.folder / f"{shard}").exists():
            return
        with (self.folder / f"computed_{shard}").open("a") as stream:
            stream.write(f"{os.getpid()}\n")
        time.sleep(self.seconds)
        (self.folder / f"{shard}").write_text(str(shard**2))
        update(shard)


_CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from interplm_nb.scale.claims import ClaimWorkers
from tests.scale.test_claims import Squares
folder, n, seconds, lease = Path(sys.argv[2]), int(sys.argv[3]), *map(float, sys.argv[4:])
ClaimWorkers(folder, lease).complete(Squares(folder, n, seconds), lambda _: None)
"""


def started(folder: Path, n: int, seconds: float, lease: float) -> subprocess.Popen:
    words = [sys.executable, "-c", _CHILD, ROOT, folder, n, seconds, lease]
    return subprocess.Popen([str(word) for word in words])


def computed(folder: Path) -> dict[int, list[str]]:
    """By shard, the processes that computed it."""
    files = folder.glob("computed_*")
    return {int(f.name.partition("_")[2]): f.read_text().split() for f in files}


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_four_processes_compute_each_shard_once(tmp_path: Path) -> None:
    processes = [started(tmp_path, 60, 0.02, 60) for _ in range(4)]
    assert [process.wait(120) for process in processes] == [0] * 4
    by = computed(tmp_path)
    assert sorted(by) == list(range(60))
    assert all(len(who) == 1 for who in by.values())
    assert [int((tmp_path / f"{i}").read_text()) for i in range(60)] == [i**2 for i in range(60)]
    assert list(tmp_path.glob("*.claim")) == []


def test_the_shard_of_a_killed_process_is_taken_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    process = started(tmp_path, 1, 600, 60)
    wait_for(tmp_path / "computed_0")
    process.kill()
    process.wait()
    (claim,) = tmp_path.glob("*.claim")
    assert json.loads(claim.read_text())["pid"] == process.pid
    ClaimWorkers(tmp_path, 0.5).complete(Squares(tmp_path, 1), lambda _: None)
    assert (tmp_path / "0").read_text() == "0"
    assert computed(tmp_path) == {0: [str(process.pid), str(os.getpid())]}
    assert f'"pid": {process.pid}' in caplog.text and "has lapsed" in caplog.text


def test_a_process_that_takes_longer_than_a_lease_keeps_its_shard(tmp_path: Path) -> None:
    process = started(tmp_path, 1, 3, 1)
    wait_for(tmp_path / "computed_0")
    ClaimWorkers(tmp_path, 1).complete(Squares(tmp_path, 1), lambda _: None)
    assert process.wait(60) == 0
    assert computed(tmp_path) == {0: [str(process.pid)]}


def test_a_paused_process_changes_nothing(tmp_path: Path) -> None:
    process = started(tmp_path, 1, 5, 0.5)
    wait_for(tmp_path / "computed_0")
    process.send_signal(signal.SIGSTOP)
    ClaimWorkers(tmp_path, 0.5).complete(Squares(tmp_path, 1), lambda _: None)
    process.send_signal(signal.SIGCONT)
    assert process.wait(60) == 0
    assert len(computed(tmp_path)[0]) == 2  # and the result is the same
    assert (tmp_path / "0").read_text() == "0"


def test_clocks_of_hosts_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Claims(tmp_path, 60).holding(1) as ours:
        set_clock(monkeypatch, claims, lambda: 4e9)
        with Claims(tmp_path, 60).holding(1) as theirs:
            assert (ours, theirs) == (True, False)
    (tmp_path / "00001.claim").write_text("{}")
    os.utime(tmp_path / "00001.claim", (1e9, 1e9))  # long ago, by the file system
    with Claims(tmp_path, 60).holding(1) as ours:
        assert ours


def test_what_another_took_over_is_not_given_back(tmp_path: Path) -> None:
    claim = tmp_path / "00001.claim"
    with Claims(tmp_path, 60).holding(1):
        claim.unlink()
        claim.write_text("another's")
    assert claim.read_text() == "another's"


class Failing(Squares):
    """Shard 7 fails."""

    def __init__(self, folder: Path, error: Exception, times: int = 100) -> None:
        super().__init__(folder)
        self.error, self.times = error, times

    def compute(self, shard: int, update: Update) -> None:
        if shard == 7 and self.times:
            self.times -= 1
            raise self.error
        super().compute(shard, update)


def test_a_shard_that_fails_is_named_and_its_claim_is_given_back(tmp_path: Path) -> None:
    with pytest.raises(ClusterError) as error:
        ClaimWorkers(tmp_path).complete(
            Failing(tmp_path, ValueError("not a protein")), lambda _: None
        )
    assert str(error.value) == ("squaring: shard 7 (2 proteins, P7a to P7b) failed: not a protein")
    assert list(tmp_path.glob("*.claim")) == []


def test_a_claim_that_a_full_disk_cuts_off_does_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody would wait for it, its writer too, and nobody would say why."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refuse(*_: object) -> None:
        raise full

    monkeypatch.setattr(claims.json, "dump", refuse)
    monkeypatch.setattr(claims, "PAUSE", 0.0)
    with pytest.raises(ClusterError, match="No space left on device"):
        ClaimWorkers(tmp_path).complete(Squares(tmp_path), lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fails_for_a_moment_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "PAUSE", 0.0)
    with caplog.at_level(logging.WARNING, "interplm_nb"):
        ClaimWorkers(tmp_path).complete(
            Failing(tmp_path, OSError("stale handle"), times=2), lambda _: None
        )
    assert (tmp_path / "7").read_text() == "49"
    assert caplog.messages.count("shard 7 of squaring is tried again: stale handle") == 2
    with pytest.raises(ClusterError, match=r"shard 7 \(2 proteins, P7a to P7b\) failed: stale"):
        (tmp_path / "7").unlink()
        ClaimWorkers(tmp_path).complete(Failing(tmp_path, OSError("stale handle")), lambda _: None)


def test_work_that_was_removed_is_said(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="gone is gone: another command ended this work or"):
        ClaimWorkers(tmp_path / "gone").complete(Squares(tmp_path), lambda _: None)
