"""One layer of one PLM on every residue: float32, memory-mapped, in a folder of safetensors shards and `about.json`.

Shards end where proteins end, so that a stage that was killed goes on with the next shard and never computes half a protein twice.
"""

import json
import logging
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self
from zipfile import BadZipFile

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from interplm_nb import __version__
from interplm_nb.proteins import Proteins
from interplm_nb.saving import json_hash, read_json, remove, write_json
from interplm_nb.shards import FloatShard, draft_of, expect_room, shard_bounds, shard_name

KIND, VERSION = "Embeddings", 1
_log = logging.getLogger(__name__)


class Named(Protocol):
    """Anything that names a PLM and its weights, such as a `PLM`."""

    @property
    def name(self) -> str:
        """Name of the PLM."""
        ...

    @property
    def revision(self) -> str:
        """What tells its weights from others of the same name, such as `sha256:...`."""
        ...


class Embeddings:
    """Residue embeddings of one layer, float32 [n_residues, d_in], read from disk as they are needed.

    `about` holds type, version, plm, plm_revision, layer, d_in, n_residues, sequences, dtype, package and bounds (first rows of the shards).
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self.path = path
        self.about = dict(about)
        self._bounds = np.asarray(about["bounds"], np.int64)
        self._starts: list[int] = self._bounds.tolist()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a folder written by `EmbeddingsWriter` or `from_arrays`."""
        path = Path(path)
        if not (path / "about.json").exists():
            raise FileNotFoundError(
                f"{path}: no embeddings here (no about.json); run the stage 'embed', or Embeddings.from_arrays"
            )
        return cls(path, read_json(path / "about.json", KIND, VERSION))

    @property
    def n_residues(self) -> int:
        """Rows of the residue axis."""
        return int(self.about["n_residues"])

    @property
    def d_in(self) -> int:
        """Width: values per residue."""
        return int(self.about["d_in"])

    @property
    def layer(self) -> int:
        """Layer of the PLM; 0 is its embedding."""
        return int(self.about["layer"])

    @property
    def plm(self) -> str:
        """Name of the PLM."""
        return str(self.about["plm"])

    @property
    def plm_revision(self) -> str:
        """The PLM's `revision`; "unknown" where imported arrays came without one."""
        return str(self.about["plm_revision"])

    @property
    def sequence_hash(self) -> str:
        """`Proteins.sequence_hash` of the proteins that were embedded."""
        return str(self.about["sequences"])

    @property
    def fingerprint(self) -> str:
        """A hash of PLM, weights, layer and sequences."""
        return json_hash(self.about)

    def __len__(self) -> int:
        return self.n_residues

    def __repr__(self) -> str:
        return f"Embeddings({self.plm}, layer {self.layer}: {self.n_residues:,} residues x {self.d_in})"

    def check(
        self, proteins: Proteins, plm: Named | str | None = None, layer: int | None = None
    ) -> None:
        """Refuse other proteins, another PLM (its name, or its name and weights) or another layer, with both names."""
        if proteins.sequence_hash != self.sequence_hash:
            raise ValueError(
                f"{self.path} embeds other proteins ({self.sequence_hash[:19]}) than those given ({proteins.sequence_hash[:19]})"
            )
        name = plm if isinstance(plm, str) else getattr(plm, "name", self.plm)
        if name != self.plm:
            raise ValueError(f"{self.path} holds embeddings of {self.plm}, not of {name}")
        revision = self.plm_revision if plm is None or isinstance(plm, str) else plm.revision
        if revision != self.plm_revision:
            raise ValueError(
                f"{self.path} was made with other weights of {name} ({self.plm_revision[:19]}) than those given ({revision[:19]})"
            )
        if layer is not None and layer != self.layer:
            raise ValueError(f"{self.path} holds layer {self.layer}, not layer {layer}")

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """float32 [n, d_in]: a slice of rows, or the rows at int64 indices (any order, repeats allowed). Reads no other row."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(self.n_residues)
            return self._between(start, stop) if step == 1 else self[np.arange(start, stop, step)]
        rows = np.asarray(rows)
        if rows.ndim != 1 or (rows.size and not np.issubdtype(rows.dtype, np.integer)):
            raise TypeError(
                f"rows are a slice or one axis of integers, not {rows.dtype} of shape {rows.shape}"
            )
        if rows.size and not 0 <= rows.min() <= rows.max() < self.n_residues:
            raise IndexError(
                f"rows are 0 to {self.n_residues - 1}, not {rows.min()} to {rows.max()}"
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

    @cached_property
    def _shards(self) -> list[np.ndarray]:
        return [
            FloatShard(self.path / shard_name(i), int(n), self.d_in).read()
            for i, n in enumerate(np.diff(self._bounds))
        ]

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
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _gather(self, rows: np.ndarray) -> np.ndarray:
        values = np.empty((len(rows), self.d_in), np.float32)
        shard = np.searchsorted(self._bounds, rows, side="right") - 1
        for i in np.unique(shard):
            here = np.flatnonzero(shard == i)
            values[here] = self._shards[i][rows[here] - self._bounds[i]]
        return values

    @classmethod
    def from_arrays(
        cls,
        path: Path,
        proteins: Proteins,
        source: Path | str | Mapping[str, np.ndarray],
        plm: str,
        layer: int,
        plm_revision: str = "unknown",
    ) -> Self:
        """Take embeddings made elsewhere: one [L, d_in] array per accession, in an npz file, a safetensors file or a mapping.

        Arrays of proteins that are not given are left aside. Raises ValueError where one is missing, has another length or width, or is
        not finite. Values are stored as float32.
        """
        if not len(proteins):
            raise ValueError("embeddings of no proteins; give at least one")
        arrays, name = (
            _arrays(source),
            str(source) if isinstance(source, str | Path) else "the arrays given",
        )
        missing = [a for a in proteins.accessions if a not in arrays]
        if missing:
            raise ValueError(
                f"{name}: no array for {len(missing)} of {len(proteins)} proteins, such as {missing[0]!r}"
            )
        if len(arrays) > len(proteins):
            _log.info(
                "%s: %d arrays of proteins that are not given are left aside",
                name,
                len(arrays) - len(proteins),
            )
        width = int(np.shape(arrays[proteins.accessions[0]])[-1])
        about = {"plm": plm, "plm_revision": plm_revision, "layer": layer, "d_in": width}
        with EmbeddingsWriter(path, proteins, about) as writer:
            for i, accession in enumerate(proteins.accessions):
                rows = np.arange(proteins.offsets[i], proteins.offsets[i + 1])
                writer.write(rows, _checked_array(arrays[accession], accession, len(rows), width))
        return cls.open(path)


class EmbeddingsWriter:
    """Writes `Embeddings` from rows in any order with little memory: every shard is a memory-mapped draft until its last row is there.

    `about` gives plm, plm_revision, layer and d_in. A draft folder beside `path` holds the shards; opened again with the same proteins and
    `about` it goes on where it was, see `missing`. `finish` renames it to `path`. As a context manager it finishes when the block ends well.
    """

    def __init__(
        self,
        path: Path,
        proteins: Proteins,
        about: Mapping[str, Any],
        shard_rows: int | None = None,
    ) -> None:
        self.path = Path(path)
        self.proteins = proteins
        self._d_in = int(about["d_in"])
        shard_rows = shard_rows or max(1, 2**27 // (4 * self._d_in))
        self.bounds: np.ndarray = shard_bounds(proteins.offsets, shard_rows)
        self.about: dict[str, Any] = dict(about) | {
            "type": KIND,
            "version": VERSION,
            "n_residues": proteins.n_residues,
            "sequences": proteins.sequence_hash,
            "dtype": "float32",
            "package": __version__,
            "bounds": self.bounds.tolist(),
        }
        self._draft = self.path.with_name(f".{self.path.name}.draft")
        self._open: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._resume()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.finish()

    @property
    def missing(self) -> list[int]:
        """Shards that are not complete yet."""
        return [
            i for i in range(len(self.bounds) - 1) if not (self._draft / shard_name(i)).exists()
        ]

    def shard_proteins(self, shard: int) -> Proteins:
        """The proteins whose residues are the rows `bounds[shard]` to `bounds[shard + 1]`."""
        first, last = np.searchsorted(self.proteins.offsets, self.bounds[shard : shard + 2])
        return Proteins(self.proteins.table[int(first) : int(last)])

    def write(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Write float32 [n, d_in] at int64 [n] rows; each row comes once. Rows of complete shards are passed over."""
        if values.shape != (len(rows), self._d_in):
            raise ValueError(
                f"values of shape {values.shape} do not fit {len(rows)} rows of {self._d_in}"
            )
        if not np.isfinite(values).all():
            raise ValueError(
                f"embeddings of {self.about['plm']} hold NaN or infinity; check its weights, or run it in float32"
            )
        shard = np.searchsorted(self.bounds, rows, side="right") - 1
        for i in np.unique(shard).tolist():
            here = shard == i
            self._write_shard(i, rows[here] - self.bounds[i], values[here])

    def _write_shard(self, shard: int, rows: np.ndarray, values: np.ndarray) -> None:
        final = self._draft / shard_name(shard)
        if final.exists():
            return
        n = int(self.bounds[shard + 1] - self.bounds[shard])
        if shard not in self._open:
            self._open[shard] = (
                FloatShard(draft_of(final), n, self._d_in).create(),
                np.zeros(n, bool),
            )
        mapped, written = self._open[shard]
        if written[rows].any():
            raise ValueError(
                f"row {int(self.bounds[shard] + rows[written[rows]][0])} is written twice"
            )
        mapped[rows] = values
        written[rows] = True
        if written.all():
            mapped.flush()  # type: ignore[attr-defined]  # np.memmap
            del self._open[shard]
            FloatShard(draft_of(final), n, self._d_in).seal(final)

    def finish(self) -> Embeddings:
        """Give the folder its name. Raises ValueError where rows are missing."""
        lacking = sum(
            int((~self._open[i][1]).sum())
            if i in self._open
            else int(self.bounds[i + 1] - self.bounds[i])
            for i in self.missing
        )
        if lacking:
            raise ValueError(
                f"{self.path}: {lacking:,} of {self.proteins.n_residues:,} rows were never written"
            )
        remove(self.path)
        self._draft.rename(self.path)
        return Embeddings(self.path, self.about)

    def _resume(self) -> None:
        plan = self._draft / "about.json"
        if not plan.exists() or json.loads(plan.read_text(encoding="utf-8")) != self.about:
            remove(self._draft)
            write_json(self.about, plan)
        for left_over in self._draft.glob(".*.tmp"):
            remove(left_over)
        lacking = sum(int(self.bounds[i + 1] - self.bounds[i]) for i in self.missing)
        expect_room(self._draft, lacking * self._d_in * 4)


def _arrays(source: Path | str | Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    if not isinstance(source, str | Path):
        return source
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; wanted an .npz or .safetensors file with one array per accession"
        )
    try:
        if path.suffix == ".npz":
            return np.load(path, allow_pickle=False)
        if path.suffix == ".safetensors":
            return load_file(path)
    except (SafetensorError, BadZipFile, ValueError, EOFError) as error:
        raise ValueError(f"{path}: not a readable {path.suffix[1:]} file ({error})") from error
    raise ValueError(
        f"{path}: embeddings come in an .npz or .safetensors file, not {path.suffix or 'a file without a suffix'}"
    )


def _checked_array(array: np.ndarray, accession: str, length: int, width: int) -> np.ndarray:
    if np.shape(array) != (length, width):
        hint = "; leave out <cls> and <eos>" if len(array) == length + 2 else ""
        raise ValueError(
            f"{accession}: wanted an array of {length} residues x {width}, found {np.shape(array)}{hint}"
        )
    values = np.asarray(array, np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"{accession}: the array holds NaN or infinity")
    return values
