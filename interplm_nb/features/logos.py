"""Sequence logos in numbers: the residues in each column, and their information content."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from interplm_nb.proteins import LETTERS, Proteins, Residue
from interplm_nb.readers.alignment import Alignment

AMINO_ACIDS = LETTERS[:20]
"""The standard amino acids, in the order of every array here: ACDEFGHIKLMNPQRSTVWY."""

_PERCENT = (
    "8.25 1.38 5.46 6.72 3.86 7.07 2.27 5.91 5.80 9.65 "
    "2.41 4.06 4.74 3.93 5.53 6.64 5.35 6.86 1.10 2.92"
)
_SHARES = np.array(_PERCENT.split(), np.float64)
BACKGROUND = _SHARES / sum(_SHARES.tolist())
"""float64 [20]: amino-acid frequencies in UniProtKB/Swiss-Prot, release 2022_01 (its statistics
page, "Amino acid composition", in percent to two decimals, divided by their sum, 99.91)."""

UNIFORM = np.full(20, 1 / 20)
"""float64 [20]: no background; information is then log2(20) - entropy, as in the first logos."""


class PositionWeights(NamedTuple):
    """What a logo shows: L columns, amino acids in the order of `AMINO_ACIDS`."""

    counts: np.ndarray
    """int64 [L, 20]."""
    n: np.ndarray
    """int64 [L]: standard amino acids in each column; gaps and X, B, U, Z, O are not counted."""
    frequencies: np.ndarray
    """float64 [L, 20]: counts / n, 0 in a column without a letter."""
    information: np.ndarray
    """float64 [L], bits."""
    heights: np.ndarray
    """float64 [L, 20], bits: frequency times information; a column adds up to its information."""
    background: np.ndarray
    """float64 [20], adds up to 1."""


def amino_acid_of(letters: np.ndarray) -> np.ndarray:
    """int64: the place in `AMINO_ACIDS` of each ASCII code (uint8, upper case); -1: no standard
    one."""
    return _KINDS[letters]


def composition(proteins: Proteins) -> np.ndarray:
    """float64 [20]: the share of each amino acid among the standard residues of these proteins.

    `UNIFORM` if absent.

    >>> composition(Proteins.from_sequences({"P1": "AAC"}))[:3].round(2).tolist()
    [0.67, 0.33, 0.0]
    """
    kind = amino_acid_of(proteins.letters)
    counts = np.bincount(kind[kind >= 0], minlength=20)
    return counts / counts.sum() if counts.any() else UNIFORM.copy()


def windows(proteins: Proteins, centres: Iterable[tuple[str, int]], flank: int) -> list[str]:
    """The 2 * flank + 1 letters around each residue, "-" beyond the ends of the protein.

    Parameters
    ----------
    proteins : Proteins
        Where the sequences are.
    centres : iterable of (str, int)
        Accession and position, from 1.
    flank : int
        Letters on each side.

    Returns
    -------
    list of str

    Raises
    ------
    KeyError
        For an unknown accession.
    ValueError
        For a position outside its protein, or a negative flank.

    Examples
    --------
    >>> windows(Proteins.from_sequences({"P1": "MKVLA"}), [("P1", 2), ("P1", 5)], flank=2)
    ['-MKVL', 'VLA--']
    """
    if flank < 0:
        raise ValueError(f"flank must be 0 or more, not {flank}")
    found = []
    for accession, position in centres:
        proteins.row(Residue(accession, position))  # refuses a position that is not there
        sequence = proteins.sequence(accession)
        here = sequence[max(0, position - 1 - flank) : position + flank]
        found.append("-" * (flank + 1 - position) + here + "-" * (position + flank - len(sequence)))
    return found


def aligned_rows(alignment: Alignment) -> list[str]:
    """The row of each protein of an alignment, in order, with "-" for gaps and without inserts."""
    proteins = alignment.proteins
    # Column 0 is of inserts, which have none.
    rows = np.full((len(proteins), alignment.n_columns + 1), ord("-"), np.uint8)
    rows[np.repeat(np.arange(len(proteins)), proteins.lengths), alignment.columns] = (
        proteins.letters
    )
    rows = rows[:, 1:]
    return [row.tobytes().decode("ascii") for row in rows]


def position_weights(rows: Sequence[str], background: np.ndarray = BACKGROUND) -> PositionWeights:
    """Frequencies and information of the columns of aligned rows.

    Information of a column, in bits, from the frequencies f of its n letters and the background b
    (s = 20 letters):

        R = max(0, sum_a f_a log2(f_a / b_a) - e(n)),  e(n) = (s - 1) / (2 n ln 2)

    For a uniform background the sum is log2(20) - H, with the entropy H: R of Schneider et al. (J
    Mol Biol 188:415, 1986) with their approximate small-sample correction. The correction holds
    for any background: the sum is -H - sum_a f_a log2(b_a), whose second term is linear in f and
    so unbiased, and e(n) is the bias of H to first order in 1 / n. Up to 3 letters e(n) exceeds
    log2(20): with a uniform background such a column has no information.

    Parameters
    ----------
    rows : sequence of str
        Aligned rows of equal length, letters of either case. Without a row, L is 0.
    background : np.ndarray
        float64 [20], in the order of `AMINO_ACIDS`.

    Returns
    -------
    PositionWeights

    Raises
    ------
    ValueError
        For rows of unequal length, or a background that is not 20 frequencies above 0 with sum 1.

    Examples
    --------
    >>> weights = position_weights(["MK", "MR", "MK", "M-", "MK", "ME"], UNIFORM)
    >>> weights.n.tolist(), weights.information.round(2).tolist()
    ([6, 5], [2.04, 0.21])
    """
    widths = sorted({len(row) for row in rows})
    if len(widths) > 1:
        raise ValueError(
            f"aligned rows must have one length, not {widths[0]} and {widths[-1]}; pad the shorter "
            "ones with '-'"
        )
    width = widths[0] if widths else 0
    background = _checked(background)
    kind = _KINDS[np.frombuffer("".join(rows).encode("ascii", "replace").upper(), np.uint8)]
    known = kind >= 0
    column = np.tile(np.arange(width), len(rows))[known]
    counts = np.bincount(column * 20 + kind[known], minlength=20 * width).reshape(width, 20)
    n = counts.sum(axis=1)
    frequencies, bits = counts / np.maximum(n, 1)[:, None], information(counts, background)
    return PositionWeights(counts, n, frequencies, bits, frequencies * bits[:, None], background)


def information(counts: np.ndarray, background: np.ndarray) -> np.ndarray:
    """float64 [...], bits: the information of columns of counts, int64 [..., 20].

    As `position_weights` defines it; an amino acid that is counted must be in the background.
    """
    n = np.maximum(counts.sum(axis=-1), 1)
    log_b = np.log2(background, out=np.zeros(20), where=background > 0)
    # sum f log2(f / b) = (sum c log2 c - sum c log2 b) / n - log2 n; counts are small integers, so
    # c log2 c is a table: shuffled maxima ask for millions.
    table = np.arange(counts.max(initial=0) + 1.0)
    table[1:] *= np.log2(table[1:])
    bits = (table[counts].sum(axis=-1) - counts @ log_b) / n - np.log2(n)
    return np.maximum(bits - 19 / (2 * np.log(2) * n), 0)


def _checked(background: np.ndarray) -> np.ndarray:
    background = np.asarray(background, np.float64)
    if background.shape != (20,) or not (background > 0).all() or abs(background.sum() - 1) > 1e-6:
        raise ValueError(
            f"a background must be 20 frequencies above 0 with sum 1, in the order {AMINO_ACIDS}, "
            "not "
            f"{background.shape} with sum {background.sum():.4g}"
        )
    return background


_KINDS = np.full(256, -1, np.int64)
_KINDS[np.frombuffer(AMINO_ACIDS.encode(), np.uint8)] = np.arange(20)
