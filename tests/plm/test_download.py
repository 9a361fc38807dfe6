"""Downloads from a loopback server: small files of the published format, ranges, failures."""

import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from interplm_nb.plm import esm2
from interplm_nb.plm.download import fetch, official_checkpoint
from interplm_nb.plm.names import ESM2
from tests.plm.test_checkpoints import assert_holds, write_official
from tests.plm.toy_esm2 import random_weights

NAME = ESM2[0]


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.files`; drops the line after `server.cut_after` bytes, `server.cuts` times."""

    def do_GET(self) -> None:
        server = self.server
        server.asked.append((self.path, self.headers.get("Range")))
        body = server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        tag = f'"{hashlib.md5(body).hexdigest()}"'
        start = self._start(body, tag)
        if start >= len(body) and start:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.send_header("ETag", tag)
        self.end_headers()
        rest = body[start:]
        if server.cuts:
            server.cuts -= 1
            rest = rest[: server.cut_after]
        self.wfile.write(rest)

    def _start(self, body: bytes, tag: str) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        return int(asked[1]) if asked and self.headers.get("If-Range") == tag else 0

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[http.server.ThreadingHTTPServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.files, found.asked, found.cuts, found.cut_after = {}, [], 0, 1000
    found.address = f"http://127.0.0.1:{found.server_port}"
    thread = threading.Thread(target=found.serve_forever, args=(0.01,))
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


@pytest.fixture
def published(server, tmp_path) -> http.server.ThreadingHTTPServer:
    """The server with the two files of one model, at the official paths."""
    write_official(tmp_path / "source.pt")
    head = {"weight": torch.ones(1, 9), "bias": torch.ones(1)}
    torch.save(
        {"model": {f"contact_head.regression.{k}": v for k, v in head.items()}},
        tmp_path / "regression.pt",
    )
    server.files[f"/models/{NAME}.pt"] = (tmp_path / "source.pt").read_bytes()
    server.files[f"/regression/{NAME}-contact-regression.pt"] = (
        tmp_path / "regression.pt"
    ).read_bytes()
    return server


def test_an_official_model_is_downloaded_once_and_loads(published, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(
        esm2.checkpoints,
        "official_checkpoint",
        lambda name: official_checkpoint(name, published.address, progress=False),
    )
    assert_holds(NAME, random_weights())
    assert len(published.asked) == 2
    folder = tmp_path / "hub" / "checkpoints"
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        n for f in (NAME, f"{NAME}-contact-regression") for n in (f"{f}.pt", f"{f}.pt.sha256")
    )
    assert esm2.load(NAME, "cpu").name == NAME and len(published.asked) == 2
    assert esm2.load(NAME, "cpu").has_contact_head
    digest = hashlib.sha256((folder / f"{NAME}.pt").read_bytes()).hexdigest()
    assert (folder / f"{NAME}.pt.sha256").read_text() == f"sha256:{digest}\n"


def test_a_file_that_changed_since_is_refused(published, tmp_path):
    path = official_checkpoint(NAME, published.address, tmp_path, progress=False)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(
        ValueError, match=rf"{NAME}\.pt no longer matches the sha256 in .*; remove both files"
    ):
        official_checkpoint(NAME, published.address, tmp_path)


def test_a_file_that_fair_esm_downloaded_is_taken_and_recorded(published, tmp_path):
    for path, body in published.files.items():
        (tmp_path / Path(path).name).write_bytes(body)
    path = official_checkpoint(NAME, published.address, tmp_path)
    assert not published.asked and path.with_name(path.name + ".sha256").exists()


def test_a_line_that_drops_is_taken_up_by_range(server, tmp_path):
    server.files["/file"] = bytes(range(256)) * 10
    server.cuts = 2
    fetch(f"{server.address}/file", tmp_path / "file", progress=False)
    assert (tmp_path / "file").read_bytes() == server.files["/file"]
    assert [r for _, r in server.asked] == [None, "bytes=1000-", "bytes=2000-"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "file.sha256"]


@pytest.mark.usefixtures("progress_lines")
def test_a_later_run_takes_up_the_part_of_an_earlier(server, tmp_path, capsys):
    server.files["/file"] = bytes(range(256)) * 10
    server.cuts, server.cut_after = 9, 400
    with pytest.raises(ConnectionError, match="was interrupted 5 times; run again to resume"):
        fetch(f"{server.address}/file", tmp_path / "file", progress=False)
    assert not (tmp_path / "file").exists()
    server.cuts = 0
    fetch(f"{server.address}/file", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == server.files["/file"] and server.asked[-1][
        1
    ] == "bytes=2000-"
    assert "downloading file" in capsys.readouterr().err


def test_a_part_of_another_version_is_thrown_away(server, tmp_path):
    server.files["/file"] = b"a" * 3000
    server.cuts = 9
    with pytest.raises(ConnectionError):
        server.cut_after = 300
        fetch(f"{server.address}/file", tmp_path / "file", progress=False)
    server.cuts, server.files["/file"] = 0, b"b" * 2800
    fetch(f"{server.address}/file", tmp_path / "file", progress=False)
    assert (tmp_path / "file").read_bytes() == b"b" * 2800


def test_a_part_that_is_too_long_is_thrown_away(server, tmp_path):
    server.files["/file"] = b"a" * 3000
    (tmp_path / "file.part").write_bytes(b"a" * 3000)
    (tmp_path / "file.part.version").write_text(f'"{hashlib.md5(b"a" * 3000).hexdigest()}"')
    fetch(f"{server.address}/file", tmp_path / "file", progress=False)
    assert (tmp_path / "file").read_bytes() == b"a" * 3000


def test_no_such_file(server, tmp_path):
    with pytest.raises(
        ConnectionError,
        match=r"the server answered 404 .*; download it on another machine and put it at .*file",
    ):
        fetch(f"{server.address}/file", tmp_path / "file", progress=False)
    assert not list(tmp_path.iterdir())


def test_no_network_is_one_clear_sentence(server, tmp_path):
    address = server.address
    server.server_close()
    with pytest.raises(
        ConnectionError,
        match=rf"{NAME}\.pt could not be reached \(.*\); download it on another machine and put "
        "it at .*or load a local file",
    ):
        official_checkpoint(
            NAME, address.replace(str(server.server_port), "1"), tmp_path, progress=False
        )


def test_only_official_names():
    with pytest.raises(
        ValueError, match="'esm1b' is not an official ESM-2; choose esm2_t6_8M_UR50D"
    ):
        official_checkpoint("esm1b")
