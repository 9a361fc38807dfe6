"""Known motifs compared with those of features, against every place and every outcome."""

import re
from itertools import product

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.features import known_motifs
from interplm_nb.features.known_motifs import KNOWN, compared_with_known, occurrences
from interplm_nb.features.logos import AMINO_ACIDS, composition
from interplm_nb.features.motifs import LetterAxis, motif
from interplm_nb.proteins import Proteins
from interplm_nb.readers.motif_files import KnownMotif
from tests.features.test_motifs import planted

PATTERNS = {
    "C-x-C": "C.C",
    "[AC](2)": "[AC]{2}",
    "<A": "^A",
    "C>": "C$",
    "{A}-A": "[^A]A",
    "A-x(0,2)-C": "A.{0,2}C",
}


@given(st.lists(st.text("ACW", min_size=1, max_size=8), min_size=1, max_size=4))
def test_occurrences_are_the_residues_of_every_match(sequences: list[str]) -> None:
    proteins = Proteins.from_sequences({f"P{i}": s for i, s in enumerate(sequences)})
    found = occurrences(proteins, list(PATTERNS)).toarray()
    for column, regex in enumerate(PATTERNS.values()):
        expected = np.zeros(proteins.n_residues, bool)
        for start, sequence in zip(proteins.offsets, sequences, strict=False):
            for at in range(len(sequence)):
                if match := re.compile(regex).match(sequence, at):
                    expected[start + at : start + match.end()] = True
        assert found[:, column].tolist() == expected.tolist()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.integers(0, 6))
def test_the_chance_of_as_many_sums_all_outcomes(chances: list[float], hits: int) -> None:
    expected = sum(
        np.prod([c if met else 1 - c for c, met in zip(chances, outcome, strict=True)])
        for outcome in product((0, 1), repeat=len(chances))
        if sum(outcome) >= hits
    )
    assert known_motifs._as_many(hits, np.array(chances)) == pytest.approx(expected, abs=1e-9)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 100))
def test_the_best_offset_is_the_highest_of_all(width: int, other: int, seed: int) -> None:
    alike = np.random.default_rng(seed).uniform(-1, 1, (2, width, other))
    sums, columns = known_motifs._best(alike)
    least = min(known_motifs.LEAST_OVERLAP, width, other)
    for one, total, n in zip(alike, sums, columns, strict=True):
        by_offset = []
        for offset in range(-width, other + 1):
            pairs = [one[i, i + offset] for i in range(width) if 0 <= i + offset < other]
            if len(pairs) >= least:
                by_offset.append((sum(pairs), len(pairs)))
        assert (total, n) == pytest.approx(max(by_offset))


def test_the_planted_motif_is_recognised_in_both_kinds() -> None:
    proteins, rows = planted()
    found = motif(LetterAxis(proteins, 5), rows, composition(proteins), 0)
    matrix = np.full((5, 20), 0.05)
    matrix[[0, 3]] = np.eye(20)[AMINO_ACIDS.index("C")]
    matrix[4] = (np.eye(20)[AMINO_ACIDS.index("S")] + np.eye(20)[AMINO_ACIDS.index("T")]) / 2
    other = np.random.default_rng(0).dirichlet(np.full(20, 0.3), 6)
    known = [
        KnownMotif("rare", "W-W-W-W-W", None),
        KnownMotif("CxxC", "C-x(2)-C", None),
        KnownMotif("glycine", "G", None),
        KnownMotif("matrix of CxxC", "", matrix),
        KnownMotif("other matrix", "", other),
    ]
    table = compared_with_known({7: found}, {7: rows}, proteins, known)
    assert dict(table.schema) == KNOWN and set(table["feature"]) == {7}
    patterns, matrices = (table.filter(kind=kind) for kind in ("pattern", "matrix"))
    assert patterns["known"].to_list() == ["CxxC"], "no site is in the others"
    assert patterns["similarity"][0] == 1 and patterns["by_chance"][0] < 0.2
    assert patterns["e_value"][0] == 3 * patterns["p_known"][0] < 1e-20
    assert matrices["known"].to_list() == ["matrix of CxxC", "other matrix"]
    best, rest = matrices.to_dicts()
    assert best["p_known"] < 0.02 < rest["p_known"] and best["similarity"] > best["by_chance"] + 0.1
    assert best["e_value"] == 2 * best["p_known"]
    again = compared_with_known({7: found}, {7: rows}, proteins, known)
    assert table.equals(again)


def test_nothing_known_gives_an_empty_table() -> None:
    proteins, rows = planted(12)
    found = motif(LetterAxis(proteins, 2), rows, composition(proteins), 0)
    table = compared_with_known({1: found}, {1: rows}, proteins, [])
    assert table.is_empty() and table.schema == pl.Schema(KNOWN)
