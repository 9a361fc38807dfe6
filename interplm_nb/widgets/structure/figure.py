"""A structure for print: the trace of its alpha carbons, coloured by activation; needs no
display."""

from typing import TYPE_CHECKING, Any

import numpy as np

from interplm_nb.readers.amino_acids import of_amino_acids
from interplm_nb.readers.structures import Structure
from interplm_nb.widgets.colours import NOT_IN_STRUCTURE
from interplm_nb.widgets.print_style import activation_map, blank

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BROKEN = 4.5
"""Angstrom between alpha carbons beyond which the chain is broken: a peptide bond keeps them 3.8
apart."""
SCALE_BAR = 10.0
_THICK, _THIN, _CASING = 3.0, 1.2, 1.6
_CLEAR = 2.5
"""Angstrom by which a part must be nearer to be drawn as passing over another."""
_PER_RESIDUE = 6
"""Pieces of line."""
_OUTSIDE = "#d9d9d9"


def trace(
    structure: Structure,
    values: np.ndarray,
    feature: int,
    brush: tuple[float, ...] = (),
    position: int | None = None,
) -> "Figure":
    """The chain seen along its shortest principal axis, N-terminus on the left.

    Nearer parts are drawn over farther ones. `values` float [protein length]: activations in unit
    `max`, by UniProt position. Residues outside the brush are thin and grey, those without a
    position ochre; `position` is circled.
    """
    carbons, positions = _carbons(structure)
    known = (positions > 0) & (positions <= len(values))
    activation = np.where(known, values[np.minimum(positions, len(values)) - 1], np.nan)
    figure = blank(3.4, 3.5)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_aspect("equal")
    seen = projected(carbons)
    _draw_chain(axes, seen, activation, brush)
    _draw_marks(axes, seen, positions, position)
    n = int(np.count_nonzero(known))
    said = f"{n} of {len(values)} residues, chain {structure.chain_name}"
    maximum = int(values.argmax()) + 1
    if values.max() > 0 and maximum not in positions:
        said += f"; not the maximum, at {maximum}"
    axes.set_title(f"Feature {feature} on {structure.accession}\n{said}", fontsize=8, loc="left")
    _draw_key(figure, axes, n < len(positions), brush)
    return figure


def no_structure(words: str) -> "Figure":
    """A figure that says why there is nothing to draw."""
    figure = blank(3.4, 1.2)
    figure.text(0.5, 0.5, words, ha="center", va="center", fontsize=7, wrap=True)
    return figure


def projected(points: np.ndarray) -> np.ndarray:
    """Points [n, 3] in their principal axes, the longest first; the third points to the viewer.

    A rotation, never a reflection: hands stay.
    """
    centred = points - points.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2]
    if (centred[-1] - centred[0]) @ axes[0] < 0:
        axes[0] *= -1
    axes[2] = np.cross(axes[0], axes[1])
    return centred @ axes.T


def _carbons(structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates [n, 3] and UniProt positions (0: none) of the chain's alpha carbons, in order."""
    atoms: Any = structure.atoms
    chosen = (atoms.atom_name == "CA") & of_amino_acids(atoms)
    return atoms.coord[chosen].astype(np.float64), structure.atom_positions[chosen]


def _draw_chain(
    axes: "Axes", seen: np.ndarray, activation: np.ndarray, brush: tuple[float, ...]
) -> None:
    """A smooth line through the carbons, in short pieces from the farthest to the nearest.

    White surrounds each piece where it passes over a farther part.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgba

    inside = np.isnan(activation) | (
        (activation >= brush[0]) & (activation <= brush[1]) if brush else True
    )
    colours = activation_map()(np.nan_to_num(activation))
    colours[np.isnan(activation)] = to_rgba(NOT_IN_STRUCTURE)
    colours[~inside] = to_rgba(_OUTSIDE)
    pieces, residues = _pieces(seen)
    depths = pieces[:, :, 2].mean(axis=1)
    order = np.argsort(
        np.concatenate([depths - _CLEAR, depths]), kind="stable"
    )  # white beneath, so that it spares the piece's own neighbours
    widths = np.where(inside, _THICK, _THIN)[residues]
    paint = np.concatenate([np.ones((len(pieces), 4)), colours[residues]])
    lines = np.concatenate([pieces, pieces])[order, :, :2]
    thick = np.concatenate([widths + _CASING, widths])[order]
    axes.add_collection(
        LineCollection(list(lines), colors=list(paint[order]), linewidths=thick, capstyle="round")
    )
    axes.autoscale_view()


def _pieces(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Short lines [n, 2, 3] along a spline through each unbroken part of the chain.

    With the residue that each is nearest to.
    """
    breaks = np.flatnonzero(np.linalg.norm(np.diff(seen, axis=0), axis=1) > BROKEN) + 1
    pieces, residues = [], []
    for part in np.split(np.arange(len(seen)), breaks):
        if len(part) == 1:
            pieces.append(np.stack([seen[part], seen[part]], 1))
            residues.append(part)
            continue
        along = np.linspace(part[0], part[-1], _PER_RESIDUE * (len(part) - 1) + 1)
        line = _smooth(seen[part])
        pieces.append(np.stack([line[:-1], line[1:]], 1))
        residues.append(np.rint((along[:-1] + along[1:]) / 2).astype(np.int64))
    return np.concatenate(pieces), np.concatenate(residues)


def _smooth(points: np.ndarray) -> np.ndarray:
    """Catmull and Rom's spline through points [n, 3], `_PER_RESIDUE` steps between neighbours.

    float64 [_PER_RESIDUE (n - 1) + 1, 3].
    """
    slopes = np.gradient(points, axis=0)
    t = np.linspace(0, 1, _PER_RESIDUE, endpoint=False)[None, :, None]
    (here, there), (leave, arrive) = (
        (values[:-1, None], values[1:, None]) for values in (points, slopes)
    )
    curve = (
        (2 * t**3 - 3 * t**2 + 1) * here
        + (t**3 - 2 * t**2 + t) * leave
        + (3 * t**2 - 2 * t**3) * there
        + (t**3 - t**2) * arrive
    )
    return np.concatenate([curve.reshape(-1, 3), points[-1:]])


def _draw_marks(
    axes: "Axes", seen: np.ndarray, positions: np.ndarray, position: int | None
) -> None:
    for end, letter in ((0, "N"), (-1, "C")):
        axes.annotate(
            letter,
            _flat(seen[end]),
            xytext=(5, 5),
            textcoords="offset points",
            fontsize=7,
            color="#444444",
        )
    for place in np.flatnonzero(positions == position) if position else ():
        axes.plot(
            *seen[place, :2],
            "o",
            markersize=9,
            markerfacecolor="none",
            markeredgecolor="#c04e00",
            markeredgewidth=1.4,
        )
        axes.annotate(
            str(position),
            _flat(seen[place]),
            xytext=(7, -9),
            textcoords="offset points",
            fontsize=7,
            color="#c04e00",
        )


def _flat(point: np.ndarray) -> tuple[float, float]:
    return float(point[0]), float(point[1])


def _draw_key(figure: "Figure", axes: "Axes", unmapped: bool, brush: tuple[float, ...]) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    left, low = axes.get_xlim()[0], axes.get_ylim()[0]
    axes.plot([left, left + SCALE_BAR], [low, low], color="#444444", linewidth=1)
    axes.annotate(
        f"{SCALE_BAR:g} Å",
        (left + SCALE_BAR / 2, low),
        xytext=(0, 2),
        textcoords="offset points",
        ha="center",
        fontsize=6,
        color="#444444",
    )
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 1), activation_map()),
        ax=axes,
        orientation="horizontal",
        fraction=0.04,
        pad=0.04,
        aspect=30,
    )
    bar.ax.tick_params(labelsize=7, width=0.6, length=2.5)
    bar.outline.set_linewidth(0.6)  # pyright: ignore[reportCallIssue]
    said = ["activation (share of the maximum on training proteins)"]
    said += ["ochre: no UniProt position, activation unknown"] if unmapped else []
    said += [f"thin and grey: outside the brush {brush[0]:.2f} to {brush[1]:.2f}"] if brush else []
    bar.set_label("\n".join(said), size=7)
