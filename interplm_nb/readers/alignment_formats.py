"""Formats of alignments: recognised by the first line, and what those written in blocks share."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from interplm_nb.readers.report import InputError

Row = tuple[str, str]
"""Name and aligned letters."""

BlockFormat = Literal["Stockholm", "Clustal"]
"""Formats written in blocks that are read."""

_STARTS: dict[str, BlockFormat] = {"# STOCKHOLM 1.": "Stockholm", "CLUSTAL": "Clustal"}
# MUSCLE, PROBCONS and others write their own name; Kalign writes "alignment in ClustalW format".
_CLUSTAL = re.compile(
    r"(?![>#;]).*\b(?:multiple sequence alignment|alignment in clustal)", re.IGNORECASE
)
_OTHERS = {
    "NEXUS": re.compile(r"#NEXUS\b", re.IGNORECASE),
    "MEGA": re.compile(r"#mega\b", re.IGNORECASE),
    "MSF (GCG)": re.compile(r"!!AA_MULTIPLE|PileUp\b"),
    "PHYLIP": re.compile(r"\s*\d+\s+\d+\s*$"),
    "HHsuite result (.hhr)": re.compile(r"Query\s+\S"),
}


def alignment_format(first: str) -> str | None:
    """The alignment format that a file's first line tells; None for another file, or FASTA.

    Examples
    --------
    >>> alignment_format("# STOCKHOLM 1.0"), alignment_format("CLUSTAL O(1.2.4)")
    ('Stockholm', 'Clustal')
    >>> alignment_format("#NEXUS"), alignment_format(">P69905")
    ('NEXUS', None)
    """
    for start, name in _STARTS.items():
        if first.startswith(start):
            return name
    if _CLUSTAL.match(first):
        return "Clustal"
    return next((name for name, start in _OTHERS.items() if start.match(first)), None)


def not_sequences(kind: str) -> str:
    """Why a file of this alignment format is refused where sequences are wanted, for a message."""
    if kind in _STARTS.values():
        return (
            f"this is an alignment in {kind} format, not sequences. `interplm-nb annotate "
            "--family` and `read_family` read it; for its sequences, convert it to FASTA without "
            "gaps"
        )
    return f"this is {kind}, which is not read; convert it to FASTA or Stockholm"


def joined_blocks(blocks: Iterable[list[Row]], path: Path | str) -> list[Row]:
    """The rows of an alignment that is written in blocks.

    The nth row of a name continues the nth of the block before. `InputError` where every name of a
    block comes again with other letters: the blocks are not parted.
    """
    parts: dict[tuple[str, int], list[str]] = {}
    for block in blocks:
        seen: Counter[str] = Counter()
        for name, row in block:
            parts.setdefault((name, seen[name]), []).append(row)
            seen[name] += 1
        if min(seen.values()) > 1 and len(set(block)) > len(seen):
            name, n = next(iter(seen.items()))
            raise InputError(
                f"{path}: {name!r}, like every name, comes {n} times in one block of the "
                "alignment; part the blocks with blank lines, or give each row its own name"
            )
    return [(name, "".join(rows)) for (name, _), rows in parts.items()]
