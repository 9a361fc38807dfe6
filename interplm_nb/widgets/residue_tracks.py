"""A feature along many proteins: activations, annotations, other features next to it."""

from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets as t

from interplm_nb.widgets.colours import BEYOND
from interplm_nb.widgets.concept_names import concept_name
from interplm_nb.widgets.print_style import activation_map, blank, tidy
from interplm_nb.widgets.view import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PRINTED = 20
"""Rows of the printed figure."""

AROUND = 60
"""Residues on either side of the maximum in a printed figure of aligned rows."""

MOST_CELLS = 600
"""Cells across a printed figure; with more residues, a cell shows the strongest of several."""

OUTSIDE_BRUSH = "#f1f1f1"


class ResidueTracks(View):
    """Proteins in which the feature fires, one row each: activations as cells, annotations below.

    Where the feature fires in more proteins than a bundle holds, those shown are sampled evenly
    over strength, and the view says of how many. The brush leaves out proteins without an active
    residue in it, and fades residues outside it. Pinned features are thin strips below each row.
    Click a residue, or use the arrow keys, to select it: it becomes `selection.accession` and
    `selection.position`.
    """

    code_name = "residue_tracks"

    order = t.Enum(
        ("maximum", "mean", "position", "aligned"),
        "maximum",
        help="rows by maximum, by mean over active residues, by position of the maximum, or by "
        "maximum with all maxima in one column",
    ).tag(sync=True)
    height = t.Int(
        400, help="height of the picture in pixels, 160 to 4,000; rows scroll within it"
    ).tag(sync=True)

    @t.validate("height")
    def _tall_enough(self, proposal: Any) -> int:
        height = proposal["value"]
        if not 160 <= height <= 4000:
            raise t.TraitError(
                "tracks are 160 to 4,000 pixels high, so that they hold a row and fit in memory; "
                f"got {height}"
            )
        return height

    def figure(self) -> "Figure":
        """The bundle's 20 strongest proteins for print, in this view's order: see `View.figure`.

        Aligned rows show 60 residues around the maximum. Residues outside the brush are faded.
        Thick spans are of the feature's best concept, thin ones of other concepts.
        """
        record, arrays = self.data.current
        shown, tracks = self._strongest(record, arrays)
        if not shown:
            none = (
                "no training protein, so its activations on others count as 0."
                if record["silent"]
                else "none of the run's proteins."
            )
            return _words(f"Feature {record['feature']} fires on {none}")
        figure = blank(7.2, max(2.2, 1.0 + 0.17 * len(shown)))
        axes = figure.add_subplot()
        tidy(axes)
        low, high = self._columns(shown)
        picture = self._cells(axes, shown, tracks, low, high)
        self._spans(axes, shown, record["best"], low, high)
        axes.set_yticks(
            np.arange(len(shown)) - 0.12, [p["accession"] for p in shown], parse_math=False
        )
        axes.tick_params(axis="y", length=0)
        axes.set(xlim=(low - 0.5, high - 0.5), ylim=(len(shown) - 0.4, -0.6))
        axes.set_xlabel("residues from the maximum" if self.order == "aligned" else "position")
        bar = figure.colorbar(
            picture, ax=axes, shrink=0.9 if len(shown) < 12 else 0.6, pad=0.01, aspect=25
        )
        bar.set_label("activation (share of the\nmaximum on training proteins)", size=6)
        bar.ax.tick_params(labelsize=6)
        axes.set_title(
            self._caption(record, len(shown), high - low), fontsize=8, loc="left", parse_math=False
        )
        return self.signed(figure)

    def _strongest(
        self, record: dict[str, Any], arrays: dict[str, np.ndarray]
    ) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
        """The printed proteins, and the activations along each (float32 [length]), in row order."""
        proteins = record["proteins"]
        offsets = np.concatenate([[0], np.cumsum([len(p["sequence"]) for p in proteins])]).astype(
            np.int64
        )
        along = np.zeros(offsets[-1], np.float32)
        along[arrays["index"]] = arrays["value"]
        chosen = self.selection.accessions
        firing = [
            i
            for i, p in enumerate(proteins)
            if p["maximum"] > 0 and (not chosen or p["accession"] in chosen)
        ][:PRINTED]
        if self.order == "mean":
            firing.sort(key=lambda i: -proteins[i]["mean"])
        elif self.order == "position":
            firing.sort(key=lambda i: proteins[i]["position"])
        return [proteins[i] for i in firing], [along[offsets[i] : offsets[i + 1]] for i in firing]

    def _first(self, protein: dict[str, Any]) -> int:
        """The column of position 1."""
        return 1 - protein["position"] if self.order == "aligned" else 1

    def _columns(self, shown: list[dict[str, Any]]) -> tuple[int, int]:
        low = min(self._first(p) for p in shown)
        high = max(self._first(p) + len(p["sequence"]) for p in shown)
        return (
            (max(low, -AROUND), min(high, AROUND + 1)) if self.order == "aligned" else (low, high)
        )

    def _cells(
        self,
        axes: "Axes",
        shown: list[dict[str, Any]],
        tracks: list[np.ndarray],
        low: int,
        high: int,
    ) -> Any:
        """Rows of cells; NaN, which is left white, where a protein has no residue."""
        table = np.full((len(shown), high - low), np.nan, np.float32)
        for row, protein, values in zip(table, shown, tracks, strict=True):
            first = self._first(protein)
            start, end = max(low, first), min(high, first + len(values))
            row[start - low : end - low] = values[start - first : end - first]
        brush = self.selection.brush or [0, np.inf]
        inside = np.where((table >= brush[0]) & (table <= brush[1]), table, np.nan)
        width = -(-(high - low) // MOST_CELLS)
        extent = (low - 0.5, low - 0.5 + width * -(-(high - low) // width))
        place = (*extent, len(shown) - 0.42, -0.42)
        style = {"aspect": "auto", "extent": place, "interpolation": "nearest"}
        residues = np.where(np.isnan(table), np.nan, np.float32(0))
        axes.imshow(_striped(residues, width), cmap=_single(OUTSIDE_BRUSH), vmin=0, vmax=1, **style)
        return axes.imshow(_striped(inside, width), cmap=activation_map(), vmin=0, vmax=1, **style)

    def _spans(
        self,
        axes: "Axes",
        shown: list[dict[str, Any]],
        best: dict[str, Any] | None,
        low: int,
        high: int,
    ) -> None:
        """Annotations below each row; a legend of their categories, the most frequent first."""
        from matplotlib.collections import PatchCollection
        from matplotlib.patches import Rectangle

        patches, filled = [], []
        colours: dict[str, str] = self.data.about["categories"]
        seen: dict[str, int] = {}
        for row, protein in enumerate(shown):
            first = self._first(protein)
            for span in sorted(protein["spans"], key=lambda s: s["start"] - s["end"]):
                start, end = max(low, first + span["start"] - 1), min(high, first + span["end"])
                if end <= start:
                    continue
                thick = best is not None and span["concept"] == best["concept"]
                place = (row + 0.22, 0.14) if thick else (row + 0.39, 0.08)
                patches.append(Rectangle((start - 0.5, place[0]), end - start, place[1]))
                filled.append(colours[span["category"]])
                seen[span["category"]] = seen.get(span["category"], 0) + 1
        axes.add_collection(
            PatchCollection(patches, facecolors=filled, linewidths=0), autolim=False
        )
        ordered = sorted(
            seen,
            key=lambda category: (best is None or category != best["category"], -seen[category]),
        )
        named = {
            category if colours[category] != BEYOND else "other categories": colours[category]
            for category in ordered
        }
        handles = [Rectangle((0, 0), 1, 1, color=colour) for colour in named.values()][:8]
        if handles:
            legend = axes.figure.legend(
                handles,
                list(named)[:8],
                loc="outside lower center",
                ncols=4,
                frameon=False,
                fontsize=6,
                handlelength=1,
            )
            for text in legend.get_texts():
                text.set_parse_math(False)

    def _caption(self, record: dict[str, Any], n: int, columns: int) -> str:
        width = -(-columns // MOST_CELLS)
        pooled = f"; a cell is the strongest of {width} residues" if width > 1 else ""
        sampled = (
            " of those sampled"
            if sum(p["maximum"] > 0 for p in record["proteins"]) < record["n_firing"]
            else ""
        )
        best = (
            f", best concept {concept_name(record['best']['concept'], record['best']['category'])}"
            if record["best"]
            else ""
        )
        return (
            f"Feature {record['feature']}{best}: the {n} strongest{sampled}; "
            f"it fires in {record['n_firing']:,} proteins{pooled}"
        )


def _pooled(row: np.ndarray, width: int) -> np.ndarray:
    """The largest of each `width` columns, without NaN where any is a number."""
    padded = np.concatenate([row, np.full(-len(row) % width, np.nan, row.dtype)]).reshape(-1, width)
    return np.fmax.reduce(padded, axis=1)


def _striped(table: np.ndarray, width: int) -> np.ndarray:
    """Each row pooled, as a stripe of three lines above two empty ones: one image of all rows."""
    rows = np.stack([_pooled(row, width) for row in table])
    stripes = np.full((len(rows), 5, rows.shape[1]), np.nan, rows.dtype)
    stripes[:, :3] = rows[:, None]
    return stripes.reshape(-1, rows.shape[1])


def _single(colour: str) -> Any:
    from matplotlib.colors import ListedColormap

    return ListedColormap([colour])


def _words(text: str) -> "Figure":
    figure = blank(7.2, 0.6)
    figure.text(0.01, 0.5, text, fontsize=8, va="center")
    return figure
