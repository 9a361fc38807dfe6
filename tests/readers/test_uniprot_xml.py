from pathlib import Path

import pytest

from interplm_nb.readers.report import InputError
from interplm_nb.readers.uniprot_xml import read_uniprot_xml

GOLDEN = Path(__file__).parents[1] / "golden" / "uniprot"

ENTRY = """<entry dataset="Swiss-Prot"><accession>P12345</accession><accession>Q1</accession>
<name>KIN_TEST</name>
<protein><recommendedName><fullName>Test
 kinase</fullName></recommendedName></protein>
<gene><name type="primary">kin</name></gene>
<organism><name type="scientific">Homo sapiens</name>
<dbReference type="NCBI Taxonomy" id="9606"/></organism>
<comment type="alternative products"><isoform><sequence type="displayed"/></isoform></comment>
<dbReference type="AlphaFoldDB" id="P12345"/>
{}
<sequence length="30" mass="1">
MVLSPADKTNVKAAW
GKVGAHAGEYGAEAL
</sequence></entry>"""


def feature(kind, location, description="", more="", isoform=""):
    ends = "".join(f"<{place} {attributes}/>" for place, attributes in location.items())
    note = f' description="{description}"' if description else ""
    return f'<feature type="{kind}"{note}><location{isoform}>{ends}</location>{more}</feature>'


def span(start, end):
    return {"begin": f'position="{start}"', "end": f'position="{end}"'}


@pytest.fixture
def xml(tmp_path):
    def write(*features, before='<?xml version="1.0"?>', after="</uniprot>"):
        path = tmp_path / "a.xml"
        path.write_text(
            f'{before}<uniprot xmlns="https://uniprot.org/uniprot">'
            f"{ENTRY.format(''.join(features))}{after}"
        )
        return path

    return write


def segments(read):
    return set(read.annotations.table.select("concept", "start", "end").iter_rows())


def test_features(xml):
    ligand = (
        "<ligand><name>heme b</name><label>1</label></ligand>"
        "<ligandPart><name>Fe</name></ligandPart>"
    )
    path = xml(
        feature("domain", span(2, 28), "Protein kinase; atypical"),
        feature("binding site", {"position": 'position="8"'}, more=ligand),
        feature("disulfide bond", span(12, 20)),
        feature("short sequence motif", span(5, 5), "A &amp; B"),
    )
    assert segments(read_uniprot_xml(path, min_instances=1, strict=True)) == {
        ("Domain_Protein kinase", 2, 28),
        ("Domain_any", 2, 28),
        ("Binding site_heme b", 8, 8),
        ("Binding site_any", 8, 8),
        ("Metal binding_heme b", 8, 8),
        ("Metal binding_any", 8, 8),
        ("Disulfide bond", 12, 12),
        ("Disulfide bond", 20, 20),
        ("Motif_A & B", 5, 5),
        ("Motif_any", 5, 5),
    }


def test_unsure_positions_are_left_out_and_counted(xml):
    path = xml(
        feature("helix", {"begin": 'position="1" status="less than"', "end": 'position="5"'}),
        feature("helix", {"begin": 'position="9"', "end": 'position="30" status="greater than"'}),
        feature("signal peptide", {"begin": 'position="1"', "end": 'status="unknown"'}),
        feature(
            "signal peptide", {"begin": 'position="1"', "end": 'position="7" status="uncertain"'}
        ),
        feature("helix", span(3, 9), isoform=' sequence="P12345-2"'),
        '<feature type="helix"/>',
    )
    read = read_uniprot_xml(path, strict=True)
    assert len(read.annotations) == 0
    assert read.report.counts() == {
        "position before a known end left out (<)": 1,
        "position after a known end left out (>)": 1,
        "unknown position left out": 3,
        "position on an isoform left out": 1,
    }


def test_metadata(xml):
    row = read_uniprot_xml(xml()).proteins.table.row(0, named=True)
    assert row == {
        "accession": "P12345",
        "sequence": "MVLSPADKTNVKAAWGKVGAHAGEYGAEAL",
        "entry_name": "KIN_TEST",
        "reviewed": True,
        "protein_name": "Test kinase",
        "gene_names": "kin",
        "organism": "Homo sapiens",
        "taxon": 9606,
        "alphafold": True,
    }


def test_wrong_features_are_reported_with_their_line(xml):
    path = xml(feature("helix", span(25, 31)), feature("spiral", span(1, 2)))
    assert read_uniprot_xml(path).report.counts() == {
        "span past the end": 1,
        "unknown feature type": 1,
    }
    with pytest.raises(
        InputError, match=r"a\.xml: P12345 \(line 1\): span past the end: HELIX 25\.\.31"
    ):
        read_uniprot_xml(path, strict=True)


def test_a_truncated_file(xml):
    with pytest.raises(InputError, match=r"a\.xml: not well-formed XML .*truncated"):
        read_uniprot_xml(xml(after=""))


def test_a_file_of_something_else(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<html><body>503</body></html>")
    with pytest.raises(InputError, match="no protein is left; wanted <entry> elements"):
        read_uniprot_xml(path)


BOMB = '<!DOCTYPE uniprot [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE uniprot [<!ENTITY secret SYSTEM "file:///etc/hostname">]>'
PARAMETER = '<!DOCTYPE uniprot SYSTEM "http://127.0.0.1:9/x.dtd">'


@pytest.mark.parametrize("before", [BOMB, OUTSIDE, PARAMETER])
def test_document_types_and_entities_are_refused(xml, before):
    with pytest.raises(InputError, match="declares a document type"):
        read_uniprot_xml(xml(before=before))


def test_an_entry_is_bounded(xml, monkeypatch):
    monkeypatch.setattr("interplm_nb.readers.opening.LONGEST_RECORD", 1 << 20)
    many = xml(after="".join(f"<entry><n>{'x' * 300_000}</n></entry>" for _ in range(8)))
    many.write_text(many.read_text() + "</uniprot>")
    assert read_uniprot_xml(many).report.kept == 1
    with pytest.raises(InputError, match=r"a\.xml: an entry is longer than 1 MiB"):
        read_uniprot_xml(xml(after="<entry>" + "x" * (2 << 20)))


def test_real_ligands():
    read = read_uniprot_xml(GOLDEN / "P62330.xml.gz", min_instances=1, strict=True)
    assert {
        (start, end) for concept, start, end in segments(read) if concept == "Binding site_GTP"
    } == {
        (23, 28),
        (41, 44),
        (63, 67),
        (122, 125),
        (155, 156),
    }
    assert {c for c, _, _ in segments(read)} >= {
        "Nucleotide binding_GTP",
        "Lipidation_N-myristoyl glycine",
        "Helix",
    }


@pytest.mark.parametrize("encoding", ["UTF-5", "utf-32", "shift_jis"])
def test_an_encoding_that_cannot_be_read(tmp_path, encoding):
    path = tmp_path / "a.xml"
    path.write_text(f"<?xml version='1.0' encoding='{encoding}'?><uniprot/>")
    with pytest.raises(InputError, match=r"a\.xml: not well-formed XML"):
        read_uniprot_xml(path)
