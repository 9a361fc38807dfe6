"""A sequence logo of the residues around a feature's maxima, or of an alignment."""

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets as t

from interplm_nb.features.logos import AMINO_ACIDS, BACKGROUND, UNIFORM, position_weights, windows
from interplm_nb.widgets.logo_figure import CHEMISTRY, axis_for, draw_logo
from interplm_nb.widgets.print_style import blank, tidy
from interplm_nb.widgets.view import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BACKGROUNDS = {"swissprot": BACKGROUND, "uniform": UNIFORM}
NAMES = {"swissprot": "Swiss-Prot", "uniform": "uniform"}

MOST_COLUMNS = 1000
PER_LINE = 60
"""Columns of a line, at most, in print."""


class SequenceLogo(View):
    """The letters around each protein's maximum within the brush; heights are information, in bits.

    There is one window for each protein of the bundle: `flank` residues on each side of the residue
    with the highest activation within the brush (the first of equals). Proteins without such a
    residue, and positions beyond the ends of a protein, are not counted. All windows weigh the
    same: relatives are not weighted down, so a large family can make a column look conserved. The
    bundle's proteins are sampled evenly over strengths, so strong ones are more frequent than in
    the store. Heights are `features.logos.position_weights`: information against `background`,
    corrected for small samples.

    With an `alignment` its columns are drawn instead, numbered from `first`; brush and proteins
    then do not matter, and no residue can be selected.
    """

    code_name = "sequence_logo"

    flank = t.Int(10, min=0, max=50, help="residues on each side of the maximum").tag(sync=True)
    background = t.Enum(
        tuple(BACKGROUNDS),
        "swissprot",
        help="what letters are expected: as in Swiss-Prot, or all alike",
    ).tag(sync=True)
    enlarged = t.Bool(
        False,
        help="scale the axis to the columns next to the maximum, which is shortened, with a break",
    ).tag(sync=True)
    alignment = t.List(
        t.Unicode(), help="aligned rows of equal length instead of windows; gaps are not counted"
    ).tag(sync=True)
    first = t.Int(1, help="number of the alignment's first column").tag(sync=True)
    tables = t.Dict(read_only=True, help="letters, backgrounds and colours for both halves").tag(
        sync=True
    )

    @t.default("tables")
    def _tables(self) -> dict[str, Any]:
        groups = [
            {"name": name, "letters": letters, "colour": colour, "on_dark": dark}
            for name, letters, colour, dark in CHEMISTRY
        ]
        return {
            "letters": AMINO_ACIDS,
            "backgrounds": {name: values.tolist() for name, values in BACKGROUNDS.items()},
            "groups": groups,
        }

    @t.validate("alignment")
    def _rectangular(self, proposal: Any) -> list[str]:
        rows = proposal["value"]
        widths = sorted({len(row) for row in rows})
        if len(widths) > 1:
            raise t.TraitError(
                f"aligned rows must have one length, not {widths[0]} and {widths[-1]}; "
                "pad the shorter ones with '-'"
            )
        if widths and not 0 < widths[0] <= MOST_COLUMNS:
            raise t.TraitError(
                f"a logo has 1 to {MOST_COLUMNS:,} columns, not {widths[0]:,}; "
                "pass part of each row, and first= its first column"
            )
        return rows

    def windows(self) -> list[str]:
        """The windows that are drawn, strongest protein first, "-" beyond the ends of a protein.

        With an alignment, its rows.
        """
        if self.alignment:
            return list(self.alignment)
        record, arrays = self.data.current
        chosen = self.selection
        return windows(
            self.data.pages.proteins,
            centres(record, arrays, chosen.brush, chosen.accessions),
            self.flank,
        )

    def caption(self) -> str:
        """How many windows there are, of what, and against which background."""
        ground = f"background: {NAMES[self.background]}; small-sample corrected"
        n = len(self.windows())
        if self.alignment:
            return f"n = {n:,} aligned sequences; {ground}"
        record, _ = self.data.current
        chosen = self.selection
        shown = sum(
            not chosen.accessions or protein["accession"] in chosen.accessions
            for protein in record["proteins"]
        )
        firing = (
            f" ({record['n_firing']:,} fire)"
            if not chosen.accessions and record["n_firing"] > shown
            else ""
        )
        centre = f"aligned on each protein's {'brushed ' if chosen.brush else ''}maximum"
        windows = f"n = {n:,} {'window' if n == 1 else 'windows'}, one per protein"
        return f"{windows}, of {shown:,} shown{firing}; {centre}; {ground}"

    def figure(self) -> "Figure":
        """The logo for print: see `View.figure`."""
        rows = self.windows()
        weights = position_weights(
            rows if len(rows) > 1 else ["-" * (2 * self.flank + 1)], BACKGROUNDS[self.background]
        )
        n_columns = len(weights.n)
        lines = -(-n_columns // PER_LINE)
        figure = blank(3.4 if n_columns <= 31 else 7.0, 0.5 + 1.7 * lines)
        top = axis_for(
            weights.information, self.flank if self.enlarged and not self.alignment else None
        )
        per_line = -(-n_columns // lines)
        for line in range(lines):
            axes = figure.add_subplot(lines, 1, line + 1)
            tidy(axes)
            draw_logo(
                axes,
                weights,
                range(line * per_line, (line + 1) * per_line),
                self.first if self.alignment else -self.flank,
                top,
            )
        self._say(figure, len(rows))
        return self.signed(figure)

    def _say(self, figure: "Figure", n: int) -> None:
        """Title, axis and caption."""
        axes = figure.axes
        if n < 2:
            words = f"A logo needs 2 or more {'aligned sequences' if self.alignment else 'windows'}"
            axes[0].text(0.5, 0.5, words, transform=axes[0].transAxes, ha="center", fontsize=7)
        axes[0].set_title(
            "Alignment" if self.alignment else f"Feature {self.selection.feature}",
            fontsize=8,
            loc="left",
            pad=10,
        )
        of_maximum = f"residues from the {'brushed ' if self.selection.brush else ''}maximum"
        axes[-1].set_xlabel("column of the alignment" if self.alignment else of_maximum)
        words = textwrap.wrap(self.caption(), int(figure.get_figwidth() * 21))
        figure.supxlabel("\n".join(words), fontsize=6, color="#565656", x=0.01, ha="left")


def centres(
    record: dict[str, Any], arrays: dict[str, np.ndarray], brush: list[float], accessions: list[str]
) -> list[tuple[str, int]]:
    """Accession and position (from 1) of each protein's strongest residue within the brush.

    Proteins without a residue in it are left out; of equals the first counts. `brush` is [lo, hi],
    both included, or [] for all; `accessions` are the proteins that count, or [] for all.
    """
    found = []
    low, high = brush or (0.0, np.inf)
    ends = np.cumsum([0] + [len(protein["sequence"]) for protein in record["proteins"]])
    value = arrays["value"].astype(np.float64)  # as the browser compares them
    inside = (value >= low) & (value <= high)
    edges = np.searchsorted(arrays["index"], ends)
    for protein, start, first, last in zip(
        record["proteins"], ends[:-1], edges[:-1], edges[1:], strict=True
    ):
        here = first + np.flatnonzero(inside[first:last])
        if len(here) and (not accessions or protein["accession"] in accessions):
            found.append(
                (
                    protein["accession"],
                    int(arrays["index"][here[np.argmax(value[here])]] - start) + 1,
                )
            )
    return found
