import gzip
import io
import zipfile

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

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
