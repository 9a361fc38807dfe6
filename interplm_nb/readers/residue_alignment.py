"""Align a chain of a structure to a protein's sequence, knowing where the chain is broken.

An alignment by letters alone cannot tell on which side of a gap a residue is, or which copy
of a repeat it belongs to. The chain itself tells more: residues that are bonded are neighbours in
the sequence, and numbers say how many are missing between those that are not.
"""

from dataclasses import dataclass
from typing import Any

import biotite.sequence.align as align
import numpy as np

GAP_OPEN, GAP_EXTEND = 10, 1
"""Costs of a gap of k letters: `GAP_OPEN + (k - 1) * GAP_EXTEND`, in BLOSUM62's units.

At a break of the chain any other step than the expected one costs `GAP_OPEN`.
"""


@dataclass(frozen=True)
class Chain:
    """Residues of a chain, in order, and what is known of their places."""

    letters: str
    bonded: np.ndarray
    """bool [n - 1]: bonded to the next, so that no residue is missing between them."""
    steps: np.ndarray
    """int64 [n - 1]: difference of positions to the next, by the numbering; 0: unknown.

    It costs nothing at a break. Where the residues are bonded it only breaks ties.
    """
    stated: np.ndarray
    """int64 [n]: position that the file or its numbering suggests, 0: none. Only breaks ties."""


def align_chain(chain: Chain, sequence: str) -> np.ndarray:
    """Position in `sequence`, from 1, of each residue of the chain; int64 [n], 0: not aligned.

    The best by BLOSUM62 and gaps; of equal ones that with more residues at their `stated` position.
    Gaps at the ends are free.

    Examples
    --------
    >>> broken = Chain("MKL", np.array([True, False]), np.array([1, 3]), np.zeros(3, np.int64))
    >>> align_chain(broken, "MKKLL")
    array([1, 2, 5])
    """
    return _path(chain, sequence, _scores(chain, sequence))


def elsewhere(chain: Chain, sequence: str) -> np.ndarray:
    """Which residues another alignment, as good in every respect, puts at another position.

    bool [n].
    """
    backwards = Chain(
        chain.letters[::-1],
        chain.bonded[::-1],
        chain.steps[::-1],
        np.where(chain.stated > 0, len(sequence) + 1 - chain.stated, 0)[::-1],
    )
    ahead, behind = _scores(chain, sequence), _scores(backwards, sequence[::-1])[::-1, ::-1]
    best = _best(ahead)
    cells = _Cells(chain, sequence)
    # column 0 of `ahead` is before the first letter, column 0 of `behind` after the last
    return np.array(
        [
            np.count_nonzero(ahead[i, 1:] + behind[i, :-1] - cells.row(i)[1:] == best) > 1
            for i in range(len(chain.letters))
        ],
        dtype=bool,
    )


class _Cells:
    """What it is worth to put a residue at a position, in units that leave room for tie-breaks."""

    def __init__(self, chain: Chain, sequence: str) -> None:
        self.unit = 2 * len(chain.letters) + 1
        matrix, places = _blosum()
        self.letters, self.stated = _codes(chain.letters), chain.stated
        self.matrix = matrix[:, places[_codes(sequence)]] * self.unit
        self.places = places
        self.same = _codes(sequence)

    def row(self, i: int) -> np.ndarray:
        """int64 [length + 1]: of residue `i` at each position; position 0 has no residue."""
        worth = np.concatenate([[_NEVER], self.matrix[self.places[self.letters[i]]]])
        position = self.stated[i]
        if 0 < position < len(worth) and self.same[position - 1] == self.letters[i]:
            worth[position] += 1
        return worth


_NEVER = -(1 << 40)


def _scores(chain: Chain, sequence: str) -> np.ndarray:
    """int64 [n, length + 1]: the best alignment that ends with residue i at position j."""
    cells, columns = _Cells(chain, sequence), np.arange(len(sequence) + 1)
    n = len(chain.letters)
    scores = np.full((n, len(columns)), _NEVER, dtype=np.int64)
    left_out = np.full(len(columns), _NEVER, dtype=np.int64)  # residues since j were skipped
    scores[0, 1:] = cells.row(0)[1:]
    for i in range(1, n):
        before, best = scores[i - 1], np.full(len(columns), _NEVER, dtype=np.int64)
        best[1:] = left_out[:-1]
        best[1] = max(best[1], 0)
        step, bonded = int(chain.steps[i - 1]), bool(chain.bonded[i - 1])
        if bonded:
            np.maximum(best[1:], before[:-1], out=best[1:])
            reached = np.maximum.accumulate(before + columns * GAP_EXTEND * cells.unit)[:-2]
            costs = (GAP_OPEN + (columns[2:] - 2) * GAP_EXTEND) * cells.unit
        else:
            reached = np.maximum.accumulate(before)[:-2]
            best[1:] = np.maximum(best[1:], before[:-1] - GAP_OPEN * cells.unit)
            costs = GAP_OPEN * cells.unit
        np.maximum(best[2:], reached - costs, out=best[2:])
        if 0 < step < len(columns):
            expected = before[:-step] + _numbered(step, bonded, cells.unit)
            np.maximum(best[step:], expected, out=best[step:])
        left_out = np.maximum(before - GAP_OPEN * cells.unit, left_out - GAP_EXTEND * cells.unit)
        scores[i] = best + cells.row(i)
    return scores


def _numbered(step: int, bonded: bool, unit: int) -> int:
    """What a step is worth that the numbering expects."""
    if not bonded or step == 1:
        return 0
    return 1 - (GAP_OPEN + (step - 2) * GAP_EXTEND) * unit


def _best(scores: np.ndarray) -> int:
    return int(max(scores[-1].max(), scores[:, -1].max()))


def _path(chain: Chain, sequence: str, scores: np.ndarray) -> np.ndarray:
    """Walk back from the best end; of equal ways the numbering's step, then the longest."""
    cells = _Cells(chain, sequence)
    unit, n, last = cells.unit, *scores.shape
    positions, best = np.zeros(n, dtype=np.int64), _best(scores)
    ends = np.flatnonzero(scores[-1] == best)
    i, j = (
        (n - 1, int(ends[0]))
        if len(ends)
        else (int(np.flatnonzero(scores[:, -1] == best)[0]), last - 1)
    )
    while True:
        positions[i] = j
        rest = scores[i, j] - cells.row(i)[j]
        if i == 0 or (j == 1 and rest == 0):
            return positions
        step, bonded, before = int(chain.steps[i - 1]), bool(chain.bonded[i - 1]), scores[i - 1, :j]
        skipped = j - np.arange(j) - 1
        costs = np.full(j, GAP_OPEN)
        if bonded:
            costs = np.where(skipped, GAP_OPEN + (skipped - 1) * GAP_EXTEND, 0)
        ways = np.flatnonzero(before - costs * unit == rest)
        if 0 < step <= j and before[j - step] + _numbered(step, bonded, unit) == rest:
            i, j = i - 1, j - step
        elif len(ways):
            i, j = i - 1, int(ways[0])
        else:
            further = np.arange(i - 1)[::-1]  # residues left out after each row, less one
            above = scores[: i - 1, j - 1] - (GAP_OPEN + further * GAP_EXTEND) * unit
            i, j = int(np.flatnonzero(above == rest)[-1]), j - 1


def _codes(letters: str) -> np.ndarray:
    return np.frombuffer(letters.encode("ascii", "replace"), dtype=np.uint8)


def _blosum() -> tuple[np.ndarray, np.ndarray]:
    """BLOSUM62, and the row of each ASCII letter in it.

    Selenocysteine counts as Cys and pyrrolysine as Lys; what it does not know, as X.
    """
    matrix = align.SubstitutionMatrix.std_protein_matrix()
    alphabet: Any = matrix.get_alphabet1()
    places = np.full(128, alphabet.encode("X"), dtype=np.int64)
    for letter in alphabet.get_symbols():
        places[ord(letter)] = alphabet.encode(letter)
    places[ord("U")], places[ord("O")] = places[ord("C")], places[ord("K")]
    return matrix.score_matrix().astype(np.int64), places
