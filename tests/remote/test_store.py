"""Objects of a store: S3 on loopback with faults, memory and folders."""

from pathlib import Path

import pytest

from interplm_nb.remote import store as stores
from interplm_nb.remote.errors import StoreError
from interplm_nb.remote.store import Store
from tests.remote.s3_server import Proxy, Request


def test_what_is_written_is_read(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.sizes() == {}
    with pytest.raises(FileNotFoundError):
        store.read("none.json")
    store.write("index.json", b"first")
    store.write("index.json", b"second")
    assert store.read("index.json") == b"second"
    large = bytes(range(256)) * 60_000  # 15 MB: in parts of 5 MB
    monkeypatch.setattr(stores, "PART", 5 * 2**20)
    (tmp_path / "large").write_bytes(large)
    store.upload(tmp_path / "large", "files/a b/large.bin")
    assert store.sizes() == {"index.json": 6, "files/a b/large.bin": len(large)}
    assert b"".join(store.parts("files/a b/large.bin", len(large))) == large
    assert store.part("files/a b/large.bin", 1000, 1003) == large[1000:1003]
    with pytest.raises(FileNotFoundError):
        store.part("files/none", 0, 3)
    store.remove("index.json")
    store.remove("index.json")
    assert list(store.sizes()) == ["files/a b/large.bin"]


class Once:
    """A fault for the first requests of a method, as many as `times`."""

    def __init__(self, fault: str, method: str, times: int = 1, path: str = "") -> None:
        self.fault, self.method, self.left, self.path = fault, method, times, path

    def __call__(self, request: Request) -> str:
        if request.method != self.method or self.path not in request.path or not self.left:
            return ""
        self.left -= 1
        return self.fault


@pytest.mark.parametrize("fault", ["slow", "hang", "cut"])
@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_a_busy_server_is_asked_again(
    s3: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, method: str
) -> None:
    monkeypatch.setattr(stores, "TIMEOUT", 1)
    store = Store(f"s3://lab/{tmp_path.name}")
    s3.fault = Once(fault, method, 2)
    store.write("a", b"some text" * 1000)
    assert store.read("a") == b"some text" * 1000
    assert s3.faults == 2


def test_a_large_file_repeats_the_part_that_failed_alone(
    s3: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = 5 * 2**20
    monkeypatch.setattr(stores, "PART", part)
    store = Store(f"s3://lab/{tmp_path.name}")
    (tmp_path / "large").write_bytes(b"x" * (6 * part))
    s3.fault = Once("slow", "PUT", 1, "partNumber=3")
    store.upload(tmp_path / "large", "large")
    sent = [r for r in s3.seen if r.method == "PUT"]
    assert len(sent) == 7 and max(r.bytes for r in sent) < part + 1000
    assert store.sizes() == {"large": 6 * part}


def test_a_partial_upload_is_never_seen(
    s3: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = 5 * 2**20
    monkeypatch.setattr(stores, "PART", part)
    store = Store(f"s3://lab/{tmp_path.name}")
    (tmp_path / "large").write_bytes(b"x" * (4 * part))
    s3.fault = Once("slow", "PUT", 1000, "partNumber=4")
    with pytest.raises(StoreError, match=r"writing large failed 4 times \(Reduce your request"):
        store.upload(tmp_path / "large", "large")
    assert store.sizes() == {}


def test_a_store_that_never_answers_is_given_up(
    s3: Proxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(f"s3://lab/{tmp_path.name}")
    s3.fault = Once("slow", "GET", 1000)
    with pytest.raises(StoreError) as error:
        store.read("index.json")
    assert str(error.value) == (
        f"s3://lab/{tmp_path.name}: reading index.json failed 4 times (Reduce your request rate); "
        "what is complete stays: give the same command again when the store answers"
    )
    assert s3.faults == stores.TRIES * stores.S3_TRIES
    assert len([m for m in caplog.messages if "; trying again in" in m]) == 3
