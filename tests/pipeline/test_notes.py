"""What people write about features: kept next to everything else, and never lost."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from interplm_nb.annotations import Annotations
from interplm_nb.pipeline.errors import DamagedRunError, PipelineError
from interplm_nb.pipeline.lock import locked
from interplm_nb.pipeline.notes import MOST_LETTERS, NOTES
from interplm_nb.pipeline.own_activations import run_from_parts
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins
from interplm_nb.saving import write_json

HOSTILE = '<img src=x onerror="alert(1)">\u202e\x1b[2J =1+1\r\nnext line'


@pytest.fixture
def run(tmp_path: Path) -> Run:
    proteins = Proteins.from_sequences({"P1": "MKV", "P2": "GGA", "P3": "AAA"})
    values = np.ones((9, 5), np.float32)
    return run_from_parts(tmp_path / "run", proteins, Annotations.empty(proteins), values)


def test_the_last_note_of_a_feature_counts_and_none_is_overwritten(run: Run) -> None:
    assert run.notes().schema == pl.Schema(NOTES) and run.notes().is_empty()
    run.write_note(3, "binds zinc", author="Ada")
    run.write_note(1, comment="dull")
    run.write_note(3, "binds copper", "seen in 12 of 14 proteins", "Ada")
    rows = Run.open(run.folder).notes()
    assert rows.drop("date").rows() == [
        (1, "", "dull", ""),
        (3, "binds copper", "seen in 12 of 14 proteins", "Ada"),
    ]
    assert rows["date"].is_sorted() or rows["date"].n_unique() == 1
    kept = json.loads((run.folder / "notes/sae.json").read_text(encoding="utf-8"))["notes"]
    assert [note["description"] for note in kept] == ["binds zinc", "", "binds copper"]
    run.write_note(3)  # takes it back
    assert run.notes()["feature"].to_list() == [1]
    assert len(run.notes_file().all()) == 4


def test_two_workbenches_on_one_run_lose_nothing_of_each_other(run: Run) -> None:
    other = Run.open(run.folder)
    for feature in range(4):
        (run, other)[feature % 2].write_note(feature, f"note {feature}")
    assert run.notes()["feature"].to_list() == other.notes()["feature"].to_list() == [0, 1, 2, 3]
    with locked(run.folder / "notes/.sae.lock"), pytest.raises(PipelineError, match="is in use"):
        run.write_note(4, "meanwhile")
    assert run.notes().height == 4


def test_text_is_kept_as_it_was_written(run: Run) -> None:
    run.write_note(0, HOSTILE, "  half a letter: \ud83d ", "Zoë 🧬")
    (row,) = run.notes().to_dicts()
    assert row["description"] == HOSTILE.replace("\r\n", "\n")
    assert (row["comment"], row["author"]) == ("half a letter: ?", "Zoë 🧬")


def test_notes_on_an_sae_that_was_trained_again_are_kept_and_not_shown(run: Run) -> None:
    run.write_note(2, "of the first")
    run.write_about("sae", **{**run.about("sae"), "weights": "sha256:other"})
    assert run.notes().is_empty()
    run.write_note(2, "of the second")
    assert run.notes()["description"].to_list() == ["of the second"]
    assert [note.sae for note in run.notes_file().all()] == ["", "sha256:other"]


@pytest.mark.parametrize("name", MOST_LETTERS)
def test_a_text_that_is_too_long_is_refused(run: Run, name: str) -> None:
    most = MOST_LETTERS[name]
    with pytest.raises(ValueError, match=rf"the {name} of a note has at most {most:,} letters"):
        run.write_note(0, **{name: "x" * (most + 1)})
    run.write_note(0, **{"comment": "y", name: "x" * most})
    assert run.notes()[name].to_list() == ["x" * most]


def test_a_feature_that_is_not_there_is_refused(run: Run) -> None:
    for feature in (-1, 5):
        with pytest.raises(ValueError, match=f"sae has features 0 to 4, not {feature}"):
            run.write_note(feature, "x")


DAMAGE = {
    "a changed letter": lambda data: data.replace(b"zinc", b"zinK"),
    "its end cut off": lambda data: data[: len(data) // 2],
    "nothing left": lambda data: b"",
    "no JSON": lambda data: b"\x00" * len(data),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_refused_by_name_and_not_written_over(run: Run, kind: str) -> None:
    run.write_note(0, "binds zinc")
    path = run.folder / "notes/sae.json"
    path.write_bytes(DAMAGE[kind](path.read_bytes()))
    before = path.read_bytes()
    for act in (run.notes, lambda: run.write_note(1, "x")):
        with pytest.raises(DamagedRunError) as caught:
            act()
        assert str(caught.value).startswith(f"{path}: damaged, ")
        assert "no stage makes notes again" in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "notes",
    [
        None,
        ["a text"],
        [{"feature": 0}],
        [{**dict.fromkeys(("description", "comment", "author", "date", "sae"), ""), "feature": 0}],
        [
            {
                "feature": -1,
                "date": "2026-01-01T00:00:00+00:00",
                **dict.fromkeys(("description", "comment", "author", "sae"), ""),
            }
        ],
        [
            {
                "feature": 0,
                "date": "2026-01-01T00:00:00",
                **dict.fromkeys(("description", "comment", "author", "sae"), ""),
            }
        ],
    ],
)
def test_a_file_of_somebody_elses_making_is_refused(run: Run, notes: object) -> None:
    record = {"type": "FeatureNotes", "version": 1, "notes": notes}
    write_json(record, run.folder / "notes/sae.json")
    message = r"notes/sae.json: damaged, it is not a list of notes"
    with pytest.raises(DamagedRunError, match=message):
        run.notes()


def test_the_run_of_the_package_takes_no_notes() -> None:
    shipped = Run.shipped()
    assert shipped.notes().is_empty()
    with pytest.raises(PipelineError, match="an update would remove them; make your own run"):
        shipped.write_note(0, "x")
    assert not (shipped.folder / "notes").exists()


def test_a_run_that_cannot_be_written_to_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("os.access", lambda *_: False)
        assert run.notes_file().refuses() == (
            f"Notes cannot be written to {run.folder} (no permission); "
            "copy the run to a folder of yours"
        )
        with pytest.raises(PipelineError, match="Notes cannot be written"):
            run.write_note(0, "x")
    (run.folder / "notes").write_text("in the way")
    with pytest.raises(PipelineError, match="Notes cannot be written"):
        run.write_note(0, "x")


def test_a_link_that_leads_out_of_the_run_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (run.folder / "notes").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PipelineError, match="out of the run's folder"):
        Run.open(run.folder)
