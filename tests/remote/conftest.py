"""The S3 server of these tests, and a cache of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from interplm_nb.remote.store import Store
from tests.remote.s3_server import SECRET, Proxy, s3_server


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Runs of stores are kept in the test's own folder; nothing waits long before another try."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("interplm_nb.remote.store.PAUSE", 0.01)


@pytest.fixture(scope="session")
def _server() -> Iterator[Proxy]:
    for package in ("s3fs", "moto", "flask"):
        pytest.importorskip(package, reason="runs in object stores are tested with s3fs and moto")
    with s3_server() as proxy:
        yield proxy


@pytest.fixture
def s3(_server: Proxy, monkeypatch: pytest.MonkeyPatch) -> Proxy:
    """The proxy, without faults, as the environment's S3."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", _server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    _server.seen.clear()
    _server.fault, _server.faults = lambda request: "", 0
    return _server


@pytest.fixture(params=["s3", "memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty place in each kind of store."""
    if request.param == "s3":
        request.getfixturevalue("s3")
        return Store(f"s3://lab/{tmp_path.name}")
    if request.param == "file":
        return Store(f"file://{tmp_path / 'store'}")
    return Store(f"memory://{tmp_path.name}")
