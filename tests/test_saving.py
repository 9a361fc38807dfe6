import json
from pathlib import Path

import pytest

from interplm_nb.saving import atomic_path, file_hash, json_hash, read_json, write_json


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
