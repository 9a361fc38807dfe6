"""How a feature's activations are distributed, with a brush that selects a range of them."""

from typing import TYPE_CHECKING

import traitlets as t

from interplm_nb.shortened import shortened
from interplm_nb.widgets.concept_names import concept_name
from interplm_nb.widgets.print_style import panel
from interplm_nb.widgets.view import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ActivationHistogram(View):
    """How many residues have which activation, or how many proteins which maximum.

    Counts are exact over the whole store, by bins; in a second colour those that carry the best
    concept. Drag, or use the arrow keys, to brush a range: it becomes `selection.brush`. Bars and
    axes never move with the brush. The line below says which share of the brushed ones carries the
    concept, and which share of all others. Where a brush cuts a bin, it gives the two numbers
    between which the true one lies; `selection.residues()` has the residues.
    """

    code_name = "histogram"

    unit = t.Enum(("residues", "proteins"), "residues", help="what is counted").tag(sync=True)
    scale = t.Enum(("linear", "log"), "linear", help="axis of counts").tag(sync=True)
    share = t.Bool(False, help="shares of all active ones instead of counts").tag(sync=True)

    def figure(self) -> "Figure":
        """The histogram for print: see `View.figure`."""
        record, arrays = self.data.current
        counts, edges = arrays[f"{self.unit}_total"], arrays["edges"]
        all_active = max(1, int(counts.sum())) if self.share else 1
        figure, axes = panel(3.4, 2.4)
        # One shape for all bars, not one each: a cell's output waits for this picture.
        grey = {"fill": True, "color": "#7f7f7f", "label": f"all {self.unit}"}
        axes.stairs(counts / all_active, edges, **grey)
        annotated = arrays.get(f"{self.unit}_annotated")
        if annotated is not None:
            name = concept_name(record["best"]["concept"], record["best"]["category"])
            label = f"with {shortened(name, 46)}"
            axes.stairs(annotated / all_active, edges, fill=True, color="#2f75b0", label=label)
            for text in axes.legend(frameon=False, fontsize=7).get_texts():
                text.set_parse_math(False)  # a name is not a formula
        what = "activation" if self.unit == "residues" else "maximum of a protein"
        axes.set(xlabel=f"{what} (share of the maximum on training proteins)", xlim=(0, edges[-1]))
        axes.set_ylabel(f"share of {self.unit}" if self.share else self.unit)
        axes.set_yscale(
            self.scale if counts.any() else "linear"
        )  # of nothing there is no logarithm
        axes.yaxis.set_major_formatter("{x:,g}")
        axes.set_title(
            f"Feature {record['feature']}: {counts.sum():,} {self.unit} active",
            fontsize=8,
            loc="left",
        )
        return self.signed(figure)
