"""One colour scale for activations in every view, and distinct colours for annotation categories.

The scale goes from light grey (0) to dark blue (the feature's maximum); its lightness falls
steadily, so that it reads in greyscale and with any colour vision. On a dark page it runs the other
way, from dark grey to pale blue. Categories take the palettes of Okabe and Ito (2008) and of Tol
(2021), and beyond these one grey.
"""

import numpy as np

SCALE = (
    "#e6e6e6",
    "#cfdbe8",
    "#a9c6df",
    "#7daed3",
    "#5193c4",
    "#2f75b0",
    "#1b5795",
    "#0d3a75",
    "#051f4d",
)
"""Nine colours, evenly spaced from 0 to 1 of a feature's maximum."""

SCALE_ON_DARK = (
    "#3b3b3b",
    "#3c4654",
    "#3a566f",
    "#35688e",
    "#347cac",
    "#4593c8",
    "#6cacdc",
    "#9cc8ec",
    "#d6ebfb",
)
"""The same on a dark page; lightness rises steadily."""

NOT_IN_STRUCTURE = "#d9b26f"
"""A residue of a structure without a position in the protein: activation unknown, not 0."""

CATEGORIES = (
    *("#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#0072b2", "#f0e442", "#000000"),
    *("#882255", "#44aa99", "#999933", "#332288", "#661100", "#aa4499", "#117733", "#ddcc77"),
)
"""Of Okabe and Ito, then of Tol's muted set for those who have more than eight categories."""

BEYOND = "#8a8a8a"
"""The colour of every further category: no colour means two. Also in `widgets/kit/colours.js`."""

_STOPS = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in SCALE], dtype=float)


def colour(value: float) -> str:
    """The colour of an activation in unit `max`; below 0 and above 1 it stays at the ends."""
    place = min(max(value, 0.0), 1.0) * (len(SCALE) - 1)
    low = min(int(place), len(SCALE) - 2)
    red, green, blue = _STOPS[low] + (place - low) * (_STOPS[low + 1] - _STOPS[low])
    return f"#{round(red):02x}{round(green):02x}{round(blue):02x}"


def text_on(value: float) -> str:
    """Black or white, whichever reads better on `colour(value)`."""
    return "#ffffff" if value > 0.585 else "#111111"


def category_colours(categories: list[str]) -> dict[str, str]:
    """A colour for each category, by its order: one of `CATEGORIES`, each once, then `BEYOND`."""
    return {
        category: CATEGORIES[i] if i < len(CATEGORIES) else BEYOND
        for i, category in enumerate(categories)
    }
