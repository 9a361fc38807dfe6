import json
from pathlib import Path

import polars as pl
import pytest

from interplm_nb.checksums import DamagedFileError
from interplm_nb.saving import (
    atomic_path,
    file_hash,
    json_hash,
    read_json,
    read_parquet,
    write_json,
    write_parquet,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "about.json"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="halfway"), atomic_path(path) as draft:
        draft.write_text("new")
        raise RuntimeError("halfway")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["about.json"]


def test_a_folder_replaces_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "layer_04"
    for text in ("old", "new"):
        with atomic_path(path) as draft:
            draft.mkdir()
            (draft / text).write_text(text)
    assert [p.name for p in path.iterdir()] == ["new"]


def test_json_names_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_json({"type": "Run", "version": 1, "profile": "démo"}, path)
    assert read_json(path, "Run", 1)["profile"] == "démo"
    with pytest.raises(ValueError, match="expected Run version 2, found Run version 1"):
        read_json(path, "Run", 2)


def test_not_a_number_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"loss": float("nan")}, tmp_path / "metrics.json")
    assert list(tmp_path.iterdir()) == []


def test_hashes_are_of_content(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"MKTA")
    assert (
        file_hash(tmp_path / "a")
        == file_hash(tmp_path / "b")
        == "sha256:" + __import__("hashlib").sha256(b"MKTA").hexdigest()
    )
    assert (
        json_hash({"a": 1, "b": [2]})
        == json_hash(json.loads('{"b": [2], "a": 1}'))
        != json_hash({"a": 1, "b": [3]})
    )


def test_a_record_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    write_json({"type": "Run", "version": 1, "kept": {"2": 0.1, "10": [1, None]}}, path)
    text = path.read_text()
    assert read_json(path, "Run", 1) == {
        "type": "Run",
        "version": 1,
        "kept": json.loads(text)["kept"],
    }
    path.write_text(text.replace("0.1", "0.3"))
    with pytest.raises(
        DamagedFileError, match=r"summary\.json: damaged, it was changed after it was written"
    ):
        read_json(path, "Run", 1)
    path.write_text(text.replace("checksum", "checksul"))  # a bit of the sum's name
    assert "checksul" not in read_json(path, "Run", 1)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b'{"type": "R', "not JSON"),
        (b"\xff{}", "not JSON"),
        (b"[1]", "record"),
    ],
)
def test_what_is_no_record_is_refused_by_name(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match=rf"run\.json: damaged, .*{reason}"):
        read_json(path, "Run", 1)


def test_the_bits_of_a_table_are_covered_wherever_they_lie(tmp_path: Path) -> None:
    path, about = tmp_path / "maxima.parquet", {"type": "Maxima", "version": 1, "n": 2}
    table = pl.DataFrame({"feature": [0, 1], "name": ["ä", None], "maximum": [0.5, 1.5]})
    write_parquet(table, path, about)
    data = path.read_bytes()
    for bit in range(0, 8 * len(data), 19):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        try:
            found, said = read_parquet(path, "Maxima", 1)
        except DamagedFileError as error:
            assert "maxima.parquet: damaged, " in str(error)
        else:  # a bit of the sum's own name
            assert found.equals(table) and said == about


@pytest.mark.parametrize("size", [0, 1, 7, 200])
def test_a_table_that_is_cut_off_is_refused_by_name(tmp_path: Path, size: int) -> None:
    path = tmp_path / "splits.parquet"
    write_parquet(pl.DataFrame({"a": [1]}), path, {"type": "Splits", "version": 1})
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DamagedFileError, match=r"splits\.parquet: damaged, it is (empty|cut off)"):
        read_parquet(path, "Splits", 1)
