"""A coloured structure for the programs that draw molecules: UCSF ChimeraX and PyMOL.

Syntax after ChimeraX's user guide (color byattribute, key, 2dlabels, atom specification) and
PyMOL's (spectrum, ramp_new, selection algebra).
"""

import re
from pathlib import Path

import numpy as np

from interplm_nb.readers.structures import PERCENT, Structure, bfactor_pdb
from interplm_nb.saving import atomic_path
from interplm_nb.widgets.colours import NOT_IN_STRUCTURE, SCALE

STICKS_FROM = 0.5
"""Side chains are drawn from this share of the feature's maximum."""
_STOPS = [i / (len(SCALE) - 1) for i in range(len(SCALE))]


def write_scripts(
    structure: Structure,
    values: np.ndarray,
    folder: Path,
    feature: int,
    source: str,
    name: str = "",
    threshold: float = STICKS_FROM,
) -> list[Path]:
    """Write `<name>.pdb`, `<name>.cxc` (ChimeraX) and `<name>.pml` (PyMOL) into a folder.

    Open a script from there, in either program. Colours are those of all views, from 0 to the
    maximum; residues without a UniProt position have their own colour. Only ASCII letters,
    digits, `.`, `_` and `-` of any text reach file names and scripts.

    Parameters
    ----------
    structure
        One chain, mapped to UniProt positions.
    values
        float [protein length]: activations in unit `max` by UniProt position, as in
        `bfactor_pdb`, which makes the PDB file; B-factors are activations x 100.
    folder
        Where the files go.
    feature, source
        Named in titles and comments.
    name
        Of the files; default: `feature_<feature>_<accession>`.
    threshold
        Side chains are drawn at or above this activation.

    Returns
    -------
    list of Path
        The three files.

    Raises
    ------
    ValueError
        `values` do not fit the structure; nothing is written then.
    """
    coordinates = bfactor_pdb(structure, values)
    name = safe_name(name or f"feature_{feature}_{structure.accession}")
    protein, file, chain = (
        safe_name(text) for text in (structure.accession, structure.name, structure.chain)
    )
    about = [
        f"Feature {feature} of {safe_name(source)} on {protein} ({file}, chain {chain}).",
        "B-factors are activations in percent of the feature's maximum on training proteins; "
        "-1: no UniProt position, activation unknown.",
        f"Side chains from an activation of {threshold:g} of the maximum.",
    ]
    texts = {
        "pdb": coordinates,
        "cxc": _chimerax(name, feature, threshold),
        "pml": _pymol(name, threshold),
    }
    paths = []
    for suffix, text in texts.items():
        path = folder / f"{name}.{suffix}"
        comments = "" if suffix == "pdb" else "".join(f"# {line}\n" for line in about)
        with atomic_path(path) as draft:
            draft.write_text(comments + text, encoding="ascii", newline="\n")
        paths.append(path)
    return paths


def safe_name(text: str) -> str:
    """A text as part of a file name or script.

    Runs of characters other than ASCII letters, digits, `.`, `_` and `-` become `_`; 80 characters
    are kept.

    >>> safe_name("sp|P0A/7Z4")
    'sp_P0A_7Z4'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)[:80].strip("._-") or "unnamed"


def _object_name(name: str) -> str:
    """The structure's name within a program, prefixed so that it is not a keyword there."""
    return "iplm_" + re.sub(r"[.-]", "_", name)


def _chimerax(name: str, feature: int, threshold: float) -> str:
    model = f'##name="{_object_name(name)}"'
    palette = f"palette {':'.join(SCALE)} range 0,{PERCENT:g}"
    # labels at every other stop: nine numbers do not fit next to one another
    key = " ".join(
        f"{colour}:{f'{stop:g}' if i % 2 == 0 else ''}"
        for i, (colour, stop) in enumerate(zip(SCALE, _STOPS, strict=True))
    )
    return "\n".join(
        [
            f"open {name}.pdb name {_object_name(name)}",
            "set bgColor white",
            f"hide {model} atoms",
            f"show {model} & protein cartoons",
            f"color byattribute bfactor {model} & protein target ac {palette}",
            f"color {model} & protein & @@bfactor<0 {NOT_IN_STRUCTURE} target ac",
            f"show {model} & sidechain & @@bfactor>={threshold * PERCENT:g} atoms",
            f"style {model} & protein stick",
            f"show {model} & ~protein & ~solvent atoms",
            f"style {model} & ~protein ball",
            f"color {model} & ~protein byelement",
            f"key {key} pos 0.04,0.06 size 0.3,0.03 fontSize 16 numericLabelSpacing equal",
            f'2dlabels text "feature {feature}: activation / maximum" xpos 0.04 ypos 0.11 size 16',
            f"view {model}",
            "",
        ]
    )


def _pymol(name: str, threshold: float) -> str:
    model = _object_name(name)
    colours = [colour.replace("#", "0x") for colour in SCALE]
    stops = ", ".join(f"{stop:g}" for stop in _STOPS)
    return "\n".join(
        [
            f"load {name}.pdb, {model}",
            "bg_color white",
            f"hide everything, {model}",
            f"show cartoon, {model} and polymer",
            f"set cartoon_discrete_colors, 1, {model}",
            f"spectrum b, {' '.join(colours)}, {model} and polymer and b > -0.5, 0, {PERCENT:g}",
            f"color {NOT_IN_STRUCTURE.replace('#', '0x')}, {model} and polymer and b < -0.5",
            f"show sticks, {model} and polymer and (sidechain or name CA) "
            f"and not b < {threshold * PERCENT:g}",
            f"show sticks, {model} and organic",
            f"show spheres, {model} and inorganic",
            f"util.cbag {model} and not polymer",
            "# the key, in activation / maximum",
            f"ramp_new {model}_key, none, [{stops}], [{', '.join(map(_rgb, SCALE))}]",
            f"orient {model}",
            "",
        ]
    )


def _rgb(colour: str) -> str:
    """A colour as PyMOL's ramps take it: red, green, blue from 0 to 1."""
    return f"[{', '.join(f'{int(colour[i : i + 2], 16) / 255:.4f}' for i in (1, 3, 5))}]"
