"""The alignment of a broken chain equals the best of all alignments, tried one by one."""

from itertools import combinations, pairwise

import biotite.sequence as seq
import biotite.sequence.align as align
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.readers.residue_alignment import (
    GAP_EXTEND,
    GAP_OPEN,
    Chain,
    align_chain,
    elsewhere,
)

BLOSUM = align.SubstitutionMatrix.std_protein_matrix()


def every_alignment(n: int, length: int):
    """Positions of each residue, 0: left out; one at least is aligned, ends hang over one side."""
    for k in range(1, min(n, length) + 1):
        for residues in combinations(range(n), k):
            for places in combinations(range(1, length + 1), k):
                if (residues[0] == 0 or places[0] == 1) and (
                    residues[-1] == n - 1 or places[-1] == length
                ):
                    found = np.zeros(n, dtype=np.int64)
                    found[list(residues)] = places
                    yield found


def value(chain: Chain, sequence: str, found: np.ndarray) -> tuple[int, int] | None:
    """Score, and what breaks ties; None for steps that are no alignment's."""
    score = ties = 0
    placed = np.flatnonzero(found)
    for i in placed:
        letter, other = chain.letters[i], sequence[found[i] - 1]
        score += BLOSUM.get_score(*(s.replace("U", "C") for s in (letter, other)))
        ties += letter == other and found[i] == chain.stated[i]
    for a, b in pairwise(placed):
        step, left_out = found[b] - found[a], b - a - 1
        if left_out:
            if step != 1:
                return None  # a gap in one of the two at a time
            score -= GAP_OPEN + (left_out - 1) * GAP_EXTEND
        elif chain.bonded[a]:
            score -= GAP_OPEN + (step - 2) * GAP_EXTEND if step > 1 else 0
            ties += step > 1 and step == chain.steps[a]
        else:
            score -= 0 if step == chain.steps[a] else GAP_OPEN
    return score, ties


@st.composite
def cases(draw) -> tuple[Chain, str]:
    letters = st.sampled_from("KLWUX")
    n = draw(st.integers(1, 5))
    sequence = draw(st.text(letters, min_size=1, max_size=6))
    links = st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=n - 1, max_size=n - 1)
    bonded, steps = zip(*drawn, strict=True) if (drawn := draw(links)) else ((), ())
    stated = draw(st.lists(st.integers(0, 7), min_size=n, max_size=n))
    chain = Chain(
        draw(st.text(letters, min_size=n, max_size=n)),
        np.array(bonded, dtype=bool),
        np.array(steps, dtype=np.int64),
        np.array(stated, dtype=np.int64),
    )
    return chain, sequence


@given(cases())
def test_it_is_the_best_of_all_and_says_what_stays_open(case: tuple[Chain, str]) -> None:
    chain, sequence = case
    valued = [
        (value(chain, sequence, found), found)
        for found in every_alignment(len(chain.letters), len(sequence))
    ]
    best = max(v for v, _ in valued if v is not None)
    found = align_chain(chain, sequence)
    assert value(chain, sequence, found) == best
    equal = np.array([other for v, other in valued if v == best])
    places = [len({int(p) for p in column if p}) for column in equal.T]
    np.testing.assert_array_equal(elsewhere(chain, sequence), np.array(places) > 1)


def test_without_a_break_it_is_biotites_alignment() -> None:
    chain, sequence = "MKTAYIAKQRHISFVKSHFSRQLEERL", "GGMKTAYIAKQISFVKSHFSPPRQWEERLGL"
    n = len(chain)
    bonded = Chain(chain, np.ones(n - 1, bool), np.ones(n - 1, np.int64), np.zeros(n, np.int64))
    trace = align.align_optimal(  # pyright: ignore[reportAttributeAccessIssue]
        seq.ProteinSequence(chain),
        seq.ProteinSequence(sequence),
        BLOSUM,
        gap_penalty=(-10, -1),
        terminal_penalty=False,
        max_number=1,
    )[0].trace
    expected = np.zeros(n, dtype=np.int64)
    for i, j in trace[(trace >= 0).all(axis=1)]:
        expected[i] = j + 1
    np.testing.assert_array_equal(align_chain(bonded, sequence), expected)


def test_letters_that_are_none_are_unknown_ones() -> None:
    chain = Chain("MJé", np.ones(2, bool), np.ones(2, np.int64), np.zeros(3, np.int64))
    assert align_chain(chain, "AMJK").tolist() == [2, 3, 4]
