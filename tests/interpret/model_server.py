"""A small OpenAI-compatible server on the loopback, with scripted answers and faults."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answerer = Callable[[list[dict[str, str]]], str]


class ModelServer(ThreadingHTTPServer):
    """Answers /v1/chat/completions by `answer(messages)`.

    `faults` are used up one a request before that: "429", "500", "401", "hang" (longer than a
    client waits), "half" (a body that ends early), "cut" (finish_reason length), "refusal"
    (finish_reason content_filter), or any other text, which is the answer.
    """

    daemon_threads = True

    def __init__(self, answer: Answerer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.faults: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.at_once = self.most_at_once = 0
        self.counting = threading.Lock()
        self.pause = 0.0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


@contextmanager
def serving(answer: Answerer) -> Iterator[ModelServer]:
    with ModelServer(answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: ModelServer  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.0"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.counting:
            self.server.requests.append(body)
            self.server.keys.append(self.headers["Authorization"])
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
            fault = self.server.faults.pop(0) if self.server.faults else None
        try:
            time.sleep(self.server.pause)
            self._respond(fault, body["messages"])
        finally:
            with self.server.counting:
                self.server.at_once -= 1

    def _respond(self, fault: str | None, messages: list[dict[str, str]]) -> None:
        if fault == "hang":
            time.sleep(0.6)
        elif fault in ("429", "500", "401"):
            key = self.headers["Authorization"]
            self._send(int(fault), {"error": {"message": f"scripted {fault} for {key}"}})
        elif fault == "half":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"id": "x", "choi')
        else:
            finish = {"cut": "length", "refusal": "content_filter"}.get(fault or "", "stop")
            text = self.server.answer(messages) if finish != "stop" or fault is None else fault
            self._send(200, completion(text, finish, messages))

    def _send(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status == 429:
            self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def completion(text: str, finish: str, messages: list[dict[str, str]]) -> dict[str, Any]:
    used = sum(len(str(m["content"])) for m in messages) // 4
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "scripted",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": text},
            }
        ],
        "usage": {
            "prompt_tokens": used,
            "completion_tokens": len(text) // 4,
            "total_tokens": used + len(text) // 4,
        },
    }
