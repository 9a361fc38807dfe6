"""Proteins longer than a PLM reads: skipped, refused, or embedded in windows. Imports no torch."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal, NamedTuple

from interplm_nb.proteins import Proteins

MAX_RESIDUES = 1022
"""ESM-2 was trained on 1,024 tokens, with <cls> and <eos>; the paper skips longer proteins too."""

LengthPolicy = Literal["skip", "refuse", "window"]


class LimitedProteins(NamedTuple):
    """What a length policy keeps."""

    proteins: Proteins
    left_out: list[str]
    """Accessions of the proteins that were too long."""


def limit_length(
    proteins: Proteins, policy: LengthPolicy = "skip", max_residues: int = MAX_RESIDUES
) -> LimitedProteins:
    """Apply a policy for proteins over `max_residues`.

    Parameters
    ----------
    policy
        "skip" leaves them out, "refuse" raises ValueError, "window" keeps them for
        `embed(..., long="window")`.

    Raises
    ------
    ValueError
        If there is a long protein and the policy is "refuse", or "skip" leaves no protein.

    Examples
    --------
    >>> proteins = Proteins.from_sequences({"P1": "MKV", "P2": "MKVLAAG"})
    >>> limit_length(proteins, "skip", max_residues=5).left_out
    ['P2']
    """
    if policy not in ("skip", "refuse", "window"):
        raise ValueError(f"policy must be 'skip', 'refuse' or 'window'; got {policy!r}")
    kept, left_out = proteins.up_to(max_residues)
    if policy == "window" or not left_out:
        return LimitedProteins(proteins, [])
    if policy == "refuse":
        raise ValueError(
            _too_long(proteins, max_residues)
            + "; skip them (policy 'skip') or embed them in windows ('window')"
        )
    if not len(kept):
        raise ValueError(
            _too_long(proteins, max_residues)
            + ", so no protein is left; embed them in windows (policy 'window')"
        )
    return LimitedProteins(kept, list(left_out))


class Piece(NamedTuple):
    """A stretch of a protein to run through the PLM, and the part to keep: 0-based, half-open."""

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
    """One piece per protein of at most `max_residues`; longer ones are refused or cut into windows.

    Windows are `max_residues` long and overlap by at least `overlap`. Of two that overlap, each
    keeps its half: a residue comes from the window whose centre is nearest. Every residue is kept
    exactly once.
    """
    if long not in ("refuse", "window"):
        raise ValueError(f"long must be 'refuse' or 'window'; got {long!r}")
    if long == "window" and not 0 <= overlap < max_residues:
        raise ValueError(
            f"overlap of windows of {max_residues} residues must be 0 to {max_residues - 1}; got "
            f"{overlap}"
        )
    if long == "refuse" and len(proteins) and int(proteins.lengths.max()) > max_residues:
        way_out = "; skip them with limit_length(proteins), or choose long='window'"
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
