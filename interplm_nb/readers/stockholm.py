"""Rows of an alignment in Stockholm 1.0 format."""

from collections.abc import Iterable
from pathlib import Path

from interplm_nb.readers.alignment_formats import Row, joined_blocks
from interplm_nb.readers.report import InputError


def stockholm_rows(lines: Iterable[str], path: Path | str) -> tuple[list[Row], str]:
    """Aligned rows, their blocks joined, and the family's name (`#=GF ID`).

    Raises
    ------
    InputError
        For a line that is not a row, an alignment without its end ('//'), or a second alignment.

    Examples
    --------
    >>> stockholm_rows(["# STOCKHOLM 1.0", "a MK-", "b MKV", "", "a L", "b L", "//"], "a.sto")
    ([('a', 'MK-L'), ('b', 'MKVL')], '')
    """
    blocks: list[list[Row]] = [[]]
    family, ended = "", False
    for line in (line.strip() for line in lines):
        if ended and line:
            raise InputError(
                f"{path}: more follows the first alignment's '//'; give a file with one alignment"
            )
        if line.startswith("#=GF ID"):
            family = line[7:].strip()
        if not line and blocks[-1]:
            blocks.append([])
        if not line or line.startswith("#"):
            continue
        if line == "//":
            ended = True
            continue
        words = line.split()
        if len(words) != 2:
            raise InputError(
                f"{path}: {line[:60]!r} is not a row of a Stockholm alignment; wanted a name, "
                "blanks, and the aligned residues"
            )
        blocks[-1].append((words[0], words[1]))
    if not ended:
        raise InputError(
            f"{path}: the alignment has no end ('//'); the file is truncated, copy it again"
        )
    return joined_blocks(filter(None, blocks), path), family
