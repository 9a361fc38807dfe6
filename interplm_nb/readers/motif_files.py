"""Your own motifs: PROSITE patterns, or matrices in MEME's text format."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from interplm_nb.proteins import LETTERS
from interplm_nb.readers.opening import open_text
from interplm_nb.readers.report import InputError

LONGEST = 1000
"""Most positions of a motif."""
MOST_LENGTHS = 10_000
"""Most combinations of lengths that the gaps of a pattern may have: more take for ever to find."""

_AMINO_ACIDS = LETTERS[:20]
_ELEMENT = re.compile(
    r"(?P<start><)?(?:(?P<x>x)|(?P<one>[A-Z])|\[(?P<any>[A-Z]+>?|<[A-Z]+)\]|\{(?P<none>[A-Z]+)\})"
    r"(?:\((?P<least>\d{1,4})(?:,(?P<most>\d{1,4}))?\))?(?P<end>>)?"
)
_ENTRY = re.compile(r"(ID|AC|DT|DE|PA|MA|NR|CC|DR|3D|PR|DO|PP)   |//")
_MATRIX = re.compile(r"letter-probability matrix:(.*)", re.IGNORECASE)


class KnownMotif(NamedTuple):
    """A motif that somebody has described: either a pattern or a matrix."""

    name: str
    pattern: str
    """In PROSITE's syntax; "" for a matrix."""
    frequencies: np.ndarray | None
    """float64 [L, 20], amino acids in the order of `logos.AMINO_ACIDS`; None for a pattern."""


class MotifsRead(NamedTuple):
    """What a file of motifs holds."""

    motifs: list[KnownMotif]
    skipped: list[str]
    """Names of the entries that are neither a pattern nor a matrix of frequencies: PROSITE's
    profiles and rules."""


def read_motifs(path: Path | str) -> MotifsRead:
    """Read a file of motifs, plain, gzip or zstd; its kind is seen from its content.

    - MEME's text format (version 4 or later, proteins): each `MOTIF` with its letter-probability
      matrix.
    - PROSITE's `prosite.dat`: the entries with `PA` lines; others are skipped by name.
    - A list: one pattern a line in PROSITE's syntax, after its name if it has one. `#` starts a
      comment.

    Raises
    ------
    InputError
        For a file that holds no motif, one of DNA, or a pattern or matrix that cannot be read; it
        names the line.
    """
    with open_text(path) as stream:
        lines = [line.rstrip() for line in stream]
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("MEME version"):
        found = MotifsRead(list(_meme(lines, path)), [])
    elif _ENTRY.match(first):
        found = _prosite(lines, path)
    else:
        found = MotifsRead(list(_listed(lines, path)), [])
    if not found.motifs:
        raise InputError(
            f"{path}: no motif found; wanted patterns in PROSITE's syntax, one a line, entries of "
            "prosite.dat, or MEME's text format"
        )
    return found


def pattern_regex(pattern: str) -> re.Pattern[str]:
    r"""The regular expression of a PROSITE pattern, on sequences that are joined by line ends.

    Raises
    ------
    ValueError
        For another syntax, or a pattern that is too long or has too many lengths; it says where.

    Examples
    --------
    >>> pattern_regex("<M-x(2)-[ST]-{P}.").pattern
    '^M[A-Z]{2}[ST][^P\\n]'
    """
    text = pattern.strip().removesuffix(".")
    words, longest, lengths = [], 0, 1
    for place, element in enumerate(text.split("-"), 1):
        found = _ELEMENT.fullmatch(element)
        if found is None:
            raise ValueError(
                f"element {place}, {element!r}, of the pattern {pattern!r} is not a PROSITE "
                "element: a letter, x, [letters] or {letters}, with (n) or (n,m) behind it"
            )
        least = int(found["least"] or 1)
        most = int(found["most"] or least)
        if most < least:
            raise ValueError(f"element {place}, {element!r}: {most} is less than {least}")
        longest += most
        lengths *= most - least + 1
        words.append(_regex(found, least, most))
    if longest > LONGEST or lengths > MOST_LENGTHS:
        raise ValueError(
            f"the pattern {pattern[:60]!r} has up to {longest:,} positions and {lengths:,} "
            f"combinations of gaps; at most {LONGEST:,} and {MOST_LENGTHS:,} are searched for"
        )
    return re.compile("".join(words), re.MULTILINE)


def _regex(found: re.Match[str], least: int, most: int) -> str:
    if found["x"]:
        word = "[A-Z]"
    elif found["none"]:
        word = f"[^{found['none']}\\n]"
    else:
        word = found["one"] or f"[{found['any'].strip('<>')}]"
    if (least, most) != (1, 1):
        word += f"{{{least}}}" if least == most else f"{{{least},{most}}}"
    if found["any"] and found["any"].endswith(">"):
        word = f"(?:{word}|$)"
    if found["any"] and found["any"].startswith("<"):
        word = f"(?:{word}|^)"
    return ("^" if found["start"] else "") + word + ("$" if found["end"] else "")


def _checked(name: str, pattern: str, path: Path | str, line: int) -> KnownMotif:
    try:
        pattern_regex(pattern)
    except ValueError as error:
        raise InputError(f"{path}: {name} (line {line}): {error}") from None
    return KnownMotif(name, pattern.strip().removesuffix("."), None)


def _listed(lines: list[str], path: Path | str) -> Iterator[KnownMotif]:
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if words:
            yield _checked(" ".join(words[:-1]) or words[-1], words[-1], path, number)


def _prosite(lines: list[str], path: Path | str) -> MotifsRead:
    found = MotifsRead([], [])
    name, parts, line_of = "", [], 0
    for number, line in enumerate([*lines, "//"], 1):
        code, rest = line[:2], line[5:].strip()
        if code == "ID":
            name = rest.partition(";")[0]
        elif code == "PA":
            parts.append(rest)
            line_of = line_of or number
        elif code == "//":
            if parts:
                found.motifs.append(_checked(name, "".join(parts), path, line_of))
            elif name:
                found.skipped.append(name)
            name, parts, line_of = "", [], 0
    return found


def _meme(lines: list[str], path: Path | str) -> Iterator[KnownMotif]:
    name, alphabet, rows = "", _AMINO_ACIDS, iter(enumerate(lines, 1))
    for number, line in rows:
        if line.startswith("ALPHABET"):
            alphabet = line.partition("=")[2].split("(")[0].strip().strip("'\"").upper()
            if sorted(alphabet) != sorted(_AMINO_ACIDS):
                raise InputError(
                    f"{path} (line {number}): the alphabet is {line.strip()!r}; wanted motifs of "
                    f"proteins, ALPHABET= {_AMINO_ACIDS}"
                )
        elif line.startswith("MOTIF"):
            name = " ".join(line.split()[1:]) or f"line {number}"
        elif found := _MATRIX.match(line.strip()):
            width = re.search(r"\bw=\s*(\d{1,6})", found[1])
            if width is None or not 1 <= int(width[1]) <= LONGEST:
                raise InputError(
                    f"{path}: {name} (line {number}): wanted the width of the matrix, w= 1 to "
                    f"{LONGEST:,}"
                )
            values = [_row(next(rows, (0, "")), name, path) for _ in range(int(width[1]))]
            order = [alphabet.index(letter) for letter in _AMINO_ACIDS]
            yield KnownMotif(name, "", np.array(values)[:, order])


def _row(numbered: tuple[int, str], name: str, path: Path | str) -> np.ndarray:
    number, line = numbered
    try:
        values = np.array([float(word) for word in line.split()])
    except ValueError:
        values = np.empty(0)
    if values.shape != (20,) or not (values >= 0).all() or abs(values.sum() - 1) > 0.02:
        raise InputError(
            f"{path}: {name} (line {number}): {line.strip()[:40]!r} is not a row of a matrix; "
            "wanted 20 frequencies that add up to 1"
        )
    return values / values.sum()
