"""Your own residue embeddings, from any model: one [residues, width] array per accession.

Shapes are compared with the proteins before anything is written; values are read one protein at a
time. Keys are accessions, alone or as in UniProt's FASTA headers: `sp|P12345|NAME`.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins
from interplm_nb.readers import opening
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
    """Values per residue, the same in every array."""


class _Given(NamedTuple):
    """What `Embeddings.check` compares, as it would a PLM."""

    name: str
    revision: str


def check_arrays(path: Path | str) -> Held:
    """Check that a file's arrays can be embeddings, by shapes and types alone; reads no value.

    Parameters
    ----------
    path
        An .npz, .safetensors, .h5 or .hdf5 file.

    Returns
    -------
    Held
        `n_proteins` and `width`. Which proteins these are is checked by `embeddings_from`.

    Raises
    ------
    InputError
        If the file cannot be read, an array is not [residues, width] of floats, or widths differ.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/mine.npz", P1=np.zeros((7, 4)), P2=np.zeros((5, 4)))
    ...     check_arrays(f"{folder}/mine.npz")
    Held(n_proteins=2, width=4)
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
    """Take the embeddings of these proteins from a file of arrays, and write them to `folder`.

    A folder that already holds these embeddings stays as it is; an interrupted run resumes.

    Parameters
    ----------
    path
        An .npz, .safetensors, .h5 or .hdf5 file. Arrays of other proteins are ignored.
    proteins
        The residue axis.
    folder
        Where to write.
    layer
        The layer that the arrays come from.
    name
        The model's name (default: the file's, without its suffix). The file's hash is its revision.
    stored
        "float32" or "bfloat16".
    progress
        Show a progress bar.

    Raises
    ------
    InputError
        Before anything is written, if a protein has no array, or one whose number of rows is not
        its number of residues; later, if an array holds NaN or infinity.
    """
    path = Path(path)
    with open_arrays(path) as file:
        _width(path, file.entries)
        entries = _of(path, proteins, file.entries)
        given = _Given(name or path.stem, file_hash(path))
        existing = _existing(folder, proteins, given, layer, stored)
        if existing is not None:
            return existing
        arrays = _Lazy(file, entries)
        try:
            return Embeddings.from_arrays(
                folder, proteins, arrays, given.name, layer, given.revision, stored, progress
            )
        except InputError:
            raise
        except ValueError as error:  # values that are not finite, or not as they are stored
            raise InputError(f"{path}: {error}; make it again, or copy the file again") from error


class _Lazy(Mapping[str, np.ndarray]):
    """Arrays by accession, each read on access."""

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
    except ValueError:  # of other arrays or proteins: overwritten
        return None
    return found if found.stored == stored else None


def _by_accession(path: Path | str, entries: Sequence[Entry]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for entry in entries:
        match = _UNIPROT.fullmatch(entry.name)
        accession = match[1] if match else entry.name
        if accession in found:
            raise InputError(
                f"{path}: two arrays for {accession}, {found[accession].key!r} and {entry.key!r}; "
                "remove one"
            )
        found[accession] = entry
    return found


def _width(path: Path | str, entries: Sequence[Entry]) -> int:
    """Check each array; their common width."""
    if not entries:
        raise InputError(f"{path}: holds no arrays; wanted {WANTED}")
    for entry in entries:
        _check_kind(path, entry)
    first = entries[0]
    for entry in entries:
        if entry.shape[1] != first.shape[1]:
            raise InputError(
                f"{path}: {first.name} has {first.shape[1]} values per residue and {entry.name} "
                f"has {entry.shape[1]}; use one layer of one model for all"
            )
    return first.shape[1]


def _check_kind(path: Path | str, entry: Entry) -> None:
    if not entry.floating:
        raise InputError(
            f"{path}: {entry.name} has dtype {entry.dtype}; wanted floats, [residues, width]"
        )
    if len(entry.shape) == 1:
        raise InputError(
            f"{path}: {entry.name} is one vector of {entry.shape[0]} values for the whole protein; "
            "use the file with one vector per residue (at UniProt: per-residue.h5)"
        )
    if len(entry.shape) != 2 or 0 in entry.shape:
        raise InputError(
            f"{path}: {entry.name} has shape {entry.shape}; wanted [residues, width]: one layer, "
            "no axis for batches or layers"
        )
    if 4 * math.prod(entry.shape) > opening.LARGEST_ARRAY:
        raise InputError(
            f"{path}: {entry.name} declares {entry.shape[0]:,} residues x {entry.shape[1]:,} "
            f"values, over {opening.LARGEST_ARRAY >> 30} GiB; no embedding is as large: the file "
            "is damaged, or of something else"
        )


def _of(path: Path, proteins: Proteins, entries: Sequence[Entry]) -> dict[str, Entry]:
    """The entries of these proteins, by accession, each with a row per residue."""
    held = _by_accession(path, entries)
    missing = [a for a in proteins.accessions if a not in held]
    if missing:
        raise InputError(
            f"{path}: no array for {len(missing):,} of {len(proteins):,} proteins: "
            f"{_some(missing)}; the file's keys, such as {entries[0].name!r}, must be the "
            "proteins' accessions; add these arrays, or remove these proteins"
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
        return "it seems to include <cls> and <eos>; remove the first and the last row"
    if surplus == 1:
        return (
            "it seems to include one special token; remove the first row if it is <cls>, the last "
            "if it is <eos>"
        )
    return "it is of another sequence, or truncated; embed the sequence in the proteins' file"


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")
