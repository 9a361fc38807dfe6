"""Tables as TSV that a spreadsheet may open: no cell runs as a formula, none breaks its row."""

import re
from pathlib import Path

import polars as pl

from interplm_nb.plain_text import plain_cell
from interplm_nb.saving import atomic_path

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?")


def defused(text: str) -> str:
    """The text of a cell, led by an apostrophe where a spreadsheet would take it for a formula.

    Examples
    --------
    >>> defused("=1+1"), defused("-1.5"), defused("-alpha"), defused("'=1")
    ("'=1+1", '-1.5', "'-alpha", "''=1")
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def undefused(text: str) -> str:
    """What `defused` was given.

    Examples
    --------
    >>> undefused(defused("=1+1")), undefused("'tis")
    ('=1+1', "'tis")
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text[1:]) else text


def tsv(table: pl.DataFrame, decimals: int = 4) -> str:
    r"""A table as TSV with a line of column names; its texts are `defused` and plain.

    Examples
    --------
    >>> tsv(pl.DataFrame({"concept": ["=cmd", "Helix"], "f1": [0.5, -1.5]})).splitlines()
    ['concept\tf1', "'=cmd\t0.5000", 'Helix\t-1.5000']
    """
    texts = pl.col(pl.String).map_elements(_cell, return_dtype=pl.String, skip_nulls=True)
    shown = table.with_columns(texts).rename(_cell)
    return shown.write_csv(separator="\t", float_precision=decimals)


def write_tsv(table: pl.DataFrame, path: Path, decimals: int = 4) -> None:
    """Write a table as `tsv` gives it, atomically."""
    with atomic_path(path) as draft:
        draft.write_text(tsv(table, decimals), encoding="utf-8", newline="\n")


def _cell(text: str) -> str:
    return plain_cell(defused(text))
