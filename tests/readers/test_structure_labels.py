"""Labels from structures, against counts pair by pair and known proteins."""

from functools import partial
from typing import Any

import biotite.structure as struc
import numpy as np
import polars as pl
import pytest

from interplm_nb.activations import FeatureActivations
from interplm_nb.concepts.count import count
from interplm_nb.proteins import Proteins, Residue
from interplm_nb.readers import demo
from interplm_nb.readers.read import read
from interplm_nb.readers.report import InputError
from interplm_nb.readers.residue_properties import residue_properties
from interplm_nb.readers.structure_labels import structure_labels
from interplm_nb.readers.structures import Structure

NAMES = ["P00044", "P00045", "P02829"]


@pytest.fixture(scope="module")
def proteins() -> Proteins:
    return read(demo.table_path()).proteins.select(NAMES)


def test_contacts_are_counted_pair_by_pair() -> None:
    structure = demo.structure("P00044")
    atoms: Any = structure.atoms
    table = residue_properties(structure)
    beta = {}
    for name in ("CB", "CA"):
        for i in np.flatnonzero((atoms.atom_name == name) & (structure.atom_positions > 0)):
            beta.setdefault(int(structure.atom_positions[i]), atoms.coord[i].astype(float))
    for position, number, farthest in table.select(
        "position", "contact_number", "farthest_contact"
    ).rows():
        others = {q: np.linalg.norm(beta[q] - beta[position]) for q in beta if q != position}
        assert number == sum(d <= 10 for d in others.values())
        near = [abs(q - position) for q, d in others.items() if d <= 8]
        assert farthest == max(near, default=0)


def test_surfaces_are_shares_of_a_residue_that_lies_open() -> None:
    table = residue_properties(demo.structure("P00044"))
    rsa = table["rsa"].drop_nulls()
    assert rsa.min() >= 0 and rsa.max() < 1.3 and 0.15 < rsa.median() < 0.4
    # Three residues cut out of the chain lie open.
    whole = demo.structure("P00044")
    few = np.isin(whole.atom_positions, [30, 31, 32])
    alone = Structure(
        whole.name,
        whole.accession,
        whole.chain,
        whole.atoms[few],
        {n: p for n, p in whole.positions.items() if p in (30, 31, 32)},
    )
    opened = residue_properties(alone)["rsa"].to_numpy()
    buried = table.filter(pl.col("position").is_in([30, 31, 32]))["rsa"].to_numpy()
    assert (opened >= buried - 1e-6).all() and opened[1] > 0.4


def test_a_residue_without_its_side_chain_has_no_surface() -> None:
    whole = demo.structure("P00044")
    atoms: Any = whole.atoms
    position = int(whole.atom_positions[atoms.res_name == "TRP"][0])
    keep = (whole.atom_positions != position) | np.isin(atoms.atom_name, ["N", "CA", "C", "O"])
    cut = Structure(whole.name, whole.accession, whole.chain, atoms[keep], whole.positions)
    table = residue_properties(cut)
    assert table.filter(position=position)["rsa"].to_list() == [None]
    assert table["rsa"].null_count() == residue_properties(whole)["rsa"].null_count() + 1


def test_an_interface_is_near_another_chain_of_protein() -> None:
    whole = demo.structure("P00044")
    other = whole.atoms[whole.atom_positions > 0].copy()
    other.coord = other.coord + np.float32([60, 0, 0])
    pair = Structure(whole.name, whole.accession, whole.chain, whole.atoms, whole.positions, other)
    found = residue_properties(pair).select("position", "interface")
    acids = whole.atoms[whole.atom_positions > 0]
    places = whole.atom_positions[whole.atom_positions > 0]
    for position, distance in found.rows()[::15]:
        own = acids.coord[places == position].astype(float)
        nearest = np.linalg.norm(own[:, None] - other.coord[None], axis=2).min()
        assert distance == pytest.approx(nearest, abs=1e-3) if nearest < 20 else distance is None
    assert residue_properties(whole)["interface"].null_count() == found.height


def test_labels_are_segments_of_the_properties(proteins: Proteins) -> None:
    structures = {a: partial(demo.structure, a) for a in NAMES}
    labels = structure_labels(proteins, structures)
    table, annotations = labels.properties, labels.annotations
    assert labels.accessions == ["P00044", "P00045"]
    for concept, chosen in {
        "Secondary structure_Helix": table.filter(sse="a"),
        "Accessibility_Buried": table.filter(pl.col("rsa") < 0.09),
        "Contact_Long range": table.filter(pl.col("farthest_contact") >= 24),
        "Packing_Dense": table.filter(pl.col("contact_number") >= 21),
    }.items():
        expected = {
            proteins.row(Residue(*key)) for key in chosen.select("accession", "position").rows()
        }
        assert set(np.flatnonzero(annotations.mask(concept))) == expected
    summary = {row["concept"]: row for row in annotations.summary().to_dicts()}
    helix = annotations.only(["Secondary structure_Helix"]).table
    assert summary["Secondary structure_Helix"]["n_instances"] == helix.height
    assert summary["Accessibility_Buried"]["level"] == "residue"


def test_the_engine_scores_them(proteins: Proteins) -> None:
    labels = structure_labels(proteins, {"P00044": partial(demo.structure, "P00044")})
    helix = labels.annotations.mask("Secondary structure_Helix")
    values = np.column_stack([helix, ~helix]).astype(np.float32)
    activations = FeatureActivations.from_dense(values, proteins, unit="max")
    scores = count(activations, labels.annotations, labels.accessions)
    table = scores.table().filter(concept="Secondary structure_Helix", feature=0, threshold=0.5)
    assert table["f1_per_domain"].item() == 1


def test_what_is_left_out_says_why(proteins: Proteins) -> None:
    def broken() -> Structure:
        raise InputError("no such file")

    labels = structure_labels(
        proteins,
        {
            "P00044": broken,
            "P00045": lambda: demo.structure("P00044"),
            "P02829": partial(demo.structure, "P02829"),
        },
    )
    why = dict(labels.read.select("accession", "why_not").rows())
    assert why["P00044"] == "no such file"
    assert "is of another sequence than this protein" in why["P00045"]
    assert "residues, and 80% are wanted" in why["P02829"]
    assert len(labels.annotations) == 0 and labels.accessions == []


def test_a_model_that_is_not_sure_is_labelled_as_such(proteins: Proteins) -> None:
    structure = demo.structure("P00044")
    plddt = np.where(structure.atom_positions <= 50, 60, 95).astype(np.float32)
    structure.atoms.set_annotation("plddt", plddt)
    labels = structure_labels(proteins, {"P00044": lambda: structure})
    table = labels.annotations.table
    low = table.filter(concept="Model confidence_Low").select("start", "end").rows()
    placed = labels.properties["position"]
    assert low == [(placed.min(), 50)]
    others = table.filter(pl.col("category") != "Model confidence")
    assert others["start"].min() > 50


def test_helices_are_those_of_the_library() -> None:
    structure = demo.structure("P00045")
    acids = structure.atoms[struc.filter_amino_acids(structure.atoms)]
    expected = struc.annotate_sse(acids)
    found = residue_properties(structure)["sse"].to_list()
    assert found == [s or "c" for s in expected.tolist()]
