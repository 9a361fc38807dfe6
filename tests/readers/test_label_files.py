"""Own labels: every format gives the segments of a plain reading; invalid records are named."""

import gzip
import io
import re
from itertools import groupby
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.annotations import Annotations
from interplm_nb.proteins import Proteins
from interplm_nb.readers.label_files import (
    DSSP,
    NEEDED,
    from_label_strings,
    read_bed,
    read_gff3,
    read_labels,
    read_table,
)
from interplm_nb.readers.report import InputError

PROTEINS = Proteins.from_sequences({"P1": "ACDEFGHIKL", "P2": "MNPQR"})


def segments(annotations: Annotations) -> list[tuple]:
    return annotations.table.select("accession", "concept", "start", "end").rows()


def write(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


TABLE = """Accession\tstart\tend\tconcept\tcategory\tlevel\tinstance
P1\t2\t4\tloop\t\t\t
P1\t1\t1\tbond\tBonds\tresidue\tb
P1\t9\t9\tbond\tBonds\tresidue\tb
P2\t5\t5\tbond\tBonds\tresidue\tb
"""


@pytest.mark.parametrize("kind", ["tsv", "csv", "tsv.gz", "parquet"])
def test_a_table_in_every_format(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"labels.{kind}"
    if kind == "parquet":
        lines = [line.split("\t") for line in TABLE.splitlines()]
        frame = pl.DataFrame([dict(zip(lines[0], row, strict=True)) for row in lines[1:]])
        frame.with_columns(
            pl.col("start", "end").cast(pl.Int64), pl.col("category").replace("", None)
        ).write_parquet(path)
    else:
        text = TABLE.replace("\t", ",") if kind == "csv" else TABLE
        path.write_bytes(gzip.compress(text.encode()) if kind.endswith("gz") else text.encode())
    annotations, report = read_table(path, PROTEINS, category="Mine")
    assert segments(annotations) == [
        ("P1", "bond", 1, 1),
        ("P1", "loop", 2, 4),
        ("P1", "bond", 9, 9),
        ("P2", "bond", 5, 5),
    ]
    kinds = {
        concept: (category, level)
        for concept, category, level in annotations.table.select(
            "concept", "category", "level"
        ).iter_rows()
    }
    assert kinds == {"loop": ("Mine", "instance"), "bond": ("Bonds", "residue")}
    summary = annotations.summary()
    assert dict(summary.select("concept", "n_instances").iter_rows()) == {"bond": 2, "loop": 1}, (
        "an instance is within its protein"
    )
    assert (report.kept, report.counts()) == (2, {})


BAD_ROWS = {
    "P9\t1\t2\tx": "unknown protein",
    "P1\t1\t11\tx": "span past the end",
    "P1\t0\t3\tx": "span backwards or before 1",
    "P1\t5\t3\tx": "span backwards or before 1",
    "P1\t5\t?\tx": "unreadable position",
    "P1\t\t3\tx": "empty cell",
    "P1\t3": "row of another width",
}


@pytest.mark.parametrize("bad", BAD_ROWS)
def test_a_bad_row_is_left_out_and_named(tmp_path: Path, bad: str) -> None:
    path = write(
        tmp_path,
        "labels.tsv",
        f"accession\tstart\tend\tconcept\nP1\t1\t3\tgood\n{bad}\nP2\t1\t1\tgood\n",
    )
    annotations, report = read_table(path, PROTEINS)
    assert segments(annotations) == [("P1", "good", 1, 3), ("P2", "good", 1, 1)]
    assert report.counts() == {BAD_ROWS[bad]: 1}
    with pytest.raises(
        InputError,
        match=rf"labels.tsv: P[19] \(line 3\): {BAD_ROWS[bad]}: .*; .*, or read without strict",
    ):
        read_table(path, PROTEINS, strict=True)


def test_a_concept_keeps_its_first_kind(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "x.csv",
        "accession,start,end,concept,level\n"
        "P1,1,1,a,residue\nP1,2,2,a,instance\nP1,3,3,b,protein\nP1,4,4,b,residue\n",
    )
    annotations, report = read_table(path, PROTEINS)
    assert segments(annotations) == [("P1", "a", 1, 1), ("P1", "b", 4, 4)]
    assert report.counts() == {"concept of two kinds": 1, "unknown level": 1}


def test_tables_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"columns accession, start, end, concept; \['end'\] not among"
    ):
        read_table(write(tmp_path, "x.tsv", "accession\tstart\tconcept\n"), PROTEINS)
    with pytest.raises(InputError, match=r"ends in '.xlsx'; a table of labels ends in"):
        read_table(write(tmp_path, "x.xlsx", ""), PROTEINS)
    with pytest.raises(InputError, match="not a Parquet file"):
        read_table(write(tmp_path, "x.parquet", "no"), PROTEINS)
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "none.tsv", PROTEINS)


def test_other_columns_are_reported(tmp_path: Path) -> None:
    path = write(tmp_path, "x.tsv", "accession\tstart\tend\tconcept\tcolour\nP1\t1\t2\ta\tred\n")
    assert read_table(path, PROTEINS).report.records("column ignored") == ["colour"]


def test_a_table_without_rows_annotates_nothing(tmp_path: Path) -> None:
    annotations, report = read_table(
        write(tmp_path, "x.tsv", "accession\tstart\tend\tconcept\n"), PROTEINS
    )
    assert (len(annotations), report.kept) == (0, 0)
    assert annotations.proteins is PROTEINS


GFF = """##gff-version 3
# a comment
P1\tX\tDomain\t2\t5\t.\t.\t.\tName=SH3%3B like;ID=d1
P1\tX\tBond\t1\t1\t.\t.\t.\tID=b1
P1\tX\tBond\t10\t10\t.\t.\t.\tID=b1
P2\tX\tSite\t1\t9\t.\t.\t.\t.
P2\tX\tSite
##FASTA
>P1
ACD
"""


def test_gff3(tmp_path: Path) -> None:
    annotations, report = read_gff3(write(tmp_path, "x.gff3", GFF), PROTEINS)
    assert segments(annotations) == [
        ("P1", "Bond", 1, 1),
        ("P1", "Domain_SH3; like", 2, 5),
        ("P1", "Bond", 10, 10),
    ]
    assert annotations.only(["Bond"]).table["instance"].n_unique() == 1
    assert report.counts() == {"span past the end": 1, "row of another width": 1}


BED = (
    "track name=x\n#c\nP1\t0\t10\tall\nP2\t4\t5\n\n"
    "P1\t1\t9\tblocks\t0\t+\t1\t9\t0\t2\t2,3,\t0,5,\n"
    "P1 2 3 spaces\nP2\t0\t6\tlong\nP2\ta\t6\tlong\n"
)


def test_bed_counts_from_zero(tmp_path: Path) -> None:
    annotations, report = read_bed(write(tmp_path, "x.bed", BED), PROTEINS, category="Mine")
    assert set(segments(annotations)) == {
        ("P1", "all", 1, 10),
        ("P2", "Mine", 5, 5),
        ("P1", "blocks", 2, 3),
        ("P1", "blocks", 7, 9),
        ("P1", "spaces", 3, 3),
    }
    assert annotations.only(["blocks"]).table["instance"].n_unique() == 1
    assert report.counts() == {"span past the end": 1, "unreadable position": 1}
    with pytest.raises(InputError, match=r"P2 \(line 8\): span past the end"):
        read_bed(tmp_path / "x.bed", PROTEINS, strict=True)


UNIPROT_GFF = """##gff-version 3
##sequence-region P1 1 10
P1\tUniProtKB\tHelix\t3\t5\t.\t.\t.\tNote=x;evidence=ECO:1\t
P1\tUniProtKB\tDomain\t1\t2\t.\t.\t.\tNote=SH3%3B first\t
"""


def test_every_row_of_uniprots_gff_ends_with_a_tab(tmp_path: Path) -> None:
    annotations, report = read_gff3(write(tmp_path, "x.gff", UNIPROT_GFF), PROTEINS, strict=True)
    assert segments(annotations) == [("P1", "Domain_SH3; first", 1, 2), ("P1", "Helix_x", 3, 5)]
    assert report.counts() == {}


def test_gff3_that_a_spreadsheet_saved_again(tmp_path: Path) -> None:
    again = (
        '"##gff-version 3, of mine"\n'
        'P1\tX\tSite\t3.0\t5.0\t.\t.\t.\t"Name=a,b;ID=""s1"""\t\t\n'
        "P2\tX\tSite\t1\t2\t.\t.\t.\n"
    )
    annotations, report = read_gff3(write(tmp_path, "x.gff3", again), PROTEINS, strict=True)
    assert segments(annotations) == [("P1", "Site_a,b", 3, 5), ("P2", "Site", 1, 2)]
    assert report.counts() == {}


@pytest.mark.parametrize("kind", ["Disulfide bond", "disulfide_bond", "Cross-link", "CROSSLNK"])
def test_a_bond_in_gff3_is_two_ends_of_one_instance(tmp_path: Path, kind: str) -> None:
    bonds = f"P1\tX\t{kind}\t2\t9\t.\t.\t.\t.\n" + f"P1\tX\t{kind}\t4\t4\t.\t.\t.\tNote=out\n"
    annotations, _ = read_gff3(write(tmp_path, "x.gff3", bonds + bonds), PROTEINS, strict=True)
    assert segments(annotations.only([kind])) == [("P1", kind, 2, 2)] * 2 + [("P1", kind, 9, 9)] * 2
    table = annotations.table.sort("instance", "start")
    assert table.select("start", "end", "instance").rows() == [
        (2, 2, 1),
        (9, 9, 1),
        (4, 4, 2),
        (2, 2, 3),
        (9, 9, 3),
        (4, 4, 4),
    ]


def test_an_empty_id_in_gff3_joins_nothing(tmp_path: Path) -> None:
    text = "".join(f"P1\tX\tSite\t{i}\t{i}\t.\t.\t.\tID=\n" for i in (1, 5))
    annotations, _ = read_gff3(write(tmp_path, "x.gff3", text), PROTEINS, strict=True)
    assert annotations.table["instance"].n_unique() == 2


AGAIN = {
    "as it was": TABLE,
    "CSV with semicolons": TABLE.replace("\t", ";"),
    "tabs in spite of the name": TABLE,
    "quoted": "".join(
        ",".join(f'"{cell}"' for cell in line.split("\t")) + "\r\n" for line in TABLE.splitlines()
    ),
    "byte order mark": "\ufeff" + TABLE.replace("\t", ","),
    "empty cells cut off": "".join(line.rstrip("\t") + "\n" for line in TABLE.splitlines()),
    "numbers with decimals": re.sub(r"\t([0-9]+)", r"\t\1.0", TABLE),
    "decimal commas": re.sub(r"\t([0-9]+)", r"\t\1,0", TABLE),
    "blank rows and columns": "".join(line + "\t\t\n" for line in (TABLE + "\t" * 6).splitlines()),
}


@pytest.mark.parametrize("again", AGAIN)
def test_a_table_that_a_spreadsheet_saved_again_is_read_the_same(tmp_path, again) -> None:
    wanted = read_table(write(tmp_path, "raw.tsv", TABLE), PROTEINS).annotations
    path = tmp_path / ("again.csv" if again != "as it was" else "again.tsv")
    path.write_text(AGAIN[again], encoding="utf-8", newline="")
    annotations, report = read_table(path, PROTEINS)
    assert annotations.table.equals(wanted.table)
    assert report.rejected == 0


SPOILT = {
    '1\t5\t"open': "quotation mark not closed",
    "1,022\t1,030\tA": "unreadable position",
    "5-Mar\t9\tA": "unreadable position",
    "1\t5.000\tA": "unreadable position",
    "1\t2\t1-Mar": "spoilt by a spreadsheet",
    "1\t2\t#NAME?": "spoilt by a spreadsheet",
    "1\t2\tA\t1-Feb": "spoilt by a spreadsheet",
    "1\t2\tA\t\tmore": "row of another width",
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_what_a_spreadsheet_spoilt_is_left_out_with_its_line(tmp_path, spoilt) -> None:
    text = f"accession\tstart\tend\tconcept\tinstance\nP1\t{spoilt}\nP1\t6\t7\tB\t\nP1\t8\t9\tC\t\n"
    path = write(tmp_path, "x.tsv", text)
    annotations, report = read_table(path, PROTEINS)
    assert segments(annotations) == [("P1", "B", 6, 7), ("P1", "C", 8, 9)]
    assert report.counts()[SPOILT[spoilt]] == report.rejected == 1 and "(line 2)" in str(report)
    with pytest.raises(InputError, match=rf"x.tsv: P1 \(line 2\): {SPOILT[spoilt]}: "):
        read_table(path, PROTEINS, strict=True)


def test_numbers_of_a_parquet_file_may_be_floats(tmp_path: Path) -> None:
    frame = pl.DataFrame({"accession": ["P1"], "start": [1.0], "end": [5.0], "concept": ["A"]})
    frame.write_parquet(tmp_path / "x.parquet")
    assert segments(read_table(tmp_path / "x.parquet", PROTEINS).annotations) == [("P1", "A", 1, 5)]
    frame.with_columns(pl.lit("B").alias("Concept")).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(InputError, match="two columns are named 'concept'"):
        read_table(tmp_path / "x.parquet", PROTEINS)


@pytest.mark.parametrize("name", ["x.parquet", "x.parquet.gz"])
@pytest.mark.parametrize(
    ("table", "match"),
    [
        (
            {"accession": pa.nulls(20_000_000, pa.int8())},
            "it declares 20,000,000 rows and ",
        ),
        ({"accession": pa.repeat("x" * 100_000, 9_000)}, r"its values take over [\d,]+ bytes"),
    ],
)
def test_a_small_parquet_file_that_stands_for_much_is_refused(tmp_path, name, table, match) -> None:
    stream = io.BytesIO()
    pq.write_table(pa.table(table), stream)
    content = stream.getvalue()
    assert len(content) < 100_000
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(InputError, match=f"{name}: {match}"):
        read_table(tmp_path / name, PROTEINS)


@pytest.mark.parametrize("ending", ["xlsx", "xls", "ods"])
def test_a_workbook_is_refused_with_the_way_out(tmp_path: Path, ending: str) -> None:
    with pytest.raises(InputError, match=rf"in '\.{ending}'; .*save the sheet as TSV, or as CSV"):
        read_labels(write(tmp_path, f"x.{ending}", ""), PROTEINS)


@given(st.text(alphabet="HEC-", min_size=10, max_size=10))
def test_label_strings_equal_the_letters(letters: str) -> None:
    annotations, _ = from_label_strings({"P1": letters}, PROTEINS)
    for letter, concept in (("H", DSSP["H"]), ("E", DSSP["E"])):
        mask = annotations.mask(concept)
        assert [bool(m) for m in mask[:10]] == [x == letter for x in letters]
        assert not mask[10:].any()
        runs = sum(x == letter for x, _ in groupby(letters))
        assert annotations.only([concept]).table["instance"].n_unique() == runs


def test_label_strings_of_another_length_are_left_out() -> None:
    labels = {"P1": "HHH", "P2": "CHHHC", "P3": "HH"}
    annotations, report = from_label_strings(
        labels, PROTEINS, names={"H": "Helix"}, category="Mine", level="residue"
    )
    assert segments(annotations) == [("P2", "Helix", 2, 4)]
    assert report.counts() == {"label string of another length": 1, "unknown protein": 1}
    with pytest.raises(
        InputError,
        match="P1: label string of another length: 3 labels for 10 residues; "
        "give one letter per residue",
    ):
        from_label_strings(labels, PROTEINS, strict=True)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a.tsv", "accession\tstart\tend\tconcept\nP1\t2\t4\tx\n"),
        ("a.GFF3.gz", "P1\tme\tx\t2\t4\t.\t.\t.\t.\n"),
        ("a.gff", "P1\tme\tx\t2\t4\t.\t.\t.\t.\n"),
        ("a.bed", "P1\t1\t4\tx\n"),
    ],
)
def test_the_format_of_labels_is_recognised_by_the_name(tmp_path, name, line):
    path = tmp_path / name
    path.write_bytes(gzip.compress(line.encode()) if name.endswith("gz") else line.encode())
    found = read_labels(path, PROTEINS, strict=True)
    assert found.annotations.table.select("concept", "start", "end").rows() == [("x", 2, 4)]


line = st.text(st.sampled_from('P1\t,;""\n\r 29.-%0A#:abc=\u2028é'), max_size=40)


@pytest.mark.parametrize("name", ["x.tsv", "x.csv", "x.gff3", "x.bed"])
@given(lines=st.lists(line, max_size=4), strict=st.booleans())
def test_any_text_is_read_or_refused_in_words(tmp_path_factory, name, lines, strict) -> None:
    separator = "," if name == "x.csv" else "\t"
    rows = {
        "x.gff3": "P1\tX\tSite\t2\t3\t.\t.\t.\tName=a\n",
        "x.bed": "P1\t1\t3\tSite_a\n",
    }
    table = f"P1{separator}2{separator}3{separator}Site_a\n"
    head = "" if name in rows else separator.join(NEEDED) + "\n"
    last = rows.get(name, table)
    path = tmp_path_factory.mktemp("any") / name
    path.write_text(head + "".join(f"{line}\n" for line in lines) + last, encoding="utf-8")
    try:
        annotations = read_labels(path, PROTEINS, strict).annotations
    except InputError as error:
        assert strict and str(path) in str(error)
        return
    assert ("P1", "Site_a", 2, 3) in segments(annotations), "no text takes the row after it"
    assert not [name for name in annotations.concepts if "\n" in name or not name]


def test_a_line_end_in_a_name_is_a_space(tmp_path: Path) -> None:
    gff = write(tmp_path, "x.gff3", "P1\tX\tSite\t2\t3\t.\t.\t.\tName=a%0Ab\n")
    assert read_gff3(gff, PROTEINS).annotations.concepts == ["Site_a b"]
    frame = pl.DataFrame({"accession": ["P1"], "start": [1], "end": [2], "concept": ["a\r\nb"]})
    frame.write_parquet(tmp_path / "x.parquet")
    assert read_table(tmp_path / "x.parquet", PROTEINS).annotations.concepts == ["a b"]
    empty = write(tmp_path, "y.gff3", "P1\tX\t\t2\t3\t.\t.\t.\tName=a\n")
    assert read_gff3(empty, PROTEINS).report.counts() == {"empty cell": 1}
