import gzip

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.proteins import LETTERS
from interplm_nb.readers.fasta import read_fasta
from interplm_nb.readers.report import InputError

GOOD = (
    ">sp|P69905|HBA_HUMAN Hemoglobin subunit alpha\nMVLSPADKTN\nVKAAWGKV\n\n"
    ">mine\tby hand\nACDXBUZO\n"
)


@pytest.fixture
def fasta(tmp_path):
    def write(text):
        path = tmp_path / "a.fasta"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, zstandard.ZstdCompressor().compress], ids=["plain", "gz", "zst"]
)
def test_accessions_descriptions_and_sequences(tmp_path, pack):
    path = tmp_path / "a"
    path.write_bytes(pack(GOOD.encode()))
    proteins, report = read_fasta(path)
    assert proteins.table.rows() == [
        ("P69905", "MVLSPADKTNVKAAWGKV", "Hemoglobin subunit alpha"),
        ("mine", "ACDXBUZO", "by hand"),
    ]
    assert report.kept == 2
    assert report.counts() == {}


def test_lower_case_is_raised_and_one_final_stop_removed_and_both_said(fasta):
    proteins, report = read_fasta(fasta(">a\nacDE*\n>b\nACD*\n"), strict=True)
    assert proteins.sequences == ["ACDE", "ACD"]
    assert report.counts() == {"final * removed": 2, "lower case made upper case": 1}


BAD = {
    "AC-DE": ("gap in the sequence", "'-' at position 3"),
    "AC.DE": ("gap in the sequence", "'.' at position 3"),
    "AC*DE": ("stop inside the sequence", "'\\*' at position 3"),
    "ACDE**": ("stop inside the sequence", "'\\*' at position 5"),
    "AC1DE": ("digit in the sequence", "'1' at position 3"),
    "AC DE": ("blank in the sequence", "' ' at position 3"),
    "": ("no sequence", "the record is empty"),
    "*": ("no sequence", "the record is empty"),
    "ACJDE": ("letter that is no residue", "'J' at position 3"),
    "ACßDE": ("letter that is no residue", "'ß' at position 3"),
}


@pytest.mark.parametrize("sequence", BAD)
def test_a_bad_record_is_left_out_and_reported_or_stops_a_strict_reading(fasta, sequence):
    reason, detail = BAD[sequence]
    path = fasta(f">good\nACD\n>bad\n{sequence}\n>last\nDEF\n")
    proteins, report = read_fasta(path)
    assert proteins.accessions == ["good", "last"]
    assert report.counts() == {reason: 1}
    assert report.records(reason) == ["bad"]
    with pytest.raises(
        InputError,
        match=rf"a\.fasta: bad \(line 3\): {reason}: {detail}; .+, or read without strict",
    ):
        read_fasta(path, strict=True)


def test_an_accession_again(fasta):
    path = fasta(">a\nACD\n>a\nACD\n>a\nACDE\n")
    proteins, report = read_fasta(path)
    assert proteins.sequences == ["ACD"]
    assert report.counts() == {
        "identical duplicate left out": 1,
        "accession again with another sequence": 1,
    }
    with pytest.raises(
        InputError,
        match=r"a \(line 5\): accession again with another sequence: 4 residues, 3 the first time",
    ):
        read_fasta(path, strict=True)


def test_a_record_without_a_name(fasta):
    path = fasta(">\nACD\n>b\nACD\n")
    assert read_fasta(path).report.records("record without a name") == ["record at line 1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ACD\n", r"line 1 is 'ACD'; wanted FASTA"),
        ("", "no protein is left; wanted FASTA records"),
        (">a\n-\n", "gap"),
    ],
)
def test_a_file_without_proteins_is_refused(fasta, text, message):
    with pytest.raises(InputError, match=message):
        read_fasta(fasta(text))


@pytest.mark.parametrize(
    "pack", [gzip.compress, zstandard.ZstdCompressor().compress], ids=["gz", "zst"]
)
def test_a_truncated_file_gives_nothing(tmp_path, pack):
    path = tmp_path / "a.packed"
    path.write_bytes(pack((GOOD * 100).encode())[:-9])
    with pytest.raises(InputError, match="truncated or damaged"):
        read_fasta(path)


names = st.from_regex(r"[A-Za-z0-9_.]{1,12}", fullmatch=True)


@given(
    st.dictionaries(names, st.text(LETTERS, min_size=1, max_size=200), min_size=1, max_size=8),
    st.integers(1, 70),
)
def test_what_is_written_is_read(tmp_path_factory, sequences, width):
    path = tmp_path_factory.mktemp("fasta") / "a.fasta"
    with path.open("w") as file:
        for name, sequence in sequences.items():
            file.write(
                f">{name}\n"
                + "".join(f"{sequence[i : i + width]}\n" for i in range(0, len(sequence), width))
            )
    proteins, report = read_fasta(path, strict=True)
    assert dict(zip(proteins.accessions, proteins.sequences, strict=True)) == sequences
    assert report.counts() == {}
