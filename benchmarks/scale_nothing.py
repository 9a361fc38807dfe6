"""A task whose shards do nothing, in a module that workers can import."""

from interplm_nb.scale.shard_task import Update


class Nothing:
    """A task whose shards have no result."""

    label = "nothing"

    def __init__(self, n: int) -> None:
        self.n = n

    def missing(self) -> list[int]:
        """All of them."""
        return list(range(self.n))

    def residues(self, shard: int) -> int:
        """None."""
        return 0

    def accessions(self, shard: int) -> list[str]:
        """One, by its number."""
        return [str(shard)]

    def compute(self, shard: int, update: Update) -> None:
        """Nothing."""
