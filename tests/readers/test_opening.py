import gzip
import io
import tarfile
import tracemalloc
import zipfile

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.readers import opening
from interplm_nb.readers.opening import open_bytes, open_text
from interplm_nb.readers.read import read
from interplm_nb.readers.report import InputError

TEXT = "".join(
    f"line {i} of a text that is long enough to be packed in several blocks\n"
    for i in range(20_000)
)
PACK = {"plain": bytes, "gz": gzip.compress, "zst": zstandard.ZstdCompressor().compress}


@pytest.mark.parametrize("kind", PACK)
def test_packing_is_told_by_content_not_by_name(tmp_path, kind):
    path = tmp_path / "a.txt"
    path.write_bytes(PACK[kind](TEXT.encode()))
    with open_text(path) as text:
        assert text.read() == TEXT


@pytest.mark.parametrize("kind", ["gz", "zst"])
@pytest.mark.parametrize("keep", [0.3, 0.99])
def test_a_truncated_file_is_one_clear_error(tmp_path, kind, keep):
    path = tmp_path / f"a.{kind}"
    packed = PACK[kind](TEXT.encode())
    path.write_bytes(packed[: int(len(packed) * keep)])
    with (
        pytest.raises(
            InputError,
            match=rf"a\.{kind}: the compressed file is truncated or damaged .*download or copy it "
            "again",
        ),
        open_text(path) as text,
    ):
        text.read()


def test_damaged_gzip_is_an_error(tmp_path):
    path = tmp_path / "a.gz"
    packed = bytearray(gzip.compress(TEXT.encode()))
    packed[-6] ^= 255  # the checksum
    path.write_bytes(packed)
    with pytest.raises(InputError, match="truncated or damaged"), open_text(path) as text:
        text.read()


@given(parts=st.lists(st.binary(max_size=300), min_size=1, max_size=4))
def test_several_frames_are_read_as_one(tmp_path_factory, parts):
    folder = tmp_path_factory.mktemp("frames")
    for kind in ("gz", "zst"):
        path = folder / kind
        path.write_bytes(b"".join(map(PACK[kind], parts)))
        with open_bytes(path) as stream:
            assert stream.read() == b"".join(parts)


def test_line_ends_and_byte_order_mark_are_taken_off(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    with open_text(path) as text:
        assert list(text) == ["one\n", "two\n", "three\n"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"BZh91AY", "compressed with bzip2"),
        (b"PK\x03\x04rest", "compressed with zip"),
        (b"caf\xe9 and more\n", "not UTF-8 text"),
    ],
)
def test_what_cannot_be_read_says_so(tmp_path, content, message):
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message), open_text(path) as text:
        text.read()


def _tar() -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.fasta"))
    return held.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(gzip.compress(b">a\nMKV\n")), r"compressed twice \(inside with gzip\)"),
        (PACK["zst"](b"PK\x03\x04rest"), "compressed twice .inside with zip"),
        (gzip.compress(_tar()), "is a tar archive; unpack it"),
        (_tar(), "is a tar archive; unpack it"),
        (gzip.compress(b">a\nMKV\n") + b"more", "truncated or damaged"),
        (b"\x1f\x8b", "truncated or damaged"),
        (b">a\nMKV\n" + gzip.compress(b">b\nMKV\n"), "not UTF-8 text"),
    ],
    ids=["twice", "zip inside", "tar.gz", "tar", "text after gz", "gz cut", "gz after text"],
)
def test_what_holds_no_text_says_so(tmp_path, content, message):
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message), open_text(path) as text:
        text.read()


def _peak(path, read) -> int:
    """Bytes of memory that refusing this file takes at most."""
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="MiB"), open_text(path) as text:
            read(text)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", PACK)
def test_an_endless_line_does_not_take_the_memory(tmp_path, monkeypatch, kind):
    """64 MiB of one line, 65 KB as gzip and 2 KB as zstd; the bound is made 1 MiB."""
    monkeypatch.setattr(opening, "LONGEST_RECORD", 1 << 20)
    monkeypatch.setattr(opening, "_ZSTD_CHUNK", 1 << 6)
    path = tmp_path / "a"
    path.write_bytes(PACK[kind](b">a\n" + b"A" * (64 << 20)))
    assert _peak(path, list) < 10 << 20
    with pytest.raises(InputError, match="a line is longer than 1 MiB"), open_text(path) as text:
        list(text)


def test_a_text_that_is_read_whole_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "LARGEST_TEXT", 1 << 20)
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"P1\t1\t5\tmine\n" * (2 << 20)))
    assert _peak(path, lambda text: text.read()) < 10 << 20
    with open_text(path) as text:
        assert text.read(5) == "P1\t1\t"


def test_long_lines_below_the_bound_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "LONGEST_RECORD", 1 << 20)
    path = tmp_path / "a"
    for end in ("\n", "\r", "\r\n"):
        path.write_bytes(end.join(["A" * 700_000] * 4).encode())
        with open_text(path) as text:
            assert [len(line) for line in text] == [700_001] * 3 + [700_000]


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(InputError, match="no such file"), open_text(tmp_path / "none"):
        pass
    with pytest.raises(InputError, match="is a folder"), open_text(tmp_path):
        pass


def test_errors_of_the_block_itself_pass_unchanged(tmp_path):
    path = tmp_path / "a"
    path.write_text("x")
    with pytest.raises(FileNotFoundError, match="other"), open_text(path):
        (tmp_path / "other").read_text()


def _zip_of(name: str, content: str = "") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, content)
    return packed.getvalue()


WORKBOOKS = {
    "a.xlsx": _zip_of("[Content_Types].xml"),
    "misnamed.tsv": _zip_of("docProps/app.xml"),
    "a.ods": _zip_of("mimetype", "application/vnd.oasis.opendocument.spreadsheet"),
    "a.xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
}


@pytest.mark.parametrize("name", WORKBOOKS)
def test_a_workbook_is_refused_with_the_way_out(tmp_path, name):
    (tmp_path / name).write_bytes(WORKBOOKS[name])
    with pytest.raises(InputError, match=rf"{name} is an Office workbook .*save the sheet as TSV"):
        read(tmp_path / name)


def test_another_zip_archive_is_no_workbook(tmp_path):
    (tmp_path / "a.zip").write_bytes(_zip_of("a.fasta", ">P1\nM\n"))
    with pytest.raises(InputError, match="is compressed with zip; decompress it"):
        read(tmp_path / "a.zip")


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_text_in_a_spreadsheets_own_encoding_is_refused(tmp_path, encoding):
    (tmp_path / "a.txt").write_text("Entry\tSequence\nP1é\tM\n", encoding=encoding)
    with pytest.raises(InputError, match=r"not UTF-8 text .*; save it as UTF-8"):
        read(tmp_path / "a.txt")
