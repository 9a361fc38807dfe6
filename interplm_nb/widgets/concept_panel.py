"""What the selected feature matches, with intervals, and what the controls reach."""

import textwrap
from typing import TYPE_CHECKING, Any

import traitlets as t

from interplm_nb.pipeline.scored_sources import SOURCES
from interplm_nb.shortened import shortened
from interplm_nb.widgets.concept_names import concept_name
from interplm_nb.widgets.feature_words import feature_words
from interplm_nb.widgets.print_style import panel
from interplm_nb.widgets.view import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_WIDTH = 84
"""Characters of a printed description in a line."""


class ConceptPanel(View):
    """The concepts of the selected feature, with its scores and those of the controls.

    Threshold, F1 on validation and on test, and where the run has them the 95 % interval and q
    value, with the best F1 of each control on the same concept. Below is the protein in
    focus, with links to UniProt, AlphaFold DB and InterPro.

    F1 is f1_per_domain: precision by residues, recall by instances (InterPLM, arXiv 2412.12101,
    Methods).
    """

    code_name = "concept_panel"

    sources = t.Dict(read_only=True, help="name, colour, mark and kind of each source").tag(
        sync=True
    )
    no_match = t.Unicode(read_only=True, help="said of a feature that matches no concept").tag(
        sync=True
    )

    @t.default("no_match")
    def _unmatched(self) -> str:
        looked = self.data.pages.looked
        if looked and looked.names is None:
            return looked.about["names"]
        return f"This feature matches no concept with {self.data.pages.concepts_scored}."

    @t.default("sources")
    def _drawn(self) -> dict[str, dict[str, str]]:
        return {
            source.id: {
                name: getattr(source, name) for name in ("name", "colour", "marker", "kind")
            }
            for source in SOURCES.values()
        }

    def figure(self) -> "Figure":
        """The scores for print, with the feature's description: see `View.figure`."""
        record, _ = self.data.current
        rows, said = record["concepts"], self._description(record["feature"])
        figure, axes = panel(4.8, 0.34 * max(1, len(rows)) + 1.5 + 0.13 * len(said))
        named_by = self.data.about["named_by"]
        scored = f"; scores of run {named_by}" if named_by else ""
        title = f"Feature {record['feature']} of {record['source']}{scored}"
        lines = [title] if rows else [title, self.no_match, *said]
        axes.set_title("\n".join(lines), fontsize=8, loc="left", parse_math=False)
        axes.set(xlim=(0, 1), ylim=(max(1, len(rows)) - 0.4, -0.6))
        axes.set_xlabel(
            "F1 per domain on test proteins\nwhiskers: 95 % interval\nn: instances in test"
        )
        axes.set_yticks(
            range(len(rows)),
            [
                f"{shortened(concept_name(row['concept'], row['category']), 40)} "
                f"(n = {row['n_instances']:,})"
                for row in rows
            ],
            parse_math=False,
        )
        for y, row in enumerate(rows):
            self._score(axes, row, y)
        handles, labels = axes.get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        if unique:
            legend = figure.legend(
                unique.values(),
                unique.keys(),
                loc="outside lower center",
                ncols=4,
                frameon=False,
                fontsize=7,
                title="\n".join(said) or None,
                title_fontsize=7,
                alignment="left",
            )
            legend.get_title().set_parse_math(False)
        return self.signed(figure)

    def _description(self, feature: int) -> list[str]:
        """Lines of the first description that there is, with its author and judged r."""
        said = feature_words(self.data.pages.tables, feature)["descriptions"]
        first = next((one for one in said if one["summary"]), None)
        if first is None:
            return []
        r = (first["score"] or {}).get("pearson")
        score = "" if r is None else f", r {r:.2f}"
        return textwrap.wrap(f"{first['summary']} ({first['describer']}{score})", _WIDTH)

    def _score(self, axes: "Axes", row: dict[str, Any], y: int) -> None:
        """One concept: the bar of the feature with its interval, above it the controls."""
        own = self._look(self.data.pages.source)
        axes.barh(
            y + 0.15,
            row["f1_per_domain"],
            0.26,
            color=own["colour"],
            label=f"this feature ({own['name']})",
        )
        if row["low"] is not None:
            axes.plot(
                [row["low"], row["high"]],
                [y + 0.15] * 2,
                "|-",
                color="#1a1a1a",
                linewidth=0.9,
                markersize=5,
            )
        for name, value in row["controls"].items():
            look = self._look(name)
            axes.plot(
                value,
                y - 0.2,
                look["marker"],
                color=look["colour"],
                markersize=4.5,
                label=look["name"],
                clip_on=False,
                linestyle="none",
            )

    def _look(self, source: str) -> dict[str, str]:
        return self.sources.get(source, {"name": source, "colour": "#565656", "marker": "o"})
