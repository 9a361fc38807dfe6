"""All features of a source, one per row: searched, sorted, filtered, selected."""

from typing import TYPE_CHECKING, Any

import polars as pl
import traitlets as t

from interplm_nb.features.statistics import MARKED_NEAR_ENDS, NEAR_END
from interplm_nb.widgets import assets
from interplm_nb.widgets.print_style import blank
from interplm_nb.widgets.view import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PRINTED = 15
"""Rows of the table for print."""

_COLUMNS: dict[str, tuple[str, float, str]] = {
    "feature": ("feature", 0.6, "d"),
    "concept": ("best concept", 2.2, ""),
    "category": ("category", 1.3, ""),
    "validation_f1_per_domain": ("F1 validation", 0.85, ".2f"),
    "f1_per_domain": ("F1 test", 0.85, ".2f"),
    "density": ("density", 0.75, "%"),
    "n_proteins": ("proteins", 0.65, ",d"),
    "share_near_ends": ("near ends", 0.7, "%"),
    "maximum": ("maximum", 0.7, ".1f"),
    "cluster": ("cluster", 0.6, "d"),
}
"""Columns for print: heading, width in inches, number format ("%": percent, two digits)."""

_BARS = ("validation_f1_per_domain", "f1_per_domain")


class FeatureTable(View):
    """One row per feature: its best concept, F1 on validation and test, density and maximum.

    Press a heading to sort, a row to select its feature, or use the arrow keys; `/` searches. In
    every view `[` and `]` step through the table's order.
    """

    _esm = assets.esm("feature_table")

    search = t.Unicode(
        "",
        help="words: each begins the feature's number, or is in its concept, category "
        "or description",
    ).tag(sync=True)
    category = t.Unicode("", help="category of the best concept; empty: all").tag(sync=True)
    least_f1 = t.Float(
        0.0, min=0, max=1, help="F1 on test below which a feature is left out; 0: keep all"
    ).tag(sync=True)
    silent = t.Bool(False, help="show features that never fire on training proteins too").tag(
        sync=True
    )
    sort = t.Unicode("validation_f1_per_domain", help="the column that orders the rows").tag(
        sync=True
    )
    descending = t.Bool(True, help="from the highest").tag(sync=True)
    height = t.Int(340, min=100, help="height of the list in CSS pixels").tag(sync=True)

    @t.validate("sort")
    def _a_column(self, proposal: Any) -> str:
        columns = self.data.features.columns
        if proposal["value"] not in columns:
            raise t.TraitError(
                f"cannot sort by {proposal['value']!r}; the columns are {', '.join(columns)}"
            )
        return proposal["value"]

    @t.validate("category")
    def _a_category(self, proposal: Any) -> str:
        known = self.data.features["category"].drop_nulls().unique().sort().to_list()
        if proposal["value"] and proposal["value"] not in known:
            raise t.TraitError(
                f"no best concept has the category {proposal['value']!r}; "
                f"the categories are {', '.join(known)}"
            )
        return proposal["value"]

    def rows(self) -> pl.DataFrame:
        """The rows of `data.features` that pass search and filters, in the table's order.

        The sort is stable; missing values come last.
        """
        table = self.data.features
        wanted = [] if self.silent else [pl.col("maximum") > 0]
        if self.category:
            wanted.append(pl.col("category") == self.category)
        if self.least_f1:  # the browser holds float32
            wanted.append(
                pl.col("f1_per_domain").cast(pl.Float32) >= pl.lit(self.least_f1, pl.Float32)
            )
        names = [name for name, kind in table.schema.items() if kind == pl.String]
        wanted += [_matching(word, names) for word in self.search.lower().split()]
        shown = table.filter(*wanted) if wanted else table
        by = (
            pl.col(self.sort).cast(pl.Float32)
            if table.schema[self.sort].is_float()
            else pl.col(self.sort)
        )
        return shown.sort(by, descending=self.descending, nulls_last=True, maintain_order=True)

    def figure(self) -> "Figure":
        """The first rows of the table for print: see `View.figure`."""
        rows = self.rows()
        shown = rows.head(PRINTED)
        columns = [name for name in _COLUMNS if name in shown.columns]
        width = sum(_COLUMNS[name][1] for name in columns)
        figure = blank(width, 0.2 * max(1, shown.height) + 0.75)
        axes = figure.add_subplot()
        axes.set(xlim=(0, width), ylim=(shown.height + 0.2, -1.2))
        axes.axis("off")
        axes.axhline(-0.45, color="#1a1a1a", linewidth=0.6)
        left = 0.0
        for name in columns:
            _column(axes, shown[name], left)
            left += _COLUMNS[name][1]
        axes.set_title(
            self._caption(shown.height, rows.height), fontsize=8, loc="left", parse_math=False
        )
        return figure

    def _caption(self, shown: int, n: int) -> str:
        pages = self.data.pages
        end = "highest" if self.descending else "lowest"
        order = f"by {_COLUMNS.get(self.sort, (self.sort,))[0]}, from the {end}"
        here = f"{pages.activations.n_residues:,} residues of {len(pages.proteins):,} proteins"
        over = (
            "all proteins of the whole run" if "n_proteins" in self.data.features.columns else here
        )  # a run without a map counts what it holds
        return (
            f"Features of {pages.source}, {order}: {shown} of {n:,}.\n"
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


def _matching(word: str, names: list[str]) -> pl.Expr:
    """Is a word the beginning of the feature's number, or within one of its names?"""
    number = pl.col("feature").cast(pl.String).str.starts_with(word)
    within = [
        pl.col(name).str.to_lowercase().str.contains(word, literal=True).fill_null(False)
        for name in names
    ]
    return pl.any_horizontal(number, *within)


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
                f"{100 * value:.2g} %"
                if form == "%"
                else format(value, form)
                if form
                else _short(value)
            )
            if values.name in _BARS:
                axes.barh(i, width - 0.45, 0.4, left + 0.3, color="#f1f1f1")
                axes.barh(i, (width - 0.45) * min(1, value), 0.4, left + 0.3, color="#2f75b0")
        marked = values.name == "share_near_ends" and (value or 0) > MARKED_NEAR_ENDS
        weight = "bold" if marked else "normal"
        axes.text(place, i, text, ha=side, va="center", fontsize=7, parse_math=False, weight=weight)


def _short(name: str, n: int = 34) -> str:
    return name if len(name) <= n else f"{name[: n - 1]}…"
