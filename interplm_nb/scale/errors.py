"""What can go wrong on a cluster, in sentences."""


class ClusterError(Exception):
    """A cluster cannot be used, or a worker failed; the message says which and what to do."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the sentences, without the calls that led to them."""
        return [str(self)]
