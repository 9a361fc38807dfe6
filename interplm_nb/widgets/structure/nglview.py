"""A structure coloured by a feature's activation, in nglview.

Colours are B-factors (activation x 100) on a declared scale, not a custom scheme: so they survive
in saved notebooks and static pages.
"""

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from IPython.utils.capture import capture_output

from interplm_nb.readers.report import InputError
from interplm_nb.readers.structures import (
    LAST_NUMBER,
    Structure,
    bfactor_pdb,
    unmapped_selection,
)
from interplm_nb.widgets.colours import NOT_IN_STRUCTURE, SCALE
from interplm_nb.widgets.selection import Selection
from interplm_nb.widgets.structure.molecular_scripts import STICKS_FROM

if TYPE_CHECKING:
    import nglview

OUTSIDE = "#f1f1f1"
"""Residues outside the brush, as on a light page (`widgets/kit/theme.js`)."""
_PICKED = re.compile(r"\[\w*\](-?\d+)(?:\^(\w))?")
"""An atom's name as NGL gives it: [LYS]52^A:B.CA."""


def show_nglview(
    structure: Structure, values: np.ndarray, selection: Selection | None = None
) -> "nglview.NGLWidget":
    """An nglview widget of one chain, coloured from grey (0) to dark blue (1); ochre: unknown.

    With a `selection`, a click on a residue sets its accession and position, and its feature and
    brush recolour the chain, all through the kernel; residues outside the brush turn pale. A
    selection without data has no activations of other features, so the values stay.

    Parameters
    ----------
    structure
        One chain, mapped to UniProt positions.
    values
        float [protein length]: activations in unit `max`, by UniProt position.
    selection
        The selection to follow and to set; default: none.
    """
    atoms: Any = structure.atoms
    if atoms.res_id.max() > LAST_NUMBER:
        raise InputError(
            f"{structure}: has residue numbers beyond {LAST_NUMBER}, which nglview does not read "
            "from PDB text; look at it in StructureView, or renumber your file"
        )
    with capture_output():  # importing nglview displays its own widget
        import nglview

    view = nglview.NGLWidget()
    _draw(view, structure, values, selection.brush if selection is not None else [])
    view.center()  # without the default representation nothing else would
    view.layout.height, view.layout.width = "420px", "440px"
    if selection is not None:
        _link(view, structure, values, selection)
    return view


def _draw(
    view: "nglview.NGLWidget", structure: Structure, values: np.ndarray, brush: list[float]
) -> None:
    import nglview

    view.add_component(
        nglview.TextStructure(bfactor_pdb(structure, values), ext="pdb"),
        default_representation=False,
    )
    coloured = {"color_scheme": "bfactor", "color_scale": list(SCALE), "color_domain": [0, 100]}
    unmapped = unmapped_selection(structure)
    outside = _numbers(structure, ~_inside(values, brush))
    view.add_representation(
        "cartoon", selection=f"protein and not ({unmapped}) and not ({outside})", **coloured
    )
    view.add_representation("cartoon", selection=unmapped, color=NOT_IN_STRUCTURE)
    view.add_representation("ball+stick", selection="hetero and not water", color_scheme="element")
    if outside != "none":
        view.add_representation("cartoon", selection=outside, color=OUTSIDE)
    strong = _numbers(
        structure, (values >= STICKS_FROM) & _inside(values, brush), " and not backbone"
    )
    if strong != "none":
        view.add_representation("licorice", selection=strong, **coloured)


def _inside(values: np.ndarray, brush: list[float]) -> np.ndarray:
    return (values >= brush[0]) & (values <= brush[1]) if brush else np.ones(len(values), bool)


def _numbers(structure: Structure, wanted: np.ndarray, suffix: str = "") -> str:
    """NGL's selection of the residues whose position is `wanted`, bool [protein length].

    "none" where there is no such residue.
    """
    numbers = sorted(
        number for number, position in structure.positions.items() if wanted[position - 1]
    )
    # NGL writes an insertion code behind a caret: 52^A.
    return (
        " or ".join((f"{n[:-1]}^{n[-1]}" if n[-1].isalpha() else n) + suffix for n in numbers)
        or "none"
    )


def _link(
    view: "nglview.NGLWidget", structure: Structure, values: np.ndarray, selection: Selection
) -> None:
    drawn = {"feature": selection.feature, "values": values}

    def picked(change: dict[str, Any]) -> None:
        """Select the residue of a clicked atom, if it has a position."""
        name = _PICKED.match(change["new"].get("atom1", {}).get("name", ""))
        position = structure.positions.get(f"{name[1]}{name[2] or ''}") if name else None
        if position is not None:
            selection.update({"accession": structure.accession, "position": position})

    def redraw(_: object) -> None:
        """Draw the structure again, for the selected feature and brush."""
        if selection.feature != drawn["feature"] and selection.data is not None:
            drawn["values"] = selection.data.pages.activations.along(
                structure.accession, selection.feature
            )
            drawn["feature"] = selection.feature
        view.remove_component(view._ngl_component_ids[0])
        view._ngl_msg_archive = []  # a saved notebook would replay the removed component
        _draw(view, structure, drawn["values"], selection.brush)

    view.observe(picked, "picked")
    selection.observe(redraw, ["feature", "brush"])
