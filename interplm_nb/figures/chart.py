"""A picture of a lesson: a picture everywhere, plotly where scripts run, words where neither
shows."""

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from interplm_nb.figures.glossary import words_in
from interplm_nb.pipeline.dark_page import DARK_PAGE, TURNED

if TYPE_CHECKING:
    import plotly.graph_objects as go

_DPI = 110
_PLOTLY = "application/vnd.plotly.v1+json"
_ON_DARK = (
    f"{DARK_PAGE} .jp-OutputArea-child:has(+ .jp-OutputArea-child .ipn-below)"
    f">.jp-OutputArea-output{{filter:{TURNED}}}"
)


class NothingToDrawError(ValueError):
    """A result holds nothing that the figure shows; the message says why."""


class Chart:
    """A figure with a description in words.

    Jupyter shows it as PNG, saved in the notebook; with `hover`, as SVG, and JupyterLab shows
    that plotly figure instead.

    Examples
    --------
    >>> figure, (axis,) = panels()
    >>> axis.set(xlabel="step", ylabel="loss (nats)")  # doctest: +ELLIPSIS
    [...]
    >>> Chart(figure, "The loss falls with the steps.")
    The loss falls with the steps.
    """

    def __init__(self, figure: Figure, description: str, hover: "go.Figure | None" = None) -> None:
        self.figure = figure
        self.description = description
        self.hover = hover

    def __repr__(self) -> str:
        return self.description

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        if self.hover is not None:
            return self._with_hover(self.hover), {}
        buffer = io.BytesIO()
        # Twice the pixels for sharp screens; no date or version, so that equal charts have equal
        # bytes.
        self.figure.savefig(buffer, format="png", dpi=2 * _DPI, metadata={"Software": None})
        width, height = (round(inches * _DPI) for inches in self.figure.get_size_inches())
        return {"image/png": buffer.getvalue(), "text/plain": self.description}, {
            "image/png": {"width": width, "height": height}
        }

    def _ipython_display_(self) -> None:
        """Show the picture, and below it, folded, the words of the glossary that it uses."""
        from IPython.display import HTML, display

        data, metadata = self._repr_mimebundle_()
        display(data, metadata=metadata, raw=True)
        display(HTML(below(words_in(*self._texts()).html())))

    def _texts(self) -> list[str]:
        """The description, and what is written in the figure."""
        return [self.description, *(text.get_text() for text in self.figure.findobj(Text))]

    def _with_hover(self, hover: "go.Figure") -> dict[str, Any]:
        # SVG, because plotly's renderer in JupyterLab shows a PNG next to it instead of itself.
        buffer = io.BytesIO()
        with rc_context({"svg.hashsalt": "interplm-nb"}):  # equal charts have equal bytes
            self.figure.savefig(buffer, format="svg", metadata={"Date": None})
        return {
            "image/svg+xml": buffer.getvalue().decode(),
            "text/plain": self.description,
            _PLOTLY: json.loads(hover.to_json() or "{}"),
        }


def below(words: str) -> str:
    """HTML for the output that follows a picture: some words, and how it looks on a dark page.

    A rule next to the picture works in the saved notebook too; where pages take no rules, the
    picture stays white.
    """
    return f'<div class="ipn-below"><style>{_ON_DARK}</style>{words}</div>'


def panels(
    n: int = 1, width: float = 8.0, height: float = 3.2, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure with n panels in a row, without top and right edges."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = list(np.atleast_1d(figure.subplots(1, n, **options)))
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes
