"""Windows and position weights, against loops over letters and the published formulas."""

from collections import Counter
from math import log, log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.features.logos import (
    AMINO_ACIDS,
    BACKGROUND,
    UNIFORM,
    aligned_rows,
    position_weights,
    windows,
)
from interplm_nb.proteins import Proteins
from interplm_nb.readers.alignment import Alignment

PROTEINS = Proteins.from_sequences({"A": "MKVL", "B": "G"})


def test_windows_are_padded_beyond_the_ends() -> None:
    centres = [("A", 1), ("A", 3), ("A", 4), ("B", 1)]
    assert windows(PROTEINS, centres, 2) == ["--MKV", "MKVL-", "KVL--", "--G--"]
    assert windows(PROTEINS, centres, 0) == ["M", "V", "L", "G"]
    assert windows(PROTEINS, [("A", 2)], 7) == ["------MKVL-----"]
    assert windows(PROTEINS, [], 3) == []


@given(st.text("ACDWX", min_size=1, max_size=12), st.data(), st.integers(0, 15))
def test_a_window_is_the_letters_at_each_distance(
    sequence: str, data: st.DataObject, flank: int
) -> None:
    position = data.draw(st.integers(1, len(sequence)))
    places = range(position - flank, position + flank + 1)
    expected = "".join(sequence[p - 1] if 1 <= p <= len(sequence) else "-" for p in places)
    assert windows(Proteins.from_sequences({"P": sequence}), [("P", position)], flank) == [expected]


def test_a_residue_or_flank_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="A has positions 1 to 4, not 5"):
        windows(PROTEINS, [("A", 5)], 2)
    with pytest.raises(KeyError, match="no protein 'C'"):
        windows(PROTEINS, [("C", 1)], 2)
    with pytest.raises(ValueError, match="flank must be 0 or more, not -1"):
        windows(PROTEINS, [("A", 1)], -1)


def information(letters: list[str], background: dict[str, float]) -> float:
    """Bits of one column, from its standard amino acids."""
    n, counts = len(letters), Counter(letters)
    if not n:
        return 0.0
    bits = sum(c / n * log2(c / n / background[letter]) for letter, c in counts.items())
    return max(0.0, bits - 19 / (2 * log(2) * n))


@given(
    st.integers(0, 5).flatmap(
        lambda width: st.lists(st.text("AaCLWY-.XBß", min_size=width, max_size=width), max_size=60)
    ),
    st.sampled_from([0, 1]),
)
def test_weights_equal_a_loop_over_columns(rows: list[str], uniform: int) -> None:
    background = UNIFORM if uniform else BACKGROUND
    found = position_weights(rows, background)
    for i in range(len(rows[0]) if rows else 0):
        letters = [row[i].upper() for row in rows if row[i].upper() in AMINO_ACIDS]
        assert found.n[i] == len(letters)
        assert found.counts[i].tolist() == [letters.count(a) for a in AMINO_ACIDS]
        assert found.frequencies[i].sum() == pytest.approx(1 if letters else 0)
        assert found.information[i] == pytest.approx(
            information(letters, dict(zip(AMINO_ACIDS, background, strict=True))), abs=1e-9
        )
        assert found.heights[i] == pytest.approx(found.frequencies[i] * found.information[i])
    assert len(found.n) == (len(rows[0]) if rows else 0)


def test_a_uniform_background_gives_the_entropy_of_schneider() -> None:
    rows = ["W"] * 30 + ["C"] * 10
    entropy = -(0.75 * log2(0.75) + 0.25 * log2(0.25))
    assert position_weights(rows, UNIFORM).information == pytest.approx(
        [log2(20) - entropy - 19 / (2 * log(2) * 40)]
    )
    assert position_weights(["W"] * 3, UNIFORM).information == [0]
    assert position_weights(["W"] * 4, UNIFORM).information > 0
    # A rare residue says more than a common one.
    assert position_weights(["W"] * 40).information > position_weights(["L"] * 40).information + 3


def test_letters_drawn_from_the_background_have_about_no_information() -> None:
    """The correction equals the bias: without it, 200 random letters would show 1/14 bit."""
    rng = np.random.default_rng(0)
    letters = rng.choice(list(AMINO_ACIDS), (200, 4000), p=BACKGROUND)
    found = position_weights(["".join(row) for row in letters])
    raw = (
        found.frequencies
        * np.log2(
            np.where(found.counts, found.frequencies, 1) / np.where(found.counts, BACKGROUND, 1)
        )
    ).sum(axis=1)
    assert raw.mean() == pytest.approx(19 / (2 * log(2) * 200), abs=0.005)
    assert np.median(raw - 19 / (2 * log(2) * 200)) == pytest.approx(0, abs=0.005)


def test_the_background_is_ordered_and_adds_up() -> None:
    assert AMINO_ACIDS == "ACDEFGHIKLMNPQRSTVWY"
    assert BACKGROUND.sum() == pytest.approx(1)
    by_letter = dict(zip(AMINO_ACIDS, BACKGROUND.round(3), strict=True))
    assert (by_letter["L"], by_letter["A"], by_letter["W"], by_letter["C"]) == (
        0.097,
        0.083,
        0.011,
        0.014,
    )
    assert (
        max(by_letter, key=by_letter.__getitem__) == "L"
        and min(by_letter, key=by_letter.__getitem__) == "W"
    )


def test_the_rows_of_an_alignment_come_back() -> None:
    rows = ["MK-VX-", "M--VL-", "-KKVL-"]
    proteins = Proteins.from_sequences(
        {a: row.replace("-", "") for a, row in zip("PQR", rows, strict=True)}
    )
    columns = np.array(
        [i for row in rows for i, letter in enumerate(row, 1) if letter != "-"], np.int32
    )
    assert aligned_rows(Alignment(proteins, columns, 6)) == rows


def test_rows_and_backgrounds_that_do_not_fit() -> None:
    with pytest.raises(
        ValueError,
        match="aligned rows must have one length, not 2 and 3; pad the shorter ones with '-'",
    ):
        position_weights(["MK", "MKV"])
    for background in (np.full(20, 0.1), np.full(19, 1 / 19), np.append(np.full(19, 1 / 19), 0)):
        with pytest.raises(
            ValueError, match="a background must be 20 frequencies above 0 with sum 1"
        ):
            position_weights(["MK"], background)
