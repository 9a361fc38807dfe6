import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.readers.report import InputError
from interplm_nb.readers.stockholm import GAPS, read_family

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
        ("# STOCKHOLM 1.0\na ACD\na ACD\nb ACD\n//\n", "b has 3 columns, the first row has 6"),
        ("# STOCKHOLM 1.0\na AC D\n//\n", "'a AC D' is not a row of a Stockholm alignment"),
        (
            "# STOCKHOLM 1.0\na AC\n//\n# STOCKHOLM 1.0\n",
            "more follows the first alignment's '//'",
        ),
        ("# STOCKHOLM 1.0\n//\n", "no row of the alignment is valid"),
        (">a\nAC-D\n>b\nACD\n", "b has 3 columns, the first row has 4"),
        (">a\nAC-D\n>a\nACD-\n", "'a' names two rows"),
    ],
)
def test_what_is_no_alignment_is_refused_by_name(file, text, words):
    with pytest.raises(InputError) as raised:
        read_family(file(text))
    assert words in str(raised.value) and str(raised.value).startswith(str(file(text)))
