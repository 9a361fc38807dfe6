"""Open plain, gzip and zstd files alike; a truncated or damaged file raises `InputError`."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

import zstandard

from interplm_nb.readers.report import InputError

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_OTHERS = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip"}
_OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_FIRST_IN_WORKBOOKS = (
    b"[Content_Types].xml",
    b"_rels/.rels",
    b"docProps/",
    b"xl/",
    b"mimetypeapplication/vnd.oasis",
)
SAVE_AS_TEXT = (
    "open it in the spreadsheet program and save the sheet as TSV, or as CSV in UTF-8, then read "
    "that file"
)
_CHUNK = 1 << 17


class _ZstdFrames(io.RawIOBase):
    """The decompressed bytes of a zstd file.

    `zstandard`'s own reader accepts a truncated file.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._ready = b""
        self._begun = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        while not self._ready:
            if not self._fill():
                return 0
        n = min(len(buffer), len(self._ready))
        buffer[:n], self._ready = self._ready[:n], self._ready[n:]
        return n

    def _fill(self) -> bool:
        """Decompress another chunk; False at the end of the file."""
        packed = (self._frame.unused_data if self._frame.eof else b"") or self._stream.read(_CHUNK)
        if not packed:
            if self._begun and not self._frame.eof:
                raise EOFError("the last zstd frame has no end")
            return False
        if self._frame.eof:
            self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._begun = True
        self._ready = self._frame.decompress(packed)
        return True


@contextmanager
def open_bytes(path: Path | str) -> Iterator[BinaryIO]:
    """Open a file for its decompressed bytes; its first bytes tell the compression, not its name.

    Raises `InputError` if the file is missing, truncated, damaged or compressed in another way,
    then or during a later read.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            yield _unpacked(stream, path)
    except FileNotFoundError as error:
        if error.filename != str(path):
            raise
        raise InputError(
            f"{path}: no such file; give the path of a file, plain or compressed with gzip or zstd"
        ) from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; give the path of a file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise InputError(
            f"{path}: the compressed file is truncated or damaged ({error}); download or copy it "
            "again. Nothing was read"
        ) from error


@contextmanager
def open_text(path: Path | str) -> Iterator[TextIO]:
    """Open a file, plain, gzip or zstd, for its text: UTF-8 with any line ends.

    Raises `InputError` as `open_bytes` does, and for text that is not UTF-8.
    """
    with open_bytes(path) as stream:
        try:
            # utf-8-sig: spreadsheets write a byte order mark before the first column's name.
            with io.TextIOWrapper(stream, encoding="utf-8-sig") as text:
                yield text
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8, and compress it only "
                "with gzip or zstd"
            ) from error


def _unpacked(stream: BinaryIO, path: Path) -> BinaryIO:
    first = stream.read(64)
    stream.seek(0)
    if first.startswith(_OLD_EXCEL) or (
        first.startswith(b"PK\x03\x04") and first[30:].startswith(_FIRST_IN_WORKBOOKS)
    ):
        raise InputError(f"{path} is an Office workbook (as .xlsx is), not text; {SAVE_AS_TEXT}")
    if first.startswith(_GZIP):
        return cast(BinaryIO, gzip.GzipFile(fileobj=stream))
    if first.startswith(_ZSTD):
        return cast(BinaryIO, io.BufferedReader(_ZstdFrames(stream), _CHUNK))
    for magic, name in _OTHERS.items():
        if first.startswith(magic):
            raise InputError(
                f"{path} is compressed with {name}; decompress it, or use gzip or zstd"
            )
    return stream
