"""One place in an object store: the only code that talks to it.

Every request is tried again after a pause where a store is busy, times out or drops a connection;
what does not pass is a StoreError that names the address and says what to do.
"""

import contextlib
import logging
import os
import random
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from interplm_nb.remote.address import Address, address, check_installed
from interplm_nb.remote.errors import StoreError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

T = TypeVar("T")

PART = 2**23
"""Bytes of one request of a large file: what is held in memory, and what a failure repeats."""
TRIES = 4
"""Attempts of each operation; s3fs makes up to `S3_TRIES` requests in each."""
S3_TRIES = 3
PAUSE = 1.0
"""Seconds before the second attempt; doubled each time, at most 20."""
TIMEOUT = 20
"""Seconds without a byte after which a connection is given up."""
_MOST_PARTS = 9_000
"""S3 takes at most 10,000 parts of one object."""
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError")
_log = logging.getLogger(__name__)


class Store:
    """Objects below one address, named as the files of a folder are.

    Examples
    --------
    >>> store = Store("memory://runs/demo")
    >>> store.write("a/b.txt", b"text")
    >>> store.read("a/b.txt"), store.part("a/b.txt", 1, 3), store.sizes()
    (b'text', b'ex', {'a/b.txt': 4})
    """

    def __init__(self, url: str) -> None:
        self.address: Address = address(url)
        check_installed(self.address)
        self.url = self.address.url
        self._fs: Any = _filesystem(self.address)

    def read(self, name: str) -> bytes:
        """All bytes of a small object. FileNotFoundError where there is none."""
        return self._asked(f"reading {name}", lambda: self._fs.cat_file(self._path(name)))

    def part(self, name: str, start: int, stop: int) -> bytes:
        """Bytes `start` to `stop` (excluded), in one request of at most `PART` bytes."""

        def get() -> bytes:
            """The bytes, all of them."""
            data = self._fs.cat_file(self._path(name), start=start, end=stop)
            if len(data) != stop - start:
                raise OSError(f"{len(data):,} bytes came, not {stop - start:,}")
            return data

        return self._asked(f"reading {name}", get)

    def parts(self, name: str, size: int) -> Iterator[bytes]:
        """A large object, `PART` bytes at a time."""
        for start in range(0, size, PART):
            yield self.part(name, start, min(start + PART, size))

    def write(self, name: str, data: bytes) -> None:
        """Write a small object; whoever reads it sees the old one or the new one."""
        self._asked(f"writing {name}", lambda: self._replace(name, data))

    def upload(self, path: Path, name: str) -> None:
        """Write a file as an object, which is there whole or not at all.

        A large one goes in parts of `PART` bytes or more, each tried again by itself.
        """
        size = path.stat().st_size
        if size <= PART:
            self.write(name, path.read_bytes())
            return
        options: dict[str, Any] = {}
        if self.address.kind in ("s3", "gs"):
            options["chunksize"] = max(PART, -(-size // _MOST_PARTS))
        if self.address.kind == "s3":
            options["max_concurrency"] = 2

        def put() -> None:
            """Send the file to where it gets its name when it is whole."""
            with self._placed(name) as target:
                self._fs.put_file(str(path), target, **options)

        self._asked(f"writing {name}", put)

    def sizes(self) -> dict[str, int]:
        """Bytes of every object, by name: a request per 1,000 objects."""

        def find() -> dict[str, Any]:
            """The store's own records; none of an empty place."""
            with contextlib.suppress(FileNotFoundError):
                return self._fs.find(self.address.root, detail=True)
            return {}

        base = self._fs._strip_protocol(self.address.root).strip("/") + "/"
        found = self._asked("listing it", find)
        return {
            path.strip("/").removeprefix(base): int(about["size"]) for path, about in found.items()
        }

    def remove(self, name: str) -> None:
        """Remove an object; nothing if it is gone."""

        def drop() -> None:
            """Remove it, unless somebody else has."""
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(self._path(name))

        self._asked(f"removing {name}", drop)

    def _path(self, name: str) -> str:
        return f"{self.address.root}/{name}"

    def _replace(self, name: str, data: bytes) -> None:
        with self._placed(name) as target:
            self._fs.pipe_file(target, data)

    @contextlib.contextmanager
    def _placed(self, name: str) -> Iterator[str]:
        """Where to write so that nobody sees a part: stores show objects once they are whole, a
        folder shows a file as it grows."""
        final = self._path(name)
        if self.address.kind != "file":
            yield final
            return
        os.makedirs(os.path.dirname(final), exist_ok=True)
        draft = f"{os.path.dirname(final)}/.{os.path.basename(final)}.{secrets.token_hex(4)}.tmp"
        try:
            yield draft
            os.replace(draft, final)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.remove(draft)

    def _asked(self, what: str, call: Callable[[], T]) -> T:
        """What `call` returns, at the latest after `TRIES` attempts."""
        for left in reversed(range(TRIES)):
            try:
                return call()
            except _failures() as error:
                self._refuse(what, error)
                said = _said(error)
                if not left:
                    raise StoreError(
                        f"{self.url}: {what} failed {TRIES} times ({said}); what is complete "
                        "stays: give the same command again when the store answers"
                    ) from error
                pause = min(PAUSE * 2 ** (TRIES - 1 - left), 20) * random.uniform(0.5, 1)
                _log.warning(
                    "%s: %s failed (%s); trying again in %.1f s", self.url, what, said, pause
                )
                time.sleep(pause)
        raise AssertionError("unreachable")

    def _refuse(self, what: str, error: BaseException) -> None:
        """Raise where another attempt would not help."""
        bucket = self.address.root.partition("/")[0]
        if isinstance(error, FileNotFoundError):
            if "bucket" in str(error).lower() and error.filename is None:
                raise StoreError(
                    f"{self.url}: there is no bucket {bucket!r}; check its name, or make it "
                    f"(aws s3 mb s3://{bucket})"
                ) from error
            raise error
        if isinstance(error, PermissionError):
            raise StoreError(
                f"{self.url}: {what} was refused ({_said(error)}); check that these "
                f"credentials may list, read and write {self.address.root}"
            ) from error
        if type(error).__name__ in _NO_CREDENTIALS:
            raise StoreError(
                f"{self.url}: no credentials were found; set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
                if self.address.kind == "s3"
                else f"{self.url}: no credentials were found; run gcloud auth "
                "application-default login, or set GOOGLE_APPLICATION_CREDENTIALS"
            ) from error


def _said(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error)).strip() or type(error).__name__


def _filesystem(where: Address) -> "AbstractFileSystem":
    import fsspec

    if where.kind != "s3":
        return fsspec.filesystem(where.kind)
    fs = fsspec.filesystem(
        "s3",
        use_listings_cache=False,
        skip_instance_cache=True,
        config_kwargs={
            "connect_timeout": TIMEOUT,
            "read_timeout": TIMEOUT,
            "retries": {"total_max_attempts": 1},
        },
    )
    fs.retries = S3_TRIES
    return fs


def _failures() -> tuple[type[BaseException], ...]:
    """What a store's package raises for a store that fails: OSError, and the errors of its own
    that are not."""
    found: list[type[BaseException]] = [OSError, TimeoutError]
    for module, name in (
        ("botocore.exceptions", "BotoCoreError"),
        ("botocore.exceptions", "ClientError"),
        ("aiohttp", "ClientError"),
        ("google.auth.exceptions", "GoogleAuthError"),
        ("gcsfs.retry", "HttpError"),
    ):
        if module in sys.modules:
            found.append(getattr(sys.modules[module], name))
    return tuple(found)
