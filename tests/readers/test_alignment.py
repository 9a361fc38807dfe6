import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from interplm_nb.features.logos import aligned_rows
from interplm_nb.readers.alignment import GAPS, read_family
from interplm_nb.readers.fasta import read_fasta
from interplm_nb.readers.report import InputError

GOOD = """# STOCKHOLM 1.0
#=GF ID   Made_up
#=GS one/3-9 AC P1.1
one/3-9   AC-D.
two       .CCDE
#=GR two SS .HHH.
#=GC seq_cons acCD.

one/3-9   efg
two       ~_W
#=GC seq_cons efw
//
"""


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "family"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
def test_blocks_are_put_together_and_gaps_keep_their_columns(tmp_path, pack):
    path = tmp_path / "family"
    path.write_bytes(pack(GOOD.encode()))
    proteins, alignment, report = read_family(path)
    assert dict(zip(proteins.accessions, proteins.sequences, strict=True)) == {
        "one/3-9": "ACDEFG",
        "two": "CCDEW",
    }
    assert alignment is not None
    assert (alignment.name, alignment.n_columns, alignment.columns.tolist()) == (
        "Made_up",
        8,
        [1, 2, 4, 6, 7, 8, 2, 3, 4, 5, 8],
    )
    assert alignment.occupancy().tolist() == [1, 2, 1, 2, 1, 1, 1, 2]
    assert alignment.consensus() == "ACCDEEFG"
    assert report.counts() == {"lower case made upper case": 1}


letters = st.sampled_from("ACDEF" + GAPS)


@given(
    st.integers(1, 12).flatmap(
        lambda width: st.lists(
            st.text(letters, min_size=width, max_size=width), min_size=1, max_size=6
        )
    )
)
def test_an_alignment_is_what_its_rows_say(tmp_path_factory, rows):
    kept = {f"s{i}": row for i, row in enumerate(rows) if row.strip(GAPS)}
    path = tmp_path_factory.mktemp("drawn") / "a.sto"
    path.write_text(
        "# STOCKHOLM 1.0\n" + "".join(f"s{i} {row}\n" for i, row in enumerate(rows)) + "//\n"
    )
    if not kept:
        with pytest.raises(InputError, match="no row of the alignment"):
            read_family(path)
        return
    proteins, alignment, report = read_family(path)
    assert alignment is not None and report.kept == len(kept) == len(proteins)
    for name, row in kept.items():
        drawn = ["-"] * len(row)
        for column, letter in zip(
            alignment.columns[proteins.rows(name)], proteins.sequence(name), strict=True
        ):
            drawn[column - 1] = letter
        assert "".join(drawn) == "".join("-" if letter in GAPS else letter for letter in row)
    columns = [[row[c] for row in kept.values() if row[c] not in GAPS] for c in range(len(rows[0]))]
    assert alignment.occupancy().tolist() == [len(column) for column in columns]
    assert alignment.consensus() == "".join(
        min(set(c), key=lambda a: (-c.count(a), a)) if c else "-" for c in columns
    )
    assert report.counts().get("no sequence", 0) == len(rows) - len(kept)


def test_a_selection_keeps_its_columns(file):
    _, alignment, _ = read_family(file(GOOD))
    assert alignment is not None
    two = alignment.select(["two"])
    assert (two.proteins.accessions, two.columns.tolist(), two.n_columns, two.name) == (
        ["two"],
        [2, 3, 4, 5, 8],
        8,
        "Made_up",
    )


def test_fasta_with_gaps_is_aligned_and_without_is_not(file):
    aligned = read_family(file(">a first\nAC-\nDE\n>b\nA.CDE\n"))
    assert aligned.proteins.sequences == ["ACDE", "ACDE"]
    assert aligned.alignment is not None
    assert np.array_equal(aligned.alignment.columns, [1, 2, 4, 5, 1, 3, 4, 5])
    plain = read_family(file(">sp|P1|X first\nACDE\n>b\nACD\n"))
    assert (plain.proteins.accessions, plain.alignment) == (["P1", "b"], None)


def test_a_row_that_is_no_protein_is_left_out_and_said(file):
    text = "# STOCKHOLM 1.0\na AC1\nb A-C\nc ...\nd AC*\n//\n"
    proteins, alignment, report = read_family(file(text))
    assert alignment is not None
    assert dict(zip(proteins.accessions, proteins.sequences, strict=True)) == {"b": "AC", "d": "AC"}
    assert alignment.columns.tolist() == [1, 3, 1, 2]
    assert report.counts() == {"digit in the sequence": 1, "no sequence": 1, "final * removed": 1}
    with pytest.raises(InputError, match="a: digit in the sequence: '1' at position 3"):
        read_family(file(text), strict=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ID   7LESS_DROME\n", "the first line is 'ID   7LESS_DROME'; wanted Stockholm"),
        ("", "the first line is ''; wanted Stockholm"),
        ("# STOCKHOLM 1.0\na ACD\n", "has no end"),
        ("# STOCKHOLM 1.0\na ACD\nb AC\n//\n", "b has 2 columns, the first row has 3"),
        (
            "# STOCKHOLM 1.0\na ACD\nb AC-\na EFG\nb EF-\n//\n",
            "'a', like every name, comes 2 times",
        ),
        ("# STOCKHOLM 1.0\na AC D\n//\n", "'a AC D' is not a row of a Stockholm alignment"),
        (
            "# STOCKHOLM 1.0\na AC\n//\n# STOCKHOLM 1.0\n",
            "more follows the first alignment's '//'",
        ),
        ("# STOCKHOLM 1.0\n//\n", "no row of the alignment is valid"),
        (">a\nAC-D\n>b\nACD\n", "b has 3 columns, the first row has 4"),
        ("CLUSTAL W (1.83)\n\na AC D\n", "'a AC D' is not a row of a Clustal alignment"),
        ("CLUSTAL W (1.83)\n\na ACD\nb AC\n", "b has 2 columns, the first row has 3"),
        ("CLUSTAL W (1.83)\n", "no row of the alignment is valid"),
        (">a\nACD\n>b\nA-DaE\n>c\nACDaaE\n>d\n-CDE\n", "b has 4 columns, the first row has 3"),
        ("#59,59\t1,1\n>101\t102\nACD\n", "an alignment of a complex"),
        (">a\nACD\n# STOCKHOLM 1.0\n>b\nA-D1\n", "b has 4 columns, the first row has 3"),
        ("#NEXUS\nbegin data;\n", "this is NEXUS, which is not read"),
        (" 3 33\na MKV\n", "this is PHYLIP, which is not read"),
        ("PileUp\n\n MSF: 33\n", "this is MSF (GCG), which is not read"),
        ("Query         d1a3na_\n", "this is HHsuite result (.hhr), which is not read"),
    ],
)
def test_what_is_no_alignment_is_refused_by_name(file, text, words):
    with pytest.raises(InputError) as raised:
        read_family(file(text))
    assert words in str(raised.value) and str(raised.value).startswith(str(file(text)))


WHOLE = "MKTAYIAKQRHISFVKSCFSRQLEERLGLIEVQ"
A3M = f">q\n{WHOLE}\n>m1\n{WHOLE[:10]}aag{WHOLE[10:]}\n>m2\n-----{WHOLE[5:]}\n"


@pytest.mark.parametrize("head", ["", "#33\t1\n", "#A family\n"], ids=["plain", "ColabFold", "HH"])
def test_lower_case_of_a3m_is_in_no_column(file, head):
    proteins, alignment, report = read_family(file(head + A3M))
    assert alignment is not None and alignment.n_columns == 33
    assert proteins.sequences == [WHOLE, WHOLE[:10] + "AAG" + WHOLE[10:], WHOLE[5:]]
    assert alignment.columns[proteins.rows("m1")].tolist() == [
        *range(1, 11), 0, 0, 0, *range(11, 34)
    ]  # fmt: skip
    assert alignment.occupancy().tolist() == [2] * 5 + [3] * 28
    assert alignment.consensus() == WHOLE
    assert aligned_rows(alignment) == [WHOLE, WHOLE, "-----" + WHOLE[5:]]
    counts = {"lower case made upper case": 1} | ({"comment line left out": 1} if head else {})
    assert report.counts() == counts


cells = st.tuples(st.sampled_from("ACDEF-"), st.sampled_from(["", "a", "cd", "..", "e."]))


@given(
    st.integers(2, 9).flatmap(
        lambda width: st.lists(
            st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=5
        )
    )
)
def test_a3m_is_what_its_letters_say(tmp_path_factory, drawn):
    rows = ["ACDEFACDEF"[: len(drawn[0])], *("".join(map("".join, row)) for row in drawn)]
    assume(len(set(map(len, rows))) > 1)
    path = tmp_path_factory.mktemp("drawn") / "a"
    path.write_text("".join(f">s{i}\n{row}\n" for i, row in enumerate(rows)))
    proteins, alignment, _ = read_family(path)
    assert alignment is not None and alignment.n_columns == len(rows[0])
    for i, row in enumerate(rows):
        column, residues = 0, []
        for letter in row:
            if letter.isupper() or letter == "-":
                column += 1
            if letter.isupper():
                residues.append((letter, column))
            elif letter.islower():
                residues.append((letter.upper(), 0))
        if residues:
            at = proteins.rows(f"s{i}")
            found = zip(proteins.sequence(f"s{i}"), alignment.columns[at].tolist(), strict=True)
            assert list(found) == residues


def test_rows_of_hhsuite_that_are_no_members_are_left_out(file):
    extra = f">ss_pred\n{'H' * 33}\n>ss_conf\n{'9' * 33}\n>q_consensus\n{WHOLE}\n"
    proteins, _, report = read_family(file(extra + A3M))
    assert proteins.accessions == ["q", "m1", "m2"]
    assert report.counts()["row of HH-suite that is not a member"] == 3


def test_the_zero_byte_of_colabfolds_server_is_no_residue(file):
    assert read_family(file(A3M + "\0")).proteins.accessions == ["q", "m1", "m2"]


@pytest.mark.parametrize("text", [">a\nMKVla\n>b\nMKV\n>c\nMKta\n", ">a\nmkv\n>b\nmkvla\n"])
def test_sequences_in_lower_case_are_no_a3m(file, text):
    assert read_family(file(text)).alignment is None


CLUSTAL = """{title}


one/3-9      AC-D. 3
two          .CCDE 4
              * *

one/3-9      EFG 6
two          -~W 5
{marks}
""".replace("{marks}", " " * 16)


@pytest.mark.parametrize(
    "title",
    [
        "CLUSTAL O(1.2.4) multiple sequence alignment",
        "CLUSTAL W (1.83)",
        "CLUSTAL",
        "MUSCLE (3.8) multiple sequence alignment",
        "PROBCONS version 1.12 multiple sequence alignment",
        "Kalign (2.0) alignment in ClustalW format",
    ],
)
def test_clustal_is_read(file, title):
    proteins, alignment, report = read_family(file(CLUSTAL.replace("{title}", title)))
    assert (proteins.accessions, proteins.sequences) == (["one/3-9", "two"], ["ACDEFG", "CCDEW"])
    assert alignment is not None and alignment.n_columns == 8
    assert alignment.columns.tolist() == [1, 2, 4, 6, 7, 8, 2, 3, 4, 5, 8]
    assert report.counts() == {}


TWICE = {
    "Stockholm": "# STOCKHOLM 1.0\na/1-33 {0}\nb/1-33 {0}\na/1-33 {1}\n//\n",
    "Clustal": "CLUSTAL W (1.83)\n\na/1-33 {0}\nb/1-33 {0}\na/1-33 {1}\n",
    "FASTA": ">a/1-33\n{0}\n>b/1-33\n{0}\n>a/1-33\n{1}\n>c\n" + "-" * 33 + "\n",
}


@pytest.mark.parametrize("kind", TWICE)
def test_a_name_twice_is_left_out_and_said(file, kind):
    same = read_family(file(TWICE[kind].format(WHOLE, WHOLE)))
    assert same.proteins.accessions == ["a/1-33", "b/1-33"]
    assert same.report.records("identical duplicate left out") == ["a/1-33"]
    path = file(TWICE[kind].format(WHOLE, WHOLE[:-1] + "-"))
    other = read_family(path)
    assert other.proteins.sequences == [WHOLE, WHOLE]
    assert other.report.records("accession again with another sequence") == ["a/1-33"]
    with pytest.raises(InputError, match="a/1-33: accession again with another sequence"):
        read_family(path, strict=True)


def test_a_row_without_a_name_is_said(file):
    report = read_family(file(">\nAC-\n>b\nACD\n")).report
    assert (report.kept, report.counts()) == (1, {"record without a name": 1})


def test_nucleotides_are_no_family(file):
    gene = "ATGACCGTTAAAGGCCATTGAACGATGACC"
    with pytest.raises(InputError, match="nucleotides, not residues"):
        read_family(file(f">a\n{gene}-\n>b\n-{gene}\n"))
    with pytest.raises(InputError, match="nucleotides, not residues"):
        read_family(file(f">a\n{gene}\n"))


def test_a_row_of_clustal_that_is_moved_to_the_right_is_not_lost(file):
    text = "CLUSTAL W\n\na MK-\n b MKV\n  ** \n\na L\nb L\n"
    proteins, alignment, _ = read_family(file(text))
    assert dict(zip(proteins.accessions, proteins.sequences, strict=True)) == {
        "a": "MKL",
        "b": "MKVL",
    }
    assert alignment is not None and alignment.n_columns == 4
    with pytest.raises(InputError, match=r"'  \*\* MK-' is not a row"):
        read_family(file(text.replace("** ", "** MK-")))
    with pytest.raises(InputError, match="' conserved here only' is not a row of a Clustal"):
        read_family(file(text.replace(" ** ", "conserved here only")))


def test_plain_fasta_is_read_once_and_as_read_fasta_reads_it(tmp_path, monkeypatch):
    path = tmp_path / "family.fasta"
    path.write_text("\n\n>a first\nMKV\n; a comment\n>b\nMKVLL*\n>a\nMKW\n>c\nM1\n")
    opened, plain = [], Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a: opened.append(self) or plain(self, *a))
    found = read_family(path)
    assert opened == [path] and found.alignment is None
    proteins, report = read_fasta(path)
    assert found.proteins.table.equals(proteins.table)
    assert str(found.report) == str(report) and report.kept == 2
