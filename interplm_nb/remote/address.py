"""Addresses of runs in object stores, as a person types them."""

import importlib.util
import re
from typing import NamedTuple

from interplm_nb.remote.errors import StoreError

FORMS = "give s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, file:///FOLDER or memory://NAME"
_NEEDS = {
    "s3": ("s3fs", "pip install 'interplm-nb[s3]'"),
    "gs": ("gcsfs", "pip install gcsfs"),
    "file": ("fsspec", "pip install fsspec"),
    "memory": ("fsspec", "pip install fsspec"),
}
"""The package that opens each kind of store, and how it is installed."""


class Address(NamedTuple):
    """A checked address.

    Attributes
    ----------
    url
        As it is shown, without a slash at its end.
    kind
        "s3", "gs", "file" or "memory".
    root
        What fsspec takes: bucket and prefix, or a path.
    """

    url: str
    kind: str
    root: str


def is_url(text: object) -> bool:
    """Whether a text is meant as the address of a store, right or wrong, and not as a path.

    >>> is_url("s3://lab/runs/demo"), is_url("s3:/lab/demo"), is_url("runs/demo"), is_url("s3")
    (True, True, False, False)
    """
    return isinstance(text, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text) is not None


def address(url: str) -> Address:
    """Check an address; opens nothing. StoreError says what is wrong with it.

    >>> address("s3://lab/runs/demo/")
    Address(url='s3://lab/runs/demo', kind='s3', root='lab/runs/demo')
    """
    kind, _, rest = url.partition(":")
    if kind not in _NEEDS:
        raise StoreError(f"{_shown(url)}: no store is known as {kind}://; {FORMS}")
    if not rest.startswith("//") or (kind == "file" and not rest.startswith("///")):
        slashes = "three slashes" if kind == "file" else "two slashes"
        raise StoreError(f"{_shown(url)}: {kind}: is followed by {slashes}; {FORMS}")
    if "@" in rest or "?" in rest or "#" in rest:
        raise StoreError(
            f"{_shown(url)}: an address holds no user, key or query; give credentials as "
            "environment variables (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or in the file of "
            f"a profile (AWS_PROFILE); {FORMS}"
        )
    root = rest[2:].rstrip("/")
    parts = root.removeprefix("/").split("/")
    if not root or any(part in ("", ".", "..") for part in parts):
        raise StoreError(f"{url}: it names no place for a run; {FORMS}")
    if kind in ("s3", "gs") and len(parts) < 2:
        raise StoreError(
            f"{url}: it names a bucket alone; add a prefix for the run, such as {url.rstrip('/')}"
            "/runs/demo"
        )
    return Address(f"{kind}://{root}", kind, root)


def check_installed(where: Address) -> None:
    """StoreError where the package is missing that opens this kind of store."""
    package, how = _NEEDS[where.kind]
    if importlib.util.find_spec(package) is None:
        raise StoreError(f"{where.url}: {where.kind}:// needs {package}, not installed here: {how}")


def _shown(url: str) -> str:
    """A url without what may be a secret."""
    head, at, tail = url.partition("@")
    head = f"{head.partition('://')[0]}://...@" if at else head
    return re.split(r"[?#]", head + tail)[0]
