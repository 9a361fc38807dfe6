"""Batches of residue embeddings, as a pure function of (seed, step): a training that was killed
resumes by asking for its next step.

An epoch shows every residue once. Its units (proteins, or blocks of stored rows) are put in a new
order and cut into groups; the residues of a group go through a buffer that shuffles them. The
content of the buffer follows from (seed, step), so that it need not be saved.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from interplm_nb.embeddings import Embeddings
from interplm_nb.plm.protocol import PLM
from interplm_nb.plm.record import check_layer
from interplm_nb.proteins import Proteins
from interplm_nb.sae.training.buffer import Group, ShuffleBuffer, groups_of
from interplm_nb.sae.training.distributed import rank_and_size
from interplm_nb.saving import json_hash

_log = logging.getLogger(__name__)
BUFFER_RESIDUES = 2**17
"""Residues that are shuffled among each other by default: about 400 proteins, 168 MB at width
320."""
BUFFER_BYTES = 2**29
"""Largest buffer of a layer in bytes, unless its residues are given: wide layers shuffle fewer
residues, so that memory stays small (70,000 at width 1,900)."""
BLOCK_ROWS = 512
"""Stored rows that are read together."""
Write = Callable[[int, np.ndarray | slice, Tensor], None]


class Batches(Protocol):
    """What training needs of its data."""

    @property
    def layers(self) -> Sequence[int]:
        """Layers of the PLM that a batch holds."""
        ...

    @property
    def batch_size(self) -> int:
        """Residues per batch, over all processes of a training."""
        ...

    def about(self, layer: int) -> dict[str, Any]:
        """plm, plm_revision, layer, `data`, a hash of which residues come in which order, and
        `joined` (`JoinedLayers.record`) where several layers are read together."""
        ...

    def batch(self, step: int) -> Mapping[int, Tensor]:
        """layer -> float32 [batch_size, d_in] (this process's share of it), always the same
        residues for a step."""
        ...


class _Grouped:
    """Batches of units that are loaded by groups into a buffer. The rest at an epoch's end, less
    than a batch, is not used in that epoch."""

    def __init__(
        self,
        lengths: np.ndarray,
        batch_size: int,
        seed: int,
        share: tuple[int, int] | None,
        buffer_residues: int | None,
    ) -> None:
        self.batch_size = batch_size
        self._rank, self._n_ranks = share or rank_and_size()
        if batch_size % self._n_ranks:
            raise ValueError(
                f"{self._n_ranks} processes cannot share a batch of {batch_size} residues evenly; "
                f"take a batch_size that is a multiple of {self._n_ranks}"
            )
        self._seed = seed
        # Dealt once: each process has its own units, and its own epochs of them.
        self._units = np.random.default_rng([seed, 0]).permutation(len(lengths))[
            self._rank :: self._n_ranks
        ]
        widest = max(self._widths.values())
        self._lengths = lengths
        self._residues = buffer_residues or min(BUFFER_RESIDUES, BUFFER_BYTES // (4 * widest))
        self._plan: tuple[int, list[Group]] | None = None
        # Epoch, group in the buffer, the order in which its residues leave.
        self._held: tuple[int, int, np.ndarray] | None = None
        self._buffer: ShuffleBuffer | None = None
        n = int(lengths[self._units].sum())
        self.steps_per_epoch = n // self._share_size
        if not self.steps_per_epoch:
            whose = "" if self._n_ranks == 1 else f" of process {self._rank}"
            raise ValueError(
                f"{n} residues{whose} do not fill one batch of {self._share_size}; take a smaller "
                "batch_size or more proteins"
            )

    @property
    def _share_size(self) -> int:
        return self.batch_size // self._n_ranks

    @property
    def _widths(self) -> dict[int, int]:
        raise NotImplementedError

    @property
    def _device(self) -> torch.device:
        raise NotImplementedError

    def _load_group(self, epoch: int, number: int, group: Group, write: Write) -> None:
        """Write the residues of a group, of which this is the number in its epoch."""
        self._load(group.units, write)

    def _load(self, units: np.ndarray, write: Write) -> None:
        """Write the residues of these units, numbered from 0 in the units' order."""
        raise NotImplementedError

    def batch(self, step: int) -> dict[int, Tensor]:
        """layer -> float32 [batch_size, d_in] (this process's share), always the same residues for
        a step (from 0)."""
        epoch, place = divmod(step, self.steps_per_epoch)
        first, last = place * self._share_size, (place + 1) * self._share_size
        groups = self._groups(epoch)
        begin, end = (
            int(np.searchsorted([group.first for group in groups], at, side="right")) - 1
            for at in (first, last - 1)
        )
        parts = [
            self._part(epoch, number, groups[number], first, last)
            for number in range(begin, end + 1)
        ]
        return (
            parts[0]
            if len(parts) == 1
            else {layer: torch.cat([part[layer] for part in parts]) for layer in parts[0]}
        )

    def _part(
        self, epoch: int, number: int, group: Group, first: int, last: int
    ) -> dict[int, Tensor]:
        """The residues of one group among positions `first` to `last` (excluded) of the epoch."""
        if self._buffer is None:  # a group is at most one unit over its size
            capacity = min(
                self._residues + int(self._lengths.max()), int(self._lengths[self._units].sum())
            )
            self._buffer = ShuffleBuffer(capacity, self._widths, self._device)
        if self._held is None or self._held[:2] != (epoch, number):
            self._held = None  # a load that is interrupted leaves nothing valid
            self._load_group(epoch, number, group, self._buffer.write)
            order = np.random.default_rng([self._seed, 2, epoch, self._rank, number]).permutation(
                group.n
            )
            self._held = epoch, number, order
        return self._buffer.read(self._held[2][max(first - group.first, 0) : last - group.first])

    def _groups(self, epoch: int) -> list[Group]:
        if self._plan is None or self._plan[0] != epoch:
            order = np.random.default_rng([self._seed, 1, epoch, self._rank]).permutation(
                len(self._units)
            )
            self._plan = epoch, groups_of(self._lengths, self._units[order], self._residues)
        return self._plan[1]

    def _order(self, **what: Any) -> str:
        """A hash of everything that decides which residues come in which order."""
        size = {
            "batch_size": self.batch_size,
            "seed": self._seed,
            "buffer_residues": self._residues,
            "ranks": self._n_ranks,
        }
        return json_hash({**what, **size})


class StoredBatches(_Grouped):
    """Batches from stored embeddings of one or more layers, by blocks of neighbouring rows.

    `rows`, int64, are the residues to train on, such as `proteins.rows_of(train)`. `share` (rank,
    processes) is this process's part of each batch; by default it follows `torchrun`.
    """

    def __init__(
        self,
        embeddings: Embeddings | Mapping[int, Embeddings],
        rows: np.ndarray,
        batch_size: int,
        seed: int,
        share: tuple[int, int] | None = None,
        buffer_residues: int | None = None,
    ) -> None:
        self._embeddings = (
            {embeddings.layer: embeddings}
            if isinstance(embeddings, Embeddings)
            else dict(embeddings)
        )
        self._rows = np.sort(np.asarray(rows, np.int64))
        self._hash = _array_hash(self._rows)
        self._bounds = _block_bounds(
            self._rows, np.asarray(next(iter(self._embeddings.values())).about["bounds"])
        )
        super().__init__(np.diff(self._bounds), batch_size, seed, share, buffer_residues)

    @property
    def layers(self) -> list[int]:
        """Layers that a batch holds."""
        return sorted(self._embeddings)

    def about(self, layer: int) -> dict[str, Any]:
        """plm, plm_revision, layer, and `data`, a hash of sequences, rows, their order and the
        stored type."""
        e = self._embeddings[layer]
        blocks = _array_hash(self._bounds)  # they end where shards end
        what = {"sequences": e.sequence_hash, "rows": self._hash, "blocks": blocks}
        data = self._order(kind="stored", stored=e.stored, **what)
        joined = {} if e.joined is None else {"joined": e.joined.record()}
        return {
            "plm": e.plm,
            "plm_revision": e.plm_revision,
            "layer": layer,
            "data": data,
            **joined,
        }

    @property
    def _widths(self) -> dict[int, int]:
        return {layer: e.d_in for layer, e in self._embeddings.items()}

    @property
    def _device(self) -> torch.device:
        return torch.device("cpu")

    def _load(self, units: np.ndarray, write: Write) -> None:
        ends = np.cumsum(self._lengths[units])
        for layer, embeddings in self._embeddings.items():
            for unit, end in zip(units.tolist(), ends.tolist(), strict=True):
                first, last = (
                    int(self._rows[self._bounds[unit]]),
                    int(self._rows[self._bounds[unit + 1] - 1]),
                )
                write(
                    layer,
                    slice(end - (last + 1 - first), end),
                    _tensor(embeddings[first : last + 1]),
                )


class StreamedBatches(_Grouped):
    """Batches straight from a PLM, without storing embeddings: proteins are embedded by groups, at
    all layers in one run of the PLM, which stops at the deepest.

    Residues of a group are shuffled, as in the InterPLM paper, in a buffer of `buffer_residues` per
    layer on the PLM's device. `share` (rank, processes) selects this process's proteins.
    """

    def __init__(
        self,
        plm: PLM,
        proteins: Proteins,
        layers: int | Sequence[int],
        batch_size: int,
        seed: int,
        share: tuple[int, int] | None = None,
        buffer_residues: int | None = None,
    ) -> None:
        self._layers = sorted({layers} if isinstance(layers, int) else set(layers))
        for layer in self._layers:
            check_layer(plm, layer)
        self._plm, self._proteins = plm, proteins
        self._tokens_per_batch: int | None = None
        super().__init__(proteins.lengths, batch_size, seed, share, buffer_residues)

    @property
    def layers(self) -> list[int]:
        """Layers that a batch holds."""
        return self._layers

    def about(self, layer: int) -> dict[str, Any]:
        """plm, plm_revision, layer, and `data`, a hash of sequences and their order."""
        data = self._order(kind="streamed", sequences=self._proteins.sequence_hash)
        return {
            "plm": self._plm.name,
            "plm_revision": self._plm.revision,
            "layer": layer,
            "data": data,
        }

    @property
    def _widths(self) -> dict[int, int]:
        return {layer: self._plm.widths[layer] for layer in self._layers}

    @property
    def _device(self) -> torch.device:
        return self._plm.device

    def _load(self, units: np.ndarray, write: Write) -> None:
        proteins = self._proteins.select(self._proteins.accessions[i] for i in units)
        while True:
            try:
                for batch in self._plm.embed(
                    proteins, self._layers, self._tokens_per_batch, progress=False
                ):
                    for layer, values in batch.layers.items():
                        write(layer, batch.rows, values)
                return
            except torch.OutOfMemoryError:
                self._tokens_per_batch = self._halved()

    def _halved(self) -> int:
        before = self._tokens_per_batch or self._plm.tokens_per_batch
        longest = int(self._proteins.lengths.max()) + 2
        if before <= longest:
            raise torch.OutOfMemoryError(
                f"{self._plm.name} does not fit {self._plm.device} with one protein at once; take "
                "a smaller PLM or another device"
            )
        _log.warning(
            "%s: out of memory with %d tokens at once; continuing with %d",
            self._plm.name,
            before,
            max(before // 2, longest),
        )
        return max(before // 2, longest)


def _block_bounds(rows: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """int64: where blocks of at most `BLOCK_ROWS` neighbouring rows begin in the sorted rows, and
    the end; no block crosses one of the `cuts`."""
    new_runs = np.flatnonzero(np.diff(rows, prepend=rows[:1] - 2) != 1)
    at_cuts = np.searchsorted(rows, cuts)
    run_starts = np.union1d(new_runs, at_cuts[at_cuts < len(rows)])
    run_ends = np.append(run_starts[1:], len(rows))
    starts = [np.arange(a, b, BLOCK_ROWS) for a, b in zip(run_starts, run_ends, strict=True)]
    return np.concatenate([*starts, [len(rows)]]).astype(np.int64)


def _tensor(values: np.ndarray) -> Tensor:
    """A tensor that views stored rows; it is only read."""
    view = values.view()
    # torch takes only writeable arrays; the mapping is private, so that no write reaches the file.
    view.flags.writeable = True
    return torch.from_numpy(view)


def _array_hash(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, "<i8").tobytes()).hexdigest()
