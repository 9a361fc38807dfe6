"""The table for publication: what is written is what is read, whatever the texts hold; and another
tool reads it too.
"""

import csv
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from interplm_nb.concepts.exported import read_exported, write_exported
from interplm_nb.concepts.links import LINKS

ROW: dict[str, Any] = {
    "concept": "Helix",
    "category": "Helix",
    "level": "instance",
    "feature": 3,
    "threshold": 0.15,
    "validation_f1_per_domain": 0.6,
    "n_residues": 40,
    "n_instances": 5,
    "precision": 0.1,
    "recall": 1 / 3,
    "recall_per_domain": 0.8,
    "f1": 0.2,
    "f1_per_domain": 0.7,
}
ABOUT = {
    "convention": "strict",
    "plm": "a model, named oddly\n# so",
    "layer": 3,
    "thresholds": [0.0, 0.15],
    "annotations": None,
}


def links(*changes: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([ROW | change for change in changes], schema=LINKS)


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
            st.integers(0, 9),
            st.floats(0, 1),
        ),
        max_size=8,
    )
)
@settings(max_examples=60)
def test_what_is_read_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, int, float]]
) -> None:
    path = tmp_path_factory.mktemp("exported") / "table.tsv"
    table = links(
        *(
            {"concept": c, "feature": f, "precision": p, "validation_f1_per_domain": p}
            for c, f, p in pairs
        )
    )
    write_exported(table, path, ABOUT)
    read = read_exported(path)
    order = {
        "by": ["feature", "validation_f1_per_domain", "concept"],
        "descending": [False, True, False],
    }
    assert_frame_equal(read.table, table.sort(**order), check_column_order=False)
    assert {name: read.about[name] for name in ABOUT} == ABOUT
    assert read.about["pairs"] == len(pairs)


def test_texts_are_escaped_and_other_readers_skip_the_header(tmp_path) -> None:
    odd = 'tab\there, line\nend, \\t as it is, "quoted", # hash'
    write_exported(links({"concept": odd}), tmp_path / "t.tsv", ABOUT)
    lines = (tmp_path / "t.tsv").read_text(encoding="utf-8").splitlines()
    rows = list(
        csv.DictReader(
            (line for line in lines if not line.startswith("#")),
            delimiter="\t",
            quoting=csv.QUOTE_NONE,
        )
    )
    assert rows[0]["concept"] == 'tab\\there, line\\nend, \\\\t as it is, "quoted", # hash'
    assert (rows[0]["feature"], float(rows[0]["recall"])) == ("3", 1 / 3)
    assert read_exported(tmp_path / "t.tsv").table["concept"][0] == odd


def test_no_name_runs_in_a_spreadsheet_or_a_terminal_and_each_is_read_back(tmp_path) -> None:
    names = ["=1+1", "'=1", "-1.5", "\t@x", "a\x1b[2J\u202e", "\\u001b", "\U000e0041b"]
    table = links(*({"concept": name, "feature": i} for i, name in enumerate(names)))
    write_exported(table, tmp_path / "t.tsv", ABOUT | {"plm": "p\x9b\u202e"})
    text = (tmp_path / "t.tsv").read_text(encoding="utf-8")
    cells = [line.split("\t")[1] for line in text.splitlines() if not line.startswith("#")]
    wanted = ["'=1+1", "''=1", "-1.5", "'\\t@x", "a\\u001b[2J\\u202e", "\\\\u001b"]
    assert cells[1:] == [*wanted, "\\udb40\\udc41b"]
    assert not set("\x1b\x9b\u202e") & set(text)
    read = read_exported(tmp_path / "t.tsv")
    assert read.table["concept"].to_list() == names and read.about["plm"] == "p\x9b\u202e"


def test_other_columns_pass_through_and_every_column_is_explained(tmp_path) -> None:
    table = links({}, {"feature": 4}).with_columns(
        q_value=pl.Series([0.01, None]),
        own_note=pl.Series(["a", None]),
        kept=pl.Series([True, False]),
    )
    write_exported(table, tmp_path / "t.tsv", {})
    read = read_exported(tmp_path / "t.tsv")
    assert_frame_equal(read.table, table, check_column_order=False)
    assert list(read.about["columns"]) == read.table.columns
    assert all(read.about["columns"][name] for name in [*LINKS, "q_value"])


@pytest.mark.parametrize(
    ("table", "about", "text"),
    [
        (
            links({}).drop("threshold", "feature"),
            {},
            "needs feature, concept, .*; feature, threshold not among",
        ),
        (links({}).with_columns(low=pl.lit([1.0])), {}, r"leave out low \(List\(Float64\)\)"),
        (
            links({}).with_columns(pl.lit(1).alias("q value")),
            {},
            r"names without spaces; leave out q value",
        ),
        (links({}), {"a key": 1}, "header keys must be names such as plm_revision, not 'a key'"),
    ],
)
def test_what_tsv_cannot_hold_is_refused(tmp_path, table, about, text) -> None:
    with pytest.raises(ValueError, match=text):
        write_exported(table, tmp_path / "t.tsv", about)
    assert not list(tmp_path.iterdir())


def test_other_and_damaged_files_are_refused(tmp_path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("feature\tconcept\n")
    with pytest.raises(ValueError, match="as its first line says; found 'feature"):
        read_exported(path)
    write_exported(links({}, {"feature": 4}), path, {})
    whole = path.read_text()
    path.write_text(whole[: whole.rindex("\n4\t") + 1])
    with pytest.raises(
        ValueError, match="the header says 2 pairs, but there are 1; the file was cut off"
    ):
        read_exported(path)
    path.write_text(whole.replace("# version: 1", "# version: 9"))
    with pytest.raises(ValueError, match="not version 1 of an"):
        read_exported(path)
    path.write_text(whole.replace("# pairs: 2", "# pairs: two"))
    with pytest.raises(ValueError, match="the header line 'pairs: two' cannot be read"):
        read_exported(path)


@pytest.mark.parametrize(
    ("named", "said"), [("sha256:1", "weights sha256:1,"), (None, "that it does not name")]
)
def test_the_table_of_another_sae_is_refused_with_both_hashes(
    tmp_path: Any, named: str | None, said: str
) -> None:
    path = tmp_path / "features.tsv"
    write_exported(links({}), path, ABOUT | {"sae": named})
    assert read_exported(path).table.height == 1
    if named:
        assert read_exported(path, named).table.height == 1
    with pytest.raises(ValueError, match=rf"features\.tsv: .*{said}.* are sha256:2: the same"):
        read_exported(path, "sha256:2")
