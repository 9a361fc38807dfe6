"""A count that resumes after it was killed, in this process or on a cluster: the same integers as
`count.count`."""

import contextlib
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

import interplm_nb
from interplm_nb.concepts.count import Counting, Sums
from interplm_nb.concepts.scores import ConceptScores
from interplm_nb.concepts.source import Source
from interplm_nb.concepts.sums_file import include_sums, save_sums
from interplm_nb.saving import json_hash
from interplm_nb.scale.complete import complete_elsewhere
from interplm_nb.scale.shard_files import ShardFiles
from interplm_nb.scale.shard_task import Update
from interplm_nb.scale.shared_file import SharedFile

if TYPE_CHECKING:
    from interplm_nb.scale.address import Scale

RESIDUES = 1_000_000
"""Residues of a shard, about."""


class NamedSource(Source, Protocol):
    """A source that identifies its values."""

    @property
    def fingerprint(self) -> str:
        """A hash that identifies the values: of weights, maxima, PLM, layer."""
        ...


def count_resumed(
    counting: Counting,
    folder: Path,
    scale: "Scale" = "",
    residues: int = RESIDUES,
    seconds: float = 60.0,
    progress: bool = True,
) -> ConceptScores:
    """`count.count`, resumable. The source of `counting` must be a `NamedSource`.

    Whole proteins are counted in shards of about `residues` residues. A cluster (`scale`) leaves a
    file of counts per shard in `folder`. Then this process goes through the shards in order, adds
    their files, counts those without one, and every `seconds` seconds saves the sums so far. What
    is there of exactly this count (values, proteins, annotations, thresholds, overlap, shards) is
    not counted again; what is unreadable is. It is removed at the end: saving the scores is up to
    the caller. A file takes at most 8 bytes per concept, feature and
    threshold. Errors are those of `count.count`.
    """
    shards = CountShards(counting, folder, residues)
    total = counting.empty()
    done = shards.resume(total)
    complete_elsewhere(shards, scale, progress)
    saved, lacking = time.monotonic(), set(shards.missing())
    for shard in range(done, shards.n_shards):
        shards.add(shard, total, shard not in lacking)
        if shard + 1 < shards.n_shards and time.monotonic() - saved >= seconds:
            shards.save(total, shard + 1)
            saved = time.monotonic()
    shards.discard()
    return counting.scores(total)


class CountShards:
    """Counts of runs of whole proteins: a `ShardTask`. Their bounds are those of the proteins, and
    never depend on who counts.

    Pickled, it names a file with what is counted: of a source on disk its folder.
    """

    label = "counting"

    def __init__(self, counting: Counting, folder: Path, residues: int = RESIDUES) -> None:
        self._counting, self._residues = counting, residues
        proteins = counting.source.proteins
        places = np.array([proteins.index(a) for a in counting.accessions], np.int64)
        self._ends = np.cumsum(proteins.lengths[places])
        self._bounds = run_bounds(self._ends, residues)
        self._files = ShardFiles(folder / _key(counting, residues))
        self._done = 0

    @property
    def n_shards(self) -> int:
        """Number of shards, with those that are counted."""
        return len(self._bounds) - 1

    def missing(self) -> list[int]:
        """See `ShardTask`."""
        return [shard for shard in self._files.missing(self.n_shards) if shard >= self._done]

    def residues(self, shard: int) -> int:
        """See `ShardTask`."""
        first, last = self._bounds[shard], self._bounds[shard + 1]
        return int(self._ends[last - 1] - (self._ends[first - 1] if first else 0))

    def accessions(self, shard: int) -> list[str]:
        """See `ShardTask`."""
        return self._counting.accessions[self._bounds[shard] : self._bounds[shard + 1]]

    def compute(self, shard: int, update: Update) -> None:
        """See `ShardTask`."""
        if self._files.of(shard).exists():
            return
        own = self._counting.empty()
        self._counting.add(self.accessions(shard), own)
        save_sums(own, self._files.of(shard))
        update(self.residues(shard))

    def add(self, shard: int, sums: Sums, counted: bool = False) -> None:
        """Add a shard: the file of one that is counted, unless it is damaged; else count it."""
        if not counted or self._include(self._files.of(shard), sums) is None:
            self._counting.add(self.accessions(shard), sums)

    def resume(self, sums: Sums) -> int:
        """Add the sums that were saved, of the first shards, and return how many shards."""
        about = self._include(self._saved, sums)
        self._done = int(about["shards"]) if about else 0
        return self._done

    def save(self, sums: Sums, shards: int) -> None:
        """Keep the sums of the first `shards` shards."""
        save_sums(sums, self._saved, shards=shards)

    def discard(self) -> None:
        """Remove the files."""
        self._files.discard()
        with contextlib.suppress(OSError):  # others count there too
            self._files.folder.parent.rmdir()

    @property
    def _saved(self) -> Path:
        return self._files.folder / "sums.parquet"

    def _include(self, path: Path, sums: Sums) -> dict[str, Any] | None:
        return include_sums(path, sums, self._counting.sizes)

    def __reduce__(self) -> tuple[Callable[..., "CountShards"], tuple[SharedFile, str, int]]:
        folder = self._files.folder
        inputs = SharedFile.write(self._counting, folder / "inputs.pickle")
        return _reopened, (inputs, str(folder.parent.resolve()), self._residues)


def run_bounds(ends: np.ndarray, residues: int) -> list[int]:
    """Bounds of runs of proteins that end with the protein that fills them; `ends` int64: residues
    up to the end of each protein.

    >>> run_bounds(np.array([5, 8, 16, 17]), 8)
    [0, 2, 3, 4]
    """
    bounds = [0]
    while bounds[-1] < len(ends):
        before = ends[bounds[-1] - 1] if bounds[-1] else 0
        full = int(np.searchsorted(ends, before + residues)) + 1
        bounds.append(min(full, len(ends)))
    return bounds


def _reopened(inputs: SharedFile, folder: str, residues: int) -> CountShards:
    """The task in another process."""
    return CountShards(inputs.read(), Path(folder), residues)


def _key(counting: Counting, residues: int) -> str:
    source, annotations = cast(NamedSource, counting.source), counting.annotations
    counted = [
        source.fingerprint,
        source.proteins.sequence_hash,
        source.n_features,
        annotations.fingerprint,
        hashlib.sha256("\n".join(counting.accessions).encode()).hexdigest(),
    ]
    how = [list(counting.thresholds), counting.overlap, residues, interplm_nb.__version__]
    return json_hash([*counted, *how]).removeprefix("sha256:")[:16]
