"""Superposition: rigid motions are undone, relatives found by fold, strangers refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from interplm_nb.readers import demo
from interplm_nb.readers.report import InputError
from interplm_nb.readers.structures import Structure
from interplm_nb.readers.superpose import superpose

CYTOCHROME = demo.structure("P00044")


def moved(
    structure: Structure, angles: tuple[float, float, float], shift: tuple[float, float, float]
) -> Structure:
    atoms = structure.atoms.copy()
    atoms.coord = Rotation.from_euler("xyz", angles).apply(atoms.coord).astype(
        np.float32
    ) + np.float32(shift)
    return replace(structure, atoms=atoms, others=atoms[:7])


def renumbered(structure: Structure, by: int) -> Structure:
    """The same residues under other numbers."""
    atoms = structure.atoms.copy()
    atoms.res_id = atoms.res_id + by
    return replace(
        structure,
        atoms=atoms,
        positions={
            str(int(number) + by): position for number, position in structure.positions.items()
        },
    )


def carbons(structure: Structure) -> dict[int, np.ndarray]:
    """Position to coordinates of the alpha carbon."""
    here = (structure.atoms.atom_name == "CA") & (structure.atom_positions > 0)
    return dict(
        zip(
            structure.atom_positions[here].tolist(),
            structure.atoms.coord[here].astype(float),
            strict=True,
        )
    )


def rmsd(a: Structure, b: Structure) -> float:
    """The definition: root of the mean squared distance of alpha carbons at shared positions."""
    x, y = carbons(a), carbons(b)
    shared = x.keys() & y.keys()
    return float(np.sqrt(np.mean([np.sum((x[p] - y[p]) ** 2) for p in shared])))


ANGLE, SHIFT = st.floats(-3, 3), st.floats(-80, 80)


@given(st.tuples(ANGLE, ANGLE, ANGLE), st.tuples(SHIFT, SHIFT, SHIFT))
def test_a_motion_is_undone_whatever_the_residue_numbers_are(angles, shift) -> None:
    found = superpose(CYTOCHROME, renumbered(moved(CYTOCHROME, angles, shift), 400))
    assert found.n_aligned == len(CYTOCHROME.positions)
    assert found.rmsd < 1e-3
    assert found.tm_score == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(found.mobile.atoms.coord, CYTOCHROME.atoms.coord, atol=1e-3)
    assert found.mobile.others is not None
    np.testing.assert_allclose(found.mobile.others.coord, CYTOCHROME.atoms.coord[:7], atol=1e-3)


def test_two_structures_of_one_protein_lie_as_near_as_any_motion_brings_them() -> None:
    other = moved(CYTOCHROME, (1, 2, 3), (10, 20, 30))
    noise = np.random.default_rng(0).normal(scale=1.5, size=other.atoms.coord.shape)
    other.atoms.coord += noise.astype(np.float32)
    other = replace(
        other, positions={n: p for n, p in other.positions.items() if p > 20}, others=None
    )
    found = superpose(CYTOCHROME, other)
    assert found.n_aligned == sum(p > 20 for p in CYTOCHROME.positions.values())
    assert found.rmsd == pytest.approx(rmsd(CYTOCHROME, found.mobile), rel=1e-4)
    assert found.mobile.others is None
    for axis in np.eye(3):
        for sign in (-0.01, 0.01):
            assert rmsd(CYTOCHROME, moved(found.mobile, tuple(axis * sign), (0, 0, 0))) > found.rmsd
            assert rmsd(CYTOCHROME, moved(found.mobile, (0, 0, 0), tuple(axis * sign))) > found.rmsd


def test_what_was_given_stays_where_it_is() -> None:
    other = moved(CYTOCHROME, (1, 0, 0), (5, 0, 0))
    before = other.atoms.coord.copy()
    found = superpose(CYTOCHROME, other)
    assert found.fixed is CYTOCHROME
    np.testing.assert_array_equal(other.atoms.coord, before)


def test_relatives_are_laid_on_one_another_by_their_fold() -> None:
    """The core proteins of complex III share few residues, cytochromes c of two genes many."""
    near = superpose(CYTOCHROME, moved(demo.structure("P00045"), (2, 1, 0), (30, -20, 5)))
    far = superpose(demo.structure("P07256"), demo.structure("P07257"))
    assert near.n_aligned > 100
    assert near.rmsd < 1
    assert far.n_aligned > 300
    assert far.rmsd < 3.5
    assert near.tm_score > 0.95 > far.tm_score > 0.8
    assert (
        repr(near)
        == f"Superposition(P00045 on P00044: {near.n_aligned} residues, RMSD {near.rmsd:.2f} Å, "
        f"TM-score {near.tm_score:.2f})"
    )


def test_strangers_are_refused() -> None:
    with pytest.raises(
        InputError,
        match=r"P32324 \(.*\) and P00431 \(.*\) have no fold in common: TM-score 0.2\d over \d+ "
        "residues, wanted 0.4 or more",
    ):
        superpose(demo.structure("P00431"), demo.structure("P32324"))
    with pytest.raises(
        InputError,
        match=r"P05067 \(.*\) and P00044 \(.*\) have no fold in common \(No anchors found.*\); "
        "choose related proteins",
    ):
        superpose(CYTOCHROME, demo.structure("P05067"))


def test_too_few_shared_positions_are_refused() -> None:
    few = replace(CYTOCHROME, positions={n: p for n, p in CYTOCHROME.positions.items() if p <= 9})
    n = len(few.positions)
    with pytest.raises(
        InputError,
        match=f"P00044 .*: {n} residues correspond, wanted 10 or more; choose structures that "
        "share more",
    ):
        superpose(CYTOCHROME, few)
    with pytest.raises(InputError, match="0 residues correspond"):
        superpose(CYTOCHROME, replace(CYTOCHROME, positions={}))
