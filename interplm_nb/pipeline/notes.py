"""What people write about features, next to what describers say, never in its place."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

import polars as pl

from interplm_nb.checksums import DamagedFileError
from interplm_nb.pipeline.errors import DamagedRunError, PipelineError
from interplm_nb.pipeline.lock import locked
from interplm_nb.pipeline.run_folder import SHIPPED
from interplm_nb.remote.mirror import mirror_of
from interplm_nb.saving import read_json, write_json

NOTES: dict[str, Any] = {
    "feature": pl.UInt32,
    "description": pl.String,
    "comment": pl.String,
    "author": pl.String,
    "date": pl.Datetime("us", "UTC"),
}
"""Columns of `Run.notes`. A text may be ""."""

MOST_LETTERS = {"description": 1_000, "comment": 5_000, "author": 100}
"""A note travels with every page that is made of the run."""

_KIND, _VERSION = "FeatureNotes", 1


class Note(NamedTuple):
    """One note on a feature."""

    feature: int
    description: str
    comment: str
    author: str
    date: str
    """ISO 8601, UTC."""
    sae: str = ""
    """Hash of the SAE's weights; "" for features of activations alone."""

    @classmethod
    def now(cls, feature: int, description: str, comment: str, author: str) -> Self:
        """A note of this moment; ValueError for a text that is too long."""
        texts = {"description": description, "comment": comment, "author": author}
        cleaned = {name: _clean(text) for name, text in texts.items()}
        for name, text in cleaned.items():
            if len(text) > MOST_LETTERS[name]:
                raise ValueError(
                    f"the {name} of a note has at most {MOST_LETTERS[name]:,} letters, "
                    f"not {len(text):,}; shorten it"
                )
        date = datetime.now(UTC).replace(microsecond=0).isoformat()
        return cls(feature, **cleaned, date=date)


@dataclass(frozen=True)
class NotesFile:
    """Every note that was written on the features of one source, in order.

    A write reads the file again under a lock and replaces it whole, so that two workbenches on one
    run lose none of each other's notes.
    """

    run: Path
    """The run's folder."""
    path: Path
    sae: str
    """As in `Note`: notes on another SAE are kept and not shown."""

    def latest(self) -> pl.DataFrame:
        """`latest` of the notes on this SAE."""
        return latest(note for note in self.all() if note.sae == self.sae)

    def all(self) -> list[Note]:
        """PipelineError for a file that is damaged, or that `add` did not write."""
        try:
            return [_note(entry) for entry in read_json(self.path, _KIND, _VERSION)["notes"]]
        except FileNotFoundError:
            return []
        except OSError as error:
            said = error.strerror or error
            raise PipelineError(f"{self.path}: cannot be read ({said})") from error
        except (KeyError, TypeError, ValueError) as error:
            known = isinstance(error, DamagedFileError)
            said = error.reason if known else f"it is not a list of notes ({error})"
            raise DamagedRunError(
                f"{self.path}: damaged, {said}; no stage makes notes again: copy the file from a "
                "backup, or move it out of the run to go on without it"
            ) from error

    def add(self, note: Note) -> None:
        """Write a note after the others. PipelineError where it cannot be, as `refuses` says."""
        if why := self.refuses():
            raise PipelineError(why)
        try:
            with locked(self.path.with_name(f".{self.path.stem}.lock")):
                notes = [*self.all(), note._replace(sae=self.sae)]
                record = {"type": _KIND, "version": _VERSION}
                write_json(record | {"notes": [n._asdict() for n in notes]}, self.path)
        except OSError as error:
            raise PipelineError(self._unwritable(error.strerror or str(error))) from error

    def refuses(self) -> str:
        """Why no note can be written here, in a sentence; "": it can."""
        if self.run.resolve() == SHIPPED:
            return (
                "Notes are not saved in the run that comes with the package, because an update "
                "would remove them; make your own run: interplm-nb run demo --out runs/demo"
            )
        if mirror := mirror_of(self.run):
            return f"Notes are not saved, because {mirror.to_be_read}"
        place = next(p for p in self.path.parents if p.exists())
        return "" if os.access(place, os.W_OK) else self._unwritable("no permission")

    def _unwritable(self, why: str) -> str:
        return f"Notes cannot be written to {self.run} ({why}); copy the run to a folder of yours"


def latest(notes: Iterable[Note]) -> pl.DataFrame:
    """The last note on each feature, by number: columns `NOTES`.

    A note without a description and a comment takes the feature's earlier ones back.

    Examples
    --------
    >>> first = Note.now(3, "binds zinc", "", "")
    >>> latest([first, first._replace(comment="sure?")])["comment"].to_list()
    ['sure?']
    """
    last = {note.feature: note for note in notes}
    rows = [
        {**note._asdict(), "date": datetime.fromisoformat(note.date).astimezone(UTC)}
        for _, note in sorted(last.items())
        if note.description or note.comment
    ]
    return pl.DataFrame([{name: row[name] for name in NOTES} for row in rows], schema=NOTES)


def _note(entry: dict[str, Any]) -> Note:
    note = Note(**entry)
    if type(note.feature) is not int or not 0 <= note.feature < 2**32:
        raise ValueError(f"no feature {note.feature!r}")
    if not all(isinstance(text, str) for text in note[1:]):
        raise ValueError("a text is missing")
    if datetime.fromisoformat(note.date).tzinfo is None:
        raise ValueError(f"the date {note.date} has no time zone")
    return note


def _clean(text: str) -> str:
    """A text without what a browser may send and no file can hold: halves of a letter."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n").strip()
