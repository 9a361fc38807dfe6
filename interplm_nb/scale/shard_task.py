"""What a shard task is, and its plain way to run: one shard after another, in this process."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

Update = Callable[[int], object]
"""Takes the number of residues that are finished since the last call."""


class ShardTask(Protocol):
    """Work in shards of residues, each with one result on disk.

    A shard's result has the same bytes wherever and however often it is computed: it depends on the
    shard alone, is written under a temporary name and then renamed. So a shard that two workers
    compute, or one that was cut off, changes nothing. On a cluster a task is pickled: it then names
    files, and never carries arrays or weights.
    """

    @property
    def label(self) -> str:
        """What is done, for a progress bar: "embedding with unirep-1900"."""
        ...

    def missing(self) -> list[int]:
        """Numbers of the shards without a result, as the disk is now."""
        ...

    def residues(self, shard: int) -> int:
        """Residues of a shard."""
        ...

    def accessions(self, shard: int) -> list[str]:
        """The proteins of a shard, in order, to name them where it fails."""
        ...

    def compute(self, shard: int, update: Update) -> None:
        """Make the result of a shard; nothing if it is there."""
        ...


@runtime_checkable
class Workers(Protocol):
    """Those who compute shards: `ThisProcess`, or a cluster's."""

    @property
    def where(self) -> str:
        """Who they are, to follow a task's label; empty for this process."""
        ...

    def complete(self, task: ShardTask, update: Update) -> None:
        """Compute every shard that is missing. What is finished stays if one fails."""
        ...


class ThisProcess:
    """Computes shards one after another, here."""

    where = ""

    def complete(self, task: ShardTask, update: Update) -> None:
        """See `Workers`."""
        for shard in task.missing():
            task.compute(shard, update)


def failed(task: ShardTask, shard: int) -> str:
    """The beginning of a sentence: which shard of a task failed, and its proteins."""
    names = task.accessions(shard)
    proteins = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    return f"{task.label}: shard {shard} ({len(names)} proteins, {proteins}) failed"
