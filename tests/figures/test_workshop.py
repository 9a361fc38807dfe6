"""Pictures of the workshop can be read from 3 metres."""

import numpy as np
import polars as pl
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from interplm_nb.figures import workshop as figures
from interplm_nb.figures.chart import Chart

TABLE = pl.DataFrame({"concept": ["a b", "c"], "sae": [0.8, 0.1], "random_sae": [0.5, 0.2]})
CHARTS = {
    "bars": lambda: figures.bars(["SAE", "all letters"], [0.2, 0.1], "F1", [(0.1, 0.3), (0, 0.2)]),
    "track": lambda: figures.track("P1", np.arange(9.0), np.arange(9) > 5, "activation", "helix"),
    "drawn": lambda: figures.drawn([0.1, 0.2, 0.2], 0.6, "precision"),
    "against": lambda: figures.against(TABLE, "random_sae", "sae", ["a b"]),
    "similarities": lambda: figures.similarities(np.eye(4), "P1", "P2", "cosine"),
}
DISTANCE, PROJECTED = 3.0, 1.0
"""Metres to the wall, and width of the picture there."""
CAPITAL = 0.7
"""Height of a capital, as a share of the size of its font."""


@pytest.mark.parametrize("name", CHARTS)
def test_letters_and_lines_are_large_enough(name: str) -> None:
    """20/40, what a driver must see, is 10 minutes of arc for a letter."""
    chart: Chart = CHARTS[name]()
    chart._repr_mimebundle_()
    page = chart.figure.get_size_inches()[0] * 72
    wanted = DISTANCE * np.tan(np.deg2rad(10 / 60))
    texts = [text for text in chart.figure.findobj(Text) if text.get_text().strip()]
    assert len(texts) > 4
    for text in texts:
        assert isinstance(text, Text)
        assert PROJECTED * CAPITAL * text.get_fontsize() / page > 1.5 * wanted, text.get_text()
    for axis in chart.figure.axes:
        assert all(line.get_linewidth() >= 4 for line in axis.get_lines())


@pytest.mark.parametrize("name", CHARTS)
def test_nothing_leaves_the_picture(name: str) -> None:
    chart: Chart = CHARTS[name]()
    chart._repr_mimebundle_()
    width, height = chart.figure.get_size_inches()
    drawn = chart.figure.get_tightbbox()
    assert min(drawn.x0, drawn.y0) > -0.02
    assert drawn.x1 < width + 0.02 and drawn.y1 < height + 0.02


def test_the_words_have_the_numbers() -> None:
    assert repr(CHARTS["bars"]()) == "F1: SAE 0.20; all letters 0.10"
    assert "largest 8.00 at 9; 3 of 9 positions carry helix" in repr(CHARTS["track"]())
    assert repr(CHARTS["against"]()) == "sae over random_sae, 2 concepts: above in 1"


def test_bars_are_as_long_as_their_values_and_the_told_one_is_blue() -> None:
    chart = figures.bars(["SAE", "letters"], [0.4, 0.1], "F1", told=["SAE"])
    bars = chart.figure.axes[0].patches
    assert [round(bar.get_width(), 6) for bar in bars] == [0.4, 0.1]
    assert bars[0].get_facecolor()[:3] == to_rgb(figures.BLUE) != bars[1].get_facecolor()[:3]
