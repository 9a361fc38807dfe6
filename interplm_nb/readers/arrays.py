"""A person's own residue embeddings, from any model: one [residues, width] array per accession.

Shapes are compared with the proteins before anything is written; values are read one protein at a
time. Keys are accessions, alone or as in FASTA headers of UniProt: `sp|P12345|NAME`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins
from interplm_nb.readers.array_files import WANTED, ArrayFile, Entry, open_arrays
from interplm_nb.readers.report import InputError
from interplm_nb.saving import file_hash
from interplm_nb.shards import Stored

_UNIPROT = re.compile(r"(?:sp|tr)\|([^|]+)\|[^|]*")
_NAMED = 3


class Held(NamedTuple):
    """What a file of arrays holds."""

    n_proteins: int
    width: int
    """Values per residue, the same for all."""


class _Given(NamedTuple):
    """What tells one person's arrays from another's of the same name."""

    name: str
    revision: str


def check_arrays(path: Path | str) -> Held:
    """Whether a file's arrays can be embeddings, by their shapes and types alone; reads no value.

    `InputError` where it is not such a file, or an array is not [residues, width] of floats, or
    widths differ. Which proteins it holds is checked by `embeddings_from`.
    """
    with open_arrays(path) as file:
        return Held(len(_by_accession(path, file.entries)), _width(path, file.entries))


def embeddings_from(
    path: Path | str,
    proteins: Proteins,
    folder: Path,
    *,
    layer: int,
    name: str | None = None,
    stored: Stored = "float32",
    progress: bool = True,
) -> Embeddings:
    """Embeddings of these proteins from a file's arrays, written to `folder`.

    `name` (None: the file's name without its suffix) stands for the model, the hash of the file for
    its weights. Arrays of other proteins are left aside. A folder that already holds these is left
    as it is; a run that was killed goes on. `InputError`, and nothing written, where a protein is
    missing or has another number of rows than residues; ValueError for one that is not finite.
    """
    path = Path(path)
    with open_arrays(path) as file:
        _width(path, file.entries)
        entries = _of(path, proteins, file.entries)
        given = _Given(name or path.stem, file_hash(path))
        existing = _existing(folder, proteins, given, layer, stored)
        return existing or Embeddings.from_arrays(
            folder,
            proteins,
            _Lazy(file, entries),
            given.name,
            layer,
            given.revision,
            stored,
            progress,
        )


class _Lazy(Mapping[str, np.ndarray]):
    """Arrays by accession, each read when it is asked for."""

    def __init__(self, file: ArrayFile, entries: Mapping[str, Entry]) -> None:
        self._file, self._entries = file, entries

    def __getitem__(self, accession: str) -> np.ndarray:
        return self._file.read(self._entries[accession])

    def __contains__(self, accession: object) -> bool:
        return accession in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _existing(
    folder: Path, proteins: Proteins, given: _Given, layer: int, stored: Stored
) -> Embeddings | None:
    if not (folder / "about.json").exists():
        return None
    found = Embeddings.open(folder)
    try:
        found.check(proteins, given, layer)
    except ValueError:  # others': these are made again
        return None
    return found if found.stored == stored else None


def _by_accession(path: Path | str, entries: Sequence[Entry]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for entry in entries:
        match = _UNIPROT.fullmatch(entry.name)
        accession = match[1] if match else entry.name
        if accession in found:
            raise InputError(
                f"{path}: two arrays of {accession}, {found[accession].key!r} and {entry.key!r}; "
                "leave one of them out"
            )
        found[accession] = entry
    return found


def _width(path: Path | str, entries: Sequence[Entry]) -> int:
    """The width of all arrays, which are checked one by one."""
    if not entries:
        raise InputError(f"{path}: no arrays in it; wanted {WANTED}")
    for entry in entries:
        _check_kind(path, entry)
    first = entries[0]
    for entry in entries:
        if entry.shape[1] != first.shape[1]:
            raise InputError(
                f"{path}: {first.name} has {first.shape[1]} values per residue and {entry.name} "
                f"has {entry.shape[1]}; take all arrays from one layer of one model"
            )
    return first.shape[1]


def _check_kind(path: Path | str, entry: Entry) -> None:
    if not entry.floating:
        raise InputError(
            f"{path}: {entry.name} is of type {entry.dtype}; wanted floats, [residues, width]"
        )
    if len(entry.shape) == 1:
        raise InputError(
            f"{path}: {entry.name} is one vector of {entry.shape[0]} values for the whole protein; "
            "take the file with one vector per residue (of UniProt's two, per-residue.h5)"
        )
    if len(entry.shape) != 2 or 0 in entry.shape:
        raise InputError(
            f"{path}: {entry.name} has shape {entry.shape}; wanted [residues, width]: one layer, "
            "without an axis for batches or layers"
        )


def _of(path: Path, proteins: Proteins, entries: Sequence[Entry]) -> dict[str, Entry]:
    """The entries of these proteins, by accession, each with a row per residue."""
    held = _by_accession(path, entries)
    missing = [a for a in proteins.accessions if a not in held]
    if missing:
        raise InputError(
            f"{path}: no array for {len(missing):,} of {len(proteins):,} proteins: "
            f"{_some(missing)}; the file's keys, such as {entries[0].name!r}, must be the "
            "proteins' accessions; add these arrays, or leave these proteins out"
        )
    lengths = dict(zip(proteins.accessions, proteins.lengths.tolist(), strict=True))
    wrong = [a for a, length in lengths.items() if held[a].shape[0] != length]
    if wrong:
        rows, residues = held[wrong[0]].shape[0], lengths[wrong[0]]
        others = f" ({len(wrong) - 1:,} other proteins differ too)" if len(wrong) > 1 else ""
        raise InputError(
            f"{path}: {wrong[0]} has {rows:,} rows for {residues:,} residues{others}: "
            f"{_reason(rows - residues)}"
        )
    return {a: held[a] for a in proteins.accessions}


def _reason(surplus: int) -> str:
    if surplus == 2:
        return "they look like they hold <cls> and <eos>; remove the first and the last row"
    if surplus == 1:
        return (
            "they look like they hold one special token; remove the first row if it is <cls>, the "
            "last if it is <eos>"
        )
    return "the array is of another sequence, or cut off; embed the sequence of the proteins' file"


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")
