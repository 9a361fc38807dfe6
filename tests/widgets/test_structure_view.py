"""The Python half of the structure: what it sends, what it says, what it prints."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import traitlets as t
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from interplm_nb.pipeline.run import Run
from interplm_nb.readers import demo
from interplm_nb.readers.structure_files import StructureFiles
from interplm_nb.readers.superpose import superpose
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.packing import unpack
from interplm_nb.widgets.structure.figure import BROKEN, _pieces, projected, trace
from interplm_nb.widgets.structure.payload import payload
from interplm_nb.widgets.structure.structure_view import StructureView
from tests.readers.made_structures import pdb_lines, residues
from tests.widgets.conftest import HELIX

PAIR = ("P00044", "P00045")  # cytochromes c
STRANGER = "P00128"


@pytest.fixture(scope="module")
def shared(run: Run) -> FeatureData:
    return FeatureData(run, feature=HELIX)


@pytest.fixture
def data(shared: FeatureData) -> Iterator[FeatureData]:
    yield shared
    shared.selection.update({"feature": HELIX, "accession": "", "position": None, "brush": []})


def strongest(data: FeatureData) -> str:
    """Of the proteins whose structure shows the residue of their maximum."""
    having = [p for p in unpack(data.bundle)[0]["proteins"] if p["accession"] in demo.structures()]
    shown = (
        p["accession"]
        for p in having
        if p["position"] in demo.structure(p["accession"]).positions.values()
    )
    return next(shown, having[0]["accession"])


def test_with_no_protein_selected_the_strongest_with_a_structure_is_sent_and_the_selection_stays(
    data: FeatureData,
) -> None:
    view = StructureView(data)
    assert view.accession == strongest(data)
    assert view.first_structure == payload(demo.structure(view.accession))
    assert data.selection.accession == ""


def test_with_a_protein_selected_nothing_is_sent_twice(data: FeatureData) -> None:
    view = StructureView(data)
    data.selection.accession = PAIR[0]
    assert (view.accession, view.first_structure) == (PAIR[0], b"")
    data.selection.accession = ""
    assert unpack(view.first_structure)[0]["accession"] == strongest(data)


def test_a_new_feature_sends_its_own_strongest(data: FeatureData) -> None:
    view = StructureView(data)
    for feature in range(5):
        data.selection.feature = feature
        assert unpack(view.first_structure)[0]["accession"] == strongest(data)


def test_the_second_protein_is_sent_as_it_lies_on_the_first(data: FeatureData) -> None:
    data.selection.accession = PAIR[0]
    view = StructureView(data, other=PAIR[1])
    found = superpose(demo.structure(PAIR[0]), demo.structure(PAIR[1]))
    record, sent = unpack(view.other_structure)
    assert (record["accession"], record["on"], record["n_aligned"]) == (
        PAIR[1],
        PAIR[0],
        found.n_aligned,
    )
    assert (record["rmsd"], record["tm_score"]) == (found.rmsd, found.tm_score)
    np.testing.assert_array_equal(sent["pdb"], unpack(payload(found.mobile))[1]["pdb"])


def test_selecting_the_second_keeps_the_pair(data: FeatureData) -> None:
    data.selection.accession = PAIR[0]
    view = StructureView(data, other=PAIR[1])
    sent = view.other_structure
    data.selection.accession = PAIR[1]
    assert (view.accession, view.other_structure) == (PAIR[0], sent)
    assert view.first_structure == payload(demo.structure(PAIR[0]))
    view.other = ""
    assert (view.accession, view.other_structure) == (PAIR[1], b"")


def test_proteins_of_two_folds_are_not_superposed_and_it_says_why(data: FeatureData) -> None:
    data.selection.accession = PAIR[0]
    view = StructureView(data, other=STRANGER)
    assert view.other_structure == b""
    assert f"{STRANGER} (" in view.problem
    assert "no fold in common" in view.problem
    data.selection.position = 20
    data.selection.accession = ""
    data.selection.accession = PAIR[0]
    assert "no fold in common" in view.problem
    view.other = PAIR[1]
    assert view.problem == ""


def test_a_closed_view_follows_nothing(data: FeatureData) -> None:
    view = StructureView(data)
    sent = view.first_structure
    view.close()
    view.close()
    data.selection.accession = PAIR[0]
    data.refresh()
    assert view.first_structure == sent != b""


def test_a_second_protein_without_a_structure_is_named(data: FeatureData) -> None:
    assert StructureView(data, other="Q0").problem.startswith(
        "no structure of Q0; the proteins with a structure are: O07621, "
    )


def test_a_structure_that_cannot_be_read_is_said_and_breaks_nothing(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Any:
        raise OSError("disk")

    data = FeatureData(run, feature=HELIX, structures=dict.fromkeys(demo.structures(), broken))
    view = StructureView(data)
    assert view.first_structure == b""
    assert view.problem == f"The structure of {view.accession} could not be read: disk"
    assert f"structure of {view.accession}" in caplog.text


BAD_FILES = {
    "cut.pdb": "ATOM      1  N   MET A   1       1.369",
    "cut.cif": "data_x\nloop_\n_atom_site.id\n_atom_site.group_PDB\n1",
    "other.pdb": "\n".join(pdb_lines(residues("MKTAYIAKQRHISFVKSCFS"))),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_named_and_the_workbench_goes_on(run: Run, tmp_path: Path, name: str) -> None:
    first, second = demo.structures()[:2]
    path = tmp_path / f"{first}.{name}"
    path.write_text(BAD_FILES[name])
    good = tmp_path / f"{second}.pdb.gz"
    good.write_bytes((demo.folder() / "structures" / good.name).read_bytes())
    files = StructureFiles(tmp_path, cache=tmp_path / "none")
    data = FeatureData(run, feature=HELIX, structures=files)
    view = StructureView(data)
    data.selection.accession = first
    said = f"The structure of {first} could not be read: {path}: "
    assert data.problem.startswith(said) and data.structure == b""
    (words,) = view.figure().texts
    assert words.get_text().startswith(str(path))
    data.selection.accession = ""
    if view.accession == first:
        assert view.problem.startswith(said)
    view.other = first
    assert str(path) in view.problem
    assert second in data.to_keep([HELIX])["kept_structures"]
    assert first not in data.to_keep([HELIX])["kept_structures"]
    data.selection.accession = second
    assert data.problem == ""
    assert unpack(data.structure)[0]["accession"] == second


@pytest.mark.parametrize(
    ("name", "value"), [("representation", "ribbon"), ("threshold", -0.1), ("chains", 3)]
)
def test_settings_that_mean_nothing_are_refused(
    data: FeatureData, name: str, value: object
) -> None:
    with pytest.raises(t.TraitError):
        StructureView(data, **{name: value})


def test_unknown_settings_are_refused(data: FeatureData) -> None:
    with pytest.raises(TypeError, match="StructureView has no setting colour"):
        StructureView(data, colour="red")


def test_the_figure_says_that_the_maximum_is_not_there(data: FeatureData) -> None:
    structure = demo.structure(PAIR[0])
    values = np.zeros(len(data.pages.proteins.sequence(PAIR[0])), np.float32)
    lacking = next(p for p in range(1, 1 + len(values)) if p not in structure.positions.values())
    for maximum, said in ((lacking, f"; not the maximum, at {lacking}"), (50, "")):
        values[:] = 0
        values[maximum - 1] = 1
        title = trace(structure, values, 3).axes[0].get_title("left")
        assert title.endswith(f"residues, chain {structure.chain}{said}")


def test_the_figure_says_what_it_shows(data: FeatureData) -> None:
    data.selection.update({"accession": PAIR[0], "position": 30, "brush": [0.2, 0.8]})
    figure = StructureView(data).figure()
    structure, values = demo.structure(PAIR[0]), data.pages.activations.along(PAIR[0], HELIX)
    axes, bar = figure.axes
    assert (
        axes.get_title("left")
        == f"Feature {HELIX} on {PAIR[0]}\n{len(structure.positions)} of {len(values)} "
        f"residues, chain {structure.chain}"
    )
    assert (
        bar.get_xlabel()
        == "activation (share of the maximum on training proteins)\nthin and grey: outside "
        "the brush 0.20 to 0.80"
    )
    assert "30" in [text.get_text() for text in axes.texts]


def test_without_a_structure_the_figure_says_so(data: FeatureData) -> None:
    data.selection.accession = "Q0"
    (words,) = StructureView(data).figure().texts
    assert words.get_text().startswith("no structure of Q0")


def test_a_structure_of_a_protein_outside_the_run_has_no_values(run: Run) -> None:
    data = FeatureData(run, feature=HELIX, structures={"Q0": lambda: demo.structure(PAIR[0])})
    data.selection.accession = "Q0"
    with pytest.raises(LookupError, match="Q0 is not among the run's"):
        StructureView(data).values()


def test_scripts_hold_the_activations_of_what_is_shown(data: FeatureData, tmp_path: Path) -> None:
    data.selection.accession = PAIR[0]
    view = StructureView(data, threshold=0.7)
    paths = view.write_scripts(tmp_path)
    assert {path.suffix for path in paths} == {".pdb", ".cxc", ".pml"}
    assert "not b < 70" in (tmp_path / f"feature_{HELIX}_{PAIR[0]}.pml").read_text()
    lines = [
        line
        for line in paths[0].read_text().splitlines()
        if line.startswith("ATOM") and line[12:16] == " CA "
    ]
    numbers = demo.structure(PAIR[0]).positions
    expected = [
        min(100 * view.values()[numbers[line[22:27].strip()] - 1], 999.99) for line in lines
    ]
    np.testing.assert_allclose([float(line[60:66]) for line in lines], expected, atol=0.006)


coordinates = arrays(
    np.float64, st.tuples(st.integers(4, 30), st.just(3)), elements=st.floats(-50, 50)
)


@given(coordinates)
def test_the_projection_turns_and_never_mirrors(points: np.ndarray) -> None:
    seen = projected(points)
    a, b = points[1:] - points[0], seen[1:] - seen[0]
    np.testing.assert_allclose(a @ a.T, b @ b.T, atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(a[:3]), np.linalg.det(b[:3]), atol=1e-5)


def test_the_trace_breaks_where_residues_lack_and_passes_through_every_carbon() -> None:
    line = np.stack([3.8 * np.arange(6.0), np.zeros(6), np.zeros(6)], axis=1)
    line[4:, 0] += BROKEN  # residues 4 and 5 apart; then one alone
    line[5, 0] += BROKEN
    pieces, residues = _pieces(line)
    lengths = np.linalg.norm(pieces[:, 1] - pieces[:, 0], axis=1)
    assert lengths.sum() == pytest.approx(3 * 3.8)
    assert set(residues) == set(range(6))
    ends = pieces.reshape(-1, 3)
    assert all(np.isclose(ends, carbon).all(axis=1).any() for carbon in line)
