"""The figure of a crosscoder's layers counts what the norms say."""

import polars as pl

from interplm_nb.figures.chart import Chart
from interplm_nb.figures.layer_norms import shared_layers
from interplm_nb.figures.tables import Sentence
from interplm_nb.sae.layer_norms import NORMS


def norms(*shares: tuple[float, ...]) -> pl.DataFrame:
    rows = [
        {"feature": feature, "layer": layer, "norm": share**0.5, "share": share}
        for feature, own in enumerate(shares)
        for layer, share in zip((2, 4, 5), own, strict=True)
    ]
    return pl.DataFrame(rows, schema=NORMS)


def test_bars_count_features_by_number_of_layers_and_largest_norm():
    found = shared_layers(
        norms((1, 0, 0), (0.95, 0.05, 0), (0.3, 0.7, 0), (0.2, 0.3, 0.5), (0, 0, 0))
    )
    assert isinstance(found, Chart)
    assert repr(found) == (
        "Of 4 features, 2 in 1, 1 in 2, 1 in 3 of the 3 layers "
        "(at least 10% of the atom's squared norm each)."
    )
    (axis,) = found.figure.axes
    heights = [[bar.get_height() for bar in bars] for bars in axis.containers]
    assert heights == [[2, 0, 0], [0, 1, 0], [0, 0, 1]], "layers 2, 4 and 5"
    tops = [bar.get_y() + bar.get_height() for bar in axis.containers[-1]]
    assert tops == [2, 1, 1]


def test_an_sae_of_one_layer_says_what_would_be_here():
    found = shared_layers(pl.DataFrame(schema=NORMS))
    assert isinstance(found, Sentence) and "reads one layer" in found.text
