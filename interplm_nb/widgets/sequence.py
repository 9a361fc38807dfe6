"""A protein's residues shaded by one feature's activation: plain HTML, no script.

Annotations are underlined. Letters, numbers and names come from files; every one is escaped.
"""

from collections.abc import Mapping
from html import escape

import numpy as np
import polars as pl

from interplm_nb.pipeline.dark_page import DARK_PAGE, TURNED
from interplm_nb.widgets.colours import SCALE, category_colours, colour, text_on

PER_LINE = 60

STYLE = (
    f"<style>{DARK_PAGE} :is(.iplm-seq,.iplm-bar[role=img]){{filter:{TURNED}}}"
    """
.iplm-seq{font:13px/1.9 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;
background:#fff;color:#111;padding:6px 8px;overflow-x:auto}
.iplm-seq table{border-collapse:collapse;margin:0}
.iplm-seq td{padding:0 6px 3px 0;text-align:left;white-space:pre;background:#fff;color:#111}
.iplm-seq .n{color:#555;text-align:right;font-size:11px}
.iplm-seq b{font-weight:400;display:inline-block;width:1.05ch;padding:0 .06ch;text-align:center;
border-bottom:3px solid transparent}
.iplm-seq b.g{margin-left:.5ch}
.iplm-seq i{font-style:normal;display:inline-block;margin-right:14px}
.iplm-seq i::before{content:"";display:inline-block;width:14px;height:4px;margin-right:5px;
vertical-align:middle;background:var(--c)}
.iplm-bar{display:inline-block;width:160px;height:11px;vertical-align:middle;margin:0 6px;
border:1px solid #999}
</style>"""
)


def colour_bar() -> str:
    """The colour scale with its unit."""
    gradient = f"background:linear-gradient(90deg,{','.join(SCALE)})"
    bar = f'<span class="iplm-bar" role="img" aria-label="colour scale" style="{gradient}"></span>'
    return f"0 {bar} 1 × maximum"


def sequence_html(
    accession: str,
    sequence: str,
    values: np.ndarray,
    segments: pl.DataFrame,
    window: tuple[int, int] | None = None,
    colours: Mapping[str, str] | None = None,
) -> str:
    """The residues of one protein as HTML.

    Each residue's tooltip gives accession, position, letter, activation and annotations.

    Parameters
    ----------
    accession
        Of the protein.
    sequence
        Its residues.
    values
        float [len(sequence)], unit `max`.
    segments
        Rows of `Annotations.table` of this protein.
    window
        First and last position to show, from 1, both included; default: all.
    colours
        Of the categories, so that several proteins agree.

    Raises
    ------
    ValueError
        `values` and `sequence` differ in length.
    """
    if len(values) != len(sequence):
        raise ValueError(f"{accession}: {len(values)} values for {len(sequence)} residues")
    first, last = window or (1, len(sequence))
    first, last = max(1, first), min(len(sequence), last)
    shown = segments.filter((pl.col("end") >= first) & (pl.col("start") <= last))
    there = sorted(shown["category"].unique())
    colours = {category: (colours or category_colours(there))[category] for category in there}
    marks = _marks(shown, len(sequence))
    lines = [
        _line(accession, sequence, values, marks, colours, start, min(start + PER_LINE - 1, last))
        for start in range(first, last + 1, PER_LINE)
    ]
    legend = "".join(f'<i style="--c:{c}">{escape(name)}</i>' for name, c in colours.items())
    return f'<div class="iplm-seq"><table>{"".join(lines)}</table><div>{legend}</div></div>'


def _marks(segments: pl.DataFrame, length: int) -> list[list[tuple[str, str]]]:
    """The (category, concept) of every segment over each residue, shortest first.

    "any" concepts appear only where nothing more exact lies there.
    """
    marks: list[list[tuple[str, str]]] = [[] for _ in range(length)]
    exact_first = segments.sort(
        pl.col("concept").str.ends_with("_any"),
        pl.col("end") - pl.col("start"),
        "category",
        "concept",
    )
    for concept, category, start, end in exact_first.select(
        "concept", "category", "start", "end"
    ).iter_rows():
        for i in range(start - 1, end):
            if not (concept.endswith("_any") and any(c == category for c, _ in marks[i])):
                marks[i].append((category, concept))
    return marks


def _line(
    accession: str,
    sequence: str,
    values: np.ndarray,
    marks: list,
    colours: dict[str, str],
    start: int,
    end: int,
) -> str:
    letters = "".join(
        _letter(
            accession, p, sequence[p - 1], float(values[p - 1]), marks[p - 1], colours, p > start
        )
        for p in range(start, end + 1)
    )
    return f'<tr><td class="n">{start}</td><td>{letters}</td><td class="n">{end}</td></tr>'


def _letter(
    accession: str,
    position: int,
    letter: str,
    value: float,
    marks: list,
    colours: dict[str, str],
    gap: bool,
) -> str:
    names = "; ".join(name for _, name in marks)
    title = escape(
        f"{accession} {letter}{position}: {value:.2f} of maximum"
        + (f" · {names}" if names else ""),
        quote=True,
    )
    line = f";border-color:{colours[marks[0][0]]}" if marks else ""
    spaced = ' class="g"' if gap and position % 10 == 1 else ""
    style = f"background:{colour(value)};color:{text_on(value)}{line}"
    return f'<b{spaced} style="{style}" title="{title}">{escape(letter)}</b>'
