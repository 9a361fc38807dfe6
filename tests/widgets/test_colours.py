"""Colours mean the same to everyone.

The scale of activations by its lightness alone, letters by their contrast.
"""

import numpy as np
import pytest

from interplm_nb.pipeline.run import Run
from interplm_nb.readers.concepts import FEATURE_TYPES
from interplm_nb.widgets.colours import (
    BEYOND,
    CATEGORIES,
    PALETTE,
    SCALE,
    SCALE_ON_DARK,
    category_colours,
    colour,
    text_on,
)
from interplm_nb.widgets.feature_page import FeaturePages

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
VISION = {
    "full": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
    "none": np.array([[0.2126, 0.7152, 0.0722]] * 3),
}


def linear(hexes: tuple[str, ...]) -> np.ndarray:
    """[n, 3], as WCAG 2 and sRGB have it."""
    rgb = np.array([[int(h[i : i + 2], 16) / 255 for i in (1, 3, 5)] for h in hexes])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def luminance(rgb: np.ndarray) -> np.ndarray:
    return rgb @ np.array([0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("vision", VISION)
def test_the_scale_reads_with_any_colour_vision(vision: str) -> None:
    for scale, way in ((SCALE, -1), (SCALE_ON_DARK, 1)):
        seen = luminance((linear(scale) @ VISION[vision].T).clip(0, 1))
        assert (np.diff(seen) * way > 0).all()
        assert max(seen) + 0.05 > 4.5 * (
            min(seen) + 0.05
        )  # both ends are distinguished as letters are from their ground


@pytest.mark.parametrize("value", np.linspace(0, 1, 21).tolist())
def test_letters_stand_out_from_their_colour(value: float) -> None:
    ground, letter = (luminance(linear((c,)))[0] for c in (colour(value), text_on(value)))
    assert (max(ground, letter) + 0.05) / (min(ground, letter) + 0.05) > 4.3


LEAST = 9.0
"""CIEDE2000 that the palette's description states; about 2.3 is a just noticeable difference."""

TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear RGB, [n, 3], under its own white."""
    ratio = (rgb @ TO_XYZ.T) / TO_XYZ.sum(axis=1)
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    x, y, z = f.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def ciede2000(first: np.ndarray, second: np.ndarray) -> float:
    """The difference of two colours in L*a*b* (Sharma, Wu and Dalal 2005, step by step)."""
    (l1, a1, b1), (l2, a2, b2) = first, second
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 0.5 * (1 - np.sqrt(mean**7 / (mean**7 + 25.0**7)))
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    turn = 0.0 if c1 * c2 == 0 else (h2 - h1 + 180) % 360 - 180
    dl, dc, dh = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    lm, cm = (l1 + l2) / 2, (c1 + c2) / 2
    hm = h1 + h2 if c1 * c2 == 0 else (h1 + turn / 2) % 360
    t = (
        1
        - 0.17 * np.cos(np.radians(hm - 30))
        + 0.24 * np.cos(np.radians(2 * hm))
        + 0.32 * np.cos(np.radians(3 * hm + 6))
        - 0.20 * np.cos(np.radians(4 * hm - 63))
    )
    sl = 1 + 0.015 * (lm - 50) ** 2 / np.sqrt(20 + (lm - 50) ** 2)
    sc, sh = 1 + 0.045 * cm, 1 + 0.015 * cm * t
    bend = np.exp(-(((hm - 275) / 25) ** 2))
    rt = -2 * np.sqrt(cm**7 / (cm**7 + 25.0**7)) * np.sin(np.radians(60 * bend))
    return float(
        np.sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rt * (dc / sc) * (dh / sh))
    )


def test_the_difference_is_that_of_the_published_pairs() -> None:
    """Pairs 1, 7, 15 and 25 of Sharma, Wu and Dalal's table 1."""
    for first, second, value in (
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ):
        assert ciede2000(np.array(first), np.array(second)) == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("vision", [name for name in VISION if name != "none"])
def test_categories_differ_with_any_colour_vision(vision: str) -> None:
    colours = (*PALETTE, BEYOND)
    seen = lab((linear(colours) @ VISION[vision].T).clip(0, 1))
    for i in range(len(colours)):
        for j in range(i):
            assert ciede2000(seen[i], seen[j]) >= LEAST, (colours[i], colours[j])


def test_categories_are_seen_on_light_and_dark_pages() -> None:
    """The same colours on both; below 1.9 on white, a dot has an outline (`colouring.js`)."""
    found = luminance(linear(PALETTE))
    dark = luminance(linear(("#111111",)))[0]
    assert ((found + 0.05) / (dark + 0.05)).min() >= 3
    white = lab(np.ones((1, 3)))[0]
    assert min(ciede2000(one, white) for one in lab(linear(PALETTE))) >= LEAST


def test_a_category_has_the_same_colour_in_every_run() -> None:
    known = [kind.category for kind in FEATURE_TYPES if kind.naming or kind.published]
    assert set(known) == set(CATEGORIES)
    assert len(set(CATEGORIES.values())) == len(CATEGORIES)
    assert set(CATEGORIES.values()) <= set(PALETTE)
    assert category_colours(["Helix", "Zinc finger"]) == {
        name: CATEGORIES[name] for name in ("Helix", "Zinc finger")
    }
    own = category_colours(["mine", "Helix", "a"])
    assert own == category_colours(["Helix", "a", "mine"]) and len(set(own.values())) == 3
    many = category_colours([*CATEGORIES, *map(str, range(6))])
    assert list(many.values()).count(BEYOND) == len(CATEGORIES) + 6 - len(PALETTE)


def test_all_categories_of_the_shipped_run_are_told_apart() -> None:
    colours = FeaturePages(Run.shipped()).colours
    assert len(colours) == 25 and len(set(colours.values())) == 25
    assert BEYOND not in colours.values()
