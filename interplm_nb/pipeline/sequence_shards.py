"""Activations of new sequences in shards, in this process or in others."""

import contextlib
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from interplm_nb.checksums import DamagedFileError
from interplm_nb.pipeline.run import Run
from interplm_nb.proteins import Proteins
from interplm_nb.saving import json_hash
from interplm_nb.scale.shard_files import ShardFiles
from interplm_nb.scale.shard_task import Update
from interplm_nb.scale.shared_file import SharedFile
from interplm_nb.shards import shard_bounds

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from interplm_nb.pipeline.encoder import Encoder

RESIDUES = 50_000
"""Residues of a shard; on a device with larger batches, those of a batch."""


class SequenceShards:
    """The features of sequences, shard by shard: a `ShardTask`.

    Whole sequences of at most `RESIDUES` residues go to the PLM in one call, whoever calls. A shard
    that a cluster reads is a file below `folder`; without a cluster there is none. Pickled, it
    names the run, which workers open, and a file with the sequences.

    Parameters
    ----------
    rows
        Residues of a shard (default: see `RESIDUES`).
    """

    label = "reading sequences"

    def __init__(self, encoder: "Encoder", proteins: Proteins, folder: Path, rows: int = 0) -> None:
        self._encoder, self._proteins, self._root = encoder, proteins, folder
        self._rows = rows or max(RESIDUES, encoder.plm.tokens_per_batch)
        self._bounds = shard_bounds(proteins.offsets, self._rows)

    @property
    def n_shards(self) -> int:
        """Number of shards, with those that are there."""
        return len(self._bounds) - 1

    def missing(self) -> list[int]:
        """See `ShardTask`."""
        return self._files.missing(self.n_shards)

    def residues(self, shard: int) -> int:
        """See `ShardTask`."""
        return int(self._bounds[shard + 1] - self._bounds[shard])

    def accessions(self, shard: int) -> list[str]:
        """See `ShardTask`."""
        return self._part(shard).accessions

    def compute(self, shard: int, update: Update) -> None:
        """See `ShardTask`."""
        from interplm_nb.sae.encoded_file import write_encoded

        if not self._files.of(shard).exists():
            write_encoded(self._encoded(shard, update), self._files.of(shard))

    def values(self, update: Update) -> "Iterator[csr_array]":
        """Shard by shard, float32 [n, n_features]: of the files that are there, and encoded here
        where there is none."""
        lacking = set(self.missing())
        for shard in range(self.n_shards):
            found = None if shard in lacking else self._written(shard)
            if found is None:
                yield self._encoded(shard, update)
            else:
                update(self.residues(shard))
                yield found

    def discard(self) -> None:
        """Remove the files."""
        self._files.discard()
        with contextlib.suppress(OSError):  # there are none, or others are read there too
            self._root.rmdir()

    @cached_property
    def _files(self) -> ShardFiles:
        encoder = self._encoder
        how = [str(encoder.plm.device.type), str(encoder.plm.dtype), self._rows]
        key = json_hash([encoder.about, self._proteins.sequence_hash, *how])
        return ShardFiles(self._root / key.removeprefix("sha256:")[:16])

    def _part(self, shard: int) -> Proteins:
        first, last = np.searchsorted(self._proteins.offsets, self._bounds[shard : shard + 2])
        return Proteins(self._proteins.table[int(first) : int(last)])

    def _written(self, shard: int) -> "csr_array | None":
        """Of a shard's file; None where it is damaged."""
        from interplm_nb.sae.encoded_file import read_encoded

        try:
            shape = self.residues(shard), self._encoder.sae.d_sae
            return read_encoded(self._files.of(shard), shape)
        except DamagedFileError:
            return None

    def _encoded(self, shard: int, update: Update) -> "csr_array":
        from interplm_nb.pipeline.encoder import encode_proteins

        part = self._proteins if self.n_shards == 1 else self._part(shard)
        return encode_proteins(self._encoder.plm, self._encoder.sae, part, update)

    def __reduce__(
        self,
    ) -> tuple[Callable[..., "SequenceShards"], tuple[str, str, str, SharedFile]]:
        encoder = self._encoder
        inputs = self._proteins, self._root.resolve(), self._rows
        shared = SharedFile.write(inputs, self._files.folder / "inputs.pickle")
        return _reopened, (
            str(encoder.run.folder.resolve()),
            encoder.source,
            encoder.device,
            shared,
        )


def _reopened(run: str, source: str, device: str, inputs: SharedFile) -> SequenceShards:
    """The task in another process."""
    from interplm_nb.pipeline.encoder import Encoder

    return SequenceShards(Encoder(Run.open(run), source, device), *inputs.read())
