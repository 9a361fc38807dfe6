"""A folder with a file for each shard that is finished."""

from pathlib import Path
from typing import NamedTuple

from interplm_nb.saving import remove


class ShardFiles(NamedTuple):
    """The results of a task's shards.

    Examples
    --------
    >>> files = ShardFiles(Path("shards"))
    >>> files.folder.mkdir()
    >>> files.of(1).touch()
    >>> files.missing(3)
    [0, 2]
    """

    folder: Path

    def of(self, shard: int) -> Path:
        """The file of a shard, whether or not it is there."""
        return self.folder / f"{shard:05d}.parquet"

    def missing(self, n_shards: int) -> list[int]:
        """Shards without a file.

        The folder is listed: on a network's file system that is one request, and it finds files
        that other machines made a moment ago, which a look for one name may not.
        """
        there = {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else set()
        return [shard for shard in range(n_shards) if self.of(shard).name not in there]

    def discard(self) -> None:
        """Remove the folder and all that is in it."""
        remove(self.folder)
