"""A structure coloured by a feature's activation, in nglview.

Colours are B-factors (activation x 100) on a declared scale, not a custom scheme: they survive in saved notebooks and static pages.
"""

from typing import TYPE_CHECKING

import numpy as np
from IPython.utils.capture import capture_output

from interplm_nb.sources.structures import Structure, bfactor_pdb, unmapped_selection
from interplm_nb.widgets.colours import NOT_IN_STRUCTURE, SCALE

if TYPE_CHECKING:
    import nglview

STICKS_FROM = 0.5
"""Residues from this share of the maximum are drawn as sticks too."""


def show_nglview(structure: Structure, values: np.ndarray) -> "nglview.NGLWidget":
    """An nglview widget of one chain, coloured from grey (0) to dark blue (1); ochre where the activation is unknown.

    `values` float [protein length]: activations in unit `max`, by UniProt position.
    """
    with capture_output():  # importing nglview displays a widget of its own
        import nglview

    view = nglview.NGLWidget(nglview.TextStructure(bfactor_pdb(structure, values), ext="pdb"), default_representation=False)
    coloured = {"color_scheme": "bfactor", "color_scale": list(SCALE), "color_domain": [0, 100]}
    unmapped = unmapped_selection(structure)
    view.add_representation("cartoon", selection=f"protein and not ({unmapped})", **coloured)
    view.add_representation("cartoon", selection=unmapped, color=NOT_IN_STRUCTURE)
    view.add_representation("ball+stick", selection="hetero and not water", color_scheme="element")
    strong = sorted(number for number, position in structure.positions.items() if values[position - 1] >= STICKS_FROM)
    if strong:
        view.add_representation("licorice", selection=" or ".join(f"{n} and not backbone" for n in strong), **coloured)
    view.center()  # without the default representation nothing else would
    view.layout.height, view.layout.width = "420px", "440px"
    return view
