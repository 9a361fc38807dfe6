"""All features of a source, one per row: searched, sorted, filtered, selected."""

from typing import TYPE_CHECKING, Any

import polars as pl
import traitlets as t

from interplm_nb.features.statistics import MARKED_NEAR_ENDS, NEAR_END
from interplm_nb.questions.feature_tables import OF_STATISTICS
from interplm_nb.shortened import shortened
from interplm_nb.widgets.common_features import COMMON
from interplm_nb.widgets.concept_names import concept_name
from interplm_nb.widgets.print_style import blank
from interplm_nb.widgets.selection import Selection
from interplm_nb.widgets.view import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PRINTED = 15
"""Rows of the table for print."""

_COLUMNS: dict[str, tuple[str, float, str]] = {
    "feature": ("feature", 0.6, "d"),
    "members": ("in chosen", 0.75, "d"),
    "background_share": ("in others", 0.75, "%"),
    "q_count": ("q", 0.6, ".2g"),
    "concept": ("concept", 2.2, ""),
    "enrichment": ("enriched", 0.65, ",d"),
    "share_here": ("here", 0.6, "%"),
    "share_background": ("background", 0.8, "%"),
    "q_enrichment": ("q", 0.6, ".1e"),
    "rank": ("rank", 0.5, "d"),
    "note": ("a person's note", 2.4, ""),
    "description": ("description", 2.8, ""),
    "described_by": ("described by", 1.0, ""),
    "description_r": ("r", 0.5, ".2f"),
    "comment": ("comment", 2.4, ""),
    "category": ("category", 1.3, ""),
    "validation_f1_per_domain": ("F1 validation", 0.85, ".2f"),
    "f1_per_domain": ("F1 test", 0.85, ".2f"),
    "density": ("density", 0.75, "%"),
    "n_proteins": ("proteins", 0.65, ",d"),
    "share_near_ends": ("near ends", 0.7, "%"),
    "maximum": ("maximum", 0.7, ".1f"),
    "cluster": ("cluster", 0.6, "d"),
    "density_class": ("class", 0.7, ""),
    "protein_frequency": ("of proteins", 0.8, "%"),
    "share_when_present": ("of a protein", 0.85, "%"),
    "quantile_50": ("median", 0.65, ".2f"),
    "quantile_95": ("95 %", 0.55, ".2f"),
    "protein_entropy": ("protein bits", 0.8, ".1f"),
    "amino_acid_entropy": ("letter entropy", 0.9, ".2f"),
    "amino_acid_information": ("letter bits", 0.75, ".2f"),
    "top_amino_acid": ("letter", 0.5, ""),
    "position_bias": ("position bias", 0.85, ".2f"),
    "shape": ("shape", 0.95, ""),
    "mean_run": ("run", 0.5, ".1f"),
    "longest_run": ("longest run", 0.8, "d"),
    "period": ("period", 0.55, "d"),
    "motif_information": ("motif bits", 0.75, ".1f"),
    "motif_pattern": ("motif", 1.8, ""),
}
"""Columns for print: heading, width in inches, number format ("%": percent, two digits)."""

_ALWAYS = ("feature", "concept", *COMMON)

_HIDDEN = (
    *("described_by", "description_r", "comment", *OF_STATISTICS),
    *("motif_information", "motif_pattern"),
)
"""Columns that are shown once they are chosen."""

_MANY = 0.25
"""Share of the features that fire from which on descriptions have their own column."""

TIES = {"rank": "validation_f1_per_domain", "p_count": "share"}
"""What orders the rows that a column does not."""

_OF_LOOKED = ("enrichment", "share_here")
"""Columns that order the features of looked-at proteins, with a background and without."""

_BARS = ("validation_f1_per_domain", "f1_per_domain")


class FeatureTable(View):
    """The features that the selection lists, each with the pair for which it is listed.

    A search, a category and a minimum F1 look at every scored pair of a feature and a concept, and
    a search at descriptions, motifs, notes and the proteins too (`Selection.listed`). Press a
    heading to sort, a row to select its feature, or use the arrow keys; `/` searches. In every view
    `[` and `]` step through the table's order.
    """

    code_name = "feature_table"

    sort = t.Unicode(
        "",
        help="the column that orders the rows; empty: by p_count where proteins are chosen, else "
        "by F1 on validation where concepts are searched, else by enrichment where proteins were "
        "looked at, else by rank: the best feature of each concept, then the second best of each",
    ).tag(sync=True)
    columns = t.List(
        t.Unicode(),
        help="the columns that are shown besides feature, concept and those of chosen proteins",
    ).tag(sync=True)
    descending = t.Bool(True, help="from the highest; of no account without `sort`").tag(sync=True)
    height = t.Int(340, min=100, help="height of the list in CSS pixels").tag(sync=True)

    @t.validate("sort")
    def _a_column(self, proposal: Any) -> str:
        columns = [*self.data.features.columns, "rank", *COMMON]
        if proposal["value"] and proposal["value"] not in columns:
            raise t.TraitError(
                f"cannot sort by {proposal['value']!r}; the columns are {', '.join(columns)}"
            )
        return proposal["value"]

    @t.default("columns")
    def _few(self) -> list[str]:
        few = [name for name in _COLUMNS if name not in (*_ALWAYS, *_HIDDEN, "description")]
        table = self.data.features
        alive = table.filter(pl.col("maximum") > 0)
        if "description" in table.columns and alive.height:
            described = alive["description"].is_not_null().mean()
            if described >= _MANY:
                few.insert(few.index("note") + 1, "description")
        return few

    @t.validate("columns")
    def _known(self, proposal: Any) -> list[str]:
        can = [name for name in _COLUMNS if name not in _ALWAYS]
        if strange := [name for name in proposal["value"] if name not in can]:
            raise t.TraitError(
                f"cannot show {', '.join(map(repr, strange))}; the columns are {', '.join(can)}"
            )
        return list(proposal["value"])

    def order(self) -> tuple[str, bool]:
        """The column that orders the rows, and whether from the highest."""
        chosen: Selection = self.selection
        has_common = bool(chosen.accessions) and self.data.fires is not None
        if self.sort and (has_common or self.sort not in COMMON):
            return self.sort, self.descending
        if has_common:
            return "p_count", False
        if any(chosen.listed.get(name) for name in ("search", "category")):
            return "validation_f1_per_domain", True
        columns = self.data.features.columns
        by = next((name for name in _OF_LOOKED if name in columns), "rank")
        return by, by == "share_here"

    def rows(self) -> pl.DataFrame:
        """The features that the selection lists, in the table's order: see `FeatureData.listed`.

        The sort is stable; missing values come last. A rank that several features share is ordered
        by F1 on validation, a p by the share of the chosen proteins.
        """
        name, descending = self.order()
        shown = self.data.listed(self.selection, by_rank=name == "rank")
        by, ways = [name], [descending]
        if name in TIES:
            by, ways = [name, TIES[name]], [descending, not descending]
        return shown.sort(
            [
                pl.col(c).cast(pl.Float32) if shown.schema[c].is_float() and c not in COMMON else c
                for c in by
            ],
            descending=ways,
            nulls_last=True,
            maintain_order=True,
        )

    def figure(self) -> "Figure":
        """The first rows of the table for print: see `View.figure`."""
        rows = self.rows()
        shown = rows.head(PRINTED)
        wanted = {*_ALWAYS, *self.columns}
        columns = [name for name in _COLUMNS if name in wanted and name in shown.columns]
        width = sum(_COLUMNS[name][1] for name in columns)
        figure = blank(width, 0.2 * max(1, shown.height) + 0.75)
        axes = figure.add_subplot()
        axes.set(xlim=(0, width), ylim=(shown.height + 0.2, -1.2))
        axes.axis("off")
        axes.axhline(-0.45, color="#1a1a1a", linewidth=0.6)
        left = 0.0
        if "concept" in columns:
            names = map(
                concept_name, shown["concept"].fill_null(""), shown["category"].fill_null("")
            )
            shown = shown.with_columns(
                concept=pl.Series([name or None for name in names], dtype=pl.String)
            )
        for name in columns:
            _column(axes, shown[name], left)
            left += _COLUMNS[name][1]
        axes.set_title(
            self._caption(shown.height, rows.height), fontsize=8, loc="left", parse_math=False
        )
        return self.signed(figure)

    def _caption(self, shown: int, n: int) -> str:
        pages = self.data.pages
        name, descending = self.order()
        end = "highest" if descending else "lowest"
        order = f"by {_COLUMNS.get(name, (name,))[0]}, from the {end}"
        here = f"{pages.activations.n_residues:,} residues of {len(pages.proteins):,} proteins"
        over = (
            "all proteins of the whole run" if "n_proteins" in self.data.features.columns else here
        )  # a run without a map counts what it holds
        named_by = self.data.about["named_by"]
        names = f" Names, F1 and maximum are of run {named_by}." if named_by else ""
        return (
            f"Features of {pages.source}, {order}: {shown} of {n:,}.{names}\n"
            f"Density over {over}; maximum on training proteins.{self._ends()}"
        )

    def _ends(self) -> str:
        """What the column "near ends" counts, where there is one."""
        if "share_near_ends" not in self.data.features.columns:
            return ""
        return (
            f"\nNear ends: share of its maxima within {NEAR_END} residues of an end of the protein,"
            f" bold above {100 * MARKED_NEAR_ENDS:.0f} %."
        )


def _column(axes: "Axes", values: pl.Series, left: float) -> None:
    """One column of the printed table, from `left` (inches); F1 also as bars from 0 to 1."""
    label, width, form = _COLUMNS[values.name]
    numeric = bool(form) and values.name not in _BARS
    place, side = (left + width - 0.12, "right") if numeric else (left, "left")
    axes.text(place, -0.8, label, ha=side, va="center", fontsize=7, color="#565656")
    for i, value in enumerate(values):
        if value is None or (values.name == "cluster" and value < 0):
            text = "–"
        else:
            text = (
                f"{100 * value:.{2 if value < 0.995 else 3}g} %"
                if form == "%"
                else format(value, form)
                if form
                else shortened(value, 34)
            )
            if values.name in _BARS:
                axes.barh(i, width - 0.45, 0.4, left + 0.3, color="#f1f1f1")
                axes.barh(i, (width - 0.45) * min(1, value), 0.4, left + 0.3, color="#2f75b0")
        marked = values.name == "share_near_ends" and (value or 0) > MARKED_NEAR_ENDS
        weight = "bold" if marked else "normal"
        axes.text(place, i, text, ha=side, va="center", fontsize=7, parse_math=False, weight=weight)
