"""The filter of a dark page, by the equations of CSS: colours stay apart from the ground."""

import re

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from interplm_nb.figures.chart import below
from interplm_nb.figures.styles import STYLES
from interplm_nb.pipeline.dark_page import TURNED
from interplm_nb.pipeline.scored_sources import SOURCES
from interplm_nb.widgets.colours import SCALE

WEIGHTS = np.array([0.213, 0.715, 0.072])
COLOURS = {
    **{name: style.colour for name, style in STYLES.items()},
    **{name: source.colour for name, source in SOURCES.items()},
    "ink": "#000000",
    "a silent residue": SCALE[0],
}


def turned(colour: str) -> np.ndarray:
    """What `TURNED` makes of a colour (Filter Effects Module Level 1): hues by half a turn."""
    found = re.fullmatch(r"invert\((.+)\) hue-rotate\(180deg\)", TURNED)
    assert found
    amount = float(found[1])
    inverted = np.array(to_rgb(colour)) * (1 - 2 * amount) + amount
    return np.clip((2 * np.tile(WEIGHTS, (3, 1)) - np.eye(3)) @ inverted, 0, 1)


def contrast(first: np.ndarray, second: np.ndarray) -> float:
    """Of two colours, by WCAG."""
    linear = [
        np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) for c in (first, second)
    ]
    low, high = sorted(float(c @ [0.2126, 0.7152, 0.0722]) for c in linear)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", COLOURS)
def test_a_colour_stands_out_from_a_dark_page_as_from_white(name):
    colour = COLOURS[name]
    on_white = contrast(np.array(to_rgb(colour)), np.ones(3))
    on_dark = contrast(turned(colour), turned("#ffffff"))
    assert on_dark >= min(0.95 * on_white, 4.5)


def test_white_becomes_the_ground_of_jupyterlabs_dark_theme():
    assert np.abs(turned("#ffffff") - np.array(to_rgb("#111111"))).max() < 0.01


def test_the_rule_concerns_the_picture_before_it_alone():
    rule = below("<p>words</p>")
    assert rule.endswith("<p>words</p></div>") and f"{{filter:{TURNED}}}" in rule
    assert ".jp-OutputArea-child:has(+ .jp-OutputArea-child .ipn-below)" in rule
