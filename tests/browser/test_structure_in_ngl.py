"""NGL reads a structure's payload as it was meant.

Every atom with its position, chains and ligands apart, helices and strands found.
"""

import gzip
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import biotite.structure as struc
import numpy as np
import pytest

from interplm_nb.readers import demo
from interplm_nb.readers.structures import Structure
from interplm_nb.widgets import assets
from interplm_nb.widgets.packing import unpack
from interplm_nb.widgets.structure.payload import LIGAND, OTHER_CHAIN, payload
from tests.readers.made_structures import SEQUENCE, mmcif, pdb_lines, residues

pytestmark = pytest.mark.browser

READ = """async text => {
  const s = await NGL.autoLoad(new Blob([text], { type: "text/plain" }), { ext: "pdb" });
  const atoms = [];
  s.eachAtom(a => atoms.push([a.chainname, a.resno, a.inscode, a.atomname, a.element, a.bfactor,
    a.residueIndex, a.isProtein(), a.x, a.y, a.z]));
  const kinds = {};
  s.eachResidue(r => { kinds[r.sstruc] = (kinds[r.sstruc] || 0) + 1; });
  return { atoms, kinds };
}"""


@pytest.fixture
def read(chromium: Any) -> Iterator[Callable[[Structure], dict[str, Any]]]:
    script = assets.ngl()
    if script is None:
        pytest.skip(assets.NGL_MISSING)
    page = chromium.new_page()
    page.add_script_tag(content=gzip.decompress(script).decode())
    yield lambda structure: page.evaluate(
        READ, unpack(payload(structure))[1]["pdb"].tobytes().decode()
    )
    page.close()


@pytest.mark.parametrize("accession", ["P00431", "P94388"])
def test_every_atom_comes_back_with_its_position(
    read: Callable[[Structure], dict[str, Any]], accession: str
) -> None:
    structure = demo.structure(accession)
    atoms, amino_acids = structure.atoms, struc.filter_amino_acids(structure.atoms)
    found = read(structure)
    names = zip(
        atoms.res_id.tolist(),
        atoms.ins_code.tolist(),
        atoms.atom_name.tolist(),
        np.char.upper(atoms.element).tolist(),
        strict=True,
    )
    expected = [[structure.chain, *name] for name in names]
    assert [atom[:5] for atom in found["atoms"]] == expected
    assert [atom[5] for atom in found["atoms"]] == np.where(
        amino_acids, structure.atom_positions, LIGAND
    ).tolist()
    assert [atom[7] for atom in found["atoms"]] == amino_acids.tolist()
    residues = {(atom[6], atom[5]) for atom in found["atoms"]}
    assert len(residues) == len({index for index, _ in residues}), "one position per residue"
    assert found["kinds"]["h"] > 50, "NGL assigns helices itself where the text names none"


def test_other_chains_come_back_as_such(read: Callable[[Structure], dict[str, Any]]) -> None:
    one, other = demo.structure("P00044"), demo.structure("P18429").atoms.copy()
    other.set_annotation("chain_id", np.full(other.array_length(), "Long"))
    found = read(replace(one, others=other))["atoms"]
    assert {atom[0] for atom in found if atom[5] == OTHER_CHAIN} == {"A"}
    assert {atom[0] for atom in found if atom[5] != OTHER_CHAIN} == {one.chain} == {"B"}
    assert sum(atom[5] == OTHER_CHAIN and atom[3] == "CA" for atom in found) == len(
        set(other.res_id.tolist())
    )


@pytest.mark.parametrize("name", ["", "AB"])
def test_a_chain_with_no_name_or_a_long_one_comes_back_whole(
    read: Callable[[Structure], dict[str, Any]], tmp_path: Path, name: str
) -> None:
    path = tmp_path / "x.pdb"
    path.write_text("\n".join(pdb_lines(residues(SEQUENCE))))
    structure = Structure.by_alignment(path, "P1", SEQUENCE)
    structure.atoms.chain_id[:] = ""
    atoms = read(replace(structure, chain=name))["atoms"]
    assert [atom[5] for atom in atoms] == structure.atom_positions.tolist()
    assert {atom[0] for atom in atoms} == {"A"}


@pytest.mark.parametrize("first", [9_991, -1_020])
def test_numbers_of_five_columns_move_no_coordinate(
    read: Callable[[Structure], dict[str, Any]], tmp_path: Path, first: int
) -> None:
    path = tmp_path / "x.cif"
    path.write_text(mmcif(residues(SEQUENCE, first)))
    structure = Structure.by_alignment(path, "P1", SEQUENCE)
    atoms = read(structure)["atoms"]
    assert len(atoms) == 132
    np.testing.assert_allclose(
        [atom[8:] for atom in atoms], np.asarray(structure.atoms.coord), atol=0.0051
    )
    assert [atom[5] for atom in atoms] == structure.atom_positions.tolist()
    assert len({atom[6] for atom in atoms}) == 33
