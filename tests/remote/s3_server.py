"""A real S3 server on loopback (moto's), behind a proxy that counts requests and makes faults."""

import http.client
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

BUCKET = "lab"
SECRET = "a-secret-that-nothing-may-hold"


class Request(NamedTuple):
    """One request that came."""

    method: str
    path: str
    range: str
    bytes: int
    """Of its body."""


Fault = Callable[[Request], str]
"""What happens to a request: "" nothing, "slow" 503 SlowDown, "deny" 403, "hang", "cut" the
connection after half of the answer, "flip" a byte of the answer."""


class Proxy(ThreadingHTTPServer):
    """Hands requests on to the S3 server."""

    daemon_threads = True

    def __init__(self, behind: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = behind
        self.seen: list[Request] = []
        self.fault: Fault = lambda request: ""
        self.faults = 0
        self.hang_seconds = 2.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no fault of the proxy."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def _any(self) -> None:
        body = self._body()
        came = Request(self.command, self.path, self.headers.get("Range", ""), len(body))
        self.server.seen.append(came)
        fault = self.server.fault(came)
        self.server.faults += bool(fault)
        if fault == "slow":
            said = (
                b"<Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>"
            )
            self._answer(503, {"Content-Type": "application/xml"}, said)
            return
        if fault == "deny":
            said = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
            self._answer(403, {"Content-Type": "application/xml"}, said)
            return
        if fault == "hang":
            time.sleep(self.server.hang_seconds)
            self.close_connection = True
            return
        behind = http.client.HTTPConnection(*self.server.behind)
        headers = {n: v for n, v in self.headers.items() if n.lower() != "transfer-encoding"}
        headers["Content-Length"] = str(len(body))
        behind.request(self.command, self.path, body, headers)
        answer = behind.getresponse()
        data = answer.read()
        behind.close()
        if fault == "flip" and data:
            data = bytes([data[0] ^ 1]) + data[1:]
        if fault == "cut" and not data:
            self.close_connection = True
            return
        if fault == "cut":
            self._answer(answer.status, dict(answer.getheaders()), data, cut=len(data) // 2)
            return
        self._answer(answer.status, dict(answer.getheaders()), data)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _any  # noqa: N815

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _answer(
        self, status: int, headers: dict[str, str], data: bytes, cut: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        size = headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", size or str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data if cut is None else data[:cut])
        if cut is not None:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""


@contextmanager
def s3_server() -> Iterator[Proxy]:
    """A server with an empty bucket, and the proxy before it."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        boto3.client(
            "s3",
            endpoint_url=f"http://{host}:{port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key=SECRET,
        ).create_bucket(Bucket=BUCKET)
        with Proxy((host, port)) as proxy:
            thread = threading.Thread(target=proxy.serve_forever, daemon=True)
            thread.start()
            yield proxy
            proxy.shutdown()
            thread.join()
    finally:
        server.stop()
