"""How the features of a crosscoder are spread over its layers."""

import polars as pl

from interplm_nb.figures.chart import Chart, panels
from interplm_nb.figures.tables import Sentence
from interplm_nb.sae.layer_norms import SHARED, layers_per_feature

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
"""Okabe and Ito; of more layers than these, colours and hatches repeat in other pairs."""
_HATCHES = ("", "//", "..")


def shared_layers(norms: pl.DataFrame) -> Chart | Sentence:
    """Features by the number of layers that they are in, and by the layer of their largest norm.

    `norms`: of `sae.layer_norms.layer_norms`, or of stage `train`.
    """
    if norms.is_empty():
        return Sentence(
            "This SAE reads one layer; a crosscoder, which reads several, shows here how its "
            "features are spread over them (-p embed.joined=[1,2])."
        )
    found = layers_per_feature(norms)
    layers = norms["layer"].unique().sort().to_list()
    figure, (axis,) = panels(width=6.0)
    bottom = [0] * len(layers)
    places = list(range(1, len(layers) + 1))
    for i, layer in enumerate(layers):
        own = found.filter(pl.col("main") == layer)["layers"]
        heights = [int((own == n).sum()) for n in places]
        colour, hatch = _COLOURS[i % len(_COLOURS)], _HATCHES[i // len(_COLOURS) % len(_HATCHES)]
        axis.bar(places, heights, bottom=bottom, color=colour, hatch=hatch, label=f"layer {layer}")
        bottom = [a + b for a, b in zip(bottom, heights, strict=True)]
    axis.set(
        xlabel=f"layers that hold at least {SHARED:.0%} of the atom",
        ylabel="features",
        xticks=places,
    )
    axis.legend(title="largest norm in", frameon=False)
    counts = [f"{int((found['layers'] == n).sum())} in {n}" for n in places]
    words = (
        f"Of {len(found)} features, {', '.join(counts)} of the {len(layers)} layers "
        f"(at least {SHARED:.0%} of the atom's squared norm each)."
    )
    return Chart(figure, words)
