"""nglview as a view of the selection, through the kernel."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from interplm_nb.pipeline.run import Run
from interplm_nb.readers import demo
from interplm_nb.readers.report import InputError
from interplm_nb.readers.structures import bfactor_pdb
from interplm_nb.widgets.colours import SCALE
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.selection import Selection
from interplm_nb.widgets.structure.nglview import OUTSIDE, show_nglview
from tests.widgets.conftest import HELIX

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
ACCESSION = "P00044"  # its residue numbers are not positions


@pytest.fixture
def values() -> np.ndarray:
    return np.linspace(0, 1, max(demo.structure(ACCESSION).positions.values()), dtype=np.float32)


def drawn(view: Any) -> list[dict[str, Any]]:
    return [m["kwargs"] for m in view._ngl_msg_archive if m["methodName"] == "addRepresentation"]


def loaded(view: Any) -> list[str]:
    return [m["args"][0]["data"] for m in view._ngl_msg_archive if m["methodName"] == "loadFile"]


def test_the_chain_is_coloured_by_b_factor_and_strong_residues_are_sticks(
    values: np.ndarray,
) -> None:
    structure = demo.structure(ACCESSION)
    representations = drawn(show_nglview(structure, values))
    (sticks,) = [kwargs for kwargs in representations if "and not backbone" in kwargs["sele"]]
    assert {s.split()[0] for s in sticks["sele"].split(" or ")} == {
        n for n, p in structure.positions.items() if values[p - 1] >= 0.5
    }
    for kwargs in (representations[0], sticks):
        assert (kwargs["colorScheme"], kwargs["colorDomain"], kwargs["colorScale"]) == (
            "bfactor",
            [0, 100],
            list(SCALE),
        )


def test_a_click_sets_protein_and_position(values: np.ndarray) -> None:
    structure, selection = demo.structure(ACCESSION), Selection()
    view = show_nglview(structure, values, selection)
    number, position = next((n, p) for n, p in structure.positions.items() if n != str(p))
    view.picked = {"atom1": {"resno": int(number), "name": f"[LYS]{number}:B.CA"}}
    assert (selection.accession, selection.position) == (ACCESSION, position)
    view.picked = {"atom1": {"name": "[HEM]9999:B.FE"}}
    view.picked = {}
    assert selection.position == position


def test_the_brush_turns_the_others_pale(values: np.ndarray) -> None:
    structure, selection = demo.structure(ACCESSION), Selection()
    view = show_nglview(structure, values, selection)
    assert OUTSIDE not in [kwargs.get("color") for kwargs in drawn(view)]
    selection.brush = [0.25, 0.6]
    (pale,) = [kwargs["sele"] for kwargs in drawn(view) if kwargs.get("color") == OUTSIDE]
    assert set(pale.split(" or ")) == {
        n for n, p in structure.positions.items() if not 0.25 <= values[p - 1] <= 0.6
    }
    (sticks,) = [kwargs["sele"] for kwargs in drawn(view) if "and not backbone" in kwargs["sele"]]
    assert {s.split()[0] for s in sticks.split(" or ")} == {
        n for n, p in structure.positions.items() if 0.5 <= values[p - 1] <= 0.6
    }
    selection.brush = []
    assert OUTSIDE not in [kwargs.get("color") for kwargs in drawn(view)]


def test_another_feature_brings_its_activations_and_a_saved_notebook_holds_one_structure(
    run: Run,
) -> None:
    data = FeatureData(run, feature=HELIX)
    activations = data.pages.activations
    structure = demo.structure(ACCESSION)
    view = show_nglview(structure, activations.along(ACCESSION, HELIX), data.selection)
    assert loaded(view) == [bfactor_pdb(structure, activations.along(ACCESSION, HELIX))]
    data.selection.feature = 0
    assert loaded(view) == [bfactor_pdb(structure, activations.along(ACCESSION, 0))]


def test_a_selection_of_no_data_keeps_the_values(values: np.ndarray) -> None:
    structure, selection = demo.structure(ACCESSION), Selection()
    view = show_nglview(structure, values, selection)
    selection.feature = 5
    assert loaded(view) == [bfactor_pdb(structure, values)]


def test_numbers_that_nglview_cannot_read_are_refused(values: np.ndarray) -> None:
    structure = demo.structure(ACCESSION)
    atoms = structure.atoms.copy()
    atoms.res_id += 20_000
    with pytest.raises(InputError, match=r"numbers beyond 9999, .* look at it in StructureView"):
        show_nglview(replace(structure, atoms=atoms), values)
