"""Embedding as a task of shards, in this process or in others."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, TypeAlias, TypedDict, Unpack

import numpy as np
from torch import Tensor

from interplm_nb.embeddings import TASK, EmbeddingsWriter
from interplm_nb.joined_layers import JoinedLayers, joined_of
from interplm_nb.plm.address import PLMAddress, address_of
from interplm_nb.plm.protocol import PLM
from interplm_nb.saving import read_json, write_json
from interplm_nb.scale.installed import differences, installed
from interplm_nb.scale.shard_task import Update
from interplm_nb.shards import Stored

KIND, VERSION = "EmbedShards", 1

Long: TypeAlias = Literal["refuse", "window"]
"""What is done with proteins that are longer than the model reads; see `PLM.embed`."""


class EmbedSettings(TypedDict, total=False):
    """How residues are embedded and stored.

    tokens_per_batch, long
        As `PLM.embed`.
    stored
        "float32" (default) or "bfloat16".
    shard_rows
        Rows per shard (default: `store.SHARD_BYTES` of the widest layer, but at least the tokens of
        a batch, so that no batch of a recurrent model is cut short).
    progress
        Show a progress bar (default: yes).
    """

    tokens_per_batch: int | None
    long: Long
    stored: Stored
    shard_rows: int | None
    progress: bool


def check_settings(settings: EmbedSettings) -> None:
    """TypeError for a keyword that is no setting, as a function without `**settings` raises."""
    for name in settings.keys() - EmbedSettings.__annotations__.keys():
        known = ", ".join(EmbedSettings.__annotations__)
        raise TypeError(f"unexpected keyword argument {name!r}; the settings are {known}")


class EmbedShards:
    """The shards that drafts of embeddings lack: a `ShardTask`.

    Each shard is computed from batches of its own proteins. Pickled, it names the draft folders and
    the model's address; the process that unpickles it opens them.

    Parameters
    ----------
    writers
        One per layer, of equal shards; or the one of the layers that `joined` puts side by side.
    """

    def __init__(
        self,
        plm: PLM,
        writers: Mapping[int, EmbeddingsWriter],
        joined: JoinedLayers | None = None,
        **settings: Unpack[EmbedSettings],
    ) -> None:
        self._plm, self._writers, self._joined = plm, dict(writers), joined
        self._settings = settings
        self._first = next(iter(self._writers.values()))
        self.label = f"embedding with {plm.name}"

    @property
    def n_shards(self) -> int:
        """Number of shards, with those that are there."""
        return len(self._first.bounds) - 1

    def missing(self) -> list[int]:
        """See `ShardTask`: shards that a layer lacks."""
        return sorted({shard for writer in self._writers.values() for shard in writer.missing})

    def residues(self, shard: int) -> int:
        """See `ShardTask`."""
        return int(self._first.bounds[shard + 1] - self._first.bounds[shard])

    def accessions(self, shard: int) -> list[str]:
        """See `ShardTask`."""
        return list(self._first.shard_proteins(shard).accessions)

    def compute(self, shard: int, update: Update) -> None:
        """See `ShardTask`."""
        lacking = {k: w for k, w in self._writers.items() if not w.has(shard)}
        if not lacking:
            return
        layers = sorted(lacking) if self._joined is None else self._joined.layers
        for writer in lacking.values():
            writer.forget(shard)  # a try that failed after some rows may have come before
        first, part = int(self._first.bounds[shard]), self._first.shard_proteins(shard)
        for rows, found in self._plm.embed(
            part,
            layers,
            self._settings.get("tokens_per_batch"),
            False,
            long=self._settings.get("long", "refuse"),
        ):
            values = arrays(found)
            for layer, writer in lacking.items():
                own = values[layer] if self._joined is None else self._joined(values)
                writer.write(rows + first, own)
            update(len(rows))

    def share(self) -> None:
        """Write what the task is into its first draft, for processes that open it with `shared`."""
        for writer in self._writers.values():
            writer.share_proteins()
        record = {
            "type": KIND,
            "version": VERSION,
            "installed": installed(),
            "plm": address_of(self._plm)._asdict(),
            "drafts": [[layer, w.draft.name] for layer, w in self._writers.items()],
            "settings": self._settings,
        }
        write_json(record, self._first.draft / TASK)

    def __reduce__(self) -> tuple[Callable[[Path], "EmbedShards"], tuple[Path]]:
        self.share()
        return shared, (self._first.draft.resolve(),)


def arrays(found: Mapping[int, Tensor]) -> dict[int, np.ndarray]:
    """float32 arrays of the layers of a batch."""
    return {layer: values.float().cpu().numpy() for layer, values in found.items()}


def shared(draft: Path) -> EmbedShards:
    """The task that `EmbedShards.share` wrote into a draft. ValueError where other versions are
    installed here, or other weights are found."""
    record = read_json(draft / TASK, KIND, VERSION)
    if other := differences(record["installed"], installed()):
        raise ValueError(
            f"{draft} was begun with other versions than are installed here: {other}; install the "
            "same ones, as others can give other numbers"
        )
    # Names of folders next to it, whatever the record says: a run may come from somebody else.
    writers = {
        int(layer): EmbeddingsWriter.of_draft(draft.with_name(Path(name).name))
        for layer, name in record["drafts"]
    }
    joined = joined_of(next(iter(writers.values())).about)
    plm = PLMAddress(**record["plm"]).load()
    return EmbedShards(plm, writers, joined, **EmbedSettings(**record["settings"]))
