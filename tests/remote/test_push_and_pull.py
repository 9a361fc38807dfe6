"""A folder and a store made equal: what moves, what a reader sees, what is refused."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interplm_nb.remote import push as pushing
from interplm_nb.remote.errors import StoreError
from interplm_nb.remote.index import NAME, Entry, Index, object_of, read_index, write_index
from interplm_nb.remote.pull import found_index, pull
from interplm_nb.remote.push import push
from interplm_nb.remote.store import Store
from interplm_nb.saving import file_hash
from tests.clocks import set_clock
from tests.remote.s3_server import Proxy

FILES = {
    "run.json": b"{}",
    "sources/sae/sae.safetensors": b"weights" * 1000,
    "embeddings/.layer_03.0123abcd.draft/shard_00000.safetensors": b"shard",
    "sources/sae/.activations.0123abcd.shards/00003.parquet": b"rows",
    "a name with spaces.ipynb": b"cells",
    "empty": b"",
}
STAY = {".lock": b"1", ".hashes.json": b"{}", "sources/.maxima.parquet.1f2e.tmp": b"half"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of a run, and files that stay on the machine."""
    return written(tmp_path / "run", FILES | STAY)


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_only_what_differs_moves(store: Store, folder: Path, tmp_path: Path) -> None:
    there = push(folder, store)
    assert (there.files, there.bytes) == (len(FILES), sum(map(len, FILES.values())))
    copy = tmp_path / "copy"
    assert pull(store, found_index(store), copy)[:2] == there[:2]
    assert content(copy) == FILES
    assert push(folder, store)[:2] == (0, 0)
    assert pull(store, found_index(store), copy)[:2] == (0, 0)
    (folder / "run.json").write_bytes(b'{"new": 1}')
    (folder / "empty").unlink()
    assert push(folder, store)[:2] == (1, 10)
    assert pull(store, found_index(store), copy)[:2] == (1, 10)
    assert (copy / "run.json").read_bytes() == b'{"new": 1}'
    # An object holds exactly what its name says.
    index = found_index(store)
    for name, entry in index.files.items():
        data = store.read(object_of(name, entry))
        assert data == (folder / name).read_bytes()
        assert entry == (len(data), hashlib.sha256(data).hexdigest())


def test_a_reader_of_an_older_index_finds_its_own_files(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(f"memory://{tmp_path.name}")
    older = push(folder, store).index
    (folder / "run.json").write_bytes(b"changed")
    push(folder, store)
    pull(store, older, tmp_path / "older")
    assert content(tmp_path / "older") == FILES
    # After an hour they go, with the next push; then a reader is told, and never gets a mixture.
    later = time.time() + pushing.KEPT_SECONDS + 60
    set_clock(monkeypatch, pushing, lambda: later)
    (folder / "empty").write_bytes(b"no more")
    push(folder, store)
    assert object_of("run.json", older.files["run.json"]) not in store.sizes()
    with pytest.raises(StoreError, match=r"run\.json is gone; the run was written anew there"):
        pull(store, older, tmp_path / "too late")
    pull(store, found_index(store), tmp_path / "newest")
    assert content(tmp_path / "newest")["run.json"] == b"changed"
    assert set(store.sizes()) == {
        NAME,
        *found_index(store).objects(),
        object_of("empty", older.files["empty"]),  # it has just left the index
    }


def test_the_index_is_written_last(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(f"memory://{tmp_path.name}")
    write, sent = store.write, []

    def stops(name: str, data: bytes) -> None:
        if len(sent) == 2:
            raise StoreError("the network is gone")
        write(name, data)
        sent.append(name)

    monkeypatch.setattr(pushing, "move_all", one_by_one)
    monkeypatch.setattr(store, "write", stops)
    with pytest.raises(StoreError, match="the network is gone"):
        push(folder, store)
    assert read_index(store) is None and len(store.sizes()) == 2
    monkeypatch.setattr(store, "write", write)
    assert push(folder, store).files == len(FILES) - 2  # two are there
    pull(store, found_index(store), tmp_path / "copy")
    assert content(tmp_path / "copy") == FILES


def one_by_one(wanted: dict[str, Entry], move: Callable[..., None], *_: object) -> None:
    for name, entry in wanted.items():
        move(name, entry, lambda _: None)


def test_a_file_that_vanishes_is_left_out(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(f"memory://{tmp_path.name}")
    draft = "embeddings/.layer_03.0123abcd.draft/shard_00000.safetensors"
    send = pushing._sent

    def vanishes(store: Store, path: Path, *of: Any) -> Entry:
        if path == folder / draft:
            path.unlink()
        return send(store, path, *of)

    monkeypatch.setattr(pushing, "_sent", vanishes)
    assert set(push(folder, store).index.files) == FILES.keys() - {draft}
    assert set(found_index(store).files) == FILES.keys() - {draft}


@pytest.mark.parametrize("large", [False, True])
def test_a_file_that_changes_meanwhile_is_never_another_content(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    """A log that grows between its hash and its upload."""
    store, log = Store(f"memory://{tmp_path.name}"), folder / "metrics.jsonl"
    log.write_bytes(b"line\n")
    monkeypatch.setattr(pushing, "PART", 1 if large else 100)
    upload = store.upload

    def grows(path: Path, name: str) -> None:
        if path == log:
            log.write_bytes(b"lime\n")
            os.utime(log, ns=(1, 1))
        upload(path, name)

    def hashed(path: Path) -> str:
        found = file_hash(path)
        if path == log and not large:
            log.write_bytes(b"line\nline\n")
        return found

    monkeypatch.setattr(store, "upload", grows)
    index = push(folder, store, hashed).index
    assert ("metrics.jsonl" in index.files) != large
    pull(store, index, tmp_path / "copy")
    if large:
        monkeypatch.setattr(store, "upload", upload)
        assert push(folder, store).files == 1
        pull(store, found_index(store), tmp_path / "copy")
    assert (tmp_path / "copy" / "metrics.jsonl").read_bytes() == log.read_bytes()


def test_two_machines_do_not_undo_each_other(folder: Path, tmp_path: Path) -> None:
    store = Store(f"memory://{tmp_path.name}")
    mine = push(folder, store).index
    other = written(tmp_path / "other", {"run.json": b"another"})
    push(other, store)
    (folder / "run.json").write_bytes(b"mine")
    with pytest.raises(StoreError, match="was written by another process since this one read it"):
        push(folder, store, after=mine)
    assert found_index(store).files.keys() == {"run.json"}


def test_damaged_bytes_are_refused_by_name(s3: Proxy, folder: Path, tmp_path: Path) -> None:
    store = Store(f"s3://lab/{tmp_path.name}")
    index = push(folder, store).index
    weights = "sources/sae/sae.safetensors"
    flips = iter([True])  # one answer is damaged on its way
    s3.fault = lambda r: (
        "flip" if r.method == "GET" and "/sae." in r.path and next(flips, 0) else ""
    )
    pull(store, index, tmp_path / "copy")
    assert s3.faults == 1 and content(tmp_path / "copy") == FILES
    s3.fault = lambda request: ""
    store.write(object_of(weights, index.files[weights]), b"weightz" * 1000)
    with pytest.raises(StoreError, match=rf"{weights} is damaged there .its sha256 is not"):
        pull(store, index, tmp_path / "other")
    assert not (tmp_path / "other" / weights).exists()
    assert not list((tmp_path / "other").rglob("*.tmp"))


@pytest.mark.parametrize("cut_off", [0, 100, 6999])
def test_a_truncated_object_is_refused(folder: Path, tmp_path: Path, cut_off: int) -> None:
    store = Store(f"memory://{tmp_path.name}")
    index = push(folder, store).index
    weights = "sources/sae/sae.safetensors"
    store.write(object_of(weights, index.files[weights]), (b"weights" * 1000)[:cut_off])
    with pytest.raises(StoreError, match=r"files/sources/sae/sae\..* came, not 7,000"):
        pull(store, index, tmp_path / "copy")
    assert push(folder, store)[:2] == (0, 0)  # by the index it is there
    (folder / "empty").write_bytes(b"a change")
    assert push(folder, store).files == 2  # by its size it is not
    pull(store, found_index(store), tmp_path / "copy")
    assert (tmp_path / "copy" / weights).read_bytes() == b"weights" * 1000


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/passwd", ".lock", "a/../../b", "a\\b", "a//b", "x.tmp", "a\nb", ""]
)
def test_an_index_that_leads_out_of_a_run_is_refused(tmp_path: Path, name: str) -> None:
    store = Store(f"memory://{tmp_path.name}")
    write_index(store, Index({name: Entry(1, "0" * 64)}))
    with pytest.raises(StoreError, match="which is no file of a run"):
        found_index(store)
    write_index(store, Index({}, {name: 1.0}))
    with pytest.raises(StoreError, match="which is no object of a run"):
        found_index(store)


def test_an_index_of_another_format_is_refused(folder: Path, tmp_path: Path) -> None:
    store = Store(f"memory://{tmp_path.name}")
    with pytest.raises(StoreError, match=rf"{store.url} holds no run \(no index.json\)"):
        found_index(store)
    push(folder, store)
    record = json.loads(store.read(NAME))
    for data, said in (
        (json.dumps(record | {"version": 2}), "expected StoredRun version 1, found StoredRun"),
        (json.dumps({"type": "Run", "version": 1}), "expected StoredRun version 1, found Run"),
        ('{"files": ', r"index\.json: damaged, not JSON"),
        (json.dumps(record | {"files": {}}), "damaged, it was changed after it was written"),
    ):
        store.write(NAME, data.encode())
        with pytest.raises(StoreError, match=said) as error:
            found_index(store)
        assert os.sep + "tmp" not in str(error.value).replace(store.url, "")


def test_a_link_out_of_the_run_is_not_sent(folder: Path, tmp_path: Path) -> None:
    """A run that somebody sent must not send this person's files on."""
    store, secret = Store(f"memory://{tmp_path.name}"), tmp_path / "secret"
    secret.write_bytes(b"a key")
    (folder / "notes.txt").symlink_to(secret)
    with pytest.raises(StoreError, match=r"notes\.txt is a link to a file outside the run"):
        push(folder, store)
    assert store.sizes() == {}
    (folder / "notes.txt").unlink()
    (folder / "notes.txt").symlink_to(folder / "run.json")
    assert "notes.txt" in push(folder, store).index.files


def test_an_old_file_that_cannot_be_removed_stops_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(f"memory://{tmp_path.name}")
    older = push(folder, store).index
    (folder / "run.json").write_bytes(b"changed")
    newer = push(folder, store, after=older).index
    old = object_of("run.json", older.files["run.json"])
    later = time.time() + pushing.KEPT_SECONDS + 60
    set_clock(monkeypatch, pushing, lambda: later)
    remove = Store.remove

    def refuses(self: Store, name: str) -> None:
        raise StoreError(f"removing {name} is not allowed")

    monkeypatch.setattr(Store, "remove", refuses)
    (folder / "run.json").write_bytes(b"changed again")
    newest = push(folder, store, after=newer).index
    assert old in store.sizes() and old in newest.superseded
    monkeypatch.setattr(Store, "remove", remove)
    (folder / "run.json").write_bytes(b"and again")
    push(folder, store, after=newest)
    assert old not in store.sizes()
