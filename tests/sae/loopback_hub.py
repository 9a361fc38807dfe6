"""A Hugging Face Hub on this machine: commits, files with ETag and Range, uploads by git and by
LFS, as far as huggingface_hub asks for it."""

import base64
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class Repository:
    """Its commits, oldest first, each with all of its files; branches and tags by name."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes]) -> str:
        """A new commit on main that adds these files to the last one's; returns its name."""
        held = {**(self.commits[self.names["main"]] if "main" in self.names else {}), **files}
        name = hashlib.sha1(
            repr(
                (
                    len(self.commits),
                    sorted((k, hashlib.sha1(v).hexdigest()) for k, v in held.items()),
                )
            ).encode()
        ).hexdigest()
        self.commits[name] = held
        self.names["main"] = name
        return name


class Hub(http.server.ThreadingHTTPServer):
    """`asked` holds each request as (method, path, Range); `cut_after` bytes the next `cuts` file
    downloads are cut off."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.stored: dict[str, bytes] = {}
        self.asked: list[tuple[str, str, str | None]] = []
        self.cuts, self.cut_after = 0, 1000
        self.token: str | None = None
        """Where set, writing needs it."""

    @property
    def address(self) -> str:
        """What huggingface_hub calls the endpoint."""
        return f"http://127.0.0.1:{self.server_port}"

    def repository(self, name: str, files: dict[str, bytes]) -> str:
        """A repository with one commit; returns the commit."""
        self.repositories[name] = Repository()
        return self.repositories[name].commit(files)


@contextmanager
def running() -> Iterator[Hub]:
    """A hub, in a thread, until the block ends."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str = "", **more: str) -> None:
        super().__init__(message)
        self.status, self.code, self.body = status, code, {"error": message, **more}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append((self.command, path, self.headers.get("Range")))
        routes = (
            (r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", "GET", self._info),
            (r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", "GET", self._tree),
            (r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", "HEAD GET", self._file),
            (r"/api/repos/create", "POST", self._create),
            (r"/api/validate-yaml", "POST", self._validate),
            (r"/api/models/([^/]+/[^/]+)/preupload/([^/]+)", "POST", self._preupload),
            (r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", "POST", self._batch),
            (r"/lfs/([0-9a-f]{64})", "PUT", self._store),
            (r"/api/models/([^/]+/[^/]+)/commit/([^/]+)", "POST", self._commit),
        )
        try:
            for pattern, methods, handle in routes:
                found = re.fullmatch(pattern, path)
                if found and self.command in methods.split():
                    return handle(body, *found.groups())
            raise _RefusedError(404, "NoSuchRoute", path)
        except _RefusedError as error:
            self._send(
                b"" if self.command == "HEAD" else json.dumps(error.body).encode(),
                error.status,
                {"X-Error-Code": error.code},
            )

    def _send(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (
            {"Content-Length": str(len(body)), "Content-Type": "application/json"} | (headers or {})
        ).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _json(self, value: Any) -> None:
        self._send(json.dumps(value).encode())

    def _found(self, name: str, revision: str | None) -> tuple[Repository, str]:
        repository = self.server.repositories.get(name)
        if repository is None or (repository.private and not self._signed_in()):
            raise _RefusedError(401, "RepoNotFound", "Repository not found")
        if repository.gated:
            raise _RefusedError(403, "GatedRepo", "Access is restricted")
        commit = repository.names.get(revision or "main", revision or "")
        if commit not in repository.commits:
            raise _RefusedError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return repository, commit

    def _signed_in(self) -> bool:
        return (
            self.server.token is not None
            and self.headers.get("Authorization") == f"Bearer {self.server.token}"
        )

    def _writing(self) -> None:
        if self.server.token is not None and not self._signed_in():
            raise _RefusedError(403, "Forbidden", "You don't have the rights")

    def _info(self, _: bytes, name: str, revision: str | None) -> None:
        repository, commit = self._found(name, revision)
        files = [{"rfilename": path} for path in repository.commits[commit]]
        self._json(
            {
                "_id": "1",
                "id": name,
                "modelId": name,
                "sha": commit,
                "private": repository.private,
                "siblings": files,
                "tags": [],
                "downloads": 0,
            }
        )

    def _tree(self, _: bytes, name: str, revision: str) -> None:
        repository, commit = self._found(name, revision)
        files = repository.commits[commit].items()
        self._json(
            [
                {
                    "type": "file",
                    "path": path,
                    "size": len(data),
                    "oid": hashlib.sha1(data).hexdigest(),
                }
                for path, data in files
            ]
        )

    def _file(self, _: bytes, name: str, revision: str, path: str) -> None:
        repository, commit = self._found(name, revision)
        if path not in repository.commits[commit]:
            raise _RefusedError(404, "EntryNotFound", "Entry not found")
        data = repository.commits[commit][path]
        headers = {
            "ETag": f'"{hashlib.sha256(data).hexdigest()}"',
            "X-Repo-Commit": commit,
            "Accept-Ranges": "bytes",
        }
        if self.command == "HEAD":
            self.send_response(200)
            for key, value in (headers | {"Content-Length": str(len(data))}).items():
                self.send_header(key, value)
            self.end_headers()
            return
        start = int(
            (re.match(r"bytes=(\d+)-", self.headers.get("Range") or "bytes=0-") or ["", "0"])[1]
        )
        rest = data[start:]
        status = 206 if "Range" in self.headers else 200
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        if self.server.cuts > 0 and len(rest) > self.server.cut_after:
            self.server.cuts -= 1
            self.send_response(status)
            for key, value in (headers | {"Content-Length": str(len(rest))}).items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(rest[: self.server.cut_after])
            self.close_connection = True
            return
        self._send(rest, status, headers)

    def _create(self, body: bytes) -> None:
        self._writing()
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.server.repositories:
            raise _RefusedError(
                409,
                "Conflict",
                "You already created this model repo",
                url=f"{self.server.address}/{name}",
            )
        self.server.repositories[name] = made = Repository(
            private=asked.get("visibility") == "private" or bool(asked.get("private"))
        )
        made.commit({".gitattributes": b"*.safetensors filter=lfs\n"})
        self._json({"url": f"{self.server.address}/{name}", "name": name})

    def _validate(self, body: bytes) -> None:
        content = json.loads(body)["content"]
        if not content.startswith("---\n"):
            self._json(
                {
                    "errors": [],
                    "warnings": [{"message": "empty or missing yaml metadata in repo card"}],
                }
            )
        else:
            self._json({"errors": [], "warnings": []})

    def _preupload(self, body: bytes, name: str, revision: str) -> None:
        self._writing()
        self._found(name, revision)
        files = [f["path"] for f in json.loads(body)["files"]]
        modes = [
            {
                "path": path,
                "uploadMode": "lfs" if path.endswith(".safetensors") else "regular",
                "shouldIgnore": False,
            }
            for path in files
        ]
        self._json({"files": modes})

    def _batch(self, body: bytes, name: str) -> None:
        self._writing()
        self._found(name, None)
        objects = []
        for item in json.loads(body)["objects"]:
            upload = {"upload": {"href": f"{self.server.address}/lfs/{item['oid']}", "header": {}}}
            objects.append(
                item | ({} if item["oid"] in self.server.stored else {"actions": upload})
            )
        self._json({"transfer": "basic", "objects": objects})

    def _store(self, body: bytes, oid: str) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            raise _RefusedError(400, "BadDigest", "sha256 mismatch")
        self.server.stored[oid] = body
        self._send(b"")

    def _commit(self, body: bytes, name: str, revision: str) -> None:
        self._writing()
        repository, _ = self._found(name, revision)
        files = {}
        for line in body.splitlines():
            item = json.loads(line)
            if item["key"] == "file":
                files[item["value"]["path"]] = base64.b64decode(item["value"]["content"])
            elif item["key"] == "lfsFile":
                files[item["value"]["path"]] = self.server.stored[item["value"]["oid"]]
        oid = repository.commit(files)
        self._json(
            {
                "commitUrl": f"{self.server.address}/{name}/commit/{oid}",
                "commitOid": oid,
                "pullRequestUrl": None,
            }
        )
