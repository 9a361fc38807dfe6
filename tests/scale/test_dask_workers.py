"""Shards on a Dask cluster: the same bytes as in this process; what a failed shard says."""

import logging
import pickle
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from interplm_nb import plm
from interplm_nb.plm.store import embed_to
from interplm_nb.proteins import Proteins
from interplm_nb.scale import on_worker
from interplm_nb.scale.address import workers_at
from interplm_nb.scale.errors import ClusterError
from interplm_nb.scale.shard_task import Update, Workers

LETTERS = np.random.default_rng(0).choice(list("ACDEFGHIKLMNPQRSTVWY"), (12, 80))
PROTEINS = Proteins.from_sequences({f"P{i}": "".join(row) for i, row in enumerate(LETTERS)})


@pytest.mark.parametrize("shuffled", [False, True])
def test_embeddings_have_the_same_bytes(workers: Workers, tmp_path: Path, shuffled: bool) -> None:
    model = plm.load("esm2-mini", "cpu")
    model = model.shuffled(3) if shuffled else model
    here, there = (
        embed_to(
            model,
            PROTEINS,
            [1, 3],
            lambda layer, name=name: tmp_path / f"{name}_{layer}",
            scale=chosen,
            shard_rows=200,
            tokens_per_batch=100,
            progress=False,
        )
        for name, chosen in (("here", ""), ("there", workers))
    )
    for layer in here:
        files = sorted(here[layer].path.iterdir())
        assert len(files) > 6
        assert [f.name for f in files] == sorted(f.name for f in there[layer].path.iterdir())
        for file in files:
            assert file.read_bytes() == (there[layer].path / file.name).read_bytes()


class Squares:
    """A task of ten shards: the square of each number, in a file. Shard 7 fails as it is told."""

    label = "squaring"

    def __init__(self, folder: Path, fails: Exception | None = None, times: int = 100) -> None:
        self.folder, self.fails, self.times = folder, fails, times

    def missing(self) -> list[int]:
        return [i for i in range(10) if not (self.folder / f"{i}").exists()]

    def residues(self, shard: int) -> int:
        return shard

    def accessions(self, shard: int) -> list[str]:
        return [f"P{shard}a", f"P{shard}b"]

    def compute(self, shard: int, update: Update) -> None:
        tried = self.folder / f"tried_{shard}"
        tried.write_text(tried.read_text() + "x" if tried.exists() else "x")
        if shard == 7 and self.fails and len(tried.read_text()) <= self.times:
            raise self.fails
        (self.folder / f"{shard}").write_text(str(shard**2))


def test_every_shard_is_computed_once(workers: Workers, tmp_path: Path) -> None:
    (tmp_path / "4").write_text("16")  # of a run before
    finished: list[int] = []
    workers.complete(Squares(tmp_path), finished.append)
    assert [(tmp_path / f"{i}").read_text() for i in range(10)] == [str(i**2) for i in range(10)]
    assert sorted(finished) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert not (tmp_path / "tried_4").exists()
    assert {f.read_text() for f in tmp_path.glob("tried_*")} == {"x"}


def test_a_shard_that_fails_is_named_and_the_others_stay(workers: Workers, tmp_path: Path) -> None:
    task = Squares(tmp_path, ValueError("not a protein"))
    with pytest.raises(ClusterError) as error:
        workers.complete(task, lambda _: None)
    said = str(error.value)
    assert said.startswith(
        "squaring: shard 7 (2 proteins, P7a to P7b) failed: ValueError: not a protein\nLog of "
    )
    assert said.endswith("The other shards are kept; the same command goes on from them.")
    assert (tmp_path / "tried_7").read_text() == "x"  # it would fail again
    workers.complete(Squares(tmp_path), lambda _: None)
    assert (tmp_path / "7").read_text() == "49"


def test_a_disk_that_fails_for_a_moment_is_tried_again(
    workers: Workers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "interplm_nb"):
        workers.complete(Squares(tmp_path, OSError("stale handle"), times=2), lambda _: None)
    assert (tmp_path / "7").read_text() == "49" and (tmp_path / "tried_7").read_text() == "xxx"
    assert caplog.messages.count("shard 7 of squaring is tried again") == 2


class Model:
    """Refers to itself, as a module with hooks does; how many there are is known."""

    alive: ClassVar[list[int]] = []

    def __init__(self) -> None:
        self.itself = self
        self.alive.append(1)

    def __del__(self) -> None:
        self.alive.pop()


class WithModel(Squares):
    """A task that opens a model where it is unpickled, as embedding does."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        assert not Model.alive
        self.model = Model()


def test_a_worker_closes_a_model_before_it_opens_the_next(tmp_path: Path) -> None:
    first, second = (pickle.dumps(WithModel(tmp_path / name)) for name in ("a", "b"))
    opened = on_worker.opened(first)
    assert on_worker.opened(first) is opened
    del opened
    on_worker.opened(second)
    assert Model.alive == [1]
    on_worker._held.clear()


def test_other_versions_are_refused(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"interplm-nb": "9.9", "numpy": np.__version__}
    monkeypatch.setattr("interplm_nb.scale.dask_workers.installed", lambda: here)
    with pytest.raises(ClusterError, match=r"has interplm-nb 0\.1\.0 \(here: 9\.9\); install"):
        workers.complete(Squares(tmp_path), lambda _: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("local:0", "local takes a number of processes from 1 to the"),
        ("local:9999", "cores of this machine, such as local:"),
        ("local", "local takes a number"),
        ("localhost:8786", "give local:N for N processes on this machine, the address of a Dask"),
        ("tcp://localhost", "give local:N for N processes on this machine, the address of a Dask"),
        ("tcp://localhost:http", "give local:N for N processes on this machine"),
        ("tls://127.0.0.1:1", r"tls://127\.0\.0\.1:1 is encrypted, and Dask has no certificate"),
        ("tcp://127.0.0.1:1", r"no scheduler answered at tcp://127\.0\.0\.1:1 within"),
    ],
)
def test_a_wrong_address_says_what_is_wanted(
    address: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interplm_nb.scale.address.CONNECT_SECONDS", 1)
    with pytest.raises(ClusterError, match=said), workers_at(address):
        pass
