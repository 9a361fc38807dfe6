import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.readers.report import InputError
from interplm_nb.readers.uniprot import read_uniprot

GOLDEN = Path(__file__).parents[1] / "golden" / "uniprot"
FORMATS = {"old.dat.gz": 10, "today.dat.gz": 6, "multi_ex.xml.gz": 8, "before_2022.tsv.gz": 16}


@pytest.mark.parametrize("name", FORMATS)
def test_the_format_is_told_by_content(tmp_path, name):
    path = tmp_path / "download"
    path.write_bytes(gzip.decompress((GOLDEN / name).read_bytes()))
    read = read_uniprot(path, min_instances=1)
    assert read.proteins.n_proteins == FORMATS[name]
    assert len(read.annotations) > 0


def test_fasta_is_refused_with_the_way_out(tmp_path):
    path = tmp_path / "a"
    path.write_text(">P1\nACD\n")
    with pytest.raises(
        InputError, match="is FASTA, which holds no annotations; wanted a UniProt TSV"
    ):
        read_uniprot(path)


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
        read = read_uniprot(path, strict=strict, min_instances=1)
    except InputError as error:
        assert str(path) in str(error)
    else:
        assert read.report.kept == read.proteins.n_proteins > 0


def test_numbers_too_large_for_a_column_are_left_out(tmp_path):
    path = tmp_path / "a"
    path.write_text(
        "Entry\tSequence\tOrganism (ID)\tLength\tHelix\nA\tACD\t99999999999999999999999\t²\tHELIX 1..99999999999999999999999\n"
    )
    read = read_uniprot(path)
    assert read.proteins.table["taxon"].to_list() == [None]
    assert read.report.counts()["unreadable position"] == 1
