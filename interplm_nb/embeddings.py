"""One layer of one PLM on every residue, memory-mapped from safetensors shards.

A folder holds the shards, in float32 or bfloat16 (read as float32), and `about.json`. Shards hold
whole proteins, so that a killed stage resumes with the next shard.
"""

import contextlib
import fcntl
import logging
import os
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from interplm_nb import __version__, bfloat16
from interplm_nb.joined_layers import JoinedLayers, joined_of
from interplm_nb.progress import progress_bar
from interplm_nb.proteins import Proteins
from interplm_nb.saving import json_hash, read_json, remove, write_json
from interplm_nb.shards import (
    CheckedShard,
    Shard,
    Stored,
    draft_of,
    expect_room,
    item_size,
    shard_bounds,
    shard_name,
)

KIND, VERSION = "Embeddings", 2
_SHARD_BYTES = 2**27
_PROTEINS = "proteins.parquet"
TASK, CLAIMS = "task.json", "*.claim"
"""In a draft whose shards other processes take: what the task is, and who computes which."""
_log = logging.getLogger(__name__)


class Named(Protocol):
    """Anything that names a PLM and its weights, such as a `PLM`."""

    @property
    def name(self) -> str:
        """Name of the PLM."""
        ...

    @property
    def revision(self) -> str:
        """Identifies the weights among others of the same name, such as `sha256:...`."""
        ...


def _is_here(path: Path) -> None:
    """Nothing brings a shard."""


class _Shards(dict[int, CheckedShard]):
    """Shards by number, each opened when it is first read."""

    def __init__(self, opened: Callable[[int], CheckedShard]) -> None:
        self._opened = opened

    def __missing__(self, shard: int) -> CheckedShard:
        self[shard] = self._opened(shard)
        return self[shard]


class Embeddings:
    """Residue embeddings of one layer, float32 [n_residues, d_in], read from disk as needed.

    Open a folder with `open`; take arrays made elsewhere with `from_arrays`. Indexing by a slice
    or by int64 rows reads only those rows.

    Attributes
    ----------
    path : Path
        The folder.
    about : dict
        type, version, plm, plm_revision, layer, d_in, n_residues, sequences, dtype (as stored),
        package and bounds (first rows of the shards).

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> proteins = Proteins.from_sequences({"P1": "MKV", "P2": "GA"})
    >>> arrays = {"P1": np.zeros((3, 8)), "P2": np.ones((2, 8))}
    >>> embeddings = Embeddings.from_arrays(
    ...     Path(mkdtemp()) / "layer_03", proteins, arrays, plm="mine", layer=3
    ... )
    >>> embeddings
    Embeddings(mine, layer 3: 5 residues x 8)
    >>> embeddings[3:5].shape, float(embeddings.of("P2", proteins).mean())
    ((2, 8), 1.0)
    """

    def __init__(
        self, path: Path, about: Mapping[str, Any], bring: Callable[[Path], object] = _is_here
    ) -> None:
        self.path = path
        self.about = dict(about)
        self._bring = bring
        self._bounds = np.asarray(about["bounds"], np.int64)
        self._starts: list[int] = self._bounds.tolist()
        item_size(self.stored)

    @classmethod
    def open(cls, path: Path, bring: Callable[[Path], object] = _is_here) -> Self:
        """Open a folder written by `EmbeddingsWriter` or `from_arrays`.

        `bring` is called with each shard before it is first read, as the folder of an object store
        may lack it.
        """
        path = Path(path)
        if not (path / "about.json").exists():
            raise FileNotFoundError(
                f"{path}: no embeddings here (no about.json); run the stage 'embed', or "
                "Embeddings.from_arrays"
            )
        return cls(path, read_json(path / "about.json", KIND, VERSION), bring)

    @property
    def n_residues(self) -> int:
        """Number of rows: the residues of all proteins."""
        return int(self.about["n_residues"])

    @property
    def d_in(self) -> int:
        """Width: values per residue."""
        return int(self.about["d_in"])

    @property
    def layer(self) -> int:
        """Layer of the PLM; 0 is its token embedding."""
        return int(self.about["layer"])

    @property
    def joined(self) -> JoinedLayers | None:
        """The layers that stand side by side, of which `layer` is the last; None for one layer."""
        return joined_of(self.about)

    @property
    def plm(self) -> str:
        """Name of the PLM."""
        return str(self.about["plm"])

    @property
    def plm_revision(self) -> str:
        """The PLM's `revision`; "unknown" where imported arrays came without one."""
        return str(self.about["plm_revision"])

    @property
    def stored(self) -> Stored:
        """Type on disk. Values are read as float32, with the precision of this type."""
        return self.about["dtype"]

    @property
    def sequence_hash(self) -> str:
        """`Proteins.sequence_hash` of the proteins that were embedded."""
        return str(self.about["sequences"])

    @property
    def fingerprint(self) -> str:
        """A hash of PLM, weights, layer, sequences and type on disk."""
        return json_hash(self.about)

    def __len__(self) -> int:
        return self.n_residues

    def __reduce__(self) -> tuple[type[Self], tuple[Path, dict[str, Any]]]:
        """A pickle names the folder and carries no value."""
        return type(self), (self.path.resolve(), self.about)

    def __repr__(self) -> str:
        shape = f"{self.n_residues:,} residues x {self.d_in}"
        return f"Embeddings({self.plm}, layer {self.layer}: {shape})"

    def check(
        self, proteins: Proteins, plm: Named | str | None = None, layer: int | None = None
    ) -> None:
        """Raise ValueError if the embeddings are of other proteins, another PLM or another layer.

        `plm` is a name, or a name with its weights.
        """
        if proteins.sequence_hash != self.sequence_hash:
            raise ValueError(
                f"{self.path} embeds other proteins ({self.sequence_hash[:19]}) than the given "
                "ones "
                f"({proteins.sequence_hash[:19]})"
            )
        name = plm if isinstance(plm, str) else getattr(plm, "name", self.plm)
        if name != self.plm:
            raise ValueError(f"{self.path} holds embeddings of {self.plm}, not of {name}")
        revision = self.plm_revision if plm is None or isinstance(plm, str) else plm.revision
        if revision != self.plm_revision:
            raise ValueError(
                f"{self.path} was made with other weights of {name} ({self.plm_revision[:19]}) "
                f"than the given ones ({revision[:19]})"
            )
        if layer is not None and layer != self.layer:
            raise ValueError(f"{self.path} holds layer {self.layer}, not layer {layer}")

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """float32 [n, d_in]: a slice of rows, or int64 indices (any order, repeats allowed).

        Reads no other row. A float32 slice within one shard is the read-only map itself.
        """
        if isinstance(rows, slice):
            start, stop, step = rows.indices(self.n_residues)
            return self._between(start, stop) if step == 1 else self[np.arange(start, stop, step)]
        rows = np.asarray(rows)
        if rows.ndim != 1 or (rows.size and not np.issubdtype(rows.dtype, np.integer)):
            raise TypeError(
                f"rows must be a slice or a 1-D integer array, not {rows.dtype} of shape "
                f"{rows.shape}"
            )
        if rows.size and not 0 <= rows.min() <= rows.max() < self.n_residues:
            raise IndexError(
                f"rows must be 0 to {self.n_residues - 1}, not {rows.min()} to {rows.max()}"
            )
        return self._gather(rows.astype(np.int64, copy=False))

    def of(self, accession: str, proteins: Proteins) -> np.ndarray:
        """float32 [L, d_in]: one protein."""
        self.check(proteins)
        return self[proteins.rows(accession)]

    def blocks(self, rows: int = 65_536) -> Iterator[tuple[int, np.ndarray]]:
        """All residues in order: (first row, float32 [n, d_in]) with n at most `rows`."""
        for start in range(0, self.n_residues, rows):
            yield start, self._between(start, min(start + rows, self.n_residues))

    def check_bytes(self, shard: int) -> None:
        """Compare a whole shard, by its number, with its sums. DamagedFileError names the file."""
        self._shard(shard).check()

    @cached_property
    def _shards(self) -> "_Shards":
        return _Shards(self._shard)

    def _shard(self, i: int) -> CheckedShard:
        n = int(self._bounds[i + 1] - self._bounds[i])
        self._bring(self.path / shard_name(i))
        return Shard(self.path / shard_name(i), n, self.d_in, self.stored).read()

    def _between(self, start: int, stop: int) -> np.ndarray:
        if stop <= start:
            return np.empty((0, self.d_in), np.float32)
        first, last = (
            bisect_right(self._starts, start) - 1,
            bisect_right(self._starts, stop - 1) - 1,
        )
        parts = [
            self._shards[i][max(0, start - self._starts[i]) : stop - self._starts[i]]
            for i in range(first, last + 1)
        ]
        if self.stored == "float32":
            return parts[0] if len(parts) == 1 else np.concatenate(parts)
        values, done = np.empty((stop - start, self.d_in), np.float32), 0
        for part in parts:
            bfloat16.widened(part, values[done : done + len(part)])
            done += len(part)
        return values

    def _gather(self, rows: np.ndarray) -> np.ndarray:
        values = np.empty((len(rows), self.d_in), np.float32)
        shard = np.searchsorted(self._bounds, rows, side="right") - 1
        for i in np.unique(shard):
            here = np.flatnonzero(shard == i)
            held = self._shards[i][rows[here] - self._bounds[i]]
            values[here] = held if self.stored == "float32" else bfloat16.widened(held)
        return values

    @classmethod
    def from_arrays(
        cls,
        path: Path,
        proteins: Proteins,
        arrays: Mapping[str, np.ndarray],
        plm: str,
        layer: int,
        plm_revision: str = "unknown",
        stored: Stored = "float32",
        progress: bool = False,
    ) -> Self:
        """Store embeddings made elsewhere: one [L, d_in] array per accession.

        Arrays of other proteins are ignored. `readers.arrays` reads arrays from files.

        Parameters
        ----------
        path : Path
            Folder to write.
        proteins : Proteins
            The residue axis.
        arrays : mapping of str to np.ndarray
            Accession to [L, d_in]; each array is looked up once, in the order of the axis.
        plm, layer, plm_revision : str, int, str
            What the arrays were computed with.
        stored : {"float32", "bfloat16"}
            Type on disk.
        progress : bool
            Show a progress bar.

        Raises
        ------
        ValueError
            If an array is missing, has the wrong length or width, or is not finite.
        """
        if not len(proteins):
            raise ValueError("there are no proteins to embed; give at least one")
        missing = [a for a in proteins.accessions if a not in arrays]
        if missing:
            raise ValueError(
                f"{len(missing)} of {len(proteins)} proteins have no array, such as {missing[0]!r}"
            )
        if len(arrays) > len(proteins):
            extra = len(arrays) - len(proteins)
            _log.info("%d arrays of other proteins are ignored", extra)
        width = int(np.shape(arrays[proteins.accessions[0]])[-1])
        about = {"plm": plm, "plm_revision": plm_revision, "layer": layer, "d_in": width}
        writer = EmbeddingsWriter(path, proteins, about, dtype=stored)
        try:
            for shard in progress_bar(
                writer.missing, f"storing {plm}", unit=" shards", disable=not progress
            ):
                _fill(writer, shard, arrays, width)
        except ValueError:
            writer.discard()
            raise
        return cls.open(writer.finish().path)


def _fill(
    writer: "EmbeddingsWriter", shard: int, arrays: Mapping[str, np.ndarray], width: int
) -> None:
    first = int(writer.bounds[shard])
    part = writer.shard_proteins(shard)
    for accession, length in zip(part.accessions, part.lengths.tolist(), strict=True):
        rows = np.arange(first, first + length)
        writer.write(rows, _checked_array(arrays[accession], accession, length, width))
        first += length


class _Unfinished(NamedTuple):
    file: Shard
    mapped: np.ndarray
    written: np.ndarray
    """bool [n]: which rows are."""


class EmbeddingsWriter:
    """Writes `Embeddings` from rows in any order, with little memory.

    A draft folder next to `path` holds the shards, each memory-mapped until its last row is
    written; `finish` renames it to `path`. The draft is named by a hash of the proteins, `about`
    and `dtype`, so that a writer of the same ones resumes it (see `missing`); those of others are
    removed. As a context manager it finishes if the block succeeds. `about` gives plm,
    plm_revision, layer and d_in; `dtype` is the type on disk.
    """

    def __init__(
        self,
        path: Path,
        proteins: Proteins,
        about: Mapping[str, Any],
        shard_rows: int | None = None,
        dtype: Stored = "float32",
    ) -> None:
        row_bytes = item_size(dtype) * int(about["d_in"])
        bounds = shard_bounds(proteins.offsets, shard_rows or max(1, _SHARD_BYTES // row_bytes))
        record = dict(about) | {
            "type": KIND,
            "version": VERSION,
            "n_residues": proteins.n_residues,
            "sequences": proteins.sequence_hash,
            "dtype": dtype,
            "package": __version__,
            "bounds": bounds.tolist(),
        }
        key = json_hash(record).removeprefix("sha256:")[:12]
        name = f".{Path(path).name}.{key}.draft"
        self._take(Path(path), Path(path).with_name(name), proteins, record)
        self._resume()

    def _take(self, path: Path, draft: Path, proteins: Proteins, record: dict[str, Any]) -> None:
        self.path, self.draft, self.proteins, self.about = path, draft, proteins, record
        self.bounds: np.ndarray = np.asarray(record["bounds"], np.int64)
        self._d_in, self._stored = int(record["d_in"]), record["dtype"]
        self._row_bytes = item_size(self._stored) * self._d_in
        self._open: dict[int, _Unfinished] = {}

    @classmethod
    def of_draft(cls, draft: Path) -> Self:
        """For another process that writes some shards of a draft after `share_proteins`. It removes
        nothing, and must not finish."""
        record = read_json(draft / "about.json", KIND, VERSION)
        proteins = Proteins.load(draft / _PROTEINS)
        writer = cls.__new__(cls)
        writer._take(draft, draft, proteins, record)
        return writer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.finish()

    @property
    def missing(self) -> list[int]:
        """Numbers of the shards that are not complete yet."""
        there = set(os.listdir(self.draft)) if self.draft.exists() else set()
        return [i for i in range(len(self.bounds) - 1) if shard_name(i) not in there]

    def has(self, shard: int) -> bool:
        """Whether a shard is complete."""
        return (self.draft / shard_name(shard)).exists()

    def share_proteins(self) -> None:
        """Put the proteins into the draft, where `of_draft` finds them."""
        if not (self.draft / _PROTEINS).exists():
            self.proteins.save(self.draft / _PROTEINS)

    def shard_proteins(self, shard: int) -> Proteins:
        """The proteins whose residues are the rows `bounds[shard]` to `bounds[shard + 1]`."""
        first, last = np.searchsorted(self.proteins.offsets, self.bounds[shard : shard + 2])
        return Proteins(self.proteins.table[int(first) : int(last)])

    def write(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Write float32 [n, d_in] at int64 [n] rows, each row once.

        Rows of complete shards are skipped. ValueError for values that are not finite, or would
        not be as stored: bfloat16 ends at 3.39e38.
        """
        if values.shape != (len(rows), self._d_in):
            raise ValueError(
                f"values of shape {values.shape} do not fit {len(rows)} rows of {self._d_in}"
            )
        held = bfloat16.rounded(values) if self._stored == "bfloat16" else values
        if not (bfloat16.is_finite(held) if held.dtype == np.uint16 else np.isfinite(held).all()):
            raise ValueError(
                f"embeddings of {self.about['plm']} contain NaN or infinity, first in "
                f"{self._first_not_finite(rows, held)}; check its weights, or run it in float32"
            )
        shard = np.searchsorted(self.bounds, rows, side="right") - 1
        for i in np.unique(shard).tolist():
            here = shard == i
            self._write_shard(i, rows[here] - self.bounds[i], held[here])

    def forget(self, shard: int) -> None:
        """Rows of a shard that is not complete are no longer written."""
        if shard in self._open:
            self._open.pop(shard).file.path.unlink(missing_ok=True)

    def _first_not_finite(self, rows: np.ndarray, held: np.ndarray) -> str:
        """The accession of the first protein with a value that is not finite as stored."""
        values = bfloat16.widened(held) if held.dtype == np.uint16 else held
        first = rows[~np.isfinite(values).all(axis=1)].min()
        protein = np.searchsorted(self.proteins.offsets, first, side="right") - 1
        return self.proteins.accessions[int(protein)]

    def _write_shard(self, shard: int, rows: np.ndarray, values: np.ndarray) -> None:
        final = self.draft / shard_name(shard)
        if final.exists():
            return
        n = int(self.bounds[shard + 1] - self.bounds[shard])
        if shard not in self._open:
            file = Shard(draft_of(final), n, self._d_in, self._stored)
            self._open[shard] = _Unfinished(file, file.create(), np.zeros(n, bool))
        file, mapped, written = self._open[shard]
        if written[rows].any():
            raise ValueError(
                f"row {int(self.bounds[shard] + rows[written[rows]][0])} is written twice"
            )
        mapped[rows] = values
        written[rows] = True
        if written.all():
            mapped.flush()  # type: ignore[attr-defined]  # np.memmap
            del self._open[shard]
            file.seal(final)

    def finish(self) -> Embeddings:
        """Rename the draft to `path`. Raises ValueError if rows are missing.

        Where another process has finished the same draft, its result is taken.
        """
        with _alone_in(self.draft):
            if self.draft.exists() or not self._is_mine(self.path):
                self._check_complete()
                for name in (_PROTEINS, TASK, CLAIMS):
                    for shared in self.draft.glob(name):
                        remove(shared)
                remove(self.path)
                self.draft.rename(self.path)
            # Of workers that were killed, or that still compute for a process that was.
            for left_over in self.path.glob(".*.tmp"):
                remove(left_over)
        return Embeddings(self.path, self.about)

    def _check_complete(self) -> None:
        lacking = sum(
            int((~self._open[i].written).sum())
            if i in self._open
            else int(self.bounds[i + 1] - self.bounds[i])
            for i in self.missing
        )
        if lacking:
            raise ValueError(
                f"{self.path}: {lacking:,} of {self.proteins.n_residues:,} rows were never written"
            )

    def discard(self) -> None:
        """Remove everything written so far, including complete shards."""
        self._open.clear()
        remove(self.draft)

    def _is_mine(self, draft: Path) -> bool:
        """Whether it is of these proteins and settings; not where it is damaged."""
        try:
            return read_json(draft / "about.json", KIND, VERSION) == self.about
        except (OSError, ValueError):
            return False

    def _resume(self) -> None:
        for draft in self.path.parent.glob(f".{self.path.name}.*.draft"):
            if draft != self.draft or not self._is_mine(draft):
                remove(draft)
        if not self.draft.exists():
            write_json(self.about, self.draft / "about.json")
        for left_over in self.draft.glob(".*.tmp"):
            remove(left_over)
        lacking = sum(int(self.bounds[i + 1] - self.bounds[i]) for i in self.missing)
        expect_room(self.draft, lacking * self._row_bytes)


@contextmanager
def _alone_in(draft: Path) -> Iterator[None]:
    """Hold a draft for the block: two processes that fill the same one end at the same moment."""
    try:
        held = (draft / "about.json").open("rb")
    except FileNotFoundError:  # the other one has finished
        yield
        return
    with held:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _checked_array(array: np.ndarray, accession: str, length: int, width: int) -> np.ndarray:
    if np.shape(array) != (length, width):
        hint = "; leave out <cls> and <eos>" if len(array) == length + 2 else ""
        raise ValueError(
            f"{accession}: expected an array of {length} residues x {width}, found "
            f"{np.shape(array)}"
            f"{hint}"
        )
    values = np.asarray(array, np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"{accession}: the array contains NaN or infinity")
    return values
