"""Proteins longer than a PLM takes: left out and counted, refused, or embedded in overlapping windows. Imports no torch."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal, NamedTuple

from interplm_nb.proteins import Proteins

MAX_RESIDUES = 1022
"""ESM-2 was trained on 1,024 tokens, <cls> and <eos> among them; the paper leaves out longer proteins too."""

LengthPolicy = Literal["skip", "refuse", "window"]


class LimitedProteins(NamedTuple):
    """What a length policy keeps."""

    proteins: Proteins
    left_out: list[str]
    """Accessions of the proteins that were too long."""


def limit_length(
    proteins: Proteins, policy: LengthPolicy = "skip", max_residues: int = MAX_RESIDUES
) -> LimitedProteins:
    """Apply a policy for proteins over `max_residues`: leave them out, refuse them all, or keep them for `embed(..., long="window")`.

    Raises ValueError under "refuse" when there is one, and under "skip" when nothing is left.
    """
    if policy not in ("skip", "refuse", "window"):
        raise ValueError(
            f"the policy for long proteins is 'skip', 'refuse' or 'window', not {policy!r}"
        )
    kept, left_out = proteins.up_to(max_residues)
    if policy == "window" or not left_out:
        return LimitedProteins(proteins, [])
    if policy == "refuse":
        raise ValueError(
            _too_long(proteins, max_residues)
            + "; leave them out (policy 'skip') or embed them in windows ('window')"
        )
    if not len(kept):
        raise ValueError(
            _too_long(proteins, max_residues)
            + ", so none is left; embed them in windows (policy 'window')"
        )
    return LimitedProteins(kept, list(left_out))


class Piece(NamedTuple):
    """A stretch of one protein that is run through the PLM, and the part of it that is kept. Counts from 0 within the sequence."""

    protein: int
    start: int
    stop: int
    keep_start: int
    keep_stop: int


def pieces(
    proteins: Proteins,
    long: Literal["refuse", "window"] = "refuse",
    max_residues: int = MAX_RESIDUES,
    overlap: int = 512,
) -> Iterator[Piece]:
    """One piece per protein of at most `max_residues`; longer ones are refused, or cut into windows.

    Windows are `max_residues` long and overlap by at least `overlap`; of two that overlap each keeps its half, so that a residue comes
    from the window whose centre is nearer. Every residue is kept exactly once.
    """
    if long not in ("refuse", "window"):
        raise ValueError(
            f"long proteins are refused or cut into windows: 'refuse' or 'window', not {long!r}"
        )
    if long == "window" and not 0 <= overlap < max_residues:
        raise ValueError(
            f"windows of {max_residues} residues overlap by 0 to {max_residues - 1}, not {overlap}"
        )
    if long == "refuse" and len(proteins) and int(proteins.lengths.max()) > max_residues:
        way_out = "; leave them out with limit_length(proteins), or choose long='window'"
        raise ValueError(_too_long(proteins, max_residues) + way_out)
    for i, length in enumerate(proteins.lengths.tolist()):
        yield from _windows(i, length, max_residues, overlap)


def _windows(protein: int, length: int, width: int, overlap: int) -> Iterator[Piece]:
    if length <= width:
        yield Piece(protein, 0, length, 0, length)
        return
    n = 1 + -(-(length - width) // (width - overlap))
    starts = [round(i * (length - width) / (n - 1)) for i in range(n)]
    cuts = [0, *((a + width + b) // 2 for a, b in pairwise(starts)), length]
    for start, (keep_start, keep_stop) in zip(starts, pairwise(cuts), strict=True):
        yield Piece(protein, start, start + width, keep_start, keep_stop)


def _too_long(proteins: Proteins, max_residues: int) -> str:
    long = [
        a for a, n in zip(proteins.accessions, proteins.lengths, strict=True) if n > max_residues
    ]
    first = f"{long[0]} with {proteins.lengths[proteins.index(long[0])]:,}"
    return f"{len(long)} proteins have over {max_residues:,} residues, such as {first}"
