"""Batches of a PLM that runs on the workers of a Dask cluster, ahead of the training."""

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from interplm_nb.plm.address import PLMAddress, address_of
from interplm_nb.plm.protocol import PLM
from interplm_nb.proteins import Proteins
from interplm_nb.sae.training.buffer import Group, groups_of
from interplm_nb.sae.training.stream import StreamedBatches, Write

if TYPE_CHECKING:
    from interplm_nb.scale.dask_workers import DaskWorkers

PART_RESIDUES = 16_384
"""Residues that a worker embeds at a time: 125 MB at width 1,900."""
_RESUME = "The same call goes on from the newest checkpoint."


class FedBatches(StreamedBatches):
    """Batches straight from a PLM, which the workers of a cluster run while this process trains.

    For a training that waits for its PLM. As `StreamedBatches`, whose parameters it takes; at most
    two parts of `PART_RESIDUES` residues a worker are waited for, so that memory stays the same
    however far the workers could run ahead. Parts do not depend on the number of workers, so the
    weights are the same with any number, bit for bit where processors and threads are alike.

    Raises
    ------
    ClusterError
        Where a worker fails, has other versions or other weights, or none is left.

    Examples
    --------
    >>> import interplm_nb as ipn
    >>> from pathlib import Path
    >>> from interplm_nb.scale.address import workers_at
    >>> from interplm_nb.sae.training.train import train_on
    >>> plm = ipn.load_plm("esm2-mini", "cpu")
    >>> proteins = ipn.Proteins.from_sequences({"P1": "MKTAYIAK" * 8, "P2": "GGSAVLKE" * 8})
    >>> config = ipn.SAEConfig.recipe("topk", 256, k=8, layer=3)
    >>> with workers_at("local:1") as workers:
    ...     batches = FedBatches(workers, plm, proteins, 3, batch_size=64, seed=0)
    ...     (sae,) = train_on(batches, {Path("saes/fed"): config}, steps=2)
    >>> sae.d_sae
    256
    """

    def __init__(self, workers: "DaskWorkers", plm: PLM, *arguments: Any, **settings: Any) -> None:
        super().__init__(plm, *arguments, **settings)
        self._client = workers.client
        self._embed = _Embed(address_of(plm), self.layers)
        self._next: tuple[int, int] | None = None
        self._coming: Generator[dict[int, np.ndarray]] | None = None

    def about(self, layer: int) -> dict[str, Any]:
        """As `StreamedBatches.about`; `data` is another, as the PLM gets other batches."""
        sequences = self._proteins.sequence_hash
        data = self._order(kind="fed", sequences=sequences, part_residues=PART_RESIDUES)
        return super().about(layer) | {"data": data}

    def _load_group(self, epoch: int, number: int, group: Group, write: Write) -> None:
        if self._coming is None or self._next != (epoch, number):  # the first, or it resumes
            self.close()
            self._coming = self._results(epoch, number)
        self._next = None  # a load that is interrupted starts anew
        for part in self._parts(group):
            values = next(self._coming)
            for layer in self.layers:
                rows = slice(part.first, part.first + part.n)
                write(layer, rows, torch.from_numpy(values[layer]))
        self._next = self._after(epoch, number)

    def close(self) -> None:
        """End what the workers compute ahead."""
        if self._coming is not None:
            self._coming.close()
            self._coming = None

    def _results(self, epoch: int, number: int) -> Generator[dict[int, np.ndarray]]:
        from interplm_nb.scale.ordered import in_order

        yield from in_order(self._client, self._embed, self._sequences(epoch, number), _RESUME)

    def _sequences(self, epoch: int, number: int) -> Iterator[dict[str, str]]:
        """The parts of a group and of all that follow, without end."""
        accessions, sequence = self._proteins.accessions, self._proteins.sequence
        while True:
            for part in self._parts(self._groups(epoch)[number]):
                names = [accessions[unit] for unit in part.units]
                yield {name: sequence(name) for name in names}
            epoch, number = self._after(epoch, number)

    def _parts(self, group: Group) -> list[Group]:
        # In the order of the axis, as `Proteins.select` puts those of a streamed group.
        return groups_of(self._lengths, np.sort(group.units), PART_RESIDUES)

    def _after(self, epoch: int, number: int) -> tuple[int, int]:
        last = number + 1 == len(self._groups(epoch))
        return (epoch + 1, 0) if last else (epoch, number + 1)


class _Embed:
    """float32 [n, d] of each layer, of proteins in their order; on a worker it holds the PLM."""

    def __init__(self, address: PLMAddress, layers: Sequence[int], plm: PLM | None = None) -> None:
        self._address, self._layers, self._plm = address, list(layers), plm

    def __call__(self, sequences: dict[str, str]) -> dict[int, np.ndarray]:
        assert self._plm is not None
        proteins = Proteins.from_sequences(sequences)
        shape = proteins.n_residues
        found = {k: np.empty((shape, self._plm.widths[k]), np.float32) for k in self._layers}
        for batch in self._plm.embed(proteins, self._layers, progress=False):
            for layer, values in batch.layers.items():
                found[layer][batch.rows] = values.float().cpu().numpy()
        return found

    def __reduce__(self) -> tuple[Callable[..., "_Embed"], tuple[PLMAddress, list[int]]]:
        return _loaded, (self._address, self._layers)


def _loaded(address: PLMAddress, layers: list[int]) -> _Embed:
    return _Embed(address, layers, address.load())
