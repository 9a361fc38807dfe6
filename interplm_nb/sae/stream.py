"""Batches of residue embeddings, as a pure function of (seed, step): a training that was killed goes on where it was, by asking for its next step."""

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from interplm_nb.embeddings import Embeddings
from interplm_nb.plm.protocol import PLM
from interplm_nb.proteins import Proteins
from interplm_nb.saving import json_hash


class Batches(Protocol):
    """What `train` needs."""

    @property
    def about(self) -> dict[str, Any]:
        """plm, plm_revision, layer, and `data`, a hash of which residues come in which order."""
        ...

    @property
    def batch_size(self) -> int:
        """Residues per batch."""
        ...

    def batch(self, step: int) -> Tensor:
        """float32 [batch_size, d_in], always the same for a step."""
        ...


class StoredBatches:
    """Batches from stored embeddings: each epoch is a seeded permutation of `rows`; what is left over at an epoch's end is not used in that epoch.

    `rows` int64: the residues to train on, such as `proteins.rows_of(train)`. Residues of a batch come in the order of the file.
    """

    def __init__(self, embeddings: Embeddings, rows: np.ndarray, batch_size: int, seed: int) -> None:
        if len(rows) < batch_size:
            raise ValueError(f"{len(rows)} residues do not fill one batch of {batch_size}; take a smaller batch_size or more proteins")
        self._embeddings = embeddings
        self._rows = np.sort(np.asarray(rows, np.int64))
        self._seed = seed
        self._epoch: tuple[int, np.ndarray] | None = None
        self.batch_size = batch_size

    @property
    def d_in(self) -> int:
        """Width of the embeddings."""
        return self._embeddings.d_in

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in one pass over `rows`."""
        return len(self._rows) // self.batch_size

    @property
    def about(self) -> dict[str, Any]:
        """plm, plm_revision, layer, and `data`, a hash of sequences, rows, batch size and seed."""
        e = self._embeddings
        order = {"kind": "stored", "sequences": e.sequence_hash, "rows": _array_hash(self._rows), "batch_size": self.batch_size, "seed": self._seed}
        return {"plm": e.plm, "plm_revision": e.plm_revision, "layer": e.layer, "data": json_hash(order)}

    def batch(self, step: int) -> Tensor:
        """float32 [batch_size, d_in] on the CPU, always the same for a step (from 0)."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = epoch, np.random.default_rng([self._seed, epoch]).permutation(self._rows)
        chosen = self._epoch[1][place * self.batch_size : (place + 1) * self.batch_size]
        # In the order of the file, so that a cold memory map is read forwards.
        return torch.from_numpy(self._embeddings[np.sort(chosen)])


class StreamedBatches:
    """Batches straight from a PLM, nothing stored: proteins are embedded in groups and residues shuffled within a group, as in the InterPLM paper.

    Each epoch puts the proteins into other groups. What does not fill a batch at a group's end is not used in that epoch.
    Only one group of embeddings is held: about `proteins_per_group` * 300 residues * d_model * 4 bytes.
    """

    def __init__(self, plm: PLM, proteins: Proteins, layer: int, batch_size: int, seed: int, proteins_per_group: int = 1000) -> None:
        if not 0 <= layer <= plm.n_layers:
            raise ValueError(f"{plm.name} has no layer {layer}; its layers are 0 (embedding) to {plm.n_layers}")
        self._plm, self._proteins, self._layer, self._seed = plm, proteins, layer, seed
        self._proteins_per_group = proteins_per_group
        self._plan: tuple[int, list[np.ndarray], np.ndarray] | None = None
        self._group: tuple[int, int, Tensor] | None = None
        self.batch_size = batch_size
        # Each of the groups loses less than one batch, so every grouping has at least this many.
        n_groups = -(-len(proteins) // proteins_per_group)
        self.steps_per_epoch = proteins.n_residues // batch_size - n_groups + 1
        if self.steps_per_epoch < 1:
            raise ValueError(
                f"{proteins.n_residues} residues in {n_groups} groups do not fill batches of {batch_size}; "
                "take a smaller batch_size, more proteins_per_group or more proteins"
            )

    @property
    def d_in(self) -> int:
        """Width of the PLM's representations."""
        return self._plm.d_model

    @property
    def about(self) -> dict[str, Any]:
        """plm, plm_revision, layer, and `data`, a hash of sequences, group size, batch size and seed."""
        order = {"kind": "streamed", "sequences": self._proteins.sequence_hash, "proteins_per_group": self._proteins_per_group}
        data = json_hash({**order, "batch_size": self.batch_size, "seed": self._seed})
        return {"plm": self._plm.name, "plm_revision": self._plm.revision, "layer": self._layer, "data": data}

    def batch(self, step: int) -> Tensor:
        """float32 [batch_size, d_in] on the PLM's device, always the same residues for a step (from 0); embeds their group where it is not held."""
        epoch, place = divmod(step, self.steps_per_epoch)
        groups, firsts = self._groups(epoch)
        group = int(np.searchsorted(firsts, place, side="right")) - 1
        tokens = self._embedded(epoch, group, groups[group])
        start = (place - int(firsts[group])) * self.batch_size
        return tokens[start : start + self.batch_size]

    def _groups(self, epoch: int) -> tuple[list[np.ndarray], np.ndarray]:
        """Proteins of each group, and the first step of each within the epoch."""
        if self._plan is None or self._plan[0] != epoch:
            order = np.random.default_rng([self._seed, epoch]).permutation(len(self._proteins))
            groups = [order[i : i + self._proteins_per_group] for i in range(0, len(order), self._proteins_per_group)]
            batches = [int(self._proteins.lengths[group].sum()) // self.batch_size for group in groups]
            self._plan = epoch, groups, np.concatenate([[0], np.cumsum(batches)])
        return self._plan[1], self._plan[2]

    def _embedded(self, epoch: int, group: int, places: Sequence[int] | np.ndarray) -> Tensor:
        """The group's residues, shuffled."""
        if self._group is None or self._group[:2] != (epoch, group):
            self._group = None  # let go of the old group before the new one is made
            proteins = self._proteins.select(self._proteins.accessions[i] for i in places)
            order = np.random.default_rng([self._seed, epoch, group]).permutation(proteins.n_residues)
            place = torch.from_numpy(np.argsort(order)).to(self._plm.device)
            tokens = torch.empty(proteins.n_residues, self._plm.d_model, device=self._plm.device)
            for batch in self._plm.embed(proteins, [self._layer], progress=False):
                tokens[place[torch.from_numpy(batch.rows).to(place.device)]] = batch.layers[self._layer].float()
            self._group = epoch, group, tokens
        return self._group[2]


def _array_hash(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, "<i8").tobytes()).hexdigest()
