"""The interface of folding models, with a stand-in that moves a known structure."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest

from interplm_nb.readers import demo
from interplm_nb.readers.residue_properties import residue_properties
from interplm_nb.readers.structures import Structure
from interplm_nb.steering.intervene import Change, Intervention
from interplm_nb.steering.structure import CHANGES, structure_change
from tests.steering.test_intervene import esm2, layer_with_sae

SHIFT = np.array([0.0, 0.0, 6.0])


@dataclass
class StandIn:
    """Cytochrome c, turned and moved; the changed residues are moved 6 angstrom further."""

    plm_revision: str

    def fold(self, sequence: str, intervention: Intervention | None = None) -> Structure:
        structure = demo.structure("P00044")
        if intervention is None:
            return structure
        intervention.edit([len(sequence)])  # what a real one gives to its PLM
        atoms = structure.atoms.copy()
        positions = {p for change in intervention.rows[0] for p in change.positions or ()}
        atoms.coord[np.isin(structure.atom_positions, list(positions))] += SHIFT
        turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
        atoms.coord = (atoms.coord @ turn.T + [10, -4, 2]).astype(np.float32)
        return replace(structure, atoms=atoms)


def test_the_change_is_read_after_superposition() -> None:
    at = layer_with_sae(esm2())
    length = max(demo.structure("P00044").positions.values())
    intervention = Intervention(at, [Change(3, "clamp", 2.0, (40,))])
    found = structure_change(StandIn(at.plm.revision), "M" * length, intervention)
    assert dict(found.residues.schema) == CHANGES
    own = found.residues.filter("changed")
    others = found.residues.filter(~pl.col("changed"))
    assert own["position"].to_list() == [40]
    assert own["moved"][0] == pytest.approx(6, abs=0.15)
    assert others["moved"].max() < 0.3
    assert found.rmsd == pytest.approx(np.sqrt((found.residues["moved"] ** 2).mean()), abs=1e-3)
    rsa = residue_properties(found.before).select("position", "rsa")
    assert found.residues["rsa"].to_list() == pytest.approx(
        rsa.sort("position")["rsa"].to_list(), abs=1e-6
    )
    assert abs(own["rsa_change"][0]) > 0.05
    assert found.sentence.startswith(f"RMSD {found.rmsd:.2f} Å")


def test_without_a_move_nothing_changes() -> None:
    at = layer_with_sae(esm2())

    class Still(StandIn):
        def fold(self, sequence: str, intervention: Intervention | None = None) -> Structure:
            return super().fold(sequence)

    intervention = Intervention(at, [Change(3, "clamp", 2.0)])
    found = structure_change(Still(at.plm.revision), "M" * 120, intervention)
    assert found.rmsd == pytest.approx(0, abs=1e-4)
    assert found.residues["moved"].max() == pytest.approx(0, abs=1e-3)
    assert found.residues["changed"].all()  # no positions: all residues


def test_what_does_not_fit_is_refused_in_a_sentence() -> None:
    at = layer_with_sae(esm2())
    one = Intervention(at, [Change(3)])
    with pytest.raises(ValueError, match=r"runs another PLM .* than the one whose features"):
        structure_change(StandIn("sha256:other"), "MKV", one)
    two = Intervention(at, [[Change(3)], [Change(4)]])
    with pytest.raises(ValueError, match="has changes of 2 sequences; give one list"):
        structure_change(StandIn(at.plm.revision), "MKV", two)
