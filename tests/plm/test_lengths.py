import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.plm.batches import by_length, positions_of, rows_of
from interplm_nb.plm.lengths import limit_length, pieces
from interplm_nb.proteins import Proteins

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=12)


def proteins_of(lengths) -> Proteins:
    return Proteins.from_sequences({f"P{i}": "A" * n for i, n in enumerate(lengths)})


def test_skipping_is_the_default_and_is_told():
    limited = limit_length(proteins_of([5, 1023, 1022, 4000]))
    assert limited.proteins.accessions == ["P0", "P2"] and limited.left_out == ["P1", "P3"]


def test_the_other_policies():
    proteins = proteins_of([5, 30])
    assert limit_length(proteins, "window", 10) == (proteins, [])
    assert limit_length(proteins, "refuse", 30) == (proteins, [])
    with pytest.raises(
        ValueError,
        match=r"1 proteins have over 10 residues, such as P1 with 30; skip them "
        ".*'skip'.*'window'",
    ):
        limit_length(proteins, "refuse", 10)
    with pytest.raises(ValueError, match="so no protein is left"):
        limit_length(proteins, "skip", 2)
    with pytest.raises(ValueError, match="'skip', 'refuse' or 'window'; got 'crop'"):
        limit_length(proteins, "crop")  # type: ignore[arg-type]


@given(LENGTHS, st.integers(2, 20), st.data())
def test_windows_keep_every_residue_once_and_overlap_enough(lengths, width, data):
    overlap = data.draw(st.integers(0, width - 1))
    found = list(pieces(proteins_of(lengths), "window", width, overlap))
    for i, length in enumerate(lengths):
        mine = [p for p in found if p.protein == i]
        assert [r for p in mine for r in range(p.keep_start, p.keep_stop)] == list(range(length))
        for p in mine:
            assert (
                p.start <= p.keep_start <= p.keep_stop <= p.stop <= length
                and p.stop - p.start == min(width, length)
            )
        for a, b in pairwise(mine):
            assert a.stop - b.start >= overlap
            assert abs((a.stop - a.keep_stop) - (b.keep_start - b.start)) <= 1


def test_what_pieces_refuse():
    with pytest.raises(ValueError, match="limit_length"):
        list(pieces(proteins_of([9]), max_residues=8))
    with pytest.raises(ValueError, match="'refuse' or 'window'; got 'crop'"):
        list(pieces(proteins_of([9]), "crop"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must be 0 to 7; got 8"):
        list(pieces(proteins_of([9]), "window", 8, 8))


@given(LENGTHS, st.integers(1, 200))
def test_batches_hold_every_piece_within_the_budget(lengths, budget):
    proteins = proteins_of(lengths)
    batches = by_length(list(pieces(proteins)), budget)
    assert sorted(p.protein for b in batches for p in b) == list(range(len(lengths)))
    sizes = [p.stop for b in batches for p in b]
    assert sizes == sorted(sizes, reverse=True)
    for batch in batches:
        assert len(batch) == 1 or len(batch) * (batch[0].stop + 2) <= budget
        positions, width = positions_of(batch, batch[0].stop + 2), batch[0].stop + 2
        expected = [
            (proteins.offsets[p.protein] + r, i * width + 1 + r)
            for i, p in enumerate(batch)
            for r in range(p.stop)
        ]
        assert list(zip(rows_of(batch, proteins), positions, strict=True)) == expected
    with pytest.raises(ValueError, match="must be at least 1; got 0"):
        by_length([], 0)


def test_lengths_need_no_torch():
    code = (
        "import sys; import interplm_nb.plm.lengths, interplm_nb.embeddings; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
