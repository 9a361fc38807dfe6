"""Open plain, gzip and zstd files alike; what cannot be read raises `InputError`.

A few megabytes can expand to gigabytes, so memory is bounded: a line by `LONGEST_RECORD`, as is a
record of many lines by its reader, a file that is read whole by `LARGEST_TEXT`, and what a binary
file declares by `MOST_ROWS` and `LARGEST_ARRAY`.
"""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

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
# One byte of zstd can expand to 32 KiB: this much is at most 64 MiB.
_ZSTD_CHUNK = 1 << 11

LONGEST_RECORD = 32 << 20
"""Bytes of a line, and bytes or letters of a record, that are read: a thousand times titin."""

LARGEST_TEXT = 256 << 20
"""Letters (or decompressed bytes) of a file that is read whole: a structure, a table of labels."""

MOST_ROWS = 1 << 24
"""Rows of a table or a category that a binary file may declare: more than a text of
`LARGEST_TEXT` holds, at 16 letters each."""

LARGEST_ARRAY = 2 << 30
"""Bytes of one protein's embeddings in float32: titin with 15,000 values per residue."""


_TOO_LARGE = (
    f"over {LARGEST_TEXT >> 20:,} MiB (decompressed), which would be read whole; is it the right "
    "file? If so, split it"
)


class _DamagedZstdError(Exception):
    """Bytes that zstd cannot decompress."""


class _ZstdFrames(io.RawIOBase):
    """The decompressed bytes of a zstd file.

    `zstandard`'s own reader accepts a truncated file.
    """

    def __init__(self, stream: BinaryIO) -> None:
        # Not at the top: the small Binder explores without it.
        from zstandard import ZstdDecompressor, ZstdError

        self._stream = stream
        self._new_frame: Callable[[], Any] = ZstdDecompressor().decompressobj
        self._error = ZstdError
        self._frame = self._new_frame()
        self._ready = memoryview(b"")
        self._begun = False

    def readable(self) -> bool:
        """True, as `io` asks."""
        return True

    def readinto(self, buffer) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Fill a buffer; 0 at the end. EOFError where the last frame has no end."""
        while not self._ready:
            if not self._fill():
                return 0
        n = min(len(buffer), len(self._ready))
        buffer[:n], self._ready = self._ready[:n], self._ready[n:]
        return n

    def _fill(self) -> bool:
        """Decompress another chunk; False at the end of the file."""
        packed = self._frame.unused_data if self._frame.eof else b""
        packed = packed or self._stream.read(_ZSTD_CHUNK)
        if not packed:
            if self._begun and not self._frame.eof:
                raise EOFError("the last zstd frame has no end")
            return False
        if self._frame.eof:
            self._frame = self._new_frame()
        self._begun = True
        try:
            self._ready = memoryview(self._frame.decompress(packed))
        except self._error as error:
            raise _DamagedZstdError(str(error)) from error
        return True


class _BoundedLines(io.RawIOBase):
    """The bytes of a stream; `InputError` within a line of over `LONGEST_RECORD`."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self.name = str(path)
        self._stream = stream
        self._length = 0

    def readable(self) -> bool:
        """True, as `io` asks."""
        return True

    def readinto(self, buffer) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Fill a buffer; 0 at the end. InputError within a line that is too long."""
        chunk = self._stream.read(len(buffer))
        buffer[: len(chunk)] = chunk
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        self._length = self._length + len(chunk) if end < 0 else len(chunk) - end - 1
        if self._length > LONGEST_RECORD:
            raise InputError(f"{self.name}: {too_long('a line')}")
        return len(chunk)


class _BoundedText(io.TextIOWrapper):
    """Text that can be read whole up to `LARGEST_TEXT`."""

    def read(self, size: int | None = -1, /) -> str:
        """Up to `size` letters; without a size the whole text, or InputError if it is too long."""
        if size is not None and size >= 0:
            return super().read(size)
        text = super().read(LARGEST_TEXT + 1)
        if len(text) > LARGEST_TEXT:
            raise InputError(f"{self.name}: {_TOO_LARGE}")
        return text


def refuse_packed(stream: BinaryIO, path: Path | str) -> None:
    """`InputError` for bytes that are a tar archive, or still compressed, and so no text."""
    if again := _compression(stream):
        raise InputError(f"{path} is compressed twice (inside with {again}); decompress it once")
    if _start(stream)[257:262] == b"ustar":
        raise InputError(f"{path} is a tar archive; unpack it and give the path of a file in it")


def too_long(what: str) -> str:
    """Why a line or a record is refused, and what to do, for an `InputError`."""
    return (
        f"{what} is longer than {LONGEST_RECORD >> 20:,} MiB (decompressed), longer than any "
        "protein; is it the right file?"
    )


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
    except (EOFError, zlib.error, gzip.BadGzipFile, _DamagedZstdError) as error:
        raise InputError(
            f"{path}: the compressed file is truncated or damaged ({error}); download or copy it "
            "again. Nothing was read"
        ) from error


def read_whole(path: Path | str) -> bytes:
    """The decompressed bytes of a file; `InputError` as `open_bytes`, and over `LARGEST_TEXT`."""
    with open_bytes(path) as stream:
        content = stream.read(LARGEST_TEXT + 1)
    if len(content) > LARGEST_TEXT:
        raise InputError(f"{path}: {_TOO_LARGE}")
    return content


@contextmanager
def open_text(path: Path | str) -> Iterator[TextIO]:
    """Open a file, plain, gzip or zstd, for its text: UTF-8 with any line ends.

    Raises `InputError` as `open_bytes` does, for text that is not UTF-8, for a line of over
    `LONGEST_RECORD` bytes, and for more than `LARGEST_TEXT` letters in one `read()`.
    """
    with open_bytes(path) as stream:
        refuse_packed(stream, path)
        try:
            # utf-8-sig: spreadsheets write a byte order mark before the first column's name.
            lines = io.BufferedReader(_BoundedLines(stream, Path(path)), _CHUNK)
            with _BoundedText(lines, encoding="utf-8-sig") as text:
                yield text
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8, and compress it only "
                "with gzip or zstd"
            ) from error


def _unpacked(stream: BinaryIO, path: Path) -> BinaryIO:
    if _is_workbook(_start(stream)):
        raise InputError(f"{path} is an Office workbook (as .xlsx is), not text; {SAVE_AS_TEXT}")
    unpacked, kind = stream, _compression(stream)
    if kind == "gzip":
        unpacked = cast(BinaryIO, gzip.GzipFile(fileobj=stream))
    elif kind == "zstd":
        unpacked = cast(BinaryIO, io.BufferedReader(_ZstdFrames(stream), _CHUNK))
    elif kind:
        raise InputError(f"{path} is compressed with {kind}; decompress it, or use gzip or zstd")
    return unpacked


def _compression(stream: BinaryIO) -> str | None:
    known = {_GZIP: "gzip", _ZSTD: "zstd"} | _OTHERS
    start = _start(stream)
    return next((name for magic, name in known.items() if start.startswith(magic)), None)


def _start(stream: BinaryIO) -> bytes:
    """The first bytes, which stay in the stream."""
    return cast(io.BufferedReader, stream).peek(512)


def _is_workbook(start: bytes) -> bool:
    return start.startswith(_OLD_EXCEL) or (
        start.startswith(b"PK\x03\x04") and start[30:].startswith(_FIRST_IN_WORKBOOKS)
    )
