"""Batches of pieces of similar length within a token budget, and their residues."""

from collections.abc import Sequence

import numpy as np

from interplm_nb.plm.lengths import Piece
from interplm_nb.proteins import Proteins

SPECIAL_TOKENS = 2
"""<cls> and <eos>."""


def by_length(pieces: Sequence[Piece], tokens_per_batch: int) -> list[list[Piece]]:
    """Batches of at most `tokens_per_batch` padded tokens (a single piece may be larger).

    Longest first, so that a batch too large for the device fails at once.
    """
    if tokens_per_batch < 1:
        raise ValueError(f"tokens_per_batch must be at least 1; got {tokens_per_batch}")
    batches: list[list[Piece]] = []
    room = 0
    for piece in sorted(pieces, key=lambda p: (p.start - p.stop, p.protein, p.start)):
        if room < 1:
            batches.append([])
            room = max(1, tokens_per_batch // (piece.stop - piece.start + SPECIAL_TOKENS))
        batches[-1].append(piece)
        room -= 1
    return batches


def rows_of(batch: Sequence[Piece], proteins: Proteins) -> np.ndarray:
    """int64 [n]: rows of the residue axis that the batch's pieces keep, piece by piece."""
    firsts = proteins.offsets[[p.protein for p in batch]]
    return _ranges(firsts + [p.keep_start for p in batch], firsts + [p.keep_stop for p in batch])


def positions_of(batch: Sequence[Piece], width: int, first_residue: int = 1) -> np.ndarray:
    """int64 [n]: positions of the same residues in the flattened [B * width] tokens.

    `width` is T, with special tokens; `first_residue` is where a sequence starts in its tokens.
    """
    firsts = np.arange(len(batch)) * width + first_residue
    return _ranges(
        firsts + [p.keep_start - p.start for p in batch],
        firsts + [p.keep_stop - p.start for p in batch],
    )


def _ranges(starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    return np.concatenate(
        [np.arange(a, b, dtype=np.int64) for a, b in zip(starts, stops, strict=True)]
    )
