"""Rows of an alignment in Clustal format, as Clustal, MUSCLE, MAFFT and T-Coffee write it."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from interplm_nb.readers.alignment_formats import Row, joined_blocks
from interplm_nb.readers.report import InputError

_MARKS = re.compile(r"[\s*:.+0-9]*")
"""Conservation, or a ruler, below the rows of a block."""


def clustal_rows(lines: Iterable[str], path: Path | str) -> list[Row]:
    """Aligned rows, their blocks joined, without the lines of conservation marks below them.

    Raises
    ------
    InputError
        For a line that is not a row: a name, the aligned residues, and perhaps their count.

    Examples
    --------
    >>> lines = ["CLUSTAL W (1.83)", "", "a  MK- 2", "b  MKV 3", "   ** ", "", "a  L 3", "b  L 4"]
    >>> clustal_rows(lines, "a.aln")
    [('a', 'MK-L'), ('b', 'MKVL')]
    """
    return joined_blocks(_blocks(lines, path), path)


def _blocks(lines: Iterable[str], path: Path | str) -> Iterator[list[Row]]:
    block: list[Row] = []
    named = False
    for line in lines:
        if not named:  # the title: Clustal's name and version
            named = bool(line.strip())
            continue
        words = line.split()
        if not words or (line[0].isspace() and _MARKS.fullmatch(line)):
            if block and not words:
                yield block
                block = []
            continue
        is_row = len(words) == 2 or (len(words) == 3 and words[2].isdecimal())
        if not is_row or not set(words[0]) - set("*:."):
            raise InputError(
                f"{path}: {line.rstrip()[:60]!r} is not a row of a Clustal alignment; wanted a "
                "name, blanks, and the aligned residues"
            )
        block.append((words[0], words[1]))
    if block:
        yield block
