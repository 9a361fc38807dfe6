"""Encoding in shards of residues, in this process or in others."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy import sparse

import interplm_nb
from interplm_nb.activations_writer import check_l0
from interplm_nb.checksums import DamagedFileError
from interplm_nb.embeddings import Embeddings
from interplm_nb.proteins import Proteins
from interplm_nb.sae.encoded import cuts, encoded
from interplm_nb.sae.encoded_file import read_encoded, write_encoded
from interplm_nb.sae.model import SAE
from interplm_nb.saving import json_hash, remove
from interplm_nb.scale.shard_files import ShardFiles
from interplm_nb.scale.shard_task import Update
from interplm_nb.scale.shared_file import SharedFile

ROWS = 65_536
"""Residues of a shard."""


class EncodeShards:
    """The activations of every residue, shard by shard: a `ShardTask`.

    A shard that a cluster encodes is a file in a hidden folder next to the store, which is named by
    a hash of the SAE, the embeddings and the kind of device; `blocks` takes it from there. Without
    a cluster there is no file. Pickled, it names a file with the SAE and the embeddings' folder.

    Parameters
    ----------
    store
        Folder of the activations.
    max_l0
        See `encode_to`: of the residues that a writer judges first, so that a dense SAE is refused
        before its shards fill the disk.
    """

    label = "encoding"

    def __init__(
        self, sae: SAE, embeddings: Embeddings, proteins: Proteins, store: Path, max_l0: float
    ) -> None:
        self._sae, self._embeddings, self._proteins = sae, embeddings, proteins
        self._store, self._max_l0 = Path(store), max_l0
        how = [sae.device.type, ROWS, cuts(ROWS, sae), interplm_nb.__version__]
        key = json_hash([sae.weight_hash, embeddings.fingerprint, *how]).removeprefix("sha256:")[
            :12
        ]
        self._files = ShardFiles(self._store.with_name(f".{self._store.name}.{key}.shards"))

    @property
    def n_shards(self) -> int:
        """Number of shards, with those that are there."""
        return -(-len(self._embeddings) // ROWS)

    def missing(self) -> list[int]:
        """See `ShardTask`."""
        return self._files.missing(self.n_shards)

    def residues(self, shard: int) -> int:
        """See `ShardTask`."""
        return min(ROWS, len(self._embeddings) - shard * ROWS)

    def accessions(self, shard: int) -> list[str]:
        """See `ShardTask`: the proteins with a residue in it."""
        ends = [shard * ROWS, shard * ROWS + self.residues(shard) - 1]
        first, last = np.searchsorted(self._proteins.offsets, ends, side="right") - 1
        return self._proteins.accessions[int(first) : int(last) + 1]

    def compute(self, shard: int, update: Update) -> None:
        """See `ShardTask`."""
        if self._files.of(shard).exists():
            return
        n = self.residues(shard)
        block = sparse.csr_array(sparse.vstack([part for _, part in self._encoded(shard)], "csr"))
        if shard == 0:
            check_l0(block.nnz / n, self._max_l0, self._sae.d_sae)
        write_encoded(block, self._files.of(shard))
        update(n)

    def blocks(self) -> Iterator[tuple[int, sparse.csr_array]]:
        """All residues in order, as first row and csr block: of the files that are there, and
        encoded here where there is none. The blocks are equal either way."""
        lacking = set(self.missing())
        for shard in range(self.n_shards):
            yield from ([] if shard in lacking else self._written(shard)) or self._encoded(shard)

    def discard(self) -> None:
        """Remove the files, and those that others left for the same store."""
        for folder in self._store.parent.glob(f".{self._store.name}.*.shards"):
            remove(folder)

    def _encoded(self, shard: int) -> Iterator[tuple[int, sparse.csr_array]]:
        first = shard * ROWS
        for start, block in encoded(self._sae, self._embeddings[first : first + ROWS]):
            yield first + start, block

    def _written(self, shard: int) -> list[tuple[int, sparse.csr_array]]:
        """The blocks of a shard's file; none where it is damaged."""
        n = self.residues(shard)
        try:
            block = read_encoded(self._files.of(shard), (n, self._sae.d_sae))
        except DamagedFileError:
            return []
        return [(shard * ROWS + start, block[start:stop]) for start, stop in cuts(n, self._sae)]

    def __reduce__(self) -> tuple[Callable[..., "EncodeShards"], tuple[SharedFile]]:
        device = self._sae.device.type
        # On the CPU in the file, as a worker may have fewer devices; and it is asked for no names.
        sae, nobody = copy.deepcopy(self._sae).to("cpu"), Proteins.from_sequences({})
        inputs = device, sae, self._embeddings, nobody, self._store.resolve(), self._max_l0
        return _reopened, (SharedFile.write(inputs, self._files.folder / "inputs.pickle"),)


def _reopened(inputs: SharedFile) -> EncodeShards:
    """The task in another process."""
    device, sae, *others = inputs.read()
    return EncodeShards(sae.to(device), *others)
