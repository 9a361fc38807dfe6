"""Files of known motifs."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from interplm_nb.readers.motif_files import pattern_regex, read_motifs
from interplm_nb.readers.report import InputError

PROSITE = """CC   PROSITE database.
//
ID   ASN_GLYCOSYLATION; PATTERN.
AC   PS00001;
DE   N-glycosylation site.
PA   N-{P}-[ST]-
PA   {P}.
//
ID   SOME_PROFILE; MATRIX.
MA   /GENERAL_SPEC: ALPHABET='ABC';
//
"""
ROW = " ".join(["0.05"] * 20)
MEME = f"""MEME version 5.5

ALPHABET= YWVTSRQPNMLKIHGFEDCA

Background letter frequencies
Y 0.05 W 0.95

MOTIF one MEME-1
letter-probability matrix: alength= 20 w= 2 nsites= 17 E= 4.1e-009
1 {" ".join(["0"] * 19)}
{ROW}

MOTIF two
letter-probability matrix: w= 1
{ROW}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "motifs.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_patterns_of_prosite_and_what_is_skipped(tmp_path: Path) -> None:
    found = read_motifs(written(tmp_path, PROSITE))
    assert [(m.name, m.pattern) for m in found.motifs] == [("ASN_GLYCOSYLATION", "N-{P}-[ST]-{P}")]
    assert found.skipped == ["SOME_PROFILE"]


def test_matrices_of_meme_are_put_in_order(tmp_path: Path) -> None:
    path = tmp_path / "motifs.meme.gz"
    path.write_bytes(gzip.compress(MEME.encode()))
    first, second = read_motifs(path).motifs
    assert (first.name, second.name, first.pattern) == ("one MEME-1", "two", "")
    assert first.frequencies is not None and second.frequencies is not None
    assert first.frequencies.shape == (2, 20) and second.frequencies.shape == (1, 20)
    assert first.frequencies[0].tolist() == [0] * 19 + [1], "Y is the last letter, not the first"
    np.testing.assert_allclose(first.frequencies[1], 0.05)


def test_a_list_has_names_or_none(tmp_path: Path) -> None:
    text = "# mine\nP loop  [AG]-x(4)-G-K-[ST]\n\n<M-A.  # start\n"
    found = read_motifs(written(tmp_path, text)).motifs
    assert [(m.name, m.pattern) for m in found] == [
        ("P loop", "[AG]-x(4)-G-K-[ST]"),
        ("<M-A.", "<M-A"),
    ]


@pytest.mark.parametrize(
    ("pattern", "regex"),
    [
        ("C-x(2,4)-C", r"C[A-Z]{2,4}C"),
        ("{KR}(2)-G>", r"[^KR\n]{2}G$"),
        ("F-[GSTV]-P-R-L-[G>]", r"F[GSTV]PRL(?:[G]|$)"),
        ("[<M]-A", r"(?:[M]|^)A"),
    ],
)
def test_the_syntax_as_a_regular_expression(pattern: str, regex: str) -> None:
    assert pattern_regex(pattern).pattern == regex


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no motif found; wanted patterns in PROSITE's syntax"),
        ("MEME version 4\n", "no motif found"),
        (
            "a C--C\n",
            r"a \(line 1\): element 2, '', of the pattern 'C--C' is not a PROSITE element",
        ),
        ("C-x(3,1)\n", "1 is less than 3"),
        ("C-x(2000)-C\n", "2,002 positions and 1 combinations of gaps; at most 1,000 and 10,000"),
        ("x(0,99)-x(0,99)-x(0,99)\n", "297 positions and 1,000,000 combinations"),
        ("MEME version 4\nALPHABET= ACGT\n", r"\(line 2\): the alphabet is 'ALPHABET= ACGT'"),
        (
            "MEME version 4\nMOTIF m\nletter-probability matrix: alength= 20\n",
            r"m \(line 3\): wanted the width of the matrix, w= 1 to 1,000",
        ),
        (
            f"MEME version 4\nMOTIF m\nletter-probability matrix: w= 2\n{ROW}\n1 0\n",
            r"m \(line 5\): '1 0' is not a row of a matrix; wanted 20 frequencies that add up to 1",
        ),
        (f"MEME version 4\nMOTIF m\nletter-probability matrix: w= 2\n{ROW}\n", "is not a row of a"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_motifs(written(tmp_path, text))
