"""Letters around a residue, compared with a loop over residues and places."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.concepts.controls.dense import DenseSource, fit_range
from interplm_nb.concepts.controls.letters import AMINO_ACIDS, Letters
from interplm_nb.proteins import LETTERS, Proteins

SEQUENCES = st.lists(st.text(LETTERS, min_size=1, max_size=12), min_size=1, max_size=5)


def made(sequences: list[str]) -> Proteins:
    return Proteins.from_sequences({f"P{i}": s for i, s in enumerate(sequences)})


def by_hand(sequences: list[str], reach: int) -> np.ndarray:
    rows = []
    for sequence in sequences:
        for i in range(len(sequence)):
            row = []
            for place in range(i - reach, i + reach + 1):
                here = sequence[place] if 0 <= place < len(sequence) else "-"
                row += [float(here == letter) for letter in "ACDEFGHIKLMNPQRSTVWY"]
            rows.append(row)
    return np.array(rows, np.float32)


@given(SEQUENCES, st.sampled_from([0, 1, 3, 7]), st.data())
def test_they_are_what_a_loop_reads(sequences: list[str], reach: int, data: st.DataObject) -> None:
    letters, wanted = Letters(made(sequences), reach), by_hand(sequences, reach)
    np.testing.assert_array_equal(letters[:], wanted)
    rows = np.array(data.draw(st.lists(st.integers(0, len(wanted) - 1), max_size=5)), np.int64)
    np.testing.assert_array_equal(letters[rows], wanted[rows])
    assert letters[:].dtype == np.float32 and len(letters) == len(wanted)


def test_letters_alone_are_a_dictionary_that_x_is_not_in() -> None:
    proteins = made(["CAXB", LETTERS])
    letters = Letters(proteins, reach=0)
    source = DenseSource(letters, proteins, *fit_range(letters, np.arange(len(letters))))
    values = np.concatenate([block.values for block in source.blocks()])
    assert source.n_features == 20
    np.testing.assert_array_equal(values.sum(axis=1), [1, 1, 0, 0] + 20 * [1] + 5 * [0])
    assert [AMINO_ACIDS[f] for f in values[:2].argmax(axis=1)] == ["C", "A"]


def test_other_proteins_are_refused_and_other_letters_have_another_hash() -> None:
    one, other = made(["AC"]), made(["AD"])
    with pytest.raises(ValueError, match=r"letters of Proteins\(1 proteins.*make them of the"):
        Letters(one, 3).check(other)
    hashes = {Letters(p, reach).fingerprint for p in (one, other) for reach in (0, 3)}
    assert len(hashes) == 4
