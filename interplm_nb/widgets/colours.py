"""One colour scale for activations in every view, and distinct colours for annotation categories.

The scale goes from light grey (0) to dark blue (the feature's maximum); its lightness falls
steadily, so that it reads in greyscale and with any colour vision. On a dark page it runs the other
way, from dark grey to pale blue. UniProt's categories have fixed colours.
"""

from collections.abc import Iterable
from itertools import chain, repeat

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
    "#555555",
    "#54606e",
    "#4f6d86",
    "#467ba1",
    "#4089b8",
    "#4f9dd0",
    "#74b3e0",
    "#a3ccee",
    "#d9edfb",
)
"""The same on a dark page, where silent residues are still seen; lightness rises steadily."""

NOT_IN_STRUCTURE = "#d9b26f"
"""A residue of a structure without a position in the protein: activation unknown, not 0."""

PALETTE = (
    *("#004dff", "#eecf7b", "#02cdd2", "#df060d", "#696072", "#6ea079", "#c2dac8", "#9b81ff"),
    *("#a7aaa5", "#7979b7", "#e5e700", "#556a40", "#dbe4b4", "#c6ab65", "#8b758f", "#9a9d00"),
    *("#bdc00b", "#8cc296", "#608262", "#fc275f", "#247700", "#c30172", "#13903e", "#b6e9e8"),
    *("#a2b2ff", "#dfceff", "#686392", "#8f9eaa", "#5ca4c9", "#ad03c5"),
)
"""Thirty colours, each as far as can be from those before it. CIEDE2000 between any two of them, or
one and `BEYOND`, is 9 or more with full colour vision and, after Machado et al. (2009) at full
severity, with protanopia, deuteranopia and tritanopia. CIE lightness 42 to 89: they are seen on
white and on black, where the lightest and the darkest have an outline."""

CATEGORIES = {
    "Domain": "#7979b7",
    "Topological domain": "#c6ab65",
    "Transmembrane": "#e5e700",
    "Compositional bias": "#9a9d00",
    "Repeat": "#8b758f",
    "Zinc finger": "#df060d",
    "Region": "#8cc296",
    "Signal peptide": "#ad03c5",
    "DNA binding": "#02cdd2",
    "Coiled coil": "#247700",
    "Transit peptide": "#c30172",
    "Propeptide": "#eecf7b",
    "Motif": "#608262",
    "Nucleotide binding": "#004dff",
    "Metal binding": "#fc275f",
    "Binding site": "#13903e",
    "Active site": "#9b81ff",
    "Disulfide bond": "#bdc00b",
    "Glycosylation": "#b6e9e8",
    "Modified residue": "#dfceff",
    "Lipidation": "#dbe4b4",
    "Cross-link": "#c2dac8",
    "Helix": "#5ca4c9",
    "Beta strand": "#6ea079",
    "Turn": "#a7aaa5",
    "Calcium binding": "#a2b2ff",
}
"""UniProt's categories, in the same colour in every run."""

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


def category_colours(categories: Iterable[str]) -> dict[str, str]:
    """A colour for each category: its own of `CATEGORIES`, else one of `PALETTE` that is free.

    Other categories take these in alphabetical order; what is left over is `BEYOND`.
    """
    given = list(categories)
    found = {category: CATEGORIES[category] for category in given if category in CATEGORIES}
    free = [colour for colour in PALETTE if colour not in found.values()]
    others = sorted(set(given) - set(found))
    found |= dict(zip(others, chain(free, repeat(BEYOND)), strict=False))
    return {category: found[category] for category in given}
