"""Words of tables and figures, explained where they are used: the text of `docs/glossary.md`."""

import html
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from interplm_nb.pipeline.errors import PipelineError

_PAGE = "glossary.md"
_SUMMARY = "What the words mean"


class Entry(NamedTuple):
    """One word of the glossary."""

    term: str
    also: tuple[str, ...]
    text: str
    """Markdown, with its source."""


class Glossary:
    """Some entries, shown as HTML where that can be shown, else as text."""

    def __init__(self, entries: Iterable[Entry], folded: bool = False) -> None:
        self.entries = list(entries)
        self.folded = folded

    def __repr__(self) -> str:
        return "\n\n".join(f"{entry.term}: {_plain(entry.text)}" for entry in self.entries)

    def _repr_html_(self) -> str:
        return self.html()

    def html(self) -> str:
        """A list of terms; folded, behind one line to click."""
        listed = "".join(
            f"<dt><b>{html.escape(entry.term)}</b></dt>"
            f'<dd style="margin:0 0 6px 16px">{_marked(entry.text)}</dd>'
            for entry in self.entries
        )
        text = f'<dl style="max-width:44em;margin:4px 0">{listed}</dl>'
        if not self.folded or not listed:
            return text if listed else ""
        names = ", ".join(entry.term for entry in self.entries)
        return (
            f'<details style="font-weight:normal"><summary>{_SUMMARY} ({html.escape(names)})'
            f"</summary>{text}</details>"
        )


def glossary(*terms: str) -> Glossary:
    """What a word of a table or a figure means; all of them without a term. Reads no network.

    KeyError for a word that the glossary lacks, with the nearest ones.

    Examples
    --------
    >>> print(glossary("L0"))
    L0: How many features are active on a residue, on average. Fewer is sparser. Source: \
sae/evaluation/quality.py.
    """
    known = entries()
    if not terms:
        return Glossary(known)
    by_name = {name.lower(): entry for entry in known for name in (entry.term, *entry.also)}
    for term in terms:
        if term.lower() not in by_name:
            from difflib import get_close_matches

            near = [by_name[name].term for name in get_close_matches(term.lower(), by_name, 3)]
            words = ", ".join(dict.fromkeys(near or [entry.term for entry in known]))
            raise KeyError(f"no {term!r} in the glossary; the nearest: {words}")
    return Glossary(dict.fromkeys(by_name[term.lower()] for term in terms))


def words_in(*texts: str) -> Glossary:
    """The entries whose words occur in texts, folded: shown next to a table or a figure."""
    text = "\n".join(texts)
    return Glossary((e for e in entries() if _pattern(e).search(text)), folded=True)


@cache
def entries() -> tuple[Entry, ...]:
    """All entries, in the order of the page. PipelineError where the page is missing."""
    package = Path(__file__).resolve().parents[1]
    for path in (package / _PAGE, package.parent / "docs" / _PAGE):
        if path.is_file():
            return tuple(_entry(part) for part in path.read_text("utf-8").split("\n### ")[1:])
    raise PipelineError(f"{_PAGE} is missing; install interplm-nb again")


def _entry(part: str) -> Entry:
    term, _, body = part.partition("\n")
    first, _, rest = body.partition("\n")
    also = first.startswith("*Also:* ")
    names = tuple(first.removeprefix("*Also:* ").split(", ")) if also else ()
    text = " ".join((rest if also else body).split())
    return Entry(term, names, text)


@cache
def _pattern(entry: Entry) -> re.Pattern[str]:
    """Matches one of the entry's names as a word; names of capitals only as they are written."""
    names = [
        ("" if name.startswith("_") else "(?<![A-Za-z0-9])")
        + (re.escape(name) if any(c.isupper() for c in name) else f"(?i:{re.escape(name)})")
        for name in sorted((entry.term, *entry.also), key=len, reverse=True)
    ]
    return re.compile(f"(?:{'|'.join(names)})(?![A-Za-z0-9])")


def _plain(text: str) -> str:
    return re.sub(r"\*\*?|`", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text))


def _marked(text: str) -> str:
    marked = html.escape(re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text))
    marked = re.sub(r"`([^`]*)`", r"<code>\1</code>", marked)
    return re.sub(r"\*([^*]+)\*", r"<em>\1</em>", marked)
