"""Delimited text, as programs and spreadsheets write it: the one place that makes cells of lines.

Cells are separated by tabs, commas or semicolons; the columns that a reader wants tell which. A
cell may be quoted, with quotation marks doubled inside. Outside that, a quotation mark is text: a
UniProt download quotes nothing, and its cells are full of them.
"""

import math
import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from interplm_nb.readers.report import InputError, ReadReport

_SEPARATORS = "\t,;"
_MOST_LINES_OF_A_CELL = 100
_LONGEST_CELL = 32_767
"""Characters: Excel cuts off what is longer."""

_TAB_QUOTED = re.compile(r'"([^"\t]*(?:""[^"\t]*)*)"')
_QUOTED = re.compile(r'"([^"]*(?:""[^"]*)*)"')
_SEPARATOR_LINE = re.compile(r'"?sep=.?"?')
"""Excel's own first line, which names the separator."""

_WHOLE = re.compile(r"(-?[0-9]{1,18})(?:[.,](?:0{1,2}|0{4,}))?")
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DATE = re.compile(rf"[0-9]{{1,2}}-{_MONTH}(?:-[0-9]{{2,4}})?|{_MONTH}-[0-9]{{2}}")
_ERROR_VALUE = re.compile(r"#(?:NAME\?|REF!|VALUE!|DIV/0!|N/A|NUM!|NULL!|SPILL!|#+)")


class Delimited(NamedTuple):
    """Column names as written, and for each row its line and a cell per column."""

    names: list[str]
    rows: Iterator[tuple[int, list[str]]]


def delimited(
    text: Iterable[str], columns: Collection[str], needed: Sequence[str], report: ReadReport
) -> Delimited:
    """Read lines of delimited text.

    Parameters
    ----------
    text
        Lines; the first that is not blank names the columns.
    columns
        The columns to be read, in lower case, in which names are compared: by them the separator is
        recognised, and none may be there twice.
    needed
        Those of them that have a cell in every row; the first names the row. Check that `names` has
        them before the first row is taken. Cells of others may be missing at the end of a row:
        spreadsheets cut empty ones off.
    report
        Takes the rows that cannot be read.

    Examples
    --------
    >>> report = ReadReport("mine.csv")
    >>> lines = ["Accession;Note\\n", 'P1;"a ""b""; c"\\n', "P2\\n"]
    >>> names, rows = delimited(lines, ["accession", "note"], ["accession"], report)
    >>> list(rows)
    [(2, ['P1', 'a "b"; c']), (3, ['P2', ''])]
    """
    lines = _Lines(text)
    names, separator = _header(lines, columns, report)
    refuse_repeated(names, columns, report)
    return Delimited(names, _rows(lines, names, separator, needed, report))


def column_names(start: str) -> list[str]:
    """Names of the columns of the table that begins so; [] for other text."""
    report = ReadReport("the first line")
    try:
        return _header(_Lines(start.splitlines()), (), report).names
    except InputError:
        return []


def refuse_repeated(names: Sequence[str], columns: Collection[str], report: ReadReport) -> None:
    """`InputError` for one of these columns that is there twice."""
    lower = [name.lower() for name in names]
    repeated = [name for name in columns if lower.count(name) > 1]
    if repeated:
        raise InputError(
            f"{report.file}: two columns are named {repeated[0]!r}; remove or rename one of them"
        )


def split_line(line: str, separator: str) -> list[str] | None:
    """The cells of a line without its end; None where a quoted cell is not closed.

    A cell that begins with a quotation mark but is not quoted, such as `"a" or "b"` between tabs,
    is text as it is.

    Examples
    --------
    >>> split_line('P1\\t"a ""b"" c"\\t5" wide', "\\t")
    ['P1', 'a "b" c', '5" wide']
    """
    if f'{separator}"' not in line and not line.startswith('"'):
        return line.split(separator)
    quoted = _TAB_QUOTED if separator == "\t" else _QUOTED
    cells: list[str] = []
    start = 0
    while start <= len(line):
        match = quoted.match(line, start)
        if match and (match.end() == len(line) or line.startswith(separator, match.end())):
            cells.append(match[1].replace('""', '"'))
            start = match.end() + 1
            continue
        end = line.find(separator, start)
        cell = line[start:] if end < 0 else line[start:end]
        if cell.startswith('"') and (separator != "\t" or cell.count('"') % 2):
            return None
        cells.append(cell)
        start += len(cell) + 1
    return cells


def whole(cell: str) -> int | None:
    """The whole number in a cell, also one written `5.0` or `5,00`; None for anything else.

    `1,022` and `5.000` may be read in two ways, so they are None.
    """
    match = _WHOLE.fullmatch(cell)
    return int(match[1]) if match else None


def number(cell: str) -> float:
    """The finite number in a cell; NaN for anything else, such as Python's own `1_000`.

    >>> number("-3e1"), number("1_000"), number("inf")
    (-30.0, nan, nan)
    """
    if "_" in cell:
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def spoilt(cell: str) -> str | None:
    """What a spreadsheet put in the place of the text: a date or an error value; else None.

    Examples
    --------
    >>> spoilt("1-Mar"), spoilt("#NAME?"), spoilt("MARCH1")
    ('a date that a spreadsheet made', 'an error value of a spreadsheet', None)
    """
    if _DATE.fullmatch(cell):
        return "a date that a spreadsheet made"
    return "an error value of a spreadsheet" if _ERROR_VALUE.fullmatch(cell) else None


class _Lines:
    """Lines with their numbers; lines that were looked at can be given back."""

    def __init__(self, text: Iterable[str]) -> None:
        self._text = enumerate(text, 1)
        self._back: deque[tuple[int, str]] = deque()
        self.ended = True
        """Whether the line given last has a line end: without one the file may be cut off there."""

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> tuple[int, str]:
        number, line = self._back.popleft() if self._back else next(self._text)
        self.ended = line.endswith(("\n", "\r"))
        return number, line

    def give_back(self, lines: list[tuple[int, str]]) -> None:
        """Let these numbered lines come next again."""
        self._back.extendleft(reversed(lines))


class _Header(NamedTuple):
    names: list[str]
    separator: str


def _header(lines: _Lines, columns: Collection[str], report: ReadReport) -> _Header:
    """The first line that is not blank, split as fits the wanted columns best."""
    for number, line in lines:
        line = line.strip("\r\n")
        if not line.strip() or _SEPARATOR_LINE.fullmatch(line.rstrip(",;\t")):
            continue
        found = {
            separator: [cell.strip() for cell in cells]
            for separator in _SEPARATORS
            if (cells := split_line(line, separator)) is not None
        }
        if not found:
            raise InputError(
                f"{report.file} (line {number}): a quotation mark is not closed in the names of "
                f"the columns, {line[:60]!r}; close it, and write each name on one line"
            )
        wanted = {s: {*columns} & {name.lower() for name in names} for s, names in found.items()}
        best = max(found, key=lambda s: (len(wanted[s]), len(found[s])))
        return _Header(found[best], best)
    return _Header([], "\t")


def _rows(
    lines: _Lines, names: list[str], separator: str, needed: Sequence[str], report: ReadReport
) -> Iterator[tuple[int, list[str]]]:
    lower = [name.lower() for name in names]
    width, first = len(names), lower.index(needed[0])
    least = max(map(lower.index, needed)) + 1
    for number, line in lines:
        cells = split_line(line.rstrip("\r\n"), separator) or _over_lines(line, lines, separator)
        if cells is None:
            report.reject(
                "quotation mark not closed",
                line.split(separator)[0].strip('"\r\n') or f"line {number}",
                repr(line.strip()[-60:]),
                "close it, or double it where it belongs to the text",
                number,
            )
            continue
        if not any(map(str.strip, cells)):
            continue
        if [cell.strip() for cell in cells[:width]] == names:
            report.note("names of the columns again, left out", f"line {number}", "tables joined?")
            continue
        if not any(map(str.strip, cells[width:])):
            del cells[width:]
        n = len(cells)
        record = (cells[first].strip() if first < n else "") or f"line {number}"
        if n > width or (n < width and (n < least or not lines.ended)):
            detail, wanted = f"{n} cells", f"every row has the {width} cells of the first line"
            report.reject("row of another width", record, detail, wanted, number)
        elif _LONGEST_CELL in map(len, cells):
            report.reject(
                "cell cut off by a spreadsheet",
                record,
                f"a cell of {_LONGEST_CELL:,} characters, the most that Excel keeps",
                "take this row from the file as it was before",
                number,
            )
        else:
            if any(names[n:]):
                report.note("cells missing at the end, read as empty", record, f"{n} of {width}")
            yield number, cells + [""] * (width - n)


def _over_lines(line: str, lines: _Lines, separator: str) -> list[str] | None:
    """The cells of a row with a line end in a quoted cell, as a space; None if it is not closed.

    Of the following lines such a cell takes only text without a separator: a mark that was
    forgotten never swallows rows.
    """
    joined, looked = line.rstrip("\r\n"), []
    for number, following in islice(lines, _MOST_LINES_OF_A_CELL):
        looked.append((number, following))
        following = following.rstrip("\r\n")
        joined = f"{joined} {following}"
        if separator in following.partition('"')[0]:
            break
        cells = split_line(joined, separator)
        if cells is not None:
            return cells
        if separator in following:
            break
    lines.give_back(looked)
    return None
