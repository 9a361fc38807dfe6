import gzip
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.readers.read import read, recognise
from interplm_nb.readers.report import InputError

GOLDEN = Path(__file__).parents[1] / "golden" / "uniprot"
FORMATS = {"old.dat.gz": 10, "today.dat.gz": 6, "multi_ex.xml.gz": 8, "before_2022.tsv.gz": 16}
STARTS = {
    ">P1\nACD\n": "fasta",
    "\n\r\n>P1\nACD\n": "fasta",
    "# made by a program\n;by me\n>P1\nACD\n": "fasta",
    "Entry\tSequence\nP1\tACD\n": "tsv",
    "ID   HBA_HUMAN   Reviewed;   142 AA.\n": "text",
    "\ufeff<?xml version='1.0'?><uniprot/>": "xml",
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_format_is_told_by_content(tmp_path, name):
    path = tmp_path / "download"
    path.write_bytes(gzip.decompress((GOLDEN / name).read_bytes()))
    found = read(path, min_instances=1)
    assert found.proteins.n_proteins == FORMATS[name]
    assert len(found.annotations) > 0


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, zstandard.ZstdCompressor().compress], ids=["plain", "gz", "zst"]
)
def test_the_name_does_not_matter(tmp_path, start, pack):
    path = tmp_path / "misleading.xml"
    path.write_bytes(pack(start.encode()))
    assert recognise(path) == STARTS[start]


def test_content_that_says_nothing_asks_for_the_format(tmp_path):
    path = tmp_path / "mine.seqs"
    path.write_text("ACD\n")
    with pytest.raises(
        InputError,
        match=r"mine\.seqs: format not recognised from its first line, 'ACD'; wanted FASTA .* "
        "Set the format to fasta, text, xml or tsv; sequences alone need a line '>name' above each",
    ):
        read(path)
    with pytest.raises(InputError, match=r"mine\.seqs: wanted a UniProt TSV"):
        read(path, format="tsv")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# STOCKHOLM 1.0\na MKV\n//\n", "Stockholm format, not sequences. .*annotate --family"),
        ("MUSCLE (3.8) multiple sequence alignment\n\na MKV\n", "Clustal format, not sequences"),
        (" 2 33\na MKV\n", "PHYLIP, which is not read; convert it to FASTA"),
    ],
)
def test_an_alignment_is_refused_by_name(tmp_path, text, words):
    path = tmp_path / "mine.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read(path)


def test_fasta_has_no_annotations_and_is_filtered_by_length_and_sequence(tmp_path):
    path = tmp_path / "a"
    path.write_text(">P1 one\nACD\n>P2\nACDE\n>P3\nACD\n")
    proteins, annotations, report = read(path, max_length=3, unique_sequences=True)
    assert proteins.accessions == ["P1"]
    assert annotations.proteins is proteins and len(annotations) == 0
    assert report.counts() == {
        "filtered: longer than 3 residues": 1,
        "filtered: the same sequence as another protein": 1,
    }


damage = st.tuples(
    st.floats(0, 1),
    st.integers(0, 30),
    st.text(st.sampled_from("\t\n ;:.<>?\"'/=&09-AZ*é\x00"), max_size=6),
)


@pytest.mark.parametrize("name", FORMATS)
@given(damages=st.lists(damage, min_size=1, max_size=4), strict=st.booleans())
def test_a_damaged_file_is_read_or_refused_in_words(tmp_path_factory, name, damages, strict):
    text = gzip.decompress((GOLDEN / name).read_bytes()).decode()
    for place, cut, put in damages:
        at = int(place * len(text))
        text = text[:at] + put + text[at + cut :]
    path = tmp_path_factory.mktemp("damaged") / "file"
    path.write_text(text)
    try:
        found = read(path, strict=strict, min_instances=1)
    except InputError as error:
        assert str(path) in str(error)
    else:
        assert found.report.kept == found.proteins.n_proteins > 0


def test_numbers_too_large_for_a_column_are_left_out(tmp_path):
    path = tmp_path / "a"
    path.write_text(
        "Entry\tSequence\tOrganism (ID)\tLength\tHelix\n"
        "A\tACD\t99999999999999999999999\t²\tHELIX 1..99999999999999999999999\n"
    )
    found = read(path)
    assert found.proteins.table["taxon"].to_list() == [None]
    assert found.report.counts()["unreadable position"] == 1
