"""How SAE architectures are drawn: colour and mark, or dash, each enough to distinguish them."""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator


class Style(NamedTuple):
    """Style of a recipe: a colour (Okabe and Ito), a mark, a dash, and the recipe's name."""

    colour: str
    marker: str
    dash: Any
    name: str


STYLES = {
    "interplm-paper": Style("#000000", "o", "-", "ReLU (InterPLM paper)"),
    "interplm-v1": Style("#6F6F6F", "p", (0, (5, 1)), "ReLU (InterPLM v1)"),
    "topk": Style("#0072B2", "s", "-", "TopK"),
    "batchtopk": Style("#56B4E9", "D", (0, (4, 2)), "BatchTopK"),
    "jumprelu": Style("#D55E00", "^", (0, (6, 2, 1, 2)), "JumpReLU"),
    "gated": Style("#009E73", "v", (0, (2, 1)), "Gated"),
    "matryoshka": Style("#CC79A7", "P", (0, (1, 1)), "Matryoshka"),
    "random": Style("#6F6F6F", "x", ":", "random SAE"),
    "neurons": Style("#E69F00", "*", (0, (8, 3)), "neurons"),
}
"""By recipe, and the two controls."""

_OWN = {
    "sae": Style("#0072B2", "o", "-", "SAE"),
    "shuffled_sae": Style("#6F6F6F", "s", (0, (4, 2)), "shuffled PLM"),
}


def logarithmic(axes: Axes, which: Literal["x", "y"]) -> None:
    """A logarithmic axis with plain numbers at 1, 2, 5, 10, 20, ..."""
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def recipe_of(label: str) -> str | None:
    """The recipe in an SAE's label, if any.

    Examples
    --------
    >>> recipe_of("layer_03-topk-k16-s0")
    'topk'
    """
    return max(
        (recipe for recipe in STYLES if f"-{recipe}-" in f"-{label}-"), key=len, default=None
    )


def line_styles(labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """matplotlib's settings of one line per SAE: by recipe if the label names one."""
    labels = list(labels)
    palette = list(STYLES.values())
    found = {}
    for i, label in enumerate(labels):
        recipe = recipe_of(label)
        style = (
            STYLES[recipe]
            if recipe
            else _OWN.get(label, palette[i % len(palette)]._replace(name=label))
        )
        found[label] = {
            "color": style.colour,
            "linestyle": style.dash,
            "label": style.name,
            "linewidth": 1.5 if len(labels) <= 6 else 1.0,
        }
    return found
