"""Colours mean the same to everyone.

The scale of activations by its lightness alone, letters by their contrast.
"""

import numpy as np
import pytest

from interplm_nb.widgets.colours import SCALE, SCALE_ON_DARK, colour, text_on

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
        )  # both ends are told apart as letters are from their ground


@pytest.mark.parametrize("value", np.linspace(0, 1, 21).tolist())
def test_letters_stand_out_from_their_colour(value: float) -> None:
    ground, letter = (luminance(linear((c,)))[0] for c in (colour(value), text_on(value)))
    assert (max(ground, letter) + 0.05) / (min(ground, letter) + 0.05) > 4.3
