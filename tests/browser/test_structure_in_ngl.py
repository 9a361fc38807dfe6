"""NGL reads a structure's payload as it was meant.

Every atom with its position, chains and ligands apart, helices and strands found.
"""

import gzip
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import biotite.structure as struc
import numpy as np
import pytest

from interplm_nb.readers import demo
from interplm_nb.readers.structures import Structure
from interplm_nb.widgets import assets
from interplm_nb.widgets.packing import unpack
from interplm_nb.widgets.structure.payload import LIGAND, OTHER_CHAIN, payload

pytestmark = pytest.mark.browser

READ = """async text => {
  const s = await NGL.autoLoad(new Blob([text], { type: "text/plain" }), { ext: "pdb" });
  const atoms = [];
  s.eachAtom(a => atoms.push([a.chainname, a.resno, a.inscode, a.atomname, a.element, a.bfactor,
    a.residueIndex, a.isProtein()]));
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
