import csv
import gzip
import io
import os
import time
from pathlib import Path
from typing import Literal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.readers.read import read
from interplm_nb.readers.report import InputError
from interplm_nb.readers.uniprot_tsv import _Table, read_uniprot_tsv

SEQUENCE = "MVLSPADKTNVKAAWGKVGAHAGEYGAEAL"  # 30 residues


def write(path, rows, columns=()):
    """A UniProt table: `rows` of dictionaries, by column."""
    names = list(
        dict.fromkeys(["Entry", "Sequence", *columns, *(name for row in rows for name in row)])
    )
    lines = ["\t".join(names)] + [
        "\t".join({"Sequence": SEQUENCE, **row}.get(name, "") for name in names) for row in rows
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def table(tmp_path):
    return lambda rows, columns=(): write(tmp_path / "a.tsv", rows, columns)


TODAY = {
    "Entry": "P12345",
    "Active site": 'ACT_SITE 3; /note="Proton acceptor; for A activity"; '
    '/evidence="ECO:0000255|PROSITE-ProRule:PRU10023"',
    "Binding site": 'BINDING 4..6; /ligand="ATP"; /ligand_id="ChEBI:CHEBI:30616"; '
    'BINDING 9; /ligand="Zn(2+)"; /ligand_id="ChEBI:CHEBI:29105"; /ligand_label="1"; '
    '/ligand_note="catalytic"; BINDING 11; /ligand="substrate"; /evidence="ECO:1"',
    "Cofactor": "COFACTOR: Name=Zn(2+); Xref=ChEBI:CHEBI:29105; Evidence={ECO:1}; "
    "Note=Binds 1 zinc ion per subunit.;",
    "Signal peptide": 'SIGNAL 1..5; /evidence="ECO:0000255"',
    "Disulfide bond": 'DISULFID 12..20; /evidence="ECO:1"',
    "Helix": 'HELIX 4..9; /evidence="ECO:0007829|PDB:1ABC"; HELIX 12..14',
    "Domain [FT]": 'DOMAIN 2..28; /note="Protein kinase"; /evidence="ECO:1"',
    "Transmembrane": 'TRANSMEM 6..24; /note="Helical; Name=1"',
}


def concepts(read):
    return read.annotations.concepts


def test_todays_download_in_strict(table):
    read = read_uniprot_tsv(table([TODAY]), min_instances=1, strict=True)
    assert concepts(read) == [
        "Active site_Proton acceptor",
        "Active site_any",
        "Binding site_ATP",
        "Binding site_Zn(2+)",
        "Binding site_any",
        "Binding site_substrate",
        "Disulfide bond",
        "Domain_Protein kinase",
        "Domain_any",
        "Helix",
        "Metal binding_Zn(2+)",
        "Metal binding_any",
        "Nucleotide binding_ATP",
        "Nucleotide binding_any",
        "Signal peptide",
        "Transmembrane_Helical",
        "Transmembrane_any",
    ]
    assert read.report.counts()["cofactor names no residues"] == 1


def test_todays_download_in_published_has_no_binding_site_cofactor_or_signal_peptide(table):
    read = read_uniprot_tsv(table([TODAY]), "published", min_instances=1, strict=True)
    names = [
        "Active site_Proton acceptor",
        "Active site_any",
        "Disulfide bond",
        "Domain_Protein kinase",
        "Domain_any",
        "Helix",
    ]
    assert concepts(read) == names
    assert read.report.counts()["Signal peptide: no note or ligand: left out"] == 1


def test_a_download_of_before_2022(table):
    old = {
        "Entry": "P12345",
        "Metal binding": 'METAL 9; /note="Zinc 1; via tele nitrogen"',
        "Nucleotide binding": 'NP_BIND 4..6; /note="ATP"',
        "Calcium binding": 'CA_BIND 12..20; /note="1"',
        "Binding site": 'BINDING 11; /note="Substrate"',
    }
    read = read_uniprot_tsv(table([old]), min_instances=1)
    names = [
        "Binding site_Substrate",
        "Binding site_any",
        "Calcium binding",
        "Metal binding_Zinc 1",
        "Metal binding_any",
    ]
    assert concepts(read) == [*names, "Nucleotide binding_ATP", "Nucleotide binding_any"]
    assert concepts(read_uniprot_tsv(table([old]), "published", min_instances=1)) == []


def test_notes_with_quotation_marks_and_semicolons(table):
    cell = (
        'REGION 2..9; /note="A "quoted" part, 5\'-end; more"; /evidence="ECO:1"; '
        'REGION 12..15; /note="Plain"'
    )
    read = read_uniprot_tsv(table([{"Entry": "P1", "Region": cell}]), min_instances=1, strict=True)
    assert concepts(read) == ['Region_A "quoted" part, 5\'-end', "Region_Plain", "Region_any"]


def test_metadata_has_the_same_names_for_old_and_new_columns(table):
    new = {
        "Entry": "A",
        "Entry Name": "A_X",
        "Reviewed": "reviewed",
        "Protein names": "Alpha",
        "Gene Names": "a b",
        "Organism": "O",
        "Organism (ID)": "9",
    }
    old = {
        "Entry": "A",
        "Entry name": "A_X",
        "Status": "reviewed",
        "Protein names": "Alpha",
        "Gene names": "a b",
        "Organism": "O",
        "Organism ID": "9",
    }
    expected = {
        "entry_name": "A_X",
        "reviewed": True,
        "protein_name": "Alpha",
        "gene_names": "a b",
        "organism": "O",
        "taxon": 9,
        "alphafold": None,
    }
    for row in (new, old):
        found = read_uniprot_tsv(table([row])).proteins.table.row(0, named=True)
        assert found == {"accession": "A", "sequence": SEQUENCE, **expected}


def test_absent_columns_are_reported_and_their_filters_skipped(table):
    report = read_uniprot_tsv(
        table([{"Entry": "A", "Helix": "HELIX 1..3"}]), reviewed=True, alphafold=True
    ).report
    assert report.records("filter skipped, its column is absent") == ["Reviewed", "AlphaFoldDB"]
    absent = report.records("concept column absent")
    assert "Beta strand" in absent
    assert "Helix" not in absent
    assert "Metal binding" not in absent  # no download of today has it


def test_filters(table):
    rows = [
        {"Entry": "A", "Reviewed": "reviewed", "AlphaFoldDB": "A;"},
        {"Entry": "B", "Reviewed": "unreviewed", "AlphaFoldDB": "B;"},
        {"Entry": "C", "Reviewed": "reviewed", "Sequence": "ACD"},
        {"Entry": "D", "Reviewed": "reviewed", "AlphaFoldDB": "D;"},
        {"Entry": "E", "Reviewed": "reviewed", "AlphaFoldDB": "E;", "Sequence": "M" * 31},
    ]
    read = read_uniprot_tsv(
        table(rows), max_length=30, reviewed=True, alphafold=True, unique_sequences=True
    )
    assert read.proteins.accessions == ["A"]
    assert {k: v for k, v in read.report.counts().items() if k.startswith("filtered")} == {
        "filtered: not reviewed": 1,
        "filtered: no model in AlphaFoldDB": 1,
        "filtered: the same sequence as another protein": 1,
        "filtered: longer than 30 residues": 1,
    }


BAD = [
    ({"Helix": "HELIX 4..31"}, "span past the end: HELIX 4..31; positions run from 1 to 30", True),
    ({"Helix": "HELICE 4..9"}, "unknown feature type: HELICE 4..9", True),
    (
        {"Helix": "about 4 to 9"},
        "unreadable feature: 'about 4 to 9'; features are as in HELIX 4..18",
        False,  # it would be a negative of what the cell says
    ),
    ({"Sequence": ""}, "no sequence: the record is empty", False),
    ({"Sequence": "AC-DE"}, "gap in the sequence", False),
    (
        {"Length": "99"},
        "sequence of another length than the entry says: 30 residues, and the entry says 99; "
        "download it again",
        False,
    ),
    ({"Entry": ""}, "entry without an accession", False),
    ({"Entry": "A", "Sequence": "ACD"}, "accession again with another sequence", False),
]


@pytest.mark.parametrize(
    ("row", "message", "kept"), BAD, ids=[message.partition(":")[0] for _, message, _ in BAD]
)
def test_one_bad_row_is_reported_or_stops_a_strict_reading(table, row, message, kept):
    path = table([{"Entry": "A"}, {"Entry": "bad", **row}, {"Entry": "Z"}], ["Length", "Helix"])
    read = read_uniprot_tsv(path)
    assert read.proteins.accessions == (["A", "bad", "Z"] if kept else ["A", "Z"])
    assert read.report.counts()[message.partition(":")[0]] == 1
    name = row.get("Entry", "bad") or "entry at line 3"
    with pytest.raises(InputError, match=rf"a\.tsv: {name} \(line 3\): {message}"):
        read_uniprot_tsv(path, strict=True)


def test_a_feature_that_cannot_be_read_is_rejected_and_so_is_a_protein_left_with_none(table):
    rows = [{"Entry": "A", "Helix": "HELIX 1..3; about 4"}, {"Entry": "B", "Helix": "about 4 to 9"}]
    read = read_uniprot_tsv(table(rows))
    counts = read.report.counts()
    assert read.proteins.accessions == ["A"] and counts["unreadable feature"] == 2
    assert counts["protein left out: no feature of a cell can be read"] == 1
    assert read.report.rejected == 3


def test_a_cell_is_read_on_after_an_unreadable_feature(table):
    read = read_uniprot_tsv(
        table(
            [{"Entry": "A", "Helix": 'HELIX 1..3; /note=open; HELIX 5..6; /note="x"; HELIX 8..9'}]
        )
    )
    assert read.annotations.table["start"].to_list() == [1, 5, 8]
    assert read.report.counts()["unreadable feature"] == 1


def test_a_row_of_another_width(table):
    path = table([{"Entry": "A", "Helix": "HELIX 1..3"}])
    path.write_text(path.read_text() + "B\n\nC\tACD\t\tmore\n")
    assert read_uniprot_tsv(path).report.records("row of another width") == ["B", "C"]
    with pytest.raises(
        InputError, match=r"B \(line 3\): row of another width: 1 cells; every row has the 3 cells"
    ):
        read_uniprot_tsv(path, strict=True)


def test_files_that_are_no_uniprot_table(tmp_path, table):
    path = tmp_path / "b.tsv"
    path.write_text("Entry\tHelix\nA\tHELIX 1..3\n")
    with pytest.raises(
        InputError,
        match=r"wanted a UniProt TSV .*\['Sequence'\] not among \['Entry', 'Helix'\].*REST fields",
    ):
        read_uniprot_tsv(path)
    path.write_text("Entry\tSequence\n")
    with pytest.raises(InputError, match="no protein is left; wanted rows"):
        read_uniprot_tsv(path)
    path.write_bytes(gzip.compress(table([TODAY] * 50).read_bytes())[:-9])
    with pytest.raises(InputError, match="truncated or damaged"):
        read_uniprot_tsv(path)


def test_options_are_checked(table):
    path = table([{"Entry": "A"}])
    with pytest.raises(ValueError, match="'strict' or 'published'; got 'right'"):
        read_uniprot_tsv(path, "right")  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="max_lenght"):
        read_uniprot_tsv(path, max_lenght=3)  # pyright: ignore[reportCallIssue]


def test_no_annotations_at_all(table):
    read = read_uniprot_tsv(table([{"Entry": "A"}]))
    assert len(read.annotations) == 0
    assert read.annotations.summary().height == 0


texts = st.text(st.sampled_from("ab ()[]',.-+5"), min_size=1, max_size=12)
features = st.tuples(st.integers(1, 30), st.integers(0, 5), st.none() | texts, st.none() | texts)


@given(st.lists(features, max_size=6))
def test_cells_are_read_as_written(drawn):
    cell = "; ".join(
        f"BINDING {start}..{start + more}"
        + (f'; /ligand="{ligand}"' if ligand else "")
        + (f'; /note="{note}"' if note else "")
        for start, more, ligand, note in drawn
    )
    parse = _Table._parse  # the table's columns do not matter to a cell
    features = parse(None, cell, "A", 1)  # pyright: ignore[reportArgumentType]
    found = [(f.key, f.location, f.ligand, f.note) for f in features]
    assert found == [
        ("BINDING", f"{start}..{start + more}", ligand or "", note or "")
        for start, more, ligand, note in drawn
    ]


# A download, and the same after a spreadsheet.
ROWS = [
    [
        "Entry",
        "Length",
        "Sequence",
        "Binding site",
        "Disulfide bond",
        "Gene Names",
        "Organism (ID)",
    ],
    [
        "P1",
        "30",
        SEQUENCE,
        'BINDING 5; /ligand="ATP"; /evidence="ECO:1"; BINDING 9; /note="a "special" site"',
        'DISULFID 11..18; /evidence="ECO:1"',
        "MARCHF1 MARCH1",
        "9606",
    ],
    ["P2", "30", SEQUENCE[::-1], "", "", "", ""],
]
RAW = "".join("\t".join(row) + "\n" for row in ROWS)


def saved_again(
    separator: str, end: str = "\r\n", quoting: Literal[0, 1] = csv.QUOTE_MINIMAL
) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator=end, quoting=quoting).writerows(ROWS)
    return text.getvalue()


AGAIN = {
    "quoted": saved_again("\t"),
    "all cells quoted": saved_again("\t", "\n", csv.QUOTE_ALL),
    "CSV": saved_again(","),
    "CSV of all cells quoted": saved_again(",", quoting=csv.QUOTE_ALL),
    "CSV with semicolons": saved_again(";"),
    "CSV of an old Mac": saved_again(",", "\r"),
    "separator named": "sep=;\r\n" + saved_again(";"),
    "byte order mark": "\ufeff" + saved_again(","),
    "blank rows after the last": saved_again(",") + ",,,,,,\r\n" * 3,
    "empty columns after the last": RAW.replace("\n", "\t\t\n"),
    "empty cells cut off": "".join(line.rstrip("\t") + "\n" for line in RAW.splitlines()),
    "numbers with decimals": RAW.replace("\t30\t", "\t30.0\t").replace("9606", "9606.0"),
}


@pytest.mark.parametrize("again", AGAIN)
def test_a_download_that_a_spreadsheet_saved_again_is_read_the_same(tmp_path, again):
    (tmp_path / "raw.tsv").write_text(RAW)
    (tmp_path / "again").write_text(AGAIN[again], encoding="utf-8", newline="")
    wanted, found = (read(tmp_path / name, min_instances=1) for name in ("raw.tsv", "again"))
    assert found.proteins.table.equals(wanted.proteins.table)
    assert found.annotations.table.equals(wanted.annotations.table)
    bonds = found.annotations.only(["Disulfide bond"]).table
    assert bonds.select("start", "end", "instance").rows() == [(11, 11, 3), (18, 18, 3)]
    assert 'Binding site_a "special" site' in found.annotations.concepts
    notes = {reason for reason in found.report.counts() if reason != "concept column absent"}
    assert notes == ({"cells missing at the end, read as empty"} if "cut off" in again else set())


SPOILT = {
    "a mark that is not closed": (
        RAW.replace("\tBINDING 5", '\t"BINDING 5').replace('/ligand="ATP"', "/ligand=ATP"),
        "quotation mark not closed",
    ),
    "quoted twice": (
        RAW.replace(ROWS[1][4], '"""DISULFID 11..18; /evidence=""""ECO:1"""""""'),
        "unreadable feature",
    ),
    "a long cell cut off": (
        RAW.replace(ROWS[1][4], "; ".join(["DISULFID 11..18"] * 2000)[:32_767]),
        "cell cut off by a spreadsheet",
    ),
    "the file ends within a row": (
        "\n".join([*RAW.splitlines()[::2], "P1\t30\t" + SEQUENCE + "\tBINDING 5"]),
        "row of another width",
    ),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_protein_is_left_out_where_its_features_are_lost(tmp_path, how):
    text, reason = SPOILT[how]
    (tmp_path / "a.tsv").write_text(text)
    read = read_uniprot_tsv(tmp_path / "a.tsv")
    assert read.proteins.accessions == ["P2"], "P1 would be a negative of its own features"
    assert read.report.records(reason) == ["P1"]
    line = 3 if "ends" in how else 2
    assert f"(line {line})" in str(read.report)
    with pytest.raises(InputError, match=rf"P1 \(line {line}\): {reason}: .*; .*, or read without"):
        read_uniprot_tsv(tmp_path / "a.tsv", strict=True)


def test_a_gene_that_became_a_date_is_left_empty_and_counted(tmp_path):
    (tmp_path / "a.tsv").write_text(RAW.replace("MARCHF1 MARCH1", "1-Mar"))
    read = read_uniprot_tsv(tmp_path / "a.tsv")
    assert read.proteins.table["gene_names"].to_list() == [None, None]
    assert read.report.records("gene_names left empty: a date that a spreadsheet made") == ["P1"]


def test_a_column_that_is_there_twice_is_refused(table):
    path = table([{"Entry": "A", "helix": "HELIX 1..3", "Helix": "HELIX 5..6"}])
    with pytest.raises(
        InputError, match=r"a\.tsv: two columns are named 'helix'; remove or rename"
    ):
        read_uniprot_tsv(path)


SHARED = os.environ.get("INTERPLM_NB_SHARED_DATA")


@pytest.mark.skipif(not SHARED, reason="INTERPLM_NB_SHARED_DATA names no folder of real data")
def test_the_large_real_table():
    annotated = Path(SHARED or "") / "annotated"
    start = time.monotonic()
    read = read_uniprot_tsv(annotated / "uniprot_like_features.tsv.gz")
    assert time.monotonic() - start < 30
    assert (read.proteins.n_proteins, read.proteins.n_residues) == (11_077, 4_349_003)
    wanted = pl.read_csv(annotated / "feature_counts.tsv", separator="\t")
    counts = {
        row[0].removesuffix(" [FT]"): row[1]
        for row in wanted.select("column", "instances").iter_rows()
    }
    summary = read.annotations.summary()
    totals = summary.filter(
        pl.col("concept").str.ends_with("_any") | (pl.col("concept") == pl.col("category"))
    )
    for category, n in totals.select("category", "n_instances").iter_rows():
        assert n == counts[category], category
