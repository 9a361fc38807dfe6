import gzip

import pytest

from interplm_nb.readers.report import InputError
from interplm_nb.readers.uniprot_flat import read_uniprot_flat

HEAD = """ID   KIN_TEST                Reviewed;          30 AA.
AC   P12345; Q00001;
DE   RecName: Full=Test kinase {ECO:0000305};
DE            EC=2.7.1.-;
GN   Name=kin {ECO:1}; Synonyms=abc;
OS   Homo sapiens (Human).
OX   NCBI_TaxID=9606 {ECO:0000313};
DR   AlphaFoldDB; P12345; -.
CC   -!- FUNCTION: Tests.
"""
TAIL = """SQ   SEQUENCE   30 AA;  3184 MW;  AD8E9CC5ABB0E065 CRC64;
     MVLSPADKTN VKAAWGKVGA HAGEYGAEAL
//
"""
TODAY = '''FT   CHAIN           1..30
FT                   /note="Test kinase"
FT                   /id="PRO_0000044514"
FT   DOMAIN          2..28
FT                   /note="Very long name of a domain that is wrapped after-
FT                   hyphen and at blanks; with ""quotes"""
FT                   /evidence="ECO:0000269|PubMed:10510177,
FT                   ECO:0000269|PubMed:1"
FT   BINDING         4..6
FT                   /ligand="ATP"
FT                   /ligand_id="ChEBI:CHEBI:30616"
FT                   /ligand_note="catalytic"
FT   BINDING         8
FT                   /ligand="heme b"
FT                   /ligand_part="Fe"
FT   DISULFID        12..20
FT   HELIX           <1..5
FT   MOD_RES         P12345-2:7
FT                   /note="Phosphoserine"
'''
OLD = """FT   SIGNAL       <1      ?
FT   CHAIN         1     30       Test kinase.
FT                                /FTId=PRO_0000044514.
FT   DOMAIN        2     28       Protein
FT                                kinase (By similarity).
FT   DISULFID     12     20       By similarity.
FT   DISULFID      9      9       Interchain.
FT   MOD_RES      27     27       N6-acetyllysine.
FT                                {ECO:0000269|PubMed:18723842}.
FT   METAL         8      8       Zinc; via tele
FT                                nitrogen (POTENTIAL).
FT   HELIX         4      9
"""


@pytest.fixture
def flat(tmp_path):
    def write(text):
        path = tmp_path / "a.dat"
        path.write_text(text)
        return path

    return write


def segments(read):
    return set(read.annotations.table.select("concept", "start", "end").iter_rows())


def test_the_feature_table_of_today(flat):
    read = read_uniprot_flat(flat(HEAD + TODAY + TAIL), min_instances=1, strict=True)
    assert segments(read) == {
        ("Domain_Very long name of a domain that is wrapped after-hyphen and at blanks", 2, 28),
        ("Domain_any", 2, 28),
        ("Binding site_ATP", 4, 6),
        ("Nucleotide binding_ATP", 4, 6),
        ("Nucleotide binding_any", 4, 6),
        ("Binding site_any", 4, 6),
        ("Binding site_heme b", 8, 8),
        ("Binding site_any", 8, 8),
        ("Metal binding_heme b", 8, 8),
        ("Metal binding_any", 8, 8),
        ("Disulfide bond", 12, 12),
        ("Disulfide bond", 20, 20),
    }
    assert read.report.counts() == {
        "no concept in the strict convention: Chain": 1,
        "position before a known end left out (<)": 1,
        "position on an isoform left out": 1,
    }


def test_the_feature_table_of_before_2019(flat):
    read = read_uniprot_flat(flat(HEAD + OLD + TAIL), min_instances=1, strict=True)
    assert segments(read) == {
        ("Domain_Protein kinase", 2, 28),
        ("Domain_any", 2, 28),
        ("Disulfide bond", 12, 12),
        ("Disulfide bond", 20, 20),
        ("Disulfide bond", 9, 9),
        ("Modified residue_N6-acetyllysine", 27, 27),
        ("Modified residue_any", 27, 27),
        ("Metal binding_Zinc", 8, 8),
        ("Metal binding_any", 8, 8),
        ("Helix", 4, 9),
    }
    assert read.report.counts()["unknown position left out"] == 1


def test_metadata(flat):
    row = read_uniprot_flat(flat(HEAD + TAIL)).proteins.table.row(0, named=True)
    assert row == {
        "accession": "P12345",
        "sequence": "MVLSPADKTNVKAAWGKVGAHAGEYGAEAL",
        "entry_name": "KIN_TEST",
        "reviewed": True,
        "protein_name": "Test kinase",
        "gene_names": "kin",
        "organism": "Homo sapiens (Human)",
        "taxon": 9606,
        "alphafold": True,
    }


def test_entries_of_before_2007_and_bare_ones(flat):
    bare = "ID   A_B    PRELIMINARY;      PRT;     3 AA.\nAC   Q1;\nSQ   SEQUENCE\n     ACD\n//\n"
    row = read_uniprot_flat(flat(bare)).proteins.table.row(0, named=True)
    assert (row["reviewed"], row["taxon"], row["protein_name"], row["alphafold"]) == (
        False,
        None,
        None,
        False,
    )


def test_filters_act_on_flat_files_too(flat):
    two = HEAD + TAIL + (HEAD + TAIL).replace("P12345", "P54321").replace("Reviewed", "Unreviewed")
    assert read_uniprot_flat(flat(two), reviewed=True).proteins.accessions == ["P12345"]


def test_one_bad_entry_is_reported_or_stops_a_strict_reading(flat):
    two = (HEAD + TAIL).replace("30 AA.", "31 AA.") + (HEAD + "FT   HELIX  a b c\n" + TAIL).replace(
        "P12345", "P54321"
    )
    read = read_uniprot_flat(flat(two))
    assert read.proteins.accessions == ["P54321"]
    assert read.report.counts() == {
        "sequence of another length than the entry says": 1,
        "unreadable feature": 1,
    }
    with pytest.raises(InputError, match=r"a\.dat: P12345 \(line 1\): sequence of another length"):
        read_uniprot_flat(flat(two), strict=True)


def test_an_entry_without_a_sequence(flat):
    two = HEAD + "//\n" + (HEAD + TAIL).replace("P12345", "P54321")
    assert read_uniprot_flat(flat(two)).report.records("no sequence") == ["P12345"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEAD + TAIL + HEAD,
            r"a\.dat: the file ends inside the entry that begins at line 13, before its '//'",
        ),
        (
            "<html>\n",
            "line 1 is '<html>'; wanted a UniProt flat file, whose entries begin with 'ID'",
        ),
        ("", "no protein is left; wanted UniProt flat file entries"),
    ],
)
def test_files_that_are_broken_or_something_else(flat, text, message):
    with pytest.raises(InputError, match=message):
        read_uniprot_flat(flat(text))


def test_an_entry_is_bounded(flat, monkeypatch):
    monkeypatch.setattr("interplm_nb.readers.opening.LONGEST_RECORD", 1 << 20)
    long = HEAD + ("CC   " + "x" * 70 + "\n") * 10_000
    many = "".join(f"{long}{TAIL}".replace("P1;", f"P{i};") for i in range(3))
    assert read_uniprot_flat(flat(many)).report.kept > 0
    with pytest.raises(InputError, match=r"a\.dat: the entry at line 1 is longer than 1 MiB"):
        read_uniprot_flat(flat(long * 2))


def test_a_truncated_gz(tmp_path):
    path = tmp_path / "a.dat.gz"
    path.write_bytes(gzip.compress((HEAD + OLD + TAIL).encode())[:-20])
    with pytest.raises(InputError, match="truncated or damaged"):
        read_uniprot_flat(path)
