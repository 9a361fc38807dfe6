"""What a person types: one sequence, plain or FASTA; substitutions that fit it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.features.logos import AMINO_ACIDS
from interplm_nb.readers.report import InputError
from interplm_nb.readers.variants import Mutation, mutated
from interplm_nb.widgets.playground.mutations import read_mutations, read_one


@pytest.mark.parametrize(
    ("text", "name", "sequence"),
    [
        ("MKV", "", "MKV"),
        ("  mk\nv* \n", "", "MKV"),
        (">sp|P69905|HBA_HUMAN Hemoglobin\nMVL\nSPA\n", "P69905", "MVLSPA"),
        ("\n>mine and yours\r\nMVL", "mine", "MVL"),
        (">\nMVL", "", "MVL"),
    ],
)
def test_a_sequence_is_read_plain_or_as_fasta(text: str, name: str, sequence: str) -> None:
    assert read_one(text, 1022) == (name, sequence)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("MK-V", "gap in the sequence: '-' at position 3; remove the gaps"),
        ("1 MKV", "digit in the sequence: '1' at position 1"),
        ("MKJ", "letter that is not a residue: 'J' at position 3; residues are A"),
        ("ßMK", "letter that is not a residue"),
        (">only a name", "no sequence"),
        ("atgaccgttaaaggccattgaacgatgacc", "nucleotides, not residues: .*translate them first"),
        (">a\nMK\n>b\nMV", "2 sequences: one is read at a time"),
        ("M" * 1023, "over 1,022 residues: 1,023 residues; cut it into domains"),
    ],
)
def test_what_is_no_sequence_is_refused_with_the_way_out(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_one(text, 1022)


@pytest.mark.parametrize("longest", [1, 510, 2000])
def test_the_longest_sequence_that_the_model_reads_is_taken(longest: int) -> None:
    assert len(read_one("M" * longest, longest).sequence) == longest
    with pytest.raises(InputError, match=f"over {longest:,} residues: {longest + 1:,} residues"):
        read_one("M" * (longest + 1), longest)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (["M1A", "A1V"], "A1V: the wild type has M at 1, not A"),
        (["K4A"], "K4A is outside the wild type, whose residues are 1 to 3"),
        (["K0A"], "K0A is outside the wild type"),
        (["K2X"], "K2X has the letter X; a variant has the 20 amino acids"),
        (["k2a"], "'k2a' is not a substitution"),
        (["WT"], "a mutation is written as A12V, each by itself, not 'WT'"),
        (["K2A,V3W"], "a mutation is written as A12V, each by itself"),
        (["K2K"], "changes nothing"),
        (["K2A", "K2V"], "K2A and K2V change the same residue"),
    ],
)
def test_mutations_that_do_not_fit_are_refused(written: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_mutations(written, "MKV")


@given(st.text(AMINO_ACIDS, min_size=1, max_size=30), st.data())
def test_a_mutated_sequence_differs_where_it_was_mutated_and_nowhere_else(
    sequence: str, data: st.DataObject
) -> None:
    places = data.draw(st.lists(st.integers(0, len(sequence) - 1), unique=True))
    after = {
        i: data.draw(st.sampled_from([a for a in AMINO_ACIDS if a != sequence[i]])) for i in places
    }
    made = mutated(
        sequence,
        read_mutations([f"{sequence[i]}{i + 1}{letter}" for i, letter in after.items()], sequence),
    )
    assert made == "".join(after.get(i, letter) for i, letter in enumerate(sequence))


def test_a_mutation_reads_as_it_is_written() -> None:
    assert [str(m) for m in read_mutations(["V3W", "K2A"], "MKV")] == ["K2A", "V3W"]
    assert read_mutations(["V3W"], "MKV") == [Mutation("V", 3, "W")]
