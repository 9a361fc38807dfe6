"""What the views get as the selection changes, and what Python answers for the whole store."""

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import traitlets as t

from interplm_nb.features.examples import proteins_of
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.readers import demo
from interplm_nb.readers.structures import Structure
from interplm_nb.widgets.feature_data import FeatureData
from interplm_nb.widgets.packing import unpack
from interplm_nb.widgets.selection import Selection
from tests.widgets.conftest import HELIX, N_FEATURES, SILENT

START = {
    "feature": HELIX,
    "accession": "",
    "position": None,
    "brush": [],
    "accessions": [],
    "pinned": [],
    "listed": {},
}


@pytest.fixture(scope="module")
def made(run: Run) -> FeatureData:
    return FeatureData(run)


@pytest.fixture
def data(made: FeatureData) -> Iterator[FeatureData]:
    made.selection.update(START)
    made.n_proteins = 200
    yield made
    made.selection.update(START)


def record(data: FeatureData) -> dict[str, Any]:
    return unpack(data.bundle)[0]


def accessions(data: FeatureData) -> list[str]:
    return [protein["accession"] for protein in record(data)["proteins"]]


def test_it_begins_with_the_best_pair_or_with_what_is_asked(made: FeatureData, run: Run) -> None:
    named = made.pages.ranked.filter(pl.col("concept") != pl.col("category") + "_any")
    assert FeatureData(run).selection.feature == named["feature"][0]
    assert FeatureData(run, feature=5).selection.feature == 5
    with pytest.raises(t.TraitError, match=f"sae has features 0 to {N_FEATURES - 1}, not 99"):
        FeatureData(run, feature=99)


def test_the_first_feature_is_of_a_found_pair_with_a_name() -> None:
    run = Run.shipped()
    first = FeatureData(run, structures={})
    table = run.table("concepts", "found").filter(source="sae", convention="strict")
    named = table.filter(~pl.col("concept").str.ends_with("_any"))
    best = named.sort("validation_f1_per_domain", descending=True).row(0, named=True)
    assert first.selection.feature == best["feature"]
    assert best["f1_per_domain"] > 0.5 and best["clusters"] >= 3


def test_features_and_categories_of_a_list_are_those_of_the_data(data: FeatureData) -> None:
    with pytest.raises(t.TraitError, match=f"sae has features 0 to {N_FEATURES - 1}, not 99"):
        data.selection.listed = {"among": [0, 99]}
    with pytest.raises(
        t.TraitError,
        match=r"no scored concept has the category 'helix'; the categories are .*Helix",
    ):
        data.selection.listed = {"category": "helix"}
    assert data.selection.listed == {}
    data.selection.listed = {"category": "Helix"}
    assert data.selection.features()["category"].unique().to_list() == ["Helix"]
    with pytest.raises(t.TraitError, match="no scored concept has the category 'x'"):
        FeatureData(data.pages.run, selection=Selection(listed={"category": "x"}))


def test_a_new_feature_is_sent(data: FeatureData) -> None:
    data.selection.feature = 5
    assert record(data)["feature"] == 5
    data.selection.pinned = [HELIX]
    assert [pinned["feature"] for pinned in record(data)["pinned"]] == [HELIX]
    data.selection.accessions = chosen = accessions(data)[3:5]
    data.structures, kept = {}, data.structures  # proteins with a structure come along
    data.refresh()
    data.structures = kept
    assert accessions(data) == chosen
    assert record(data)["asked"] == {"accession": "", "accessions": chosen}


def test_a_feature_is_shown_on_a_structure_that_has_the_residue_of_the_maximum(
    data: FeatureData, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    firing = proteins_of(data.pages.activations, HELIX).select("accession", "position").rows()
    (first, p1), (second, _), (third, p3), *_ = firing
    silent = next(a for a in data.pages.proteins.accessions if a not in dict(firing))

    def showing(*positions: int) -> Callable[[], Any]:
        return lambda: SimpleNamespace(positions={str(p): p for p in positions})

    def broken() -> Any:
        raise OSError("disk")

    def chosen(structures: dict[str, Callable[[], Any]]) -> Any:
        monkeypatch.setattr(data, "structures", structures)
        data.refresh()
        assert set(structures) & set(accessions(data))
        return record(data)["on_structure"]

    lacks, unread, shows = showing(p1 + 1), broken, showing(p3, p3 + 1)
    found = chosen({third: shows, second: unread, first: lacks})
    assert found == {"accession": third, "shows_maximum": True, "n_read": 3}
    assert f"The structure of {second} could not be read: disk" in caplog.text
    found = chosen({first: showing(p1), third: shows})
    assert found == {"accession": first, "shows_maximum": True, "n_read": 1}
    found = chosen({second: unread, first: lacks, silent: shows})
    assert found == {"accession": first, "shows_maximum": False, "n_read": 2}
    monkeypatch.setattr(data, "structures", {silent: unread})
    data.selection.accession = silent
    found = chosen({silent: unread})
    assert found == {"accession": silent, "shows_maximum": False, "n_read": 0}
    monkeypatch.undo()
    data.refresh()


def test_a_feature_that_there_is_not_changes_nothing(data: FeatureData) -> None:
    sent = data.bundle
    for fields in ({"feature": N_FEATURES}, {"feature": -1}, {"pinned": [0, N_FEATURES]}):
        with pytest.raises(t.TraitError, match=f"sae has features 0 to {N_FEATURES - 1}, not "):
            data.selection.update(fields)
    assert data.selection.feature == HELIX and data.bundle == sent


def test_a_protein_that_was_left_out_is_fetched(data: FeatureData) -> None:
    data.n_proteins = 5
    data.refresh()
    strength = {
        a: float(data.pages.activations.along(a, HELIX).max())
        for a in data.pages.proteins.accessions
    }
    out = sorted((a for a in strength if a not in accessions(data)), key=lambda a: strength[a])
    for accession in (out[0], out[-1]):  # the weakest, and the strongest of them
        data.selection.accession = accession
        assert accession in accessions(data)
    assert strength[out[0]] == 0


def test_a_selected_protein_in_the_bundle_sends_nothing_again(data: FeatureData) -> None:
    sent = data.bundle
    data.selection.update({"accession": accessions(data)[0], "position": 1})
    assert data.bundle is sent


def test_fields_that_change_at_once_are_answered_once(
    data: FeatureData, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    made = data._bundle
    monkeypatch.setattr(
        data, "_bundle", lambda feature, n: asked.append(feature) or made(feature, n)
    )
    chosen = accessions(data)[:3]
    data.selection.update(
        {
            "feature": 5,
            "pinned": [HELIX],
            "accessions": chosen,
            "accession": chosen[0],
            "position": 2,
            "brush": [0.5, 1],
        }
    )
    assert asked == [5]
    data.selection.update(START)
    assert asked == [5, HELIX]
    data.selection.update(
        {"accessions": chosen, "accession": (outside := data.pages.proteins.accessions[-1])}
    )
    assert asked == [5, HELIX, HELIX] and outside in accessions(data)


def test_a_field_that_is_set_back_after_a_failure_is_answered(
    data: FeatureData, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch, caplog.at_level(logging.CRITICAL):
        patch.setattr(data, "_bundle", lambda *_: {}["disk"])
        data.selection.feature = 5
    assert data.problem == "Feature 5 could not be read: disk"
    data.selection.feature = HELIX
    assert data.problem == "" and record(data)["feature"] == HELIX


def test_closed_data_answers_no_more(run: Run) -> None:
    data = FeatureData(run, feature=HELIX, structures={})
    selection, sent = data.selection, data.bundle
    data.close()
    data.close()
    selection.update({"feature": 5, "accession": data.pages.proteins.accessions[0]})
    assert data.bundle is sent
    assert selection.data is None


def test_the_structure_of_the_selected_protein(data: FeatureData) -> None:
    accession = demo.structures()[0]
    assert accession in data.about["structures"]
    data.selection.accession = accession
    assert unpack(data.structure)[0]["accession"] == accession
    data.selection.accession = next(
        a for a in data.pages.proteins.accessions if a not in data.structures
    )
    assert data.structure == b""


def test_a_structure_that_cannot_be_read_is_said(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Structure:
        raise OSError("no such file")

    accession = demo.structures()[0]
    data = FeatureData(run, structures={accession: broken})
    with caplog.at_level(logging.CRITICAL):
        data.selection.accession = accession
    assert data.problem == f"The structure of {accession} could not be read: no such file"
    assert data.structure == b"" and record(data)["feature"] == data.selection.feature


def test_a_protein_that_is_not_in_the_run_is_said(
    data: FeatureData, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.CRITICAL):
        data.selection.accessions = ["NOPE"]
    assert data.problem.startswith(
        f"Feature {HELIX} could not be read: no protein 'NOPE' among these"
    )
    data.selection.accessions = []
    assert data.problem == ""


@pytest.mark.parametrize("brush", [[], [0.5, 0.75], [0, 10], [5, 6]])
def test_residues_of_the_whole_store(data: FeatureData, brush: list[float]) -> None:
    data.n_proteins = 3
    data.selection.update(
        {
            "feature": 5,
            "brush": brush,
            "accessions": (chosen := data.pages.proteins.accessions[::3]),
        }
    )
    low, high = brush or (0, np.inf)
    expected = [
        (accession, i + 1, data.pages.proteins.sequence(accession)[i], float(value))
        for accession in chosen
        for i, value in enumerate(data.pages.activations.along(accession, 5))
        if value > 0 and low <= value <= high
    ]
    assert data.selection.residues().rows() == expected
    data.selection.accessions = []
    assert data.selection.residues().height >= len(expected)
    assert data.selection.residues().filter(accession=chosen[0]).rows() == [
        row for row in expected if row[0] == chosen[0]
    ]


def test_what_a_page_without_a_kernel_can_show(data: FeatureData) -> None:
    data.keep([5, HELIX, 5, SILENT], n_proteins=4)
    assert list(data.kept) == ["5", str(HELIX), str(SILENT)]
    for feature in (5, HELIX, SILENT):
        found, _ = unpack(data.kept[str(feature)])
        assert found["feature"] == feature
        assert [
            p["accession"]
            for p in found["proteins"]
            if p["structure"] and p["accession"] not in data.kept_structures
        ] == []
    assert {
        accession: unpack(packed)[0]["accession"]
        for accession, packed in data.kept_structures.items()
    } == {a: a for a in data.kept_structures}
    data.keep([5], structures=False)
    assert list(data.kept) == ["5"] and data.kept_structures == {}
    with pytest.raises(t.TraitError, match="not 99"):
        data.keep([HELIX, 99])
    assert list(data.kept) == ["5"]


def test_what_is_said_of_the_run(data: FeatureData) -> None:
    about = data.about
    assert (about["plm"], about["layer"], about["n_features"]) == ("esm2-mini", 2, N_FEATURES)
    assert about["n_residues"] == sum(len(s) for s in data.pages.proteins.sequences)
    assert list(about["categories"]) == list(data.pages.colours)
    assert unpack(data.lists.features)[1]["feature"].tolist() == list(range(N_FEATURES))


def test_two_may_share_a_selection(run: Run) -> None:
    shared = Selection(feature=5)
    first, second = FeatureData(run, selection=shared), FeatureData(run, selection=shared)
    shared.feature = HELIX
    assert record(first)["feature"] == record(second)["feature"] == HELIX
    assert shared.data is first


def test_a_selection_of_something_else_is_refused(run: Run) -> None:
    for given in (Selection(feature=N_FEATURES), Selection(pinned=[0, N_FEATURES])):
        with pytest.raises(
            t.TraitError, match=f"sae has features 0 to {N_FEATURES - 1}, not {N_FEATURES}"
        ):
            FeatureData(run, selection=given)
    with pytest.raises(
        ValueError,
        match="the selection is of source 'neurons', the data of 'sae'; give both the same",
    ):
        FeatureData(run, selection=Selection(source="neurons"))


def test_a_source_without_stored_activations_is_refused(run: Run) -> None:
    for source in ("pca", "nope", "../sae"):
        with pytest.raises(
            PipelineError,
            match=rf"source '{source}' of .* has no stored activations, which views need; "
            "sources that have them: sae",
        ):
            FeatureData(run, source)


def test_a_feature_that_cannot_be_read_is_still_said_when_a_protein_is_selected(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data = FeatureData(run, n_proteins=2, structures={})
    left_out = next(a for a in data.pages.proteins.accessions if a not in accessions(data))

    def broken(*_: object) -> None:
        raise OSError("no such file")

    monkeypatch.setattr(data, "_bundle", broken)
    with caplog.at_level(logging.CRITICAL):
        data.selection.accession = left_out
    assert data.problem == f"Feature {data.selection.feature} could not be read: no such file"
    monkeypatch.undo()
    data.refresh()
    assert data.problem == ""


def test_a_run_without_activations(tmp_path: Path) -> None:
    with pytest.raises(PipelineError):
        FeatureData(Run.create(tmp_path / "run", "test"))


@pytest.fixture
def noted(run: Run, tmp_path: Path) -> FeatureData:
    """Of a run that can be written to; `sent` holds what the browser is told."""
    shutil.copytree(run.folder, tmp_path / "own")
    return FeatureData(Run.open(tmp_path / "own"), structures={})


def told(data: FeatureData, note: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> str:
    """What the browser is answered that asks for this note; "": it is written."""
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(data, "send", sent.append)
    data._handle_custom_msg({"note": note, "id": "7"}, [])
    assert [answer["noted"] for answer in sent] == ["7"]
    return sent[0]["problem"]


def test_a_note_is_saved_and_shown_in_every_list(
    noted: FeatureData, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "note" not in noted.features.columns and noted.notes == {}
    assert noted.about["no_notes"] == ""
    note = {"feature": HELIX, "description": "on helices", "comment": "of course", "author": ""}
    assert told(noted, note, monkeypatch) == ""
    (row,) = noted.pages.run.notes().to_dicts()
    assert (row["feature"], row["description"], row["author"]) == (HELIX, "on helices", "")
    date = noted.notes[str(HELIX)].pop("note_date")
    assert noted.notes == {str(HELIX): {"note": "on helices", "comment": "of course"}}
    assert noted.features.filter(feature=HELIX).select("note", "comment", "note_date").rows() == [
        ("on helices", "of course", date)
    ]
    assert noted.features["note"].null_count() == N_FEATURES - 1
    noted.selection.listed = {"search": "course"}
    assert noted.selection.features()["feature"].to_list() == [HELIX]
    again = FeatureData(noted.pages.run.folder, structures={})
    assert again.notes[str(HELIX)]["note"] == "on helices"
    assert told(noted, {"feature": HELIX}, monkeypatch) == ""  # takes it back
    assert noted.notes == {} and "note" not in noted.features.columns


def test_a_note_that_cannot_be_is_refused_in_words(
    noted: FeatureData, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"feature": HELIX, "description": "x" * 1001}
    assert "at most 1,000 letters" in told(noted, asked, monkeypatch)
    assert "sae has features 0 to 11, not 12" in told(noted, {"feature": 12}, monkeypatch)
    path = noted.pages.run.folder / "notes" / "sae.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    assert f"{path}: damaged" in told(noted, {"feature": 0, "comment": "x"}, monkeypatch)
    assert path.read_text() == "{}"
    # Opened now, it shows everything else, and keeps notes in the session.
    again = FeatureData(noted.pages.run.folder, structures={})
    assert again.about["no_notes"].startswith(f"{path}: damaged")
    assert again.features.height == N_FEATURES


def test_a_run_that_takes_no_notes_keeps_them_in_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = FeatureData(Run.shipped(), structures={})
    assert "comes with the package" in data.about["no_notes"]
    assert told(data, {"feature": 5, "comment": "mine"}, monkeypatch) == ""
    assert data.notes["5"]["comment"] == "mine" and data.notes["5"]["unsaved"] is True
    assert data.features.filter(feature=5)["comment"].to_list() == ["mine"]
    assert data.pages.run.notes().is_empty()
    with pytest.raises(PipelineError, match="comes with the package"):
        data.write_note(5, "from Python")
