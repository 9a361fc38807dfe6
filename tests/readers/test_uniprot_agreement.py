"""Flat file, XML and TSV of the same real entries say the same."""

from pathlib import Path

import polars as pl
import pytest

from interplm_nb.readers.uniprot_flat import read_uniprot_flat
from interplm_nb.readers.uniprot_tsv import read_uniprot_tsv
from interplm_nb.readers.uniprot_xml import read_uniprot_xml

GOLDEN = Path(__file__).parents[1] / "golden" / "uniprot"
KEY = ["accession", "concept", "category", "level", "start", "end"]


def assert_same(one, other, at_least):
    """Both hold the same proteins and segments, on the proteins that both have."""
    common = sorted(set(one.proteins.accessions) & set(other.proteins.accessions))
    assert len(common) >= at_least
    assert [one.proteins.sequence(a) for a in common] == [
        other.proteins.sequence(a) for a in common
    ]
    tables = [
        read.annotations.table.filter(pl.col("accession").is_in(common)).select(KEY).sort(KEY)
        for read in (one, other)
    ]
    assert tables[0].height > 0
    assert tables[0].rows() == tables[1].rows()


@pytest.mark.parametrize("convention", ["strict", "published"])
@pytest.mark.parametrize(("name", "n"), [("multi_ex.xml.gz", 8), ("P0ABP8.xml.gz", 1)])
def test_flat_file_and_xml(convention, name, n):
    flat = read_uniprot_flat(GOLDEN / "old.dat.gz", convention, min_instances=1)
    assert_same(flat, read_uniprot_xml(GOLDEN / name, convention, min_instances=1), n)


def test_flat_file_xml_and_table_say_the_same_of_an_entry():
    """Of the same release; `published` options depend on the whole file, so `strict`."""
    table = read_uniprot_tsv(GOLDEN / "before_2022.tsv.gz", min_instances=1)
    assert_same(read_uniprot_flat(GOLDEN / "old.dat.gz", min_instances=1), table, 10)
    assert_same(read_uniprot_xml(GOLDEN / "multi_ex.xml.gz", min_instances=1), table, 8)


def test_todays_flat_file_and_a_table_of_it(tmp_path):
    flat = read_uniprot_flat(GOLDEN / "today.dat.gz", min_instances=1)
    table = read_uniprot_tsv(as_todays_table(flat, tmp_path / "a.tsv"), min_instances=1)
    assert_same(flat, table, 2)


def as_todays_table(flat, path):
    """Two entries as UniProt's REST API would write them, by hand from their flat file."""
    cells = {
        "P58928": {
            "Modified residue": "; ".join(
                f'MOD_RES {p}; /note="4-hydroxyproline"; /evidence="ECO:0000269|PubMed:10510177"'
                for p in (2, 17, 22)
            ),
            "Glycosylation": 'CARBOHYD 7; /note="O-linked (HexNAc...) serine"; '
            '/evidence="ECO:0000269|PubMed:19457347, ECO:0000269|PubMed:23281027"',
            "Disulfide bond": "; ".join(
                f'DISULFID {p}; /evidence="ECO:0000244|PDB:4B1Q"'
                for p in ("12..21", "13..26", "24..30")
            ),
            "Helix": 'HELIX 23..26; /evidence="ECO:0000244|PDB:4B1Q"',
        },
        "Q1MS15": {
            "Active site": 'ACT_SITE 91; /note="Proton donor"; '
            '/evidence="ECO:0000255|HAMAP-Rule:MF_00178"',
            "Binding site": "; ".join(
                f'BINDING {place}; /ligand="{ligand}"; /ligand_id="ChEBI:CHEBI:1"; '
                '/evidence="ECO:0000255|HAMAP-Rule:MF_00178"'
                for place, ligand in [
                    ("25", "5-amino-6-(D-ribitylamino)uracil"),
                    ("59..61", "5-amino-6-(D-ribitylamino)uracil"),
                    ("83..85", "5-amino-6-(D-ribitylamino)uracil"),
                    ("88..89", "(2S)-2-hydroxy-3-oxobutyl phosphate"),
                    ("116", "5-amino-6-(D-ribitylamino)uracil"),
                    ("130", "(2S)-2-hydroxy-3-oxobutyl phosphate"),
                ]
            ),
        },
    }
    columns = [
        "Modified residue",
        "Glycosylation",
        "Disulfide bond",
        "Helix",
        "Active site",
        "Binding site",
    ]
    lines = ["\t".join(["Entry", "Sequence", *columns])]
    lines += [
        "\t".join([a, flat.proteins.sequence(a), *(row.get(name, "") for name in columns)])
        for a, row in cells.items()
    ]
    path.write_text("\n".join(lines))
    return path
