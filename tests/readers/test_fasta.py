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
    "ACJDE": ("letter that is not a residue", "'J' at position 3"),
    "ACßDE": ("letter that is not a residue", "'ß' at position 3"),
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


WHOLE = "MKTAYIAKQRHISFVKSCFSRQLEERLGLIEVQ"


@pytest.mark.parametrize("between", ["", "\n\ufeff", "\ufeff"], ids=["end", "mark", "both"])
def test_files_joined_carelessly_lose_no_record(fasta, between):
    """The first without a line end, the second with a byte order mark."""
    text = f">a\n{WHOLE}{between}>b of two\n{WHOLE[3:]}\n>c\n{WHOLE[5:]}\n"
    proteins, report = read_fasta(fasta(text))
    assert proteins.table.rows() == [
        ("a", WHOLE, ""),
        ("b", WHOLE[3:], "of two"),
        ("c", WHOLE[5:], ""),
    ]
    joined = {} if "\n" in between else {"record that starts within a line": 1}
    assert report.counts() == joined


def test_a_wrapped_header_starts_no_record(fasta):
    proteins, report = read_fasta(fasta(">a long\n(A->B) change\nACD\n>b\nACD\n"))
    assert proteins.accessions == ["b"] and sum(report.counts().values()) == 1


def test_a_greater_than_sign_in_a_header_is_part_of_it(fasta):
    proteins, report = read_fasta(fasta(">a A12V>G\nACD\n"))
    assert proteins.table.rows() == [("a", "ACD", "A12V>G")] and report.counts() == {}


def test_comment_lines_are_left_out_and_said(fasta):
    text = f"# made by a program\n; of old\n\n>a\n{WHOLE[:9]}\n;within\n{WHOLE[9:]}\n"
    proteins, report = read_fasta(fasta(text))
    assert proteins.sequences == [WHOLE]
    assert report.counts() == {"comment line left out": 3}
    assert report.records("comment line left out") == ["line 1", "line 2", "line 6"]


GENE = "ATGACCGTTAAAGGCCATTGAACGATGACCGTTAAAGGCCATTGAACG"


@pytest.mark.parametrize("gene", [GENE, GENE.lower(), GENE.replace("T", "U"), GENE[:30] + "RNN"])
def test_nucleotides_are_refused(fasta, gene):
    with pytest.raises(InputError, match=r"nucleotides, not residues \(g: .* translate them first"):
        read_fasta(fasta(f">g\n{gene}\n"))
    path = fasta(f">g\n{gene}\n>p\n{WHOLE}\n")
    proteins, report = read_fasta(path)
    assert (proteins.accessions, report.counts()) == (["p"], {"nucleotides, not residues": 1})
    with pytest.raises(InputError, match=r"g \(line 1\): nucleotides, not residues"):
        read_fasta(path, strict=True)


def test_a_file_of_short_nucleotides_is_refused_and_short_peptides_are_not(fasta):
    primers = "".join(f">p{i}\n{GENE[i : i + 20]}\n" for i in range(4))
    with pytest.raises(InputError, match=r"4 short sequences of A, C, G, T or U\. Translate"):
        read_fasta(fasta(primers))
    assert read_fasta(fasta(primers[:25] + f">w\n{WHOLE}\n")).proteins.accessions == ["p0", "w"]
    assert read_fasta(fasta(">a\nGATTACA\n")).proteins.sequences == ["GATTACA"]


@pytest.mark.parametrize(
    "protein",
    [
        "A" * 40,
        "GA" * 30,
        "GGGGS" * 8,
        "GAGAGS" * 20,
        "APWLVPSQITTCCGYNPGTMCPSCMCTNTC",
        "ADPAAAAAAAVADTASDAAAAAAATAACTGG" * 3,
    ],
)
def test_proteins_of_few_letters_are_no_nucleotides(fasta, protein):
    """Poly-alanine, silk, linkers, P58928, and an antifreeze protein's repeats."""
    assert read_fasta(fasta(f">a\n{protein}\n")).proteins.sequences == [protein]


def test_a_record_of_many_lines_is_bounded(fasta, monkeypatch):
    monkeypatch.setattr("interplm_nb.readers.opening.LONGEST_RECORD", 1 << 20)
    path = fasta(">a\nACD\n>b\n" + ("A" * 99 + "\n") * 20_000)
    with pytest.raises(InputError, match="the record at line 3 is longer than 1 MiB"):
        read_fasta(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# STOCKHOLM 1.0\na MKV\n//\n", "an alignment in Stockholm format, not sequences"),
        ("CLUSTAL W (1.83)\n\na MKV\n", "an alignment in Clustal format, not sequences"),
        ("#NEXUS\nbegin data;\n", "this is NEXUS"),
        (">P1;HBA_HUMAN\nHemoglobin\nMVL*\n", "this is PIR"),
    ],
)
def test_other_formats_are_refused_by_name(fasta, text, words):
    with pytest.raises(InputError, match=words):
        read_fasta(fasta(text))


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
