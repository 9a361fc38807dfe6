"""GET over HTTP with a timeout and retries."""

import gzip
import http.client
import json
import logging
import re
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from interplm_nb import __version__
from interplm_nb.readers.report import InputError

log = logging.getLogger(__name__)

_RETRY = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT = 60.0
_NEXT = re.compile(r'<([^<>]+)>\s*;\s*rel="?next"?')


class Answer(NamedTuple):
    """A response's text and headers; header names are in lower case."""

    text: str
    headers: Mapping[str, str]

    @property
    def next(self) -> str | None:
        """URL of the next page, from the `Link` header."""
        match = _NEXT.search(self.headers.get("link", ""))
        return match[1] if match else None


class NoAnswerError(InputError):
    """A server that did not answer, after the last retry: the next request would wait as long."""


@dataclass(frozen=True)
class Connection:
    """Timeout and retries."""

    timeout: float = 60.0
    """Seconds without a byte before a request fails."""
    retries: int = 5
    """Attempts after the first, for a server that is busy or does not answer."""
    wait: float = 1.0
    """Seconds before the first retry; doubled each time, or what the server asks (at most 60)."""

    def get(self, url: str) -> Answer:
        """Get a URL; raises `InputError` if the server refuses, `NoAnswerError` after the last
        retry."""
        if not url.startswith(("https://", "http://")):
            raise InputError(f"{url!r} is not a web address; wanted https://...")
        for attempt in range(self.retries + 1):
            try:
                return self._try(url)
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in _RETRY:
                        said = f"{error.code} {error.reason}. {_reason(error)}".rstrip()
                        raise InputError(f"{_server(url)} refused {url[:200]}: {said}") from None
                    problem, asked = (
                        f"{error.code} {error.reason}",
                        error.headers.get("Retry-After", ""),
                    )
            except (
                OSError,
                http.client.HTTPException,
                EOFError,
                zlib.error,
                UnicodeDecodeError,
            ) as error:
                problem, asked = str(getattr(error, "reason", error)) or type(error).__name__, ""
            if attempt < self.retries:
                pause = (
                    float(asked) if asked.isdecimal() and len(asked) < 4 else self.wait * 2**attempt
                )
                log.info("%s: %s; trying again", _server(url), problem)
                time.sleep(min(pause, _LONGEST_WAIT))
        raise NoAnswerError(
            f"{_server(url)} did not answer ({problem}; {self.retries + 1} tries); check the "
            "network and run again, or work offline from the cache"
        )

    def _try(self, url: str) -> Answer:
        headers = {"User-Agent": f"interplm-nb/{__version__}", "Accept-Encoding": "gzip"}
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=self.timeout
        ) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(_text(response.read(), headers.get("content-encoding")), headers)


def _server(url: str) -> str:
    return "/".join(url.split("/")[:3])


def _reason(error: urllib.error.HTTPError) -> str:
    """The server's explanation: UniProt sends JSON with `messages`."""
    try:
        answer = json.loads(_text(error.read(), error.headers.get("Content-Encoding")))
        return " ".join(map(str, answer["messages"]))
    except (
        OSError,
        http.client.HTTPException,
        EOFError,
        zlib.error,
        ValueError,
        KeyError,
        TypeError,
    ):
        return ""


def _text(body: bytes, encoding: str | None) -> str:
    return (gzip.decompress(body) if encoding == "gzip" else body).decode("utf-8")
