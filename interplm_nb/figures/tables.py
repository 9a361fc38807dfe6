"""Tables of the lessons: HTML, escaped, and plain text."""

import html
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from interplm_nb.concepts.intervals import COVERS
from interplm_nb.concepts.same_residues import SAME
from interplm_nb.concepts.scored_concepts import FEW_CLUSTERS
from interplm_nb.figures.glossary import words_in
from interplm_nb.figures.not_defined import by_layer, by_source
from interplm_nb.pipeline.text import text_table
from interplm_nb.stages.partial_relatives import COLUMN, NOT_COUNTED

_STYLE = "text-align:left;padding:2px 12px 2px 0"
_NUMBER = "text-align:right;padding:2px 12px 2px 0;font-variant-numeric:tabular-nums"

_EDGE = "grid-area:1/1;justify-self:end;width:20px;pointer-events:none"
_GROUND = "var(--jp-layout-color0,var(--vscode-editor-background,Canvas))"
_SCROLLED = (
    '<div style="display:grid;grid-template-columns:max-content;justify-content:start;'
    'max-width:100%;overflow-x:auto">'
    '<div style="grid-area:1/1;padding-right:20px">{}</div>'
    f'<div style="{_EDGE};position:sticky;right:0;'
    'background:linear-gradient(to left,rgba(110,110,110,.6),transparent)"></div>'
    f'<div style="{_EDGE};z-index:1;background:{_GROUND}"></div></div>'
)
"""A shade stays at the right edge while columns are hidden there; scrolled to the end, or where all
fit, the third part lies over it."""

Cell = Callable[[Any], str]


class Sentence:
    """A line that says why a table would be empty."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.text)}</p>"


class Table:
    """A table as HTML if it can be shown, else as text; everything in it is escaped.

    Parameters
    ----------
    table
        Rows to show.
    caption
        Text above the table.
    names
        Column -> heading.
    cells
        Column -> function that writes a value, as HTML.

    Examples
    --------
    >>> "<td" in Table(pl.DataFrame({"n": [1234]}), "residues", {"n": "count"}).html()
    True
    """

    def __init__(
        self,
        table: pl.DataFrame,
        caption: str = "",
        names: Mapping[str, str] | None = None,
        cells: Mapping[str, Cell] | None = None,
    ) -> None:
        self.table = table
        self.caption = caption
        self.names = dict(names or {})
        self.cells = dict(cells or {})

    def __repr__(self) -> str:
        names = {k: v for k, v in self.names.items() if k in self.table.columns}
        return f"{self.caption}\n{text_table(self.table.rename(names))}".strip()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": repr(self)}

    def html(self) -> str:
        """The table as HTML."""
        headings = [self.names.get(c, c) for c in self.table.columns]
        head = "".join(
            f'<th style="{self._style(c)}">{html.escape(heading)}</th>'
            for c, heading in zip(self.table.columns, headings, strict=True)
        )
        body = "".join(
            f"<tr>{''.join(self._cell(c, v) for c, v in row.items())}</tr>"
            for row in self.table.iter_rows(named=True)
        )
        caption = (
            '<caption style="caption-side:top;text-align:left">'
            f"{html.escape(self.caption)}</caption>"
            if self.caption
            else ""
        )
        table = f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        texts = [v for c in self.table.columns for v in _texts(self.table[c])]
        return _SCROLLED.format(table) + words_in(self.caption, *headings, *texts).html()

    def _style(self, column: str) -> str:
        return _NUMBER if self.table.schema[column].is_numeric() else _STYLE

    def _cell(self, column: str, value: Any) -> str:
        shown = (
            self.cells[column](value)
            if column in self.cells and value is not None
            else html.escape(plain(value))
        )
        return f'<td style="{self._style(column)}">{shown}</td>'


def _texts(column: pl.Series) -> list[str]:
    """The different texts of a column; none of a column of numbers."""
    return column.drop_nulls().unique().to_list() if column.dtype == pl.String else []


def plain(value: Any) -> str:
    """A value as people write it.

    Examples
    --------
    >>> plain(1234), plain(0.12345), plain(None)
    ('1,234', '0.123', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:,.3f}"
        if abs(value) < 100
        else f"{value:,.0f}"
    )


def read_report(read: pl.DataFrame | None) -> "Table | Sentence":
    """What was left out or changed while reading, by reason; None: a run that does not keep it."""
    if read is None:
        return Sentence("This run does not keep what reading left out or changed.")
    examples = pl.col("records").list.head(3).list.join(", ").str.slice(0, 60)
    table = read.select("reason", "n", examples.alias("such as"))
    return Table(
        table,
        "what reading left out or changed" if table.height else "nothing was left out or changed",
    )


def shares(table: pl.DataFrame) -> Table:
    """Proteins and residues of each split."""
    return Table(
        table,
        "splits, by homology cluster",
        {
            "n_proteins": "proteins",
            "n_residues": "residues",
            "partial_relatives": "proteins with a partial relative in train",
        },
    )


def comparison(table: pl.DataFrame, convention: str = "strict") -> Table:
    """The sources side by side, with what is found with support and without."""
    part = table.filter(pl.col("convention") == convention)
    columns = [
        "source",
        "n_concepts",
        "mean_f1_per_domain",
        "low",
        "high",
        "seeds",
        "lowest_seed",
        "highest_seed",
        "mean_f1",
        "mean_auprc",
        "concepts_above_chance",
    ]
    columns += ["features_found", "concepts_found"]
    columns += ["features_found_by_f1_alone", "concepts_found_by_f1_alone", "note"]
    apart = COLUMN in part.columns and not part[COLUMN].is_null().all()
    if apart:
        columns.insert(columns.index("mean_f1"), COLUMN)
    names = {
        "n_concepts": "concepts",
        "mean_f1_per_domain": "mean best F1",
        "low": f"{COVERS}: from",
        "high": "to",
        "lowest_seed": "lowest of the seeds",
        "highest_seed": "highest",
        COLUMN: "the same without partial relatives of train",
        "mean_f1": "the same by residues",
        "mean_auprc": "mean AUPRC",
        "concepts_above_chance": "concepts above chance (q < 0.05)",
        "features_found": "features found",
        "concepts_found": "concepts found",
        "features_found_by_f1_alone": "features by F1 > 0.5 alone",
        "concepts_found_by_f1_alone": "concepts by F1 > 0.5 alone",
    }
    columns = [c for c in columns if c in part.columns and not part[c].is_null().all()]
    lacking = "" if apart or convention != "strict" or part.is_empty() else f"; {NOT_COUNTED}"
    return Table(part.select(columns), _scored_on(part, convention) + lacking, names)


def _scored_on(part: pl.DataFrame, convention: str) -> str:
    """Which concepts a comparison is over, and how many rest on few families."""
    if part.is_empty():
        return f"{convention}: no concept is scored"
    words = f"{convention}: concepts with {part['concepts_scored'][0]}"
    few = part["n_few_clusters"][0]
    if few is None:
        return words
    return f"{words}; {few} of {part['n_concepts'][0]} rest on fewer than {FEW_CLUSTERS} clusters"


def counted_once(scored: pl.DataFrame, convention: str = "strict") -> "Table | Sentence":
    """The concepts that are on the residues of another one, and the name they are counted under.

    scored: the table of that name of stage `concepts`.
    """
    others = scored.filter(
        pl.col("convention") == convention, pl.col("concept") != pl.col("counted_under")
    )
    if others.is_empty():
        return Sentence("No two of the scored concepts are on the same residues.")
    return Table(
        others.select("concept", "counted_under", "n_instances", "n_clusters"),
        f"concepts on the same residues as another (Jaccard index above {SAME:g}): counted once",
        {
            "counted_under": "counted under",
            "n_instances": "instances on test",
            "n_clusters": "in homology clusters",
        },
    )


def best_features(
    best: pl.DataFrame, source: str = "sae", convention: str = "strict", n: int = 25
) -> Table:
    """The best feature of each concept.

    Features link to their anchors `feature-N` in the same notebook (`FeaturePages.gallery_html`).
    """
    part = best.filter(pl.col("source") == source, pl.col("convention") == convention).head(n)
    columns = [
        "concept",
        "feature",
        "threshold",
        "validation_f1_per_domain",
        "precision",
        "recall_per_domain",
        "f1_per_domain",
        "low",
        "high",
        "recall_upper_bound",
    ]
    columns += [
        "shifted_f1_per_domain",
        "exchanged_f1_per_domain",
        "q_value",
        "auprc",
        "prevalence",
        "n_instances",
    ]
    names = {
        "validation_f1_per_domain": "F1 on validation",
        "recall_per_domain": "recall (instances)",
        "f1_per_domain": "F1 on test",
        "low": "95 % from",
        "high": "to",
        "recall_upper_bound": "recall at most, where F1 is 0",
        "shifted_f1_per_domain": "F1 by chance: shifted",
        "exchanged_f1_per_domain": "exchanged",
        "q_value": "q",
        "auprc": "AUPRC",
        "n_instances": "instances on test",
    }
    link = {"feature": lambda f: f'<a href="#feature-{int(f)}">f/{int(f)}</a>'}
    return Table(
        part.select(columns),
        f"best feature of {source} for each concept ({convention}), chosen on validation, "
        "figures from test",
        names,
        link,
    )


def fidelity(table: pl.DataFrame, why_absent: str = "") -> "Table | Sentence":
    """What the PLM's predictions lose when an SAE replaces its layer, or why that is unknown."""
    if table.is_empty():
        return Sentence(why_absent)
    columns = [
        "source",
        "measure",
        "n_residues",
        "ce_original",
        "ce_sae",
        "ce_zero",
        "loss_recovered",
        "loss_recovered_low",
        "loss_recovered_high",
        "kl",
    ]
    names = {
        "n_residues": "residues",
        "ce_original": "ce as it is",
        "ce_sae": "ce with the SAE",
        "ce_zero": "ce with zeros",
        "loss_recovered": "loss recovered",
        "loss_recovered_low": "95 % from",
        "loss_recovered_high": "to",
        "kl": "KL",
    }
    caption = (
        "predictions of the PLM, cross entropy in nats per residue; the interval is over "
        f"{table['n_proteins'].max()} validation proteins, for one seed of the SAE"
    )
    return Table(table.select(columns), ". ".join([caption, *by_source(table)]), names)


_MEASURED = {
    "loss_recovered_strict": "loss recovered, masked",
    "loss_recovered_low_strict": "95 % from, masked",
    "loss_recovered_high_strict": "to, masked",
    "loss_recovered_including_masked": "including masked positions",
    "loss_recovered_published": "not masked",
    "loss_recovered_recurrence": "loss recovered, in the recurrence",
    "loss_recovered_low_recurrence": "95 % from, in the recurrence",
    "loss_recovered_high_recurrence": "to, in the recurrence",
    "loss_recovered_output": "loss recovered, output replaced",
    "loss_recovered_low_output": "95 % from, output replaced",
    "loss_recovered_high_output": "to, output replaced",
    "kl_strict": "KL, masked (nats)",
    "kl_recurrence": "KL, in the recurrence (nats)",
    "kl_output": "KL, output replaced (nats)",
}
"""Columns of fidelity, shown if the table's PLMs have them."""


def compared(table: pl.DataFrame) -> Table:
    """The SAEs of stage `compare` with their controls, the chosen ones marked."""
    columns = [
        "layer",
        "recipe",
        "sparsity",
        "learning rate",
        "seed",
        "l0",
        "fvu",
    ]
    measured = {c: name for c, name in _MEASURED.items() if table[c].null_count() < table.height}
    columns += [*measured, "silent", "rare", "effective", "moved"]
    columns += ["f1_tuning", "mean_f1_per_domain", "concepts_found", "seconds"]
    names = {
        "l0": "L0",
        "fvu": "FVU",
        **measured,
        "silent": "silent features",
        "moved": "atoms moved (share)",
        "f1_tuning": "F1 (tuning)",
        "mean_f1_per_domain": "F1 (test)",
        "concepts_found": "concepts with F1 > 0.5 on both",
    }
    chosen = pl.when("chosen").then(pl.lit("chosen")).otherwise(pl.lit("")).alias("by F1 (tuning)")
    scored = (
        f"{table['concepts_tuning'].max() or 0} concepts on the tuning part, "
        f"{table['concepts_test'].max() or 0} on test"
    )
    rates = pl.Series(
        "learning rate",
        [None if lr is None else f"{lr:.2g}" for lr in table["lr"]],
        dtype=pl.String,
    )
    caption = ". ".join([f"scored: {scored}", *by_layer(table)])
    return Table(table.with_columns(rates).select(chosen, *columns), caption, names)
