r"""Text from files and databases, made harmless for a terminal, a table and a log.

A name may hold an escape sequence that a terminal obeys, a mark that turns the direction of
writing, or a line end that forges a line. Each such character is written as JSON writes it, such as
`\u001b`, so that it is seen and a JSON text keeps its meaning.
"""

import re
from typing import Any, TextIO

_CONTROL = re.compile(
    # C0 without tab and line feed, DEL and C1, Arabic letter mark, zero width and direction marks,
    # line and paragraph separators, embeddings, overrides and isolates, BOM, interlinear
    # annotations, surrogates that encode bytes of a file name, and tags
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_PROGRESS = ("\r", "\x1b[A")
"""What a progress bar writes: to the start of its line, and to the bar above."""
_IN_CELL = re.compile(f"[\t\n]|{_CONTROL.pattern}")


def plain(text: str) -> str:
    r"""`text` with its control and direction characters written out; tabs and line feeds stay.

    Examples
    --------
    >>> print(plain("P1\x1b[2J\u202e"))
    P1\u001b[2J\u202e
    """
    return _CONTROL.sub(_written_out, text)


def plain_cell(text: str) -> str:
    r"""`plain`, with tabs and line feeds written out too: text in one cell of a table.

    Examples
    --------
    >>> print(plain_cell("two\nlines"))
    two\u000alines
    """
    return _IN_CELL.sub(_written_out, text)


def _written_out(found: re.Match) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(rf"\u{units[i : i + 4]}" for i in range(0, len(units), 4))


class PlainStream:
    """A stream for people: what is written to it comes out `plain`, progress bars as they are."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `plain(text)`; returns the length of `text`."""
        parts = re.split(f"({'|'.join(map(re.escape, _PROGRESS))})", text)
        self._stream.write("".join(p if p in _PROGRESS else plain(p) for p in parts))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write each line, plain."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
